//! Documents that move stock or units of an order: deltas, returns, shipments, updates. Each counts once.
//!
//! In: statements with an identity. Out: their effect, or a count where the memory of identities sets them aside.

use crate::binding;
use crate::digest::{Encode, Entity};
use crate::documents;
use crate::facts::bounds::QUANTITY_MAX;
use crate::facts::{AsOf, Fact, OrderUpdate, QuantityLine, Return, Shipment, ShipmentOf, Statement, StockDelta};
use crate::identities::{self, Known, Moves, Remembered};
use crate::ids::{LocationId, SkuId, Slot, SourceId};
use crate::netting::{self};
use crate::orders;
use crate::orders::Taking;
use crate::reservations::Node;
use crate::state::State;
use crate::stock::Movement;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn encoded(statement: &Statement<'_>) -> String {
    let mut bytes = Vec::new();
    statement.encode(&mut bytes);
    String::from_utf8(bytes).expect("an encoding is JSON")
}

/// What makes two statements of one document the same, whoever brought them.
fn body_of(statement: &Statement<'_>) -> u64 {
    let plain = Statement {
        by: None,
        trace: None,
        ..statement.clone()
    };
    let mut bytes = Vec::new();
    plain.encode(&mut bytes);
    xxh3_64(&bytes)
}

pub(crate) fn identity_bytes(key: u128, r: &Remembered) -> Vec<u8> {
    let mut out = key.to_le_bytes().to_vec();
    out.optional(r.version).number(r.body as i64);
    out
}

/// Asks the memory of identities; None where the document is to be set aside. Else what its older self moved.
fn remember(state: &mut State, key: u128, version: Option<i64>, body: u64, moves: Moves) -> Option<Moves> {
    let before = match state.identities.ask(key, version, body) {
        Known::New => Vec::new(),
        Known::Newer(before) => before,
        Known::Repeat => {
            state.counters.repeats += 1;
            return None;
        }
        Known::Stale => {
            state.counters.stale_versions += 1;
            return None;
        }
        Known::Anomaly => {
            state.counters.anomalies += 1;
            return None;
        }
    };
    let what = Remembered { version, body, moves };
    state.digest.add(Entity::Identity, &identity_bytes(key, &what));
    for (gone, record) in state.identities.remember(key, what, state.rules.identities_max) {
        state.digest.take(Entity::Identity, &identity_bytes(gone, &record));
    }
    Some(before)
}

/// What a newer body adds to an older one, by SKU and place.
fn difference(new: &Moves, old: &Moves) -> Moves {
    let mut all: Moves = new.clone();
    for &(sku, location, quantity) in old {
        match all.iter_mut().find(|(s, l, _)| *s == sku && *l == location) {
            Some((_, _, q)) => *q -= quantity,
            None => all.push((sku, location, -quantity)),
        }
    }
    all.retain(|(_, _, q)| *q != 0);
    all
}

pub(crate) fn delta(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &StockDelta<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let key = identities::key(&[&statement.source, "stock.delta", &fact.reference, &name, &fact.location]);
    let quantity = documents::in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let Some(before) = remember(
        state,
        key,
        fact.version,
        body_of(statement),
        vec![(sku, Some(location), quantity)],
    ) else {
        return;
    };
    let on_hand = quantity - before.iter().map(|(_, _, q)| q).sum::<i64>();
    documents::levels::movement(
        state,
        sku,
        location,
        Movement {
            on_hand,
            unsellable: 0,
            source,
            as_of: fact.as_of,
        },
    );
}

pub(crate) fn giving_back(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Return<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let key = identities::key(&[&statement.source, "return", &fact.reference, &name, &fact.location]);
    let quantity = documents::in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let (on_hand, unsellable) = documents::levels::returned(fact.condition, quantity);
    // Two moves: on hand, then unsellable, so that a newer version can take both back.
    let moves = vec![(sku, Some(location), on_hand), (sku, Some(location), unsellable)];
    let Some(before) = remember(state, key, fact.version, body_of(statement), moves) else {
        return;
    };
    let was = |n: usize| before.get(n).map_or(0, |(_, _, q)| *q);
    let change = Movement {
        on_hand: on_hand - was(0),
        unsellable: unsellable - was(1),
        source,
        as_of: fact.as_of,
    };
    documents::levels::movement(state, sku, location, change);
}

pub(crate) fn update(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &OrderUpdate<'_>) {
    let key = identities::key(&[&statement.source, "order.update", &fact.reference]);
    let moves = orders::update_moves(state, fact);
    let Some(before) = remember(state, key, fact.version, body_of(statement), moves.clone()) else {
        return;
    };
    // Units that were taken off do not come back by a newer version; only more can be taken off.
    let more: Moves = difference(&moves, &before)
        .into_iter()
        .filter(|(_, _, q)| *q > 0)
        .collect();
    let slots = orders::slots_of(state, &fact.order_ref);
    if slots.is_empty() {
        if before.is_empty() {
            orders::keep_early(state, &fact.order_ref, encoded(statement));
        } else if !more.is_empty() {
            let kept = encoded(&with_lines(state, statement, fact, &more));
            orders::keep_early(state, &fact.order_ref, kept);
        }
        return;
    }
    for &slot in &slots {
        state.touch_reservation(slot);
        state.reservations.get_mut(slot).version += 1;
    }
    orders::update_slots(state, &slots, source, fact.status, fact.as_of, &more);
}

/// The same update with other lines: what a newer version takes off beside the version before.
fn with_lines<'a>(state: &'a State, statement: &Statement<'a>, fact: &OrderUpdate<'a>, moves: &Moves) -> Statement<'a> {
    let line = |&(sku, location, quantity): &(SkuId, Option<LocationId>, i64)| QuantityLine {
        sku: state.catalogue.sku_name(sku).into(),
        location: location.map(|l| state.catalogue.location_name(l).into()),
        quantity: quantity.min(QUANTITY_MAX),
    };
    let lines = moves.iter().map(line).collect();
    Statement {
        fact: Fact::OrderUpdate(OrderUpdate { lines, ..fact.clone() }),
        ..statement.clone()
    }
}

pub(crate) fn shipment(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Shipment<'_>) {
    let key = identities::key(&[&statement.source, "shipment", &fact.reference]);
    for line in &fact.lines {
        state.sku(&line.sku);
    }
    let moves = orders::line_moves(state, &fact.lines);
    let Some(before) = remember(state, key, fact.version, body_of(statement), moves.clone()) else {
        return;
    };
    let slots = match &fact.of {
        ShipmentOf::Order(order) => orders::slots_of(state, order),
        ShipmentOf::Reservation(id) => {
            let confirmed =
                |slot: &Slot| state.reservations.get(*slot).state != crate::reservations::ReservationState::Held;
            state.reservations.find(id).filter(confirmed).into_iter().collect()
        }
    };
    for &slot in &slots {
        state.touch_reservation(slot);
        state.reservations.get_mut(slot).version += 1;
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
        netting::enter_indexes(state, slot);
        netting::renew(state, slot);
    }
}

/// Ships open units of an order; returns what the order has not open.
fn ship(
    state: &mut State,
    slots: &[Slot],
    what: (SkuId, Option<LocationId>, i64),
    source: SourceId,
    as_of: AsOf,
) -> i64 {
    let (sku, location, mut left) = what;
    while left > 0 {
        let Some((slot, portion, home)) = orders::take_leaving(state, slots, sku, location, left, Taking::Shipment)
        else {
            break;
        };
        if home.is_none() && !matches!(portion.node, Node::Hand(_)) {
            binding::add_portion(state, slot, portion);
            break;
        }
        left -= portion.quantity;
        orders::mark_shipped(state, slot, portion, home, source, as_of);
    }
    left
}

/// A newer version of a shipment shipped less: its latest units are open again. Returns, below 0, what no unit answers to.
fn unship(state: &mut State, slots: &[Slot], what: (SkuId, Option<LocationId>, i64), source: SourceId) -> i64 {
    let (sku, location, mut left) = what;
    for &slot in slots.iter().rev() {
        while left > 0 {
            let portions = &state.reservations.get(slot).portions;
            let at = portions.iter().rposition(|p| {
                p.sku == sku
                    && p.evidence().shipped.is_some_and(|(s, _)| s == source)
                    && location.is_none_or(|l| p.node == Node::Hand(l))
            });
            let Some(at) = at else { break };
            state.touch_reservation(slot);
            let portions = &mut state.reservations.get_mut(slot).portions;
            let mut portion = if portions[at].quantity <= left {
                portions.remove(at)
            } else {
                portions[at].split(left, false)
            };
            left -= portion.quantity;
            portion.evidence_mut().shipped = None;
            binding::add_portion(state, slot, portion);
        }
    }
    -left
}

/// What the whole order has not open is a movement; without a place it can only be counted.
fn excess(state: &mut State, sku: SkuId, location: Option<LocationId>, on_hand: i64, source: SourceId, as_of: AsOf) {
    match location {
        _ if on_hand == 0 => {}
        Some(location) => documents::levels::movement(
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

/// Units told over HTTP to have left; they stay deducted until an acknowledgement or a shipment covers them.
pub(crate) fn fulfil(state: &mut State, slot: Slot, lines: &[crate::facts::QuantityLine<'_>]) {
    state.touch_reservation(slot);
    state.reservations.get_mut(slot).version += 1;
    for (sku, location, quantity) in orders::line_moves(state, lines) {
        let mut left = quantity;
        while left > 0 {
            let taken = orders::take_leaving(state, &[slot], sku, location, left, Taking::Fulfil);
            let Some((_, portion, home)) = taken else { break };
            left -= portion.quantity;
            orders::mark_fulfilled(state, slot, portion, home);
        }
    }
    netting::enter_indexes(state, slot);
    netting::renew(state, slot);
}
