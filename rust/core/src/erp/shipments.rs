//! `shipment`: units of an order left. Units beyond its open ones are a movement.
//!
//! In: shipments with an identity, perhaps corrected by a newer version. Out: units with evidence; movements.
//! Always: a shipment alone never changes what can be sold (docs/rules.md, section 3).

use crate::erp::identity::{difference, is_to_count, of_document};
use crate::erp::leaving::{self, Taking};
use crate::erp::{levels, named_order, reconcile};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::reservations::StockNode;
use crate::state::stock::Movement;
use crate::units::ledger;
use crate::wire::facts::{AsOf, Shipment, Statement};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Shipment<'_>) {
    let key = of_document(&statement.source, "shipment", &fact.reference, fact.line.as_deref());
    for line in &fact.lines {
        state.sku(&line.sku);
    }
    let moves = leaving::line_moves(state, &fact.lines);
    let Some(before) = is_to_count(state, statement, key, fact.version, moves.clone()) else {
        return;
    };
    let slots = named_order::meant(state, &fact.of);
    for &slot in &slots {
        state.count_change(slot);
    }
    // A correction takes back first: what it ships then is open again.
    let mut changes = difference(&moves, &before);
    changes.sort_by_key(|(_, _, quantity)| *quantity > 0);
    for (sku, location, quantity) in changes {
        let left = if quantity > 0 {
            ship(state, &slots, (sku, location, quantity), source, fact.as_of)
        } else {
            unship(state, &slots, (sku, location, -quantity), source)
        };
        excess(state, sku, location, -left, source, fact.as_of);
    }
    for &slot in &slots {
        reconcile::order_changed(state, slot);
    }
}

/// Ships open units of an order; returns how many are beyond its open ones.
fn ship(
    state: &mut State,
    slots: &[Slot],
    what: (SkuId, Option<LocationId>, i64),
    source: SourceId,
    as_of: AsOf,
) -> i64 {
    let (sku, location, mut left) = what;
    while left > 0 {
        let Some((slot, portion, home)) = leaving::take_leaving(state, slots, sku, location, left, Taking::Shipment)
        else {
            break;
        };
        if home.is_none() && !matches!(portion.node, StockNode::Hand(_)) {
            ledger::put(state, slot, portion);
            break;
        }
        left -= portion.quantity;
        leaving::mark_shipped(state, slot, portion, home, source, as_of);
    }
    left
}

/// A newer version of a shipment shipped less: its latest units are open again. Returns, below 0, how many no unit could be found for.
fn unship(state: &mut State, slots: &[Slot], what: (SkuId, Option<LocationId>, i64), source: SourceId) -> i64 {
    let (sku, location, mut left) = what;
    for &slot in slots.iter().rev() {
        while left > 0 {
            let portions = &state.reservations.get(slot).portions;
            let at = portions.iter().rposition(|p| {
                p.sku == sku
                    && p.evidence().shipped.is_some_and(|(s, _)| s == source)
                    && location.is_none_or(|l| p.node == StockNode::Hand(l))
            });
            let Some(at) = at else { break };
            let portion = ledger::take_out(state, slot, at, left, false);
            left -= portion.quantity;
            ledger::unship(state, slot, portion);
        }
    }
    -left
}

/// Units beyond the open ones of the order are a movement; without a location they can only be counted.
fn excess(state: &mut State, sku: SkuId, location: Option<LocationId>, on_hand: i64, source: SourceId, as_of: AsOf) {
    match location {
        _ if on_hand == 0 => {}
        Some(location) => levels::movement(
            state,
            sku,
            location,
            Movement {
                on_hand,
                unsellable: 0,
                source,
                as_of,
            },
        ),
        None => state.counters.unlocated += 1,
    }
}

#[cfg(test)]
mod tests;
