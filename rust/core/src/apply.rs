//! Facts into state, unconditionally and in order: the only writer of the state, on the leader as on every follower.
//!
//! In: a statement that the leader accepted. Out: the changed state. Always: no I/O, clock or randomness; the leader's own
//! `decide` comes through here too, so what it answers is what every replay will find.

use xxhash_rust::xxh3::xxh3_64;

use crate::declare;
use crate::digest::{Encode, Entity};
use crate::documents;
use crate::facts::{AsOf, Fact, OrderUpdate, Return, Shipment, ShipmentOf, Statement, StockDelta};
use crate::identities::{self, Known, Moves, Remembered};
use crate::ids::{LocationId, SkuId, Slot, SourceId};
use crate::lifecycle;
use crate::netting::{self, Taking};
use crate::rations::{self, Kind};
use crate::reservations::Node;
use crate::sourcing;
use crate::state::State;
use crate::stock::Movement;

/// What every batch does before its facts: the clocks go on, due holds expire, long closed ones are forgotten.
///
/// Says whether anything changed: then the leader must append a batch even without facts, for the others to follow.
pub(crate) fn open_batch(state: &mut State, now_ms: i64, lead_ms: i64) -> bool {
    let day = state.today();
    state.position.now_ms = state.position.now_ms.max(now_ms);
    state.position.lead_ms = state.position.lead_ms.max(lead_ms);
    let forgotten = lifecycle::forget_old(state);
    let expired = lifecycle::expire_due(state);
    if state.today() != day {
        state.note_change_of_all();
    }
    bind_changed(state);
    if state.digest.is_full() {
        state.digest();
    }
    expired + forgotten > 0 || state.today() != day
}

/// Applies one statement, then binds what can bind now.
pub(crate) fn statement(state: &mut State, statement: &Statement<'_>) {
    let source = if statement.source.is_empty() {
        SourceId(0)
    } else {
        state.source(&statement.source)
    };
    note_clock(state, source, &statement.fact);
    fact(state, source, statement);
    bind_changed(state);
}

fn bind_changed(state: &mut State) {
    while let Some(sku) = state.to_bind.pop() {
        state.to_bind.retain(|&s| s != sku);
        sourcing::bind(state, sku);
        // Binding changes cells of this very SKU; what could not bind now cannot bind because of that.
        state.to_bind.retain(|&s| s != sku);
    }
}

/// A source tells time or it counts; its first word says which.
fn note_clock(state: &mut State, source: SourceId, fact: &Fact<'_>) {
    let Some(as_of) = as_of(fact) else { return };
    if state.source_clock[source.at()].is_none() {
        let time = matches!(as_of, AsOf::Time(_));
        state.source_clock[source.at()] = Some(time);
        state.digest.add(
            Entity::Clock,
            &[source.0.to_le_bytes()[0], source.0.to_le_bytes()[1], u8::from(time)],
        );
    }
}

/// When a fact says that it was true.
pub(crate) fn as_of(fact: &Fact<'_>) -> Option<AsOf> {
    match fact {
        Fact::StockLevel(f) => Some(f.as_of),
        Fact::StockDelta(f) => Some(f.as_of),
        Fact::Demand(f) => Some(f.as_of),
        Fact::OrderAck(f) => Some(f.as_of),
        Fact::OrderUpdate(f) => Some(f.as_of),
        Fact::Shipment(f) => Some(f.as_of),
        Fact::Return(f) => Some(f.as_of),
        _ => None,
    }
}

fn fact(state: &mut State, source: SourceId, statement: &Statement<'_>) {
    match &statement.fact {
        Fact::StockLevel(f) => documents::level(state, source, f),
        Fact::StockDelta(f) => delta(state, source, statement, f),
        Fact::Supply(f) => documents::supply(state, source, f),
        Fact::Demand(f) => documents::demand(state, source, f),
        Fact::OrderAck(f) => {
            if netting::slots_of(state, &f.order_ref).is_empty() {
                netting::keep_early(state, &f.order_ref, encoded(statement));
            } else {
                netting::acknowledge(state, source, f);
            }
        }
        Fact::OrderUpdate(f) => update(state, source, statement, f),
        Fact::Shipment(f) => shipment(state, source, statement, f),
        Fact::Return(f) => giving_back(state, source, statement, f),
        Fact::Item(f) => declare::item(state, f),
        Fact::Location(f) => declare::location(state, f),
        Fact::Channel(f) => declare::channel(state, f),
        Fact::Allocation(f) => ration(
            state,
            (&f.channel, &f.sku),
            Kind::Allocation,
            Some(f.quantity),
            f.period.as_deref(),
        ),
        Fact::Cap(f) => ration(state, (&f.channel, &f.sku), Kind::Cap, f.quantity, f.period.as_deref()),
        Fact::Safety(f) => declare::safety(state, f),
        Fact::Oversell(f) => declare::oversell(state, f),
        Fact::Freshness(f) => declare::freshness(state, f),
        Fact::Restriction(f) => declare::restriction(state, f),
        Fact::ReservationHeld(f) => {
            lifecycle::hold(state, f);
        }
        Fact::ReservationConfirmed(f) => on_slot(state, &f.id, |s, slot| {
            lifecycle::confirm(s, slot, f.order_ref.as_deref());
        }),
        Fact::ReservationReleased(id) => {
            on_slot(state, id, |s, slot| {
                lifecycle::close(s, slot, crate::reservations::ReservationState::Released);
            });
        }
        Fact::ReservationCancelled(id) => on_slot(state, id, lifecycle::cancel),
        Fact::ReservationExtended(f) => on_slot(state, &f.id, |s, slot| lifecycle::extend(s, slot, f.ttl_ms)),
        Fact::ReservationFulfilled(f) => on_slot(state, &f.id, |s, slot| fulfil(s, slot, &f.lines)),
        Fact::ReservationOversold(id) => on_slot(state, id, lifecycle::oversold),
    }
}

/// A reservation that a batch names exists: the leader looked before it wrote.
fn on_slot(state: &mut State, id: &str, change: impl FnOnce(&mut State, Slot)) {
    if let Some(slot) = state.reservations.find(id) {
        change(state, slot);
    }
}

fn ration(state: &mut State, of: (&str, &str), kind: Kind, quantity: Option<i64>, period: Option<&str>) {
    let channel = state.channel(of.0);
    let sku = state.sku(of.1);
    rations::set(state, sku, channel, kind, quantity, period);
}

fn encoded(statement: &Statement<'_>) -> String {
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
    let bytes = |key: u128, r: &Remembered| {
        let mut out = key.to_le_bytes().to_vec();
        out.optional(r.version).number(r.body as i64);
        out
    };
    let what = Remembered { version, body, moves };
    state.digest.add(Entity::Identity, &bytes(key, &what));
    for (gone, record) in state.identities.remember(key, what, state.rules.identities_max) {
        state.digest.take(Entity::Identity, &bytes(gone, &record));
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

fn delta(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &StockDelta<'_>) {
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
    documents::movement(
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

fn giving_back(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Return<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let key = identities::key(&[&statement.source, "return", &fact.reference, &name, &fact.location]);
    let quantity = documents::in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let (on_hand, unsellable) = documents::returned(fact.condition, quantity);
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
    documents::movement(state, sku, location, change);
}

fn update(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &OrderUpdate<'_>) {
    let key = identities::key(&[&statement.source, "order.update", &fact.reference]);
    let moves = netting::update_moves(state, fact);
    let Some(before) = remember(state, key, fact.version, body_of(statement), moves.clone()) else {
        return;
    };
    let slots = netting::slots_of(state, &fact.order_ref);
    if slots.is_empty() {
        netting::keep_early(state, &fact.order_ref, encoded(statement));
        return;
    }
    // Units that were taken off do not come back by a newer version; only more can be taken off.
    let more: Moves = difference(&moves, &before)
        .into_iter()
        .filter(|(_, _, q)| *q > 0)
        .collect();
    for &slot in &slots {
        state.touch_reservation(slot);
        state.reservations.get_mut(slot).version += 1;
    }
    netting::update_slots(state, &slots, source, fact.status, fact.as_of, &more);
}

fn shipment(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Shipment<'_>) {
    let key = identities::key(&[&statement.source, "shipment", &fact.reference]);
    for line in &fact.lines {
        state.sku(&line.sku);
    }
    let moves = netting::line_moves(state, &fact.lines);
    let Some(before) = remember(state, key, fact.version, body_of(statement), moves.clone()) else {
        return;
    };
    let slots = match &fact.of {
        ShipmentOf::Order(order) => netting::slots_of(state, order),
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
    for (sku, location, quantity) in difference(&moves, &before) {
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
    for &slot in slots {
        while left > 0 {
            let home = location.or_else(|| first_cell(state, slot, sku));
            let Some(portion) = netting::take_open(state, slot, sku, location, left, Taking::Shipment) else {
                break;
            };
            let stays = matches!(portion.node, Node::Hand(_)) && location.is_none();
            if home.is_none() {
                sourcing::add_portion(state, slot, portion);
                break;
            }
            left -= portion.quantity;
            netting::mark_shipped(state, slot, portion, if stays { None } else { home }, source, as_of);
        }
    }
    left
}

/// The first cell that serves an order's SKU.
fn first_cell(state: &State, slot: Slot, sku: SkuId) -> Option<LocationId> {
    state
        .reservations
        .get(slot)
        .portions
        .iter()
        .filter(|p| p.sku == sku)
        .find_map(|p| match p.node {
            Node::Hand(location) => Some(location),
            _ => None,
        })
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
            sourcing::add_portion(state, slot, portion);
        }
    }
    -left
}

/// What the whole order has not open is a movement; without a place it can only be counted.
fn excess(state: &mut State, sku: SkuId, location: Option<LocationId>, on_hand: i64, source: SourceId, as_of: AsOf) {
    match location {
        _ if on_hand == 0 => {}
        Some(location) => documents::movement(
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
fn fulfil(state: &mut State, slot: Slot, lines: &[crate::facts::QuantityLine<'_>]) {
    state.touch_reservation(slot);
    state.reservations.get_mut(slot).version += 1;
    for (sku, location, quantity) in netting::line_moves(state, lines) {
        let mut left = quantity;
        while left > 0 {
            let Some(portion) = netting::take_open(state, slot, sku, location, left, Taking::Fulfil) else {
                break;
            };
            left -= portion.quantity;
            netting::mark_fulfilled(state, slot, portion, location);
        }
    }
    netting::enter_indexes(state, slot);
    netting::renew(state, slot);
}
