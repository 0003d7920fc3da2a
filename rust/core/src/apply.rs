//! Facts into state, unconditionally and in order, on the leader as on every follower.
//!
//! In: a statement that the leader accepted. Out: the changed state, settled. Always: no I/O, clock or randomness; what the
//! leader decides comes through here too, so its answers agree with what every replay finds.

mod anomalies;
pub(crate) mod answered;
mod declarations;
mod phantoms;

use crate::erp::{
    binding, demands, levels, movements, orders, owners, presumption, receipts, returns, shipments, supplies,
    transfers, updates,
};
use crate::state::State;
use crate::state::ids::{Slot, SourceId};
use crate::state::policies::QuotaKind;
use crate::units::quotas;
use crate::verbs::{cancel, confirm, expire, extend, fulfil, put, release};
use crate::wire::facts::{AsOf, Fact, Statement};

/// What every batch does before its facts: the clocks advance, due holds expire, reservations closed long ago are forgotten.
///
/// Returns whether anything changed: then the leader must append a batch even without facts, so that the followers do the same.
pub(crate) fn open_batch(state: &mut State, now_ms: i64, lead_ms: i64) -> bool {
    let day = state.today();
    state.statement = state.statement.wrapping_add(1);
    state.position.now_ms = state.position.now_ms.max(now_ms);
    state.position.lead_ms = state.position.lead_ms.max(lead_ms);
    let forgotten = expire::forget_old(state);
    let expired = expire::expire_due(state);
    let dropped = answered::forget_old(state);
    if state.today() != day {
        state.note_day();
    }
    settle(state);
    state.renew_some();
    expired + forgotten + dropped > 0 || state.today() != day
}

/// Applies one statement, then settles its consequences.
pub(crate) fn statement(state: &mut State, statement: &Statement<'_>) {
    state.statement = state.statement.wrapping_add(1);
    let source = if statement.source.is_empty() {
        SourceId(0)
    } else {
        state.source(&statement.source)
    };
    if let Some(as_of) = statement.fact.as_of() {
        if state.source_clock[source.at()].is_none() {
            // A source sends times or running numbers; its first fact decides which.
            state.set_clock(source, matches!(as_of, AsOf::Time(_)));
        }
        let newest = &mut state.source_newest[source.at()];
        *newest = (*newest).max(Some(as_of));
    }
    state.outcome = None;
    fact(state, source, statement);
    if let Some(anomaly) = state.outcome {
        anomalies::list(state, source, &statement.fact, anomaly);
    }
    settle(state);
}

/// What arrived is presumed, and units bind to what is there, until neither changes anything.
fn settle(state: &mut State) {
    loop {
        presumption::settle(state);
        binding::bind_open(state);
        if state.to_presume.is_empty() {
            return;
        }
    }
}

fn fact(state: &mut State, source: SourceId, statement: &Statement<'_>) {
    match &statement.fact {
        Fact::StockLevel(f) => levels::level(state, source, f),
        Fact::StockDelta(f) => movements::delta(state, source, statement, f),
        Fact::Supply(f) => supplies::supply(state, source, f),
        Fact::Receipt(f) => receipts::apply(state, source, statement, f),
        Fact::Transfer(f) => transfers::apply(state, source, f),
        Fact::SourceReset(f) => owners::reset(state, f),
        Fact::Ownership(f) => owners::hand_over(state, f),
        Fact::Demand(f) => demands::demand(state, source, f),
        Fact::OrderAck(f) => orders::acknowledge(state, source, statement, f),
        Fact::OrderUpdate(f) => updates::apply(state, source, statement, f),
        Fact::Shipment(f) => shipments::apply(state, source, statement, f),
        Fact::Return(f) if state.rules.is_second_edition() => returns::apply(state, source, statement, f),
        Fact::Return(f) => movements::apply_return(state, source, statement, f),
        Fact::Item(f) => declarations::item(state, source, f),
        Fact::Location(f) => declarations::location(state, f),
        Fact::Channel(f) => declarations::channel(state, f),
        Fact::Allocation(f) => {
            let (channel, sku) = (state.channel(&f.channel), state.sku(&f.sku));
            let quantity = Some(f.quantity);
            quotas::set(
                state,
                sku,
                channel,
                QuotaKind::Allocation,
                quantity,
                f.period.as_deref(),
            );
        }
        Fact::Cap(f) => {
            let (channel, sku) = (state.channel(&f.channel), state.sku(&f.sku));
            quotas::set(state, sku, channel, QuotaKind::Cap, f.quantity, f.period.as_deref());
        }
        Fact::Safety(f) => declarations::safety(state, f),
        Fact::Oversell(f) => declarations::oversell(state, f),
        Fact::Freshness(f) => declarations::freshness(state, f),
        Fact::Restriction(f) => declarations::restriction(state, f),
        Fact::ReservationHeld(f) => put::apply(state, f),
        Fact::ReservationConfirmed(f) => on_slot(state, &f.id, |state, slot| {
            confirm::apply(state, slot, f.order_ref.as_deref());
        }),
        Fact::ReservationReleased(id) => on_slot(state, id, release::apply),
        Fact::ReservationCancelled(id) => on_slot(state, id, cancel::apply),
        Fact::ReservationExtended(f) => on_slot(state, &f.id, |state, slot| extend::apply(state, slot, f.ttl_ms)),
        Fact::ReservationFulfilled(f) => on_slot(state, &f.id, |state, slot| fulfil::apply(state, slot, &f.lines)),
        Fact::ReservationOversold(id) => on_slot(state, id, confirm::apply_oversold),
        Fact::RequestAnswered(f) => answered::remember(state, statement.by.as_deref(), f),
        Fact::DigestRecounted(_) => state.recount_digest(),
    }
}

/// A reservation that a batch names exists: the leader checked that before it wrote the batch.
fn on_slot(state: &mut State, id: &str, change: impl FnOnce(&mut State, Slot)) {
    if let Some(slot) = state.reservations.find(id) {
        change(state, slot);
    }
}
