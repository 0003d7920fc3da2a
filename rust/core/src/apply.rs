//! Facts into state, unconditionally and in order: the only writer of the state, on the leader as on every follower.
//!
//! In: a statement that the leader accepted. Out: the changed state. Always: no I/O, clock or randomness; the leader's own
//! `decide` comes through here too, so what it answers is what every replay will find.

use crate::answered;
use crate::binding;
use crate::declare;
use crate::digest::Entity;
use crate::documents;
use crate::facts::{AsOf, Fact, Statement};
use crate::holding;
use crate::ids::{Slot, SourceId};
use crate::lifecycle;
use crate::movements::{delta, encoded, fulfil, giving_back, shipment, update};
use crate::orders;
use crate::rations::{self, Kind};
use crate::recount;
use crate::state::State;

/// What every batch does before its facts: the clocks go on, due holds expire, long closed ones are forgotten.
///
/// Says whether anything changed: then the leader must append a batch even without facts, for the others to follow.
pub(crate) fn open_batch(state: &mut State, now_ms: i64, lead_ms: i64) -> bool {
    let day = state.today();
    state.position.now_ms = state.position.now_ms.max(now_ms);
    state.position.lead_ms = state.position.lead_ms.max(lead_ms);
    let forgotten = lifecycle::forget_old(state);
    let expired = lifecycle::expire_due(state);
    let dropped = answered::forget_old(state);
    if state.today() != day {
        state.note_change_of_all();
    }
    bind_changed(state);
    expired + forgotten + dropped > 0 || state.today() != day
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
        binding::bind(state, sku);
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
        state.digest.add(Entity::Clock, &clock_bytes(source, time));
    }
}

pub(crate) fn clock_bytes(source: SourceId, tells_time: bool) -> [u8; 3] {
    let [low, high] = source.0.to_le_bytes();
    [low, high, u8::from(tells_time)]
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

pub(crate) fn fact(state: &mut State, source: SourceId, statement: &Statement<'_>) {
    match &statement.fact {
        Fact::StockLevel(f) => documents::levels::level(state, source, f),
        Fact::StockDelta(f) => delta(state, source, statement, f),
        Fact::Supply(f) => documents::supplies::supply(state, source, f),
        Fact::Demand(f) => documents::demands::demand(state, source, f),
        Fact::OrderAck(f) => {
            if orders::slots_of(state, &f.order_ref).is_empty() {
                orders::keep_early(state, &f.order_ref, encoded(statement));
            } else {
                orders::acknowledge(state, source, f);
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
            holding::hold(state, f);
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
        Fact::RequestAnswered(f) => answered::remember(state, f),
        Fact::DigestRecounted(_) => recount_digest(state),
    }
}

/// Counts the digest anew. What is noted as changed enters the old sum first, so that nothing of it is left for the new one.
fn recount_digest(state: &mut State) {
    state.settle_digest();
    state.digest = recount::digest_of(state);
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
