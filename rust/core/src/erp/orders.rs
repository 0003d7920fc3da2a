//! What an ERP reports of an order: that it is acknowledged, and from where it is served.
//!
//! In: acknowledgements, before or after the order itself. Out: units with evidence; `reconcile` decides by it.

use crate::erp::identity::encoded;
use crate::erp::{named_order, pending, reconcile, updates};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::order_documents;
use crate::state::reservations::{Portion, StockNode};
use crate::units::{ledger, recipes};
use crate::wire::facts::{Fact, OrderAck, Statement, parse_logged};

/// Gives a confirmed reservation its order's name and applies the facts about that order that came before.
pub(crate) fn name_order(state: &mut State, slot: Slot, order_ref: &str) {
    if state.reservations.get(slot).order_ref.as_deref() == Some(order_ref) {
        return;
    }
    state.name_order(slot, order_ref);
    catch_up(state, slot, order_ref);
}

/// Applies the facts that named this reservation before it was confirmed.
pub(crate) fn confirmed(state: &mut State, slot: Slot) {
    if state.reservations.pending_orders.is_empty() {
        return;
    }
    let name = order_documents::name_of_reservation(&state.reservations.get(slot).id);
    catch_up(state, slot, &name);
}

/// Applies the facts that waited under a name; those that mean another channel go on waiting.
fn catch_up(state: &mut State, slot: Slot, name: &str) {
    for raw in state.take_pending_facts(name) {
        let Ok(statement) = parse_logged(&raw) else {
            continue;
        };
        let of = match &statement.fact {
            Fact::OrderAck(ack) => &ack.of,
            Fact::OrderUpdate(update) => &update.of,
            _ => continue,
        };
        let source = state.source(&statement.source);
        if !named_order::is_of_channel(state, slot, of) {
            let whose = state.whose(source);
            state.keep_pending_fact(whose, name, raw.into());
            continue;
        }
        match &statement.fact {
            Fact::OrderAck(ack) => acknowledge_one(state, slot, source, ack),
            Fact::OrderUpdate(update) => updates::catch_up(state, slot, source, &statement, update),
            _ => {}
        }
    }
}

/// `order.ack`: the ERP has seen the order, and perhaps names the locations that serve it.
pub(crate) fn acknowledge(state: &mut State, source: SourceId, statement: &Statement<'_>, ack: &OrderAck<'_>) {
    let slots = named_order::meant(state, &ack.of);
    if slots.is_empty() {
        pending::keep(state, source, &named_order::waits_for(&ack.of), encoded(statement));
    }
    for slot in slots {
        acknowledge_one(state, slot, source, ack);
    }
}

fn acknowledge_one(state: &mut State, slot: Slot, source: SourceId, ack: &OrderAck<'_>) {
    let mut named: Vec<(SkuId, Vec<LocationId>)> = Vec::new();
    for line in &ack.lines {
        let (Some(sku), Some(location)) = (state.catalogue.sku(&line.sku), state.catalogue.location(&line.location))
        else {
            continue;
        };
        recipes::parts_for(state, &[slot], sku, (1, None), (None, None), |component, _| match named
            .iter_mut()
            .find(|(s, _)| *s == component)
        {
            Some((_, places)) => places.push(location),
            None => named.push((component, vec![location])),
        });
    }
    state.count_change(slot);
    if state.rules.is_second_edition() {
        report(state, slot, source, ack, &named);
        return;
    }
    let target = |state: &State, portion: &Portion| {
        if ack.lines.is_empty() {
            return where_it_stands(state, source, portion);
        }
        let (_, places) = named.iter().find(|(s, _)| *s == portion.sku)?;
        match portion.node {
            StockNode::Hand(l) if places.contains(&l) => Some(StockNode::Hand(l)),
            // Units that have left do not move, and only the source of their location can acknowledge them.
            StockNode::Unsourced if portion.is_shipped() => Some(StockNode::Unsourced),
            _ if portion.is_shipped() => where_it_stands(state, source, portion),
            _ => Some(StockNode::Hand(places[0])),
        }
    };
    ledger::relocate_each(state, slot, target, |p| {
        let evidence = p.evidence_mut();
        let earlier = evidence.ack.filter(|(s, old)| *s == source && *old <= ack.as_of);
        evidence.ack = earlier.or(Some((source, ack.as_of)));
    });
    reconcile::order_changed(state, slot);
}

/// With lines every unit of their SKUs is meant, and is at one of their places or moves to the first; without lines every
/// unit at a location of the source, at its place.
fn report(state: &mut State, slot: Slot, source: SourceId, ack: &OrderAck<'_>, named: &[(SkuId, Vec<LocationId>)]) {
    ledger::report_each(state, slot, source, |state, portion| {
        let at = state.location_of(portion.node);
        let places = named
            .iter()
            .find(|(sku, _)| *sku == portion.sku)
            .map(|(_, places)| &places[..]);
        let is_meant = if ack.lines.is_empty() {
            where_it_stands(state, source, portion).is_some()
        } else {
            places.is_some()
        };
        if !is_meant {
            return at;
        }
        portion.evidence_mut().acknowledge(at, source, ack.as_of, places)
    });
    reconcile::order_changed(state, slot);
}

/// Where an acknowledgement without lines leaves a portion; None where it does not cover it.
fn where_it_stands(state: &State, source: SourceId, portion: &Portion) -> Option<StockNode> {
    let location = state.location_of(portion.node)?;
    state.location_owner[location.at()]
        .is_none_or(|owner| owner == source)
        .then_some(portion.node)
}
