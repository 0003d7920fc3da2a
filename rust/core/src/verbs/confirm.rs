//! `POST .../confirm`: a hold becomes an order; one that ended takes its lines again, or is oversold.

use crate::availability::deficits::Deficits;
use crate::availability::pool::SaleContext;
use crate::erp::{orders, reconcile, returns, shipments};
use crate::placement::cart::{self, AskedLine};
use crate::placement::placing;
use crate::reads::lines;
use crate::reads::refusals::{closed, insufficient, other_order};
use crate::reads::render::Answer;
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::ReservationState;
use crate::state::rules::ConfirmDeficit;
use crate::units::recipes::Made;
use crate::units::{indexes, kits, ledger};
use crate::verbs::{Command, Decided, Decision, Reply, existing};
use crate::wire::commands::ConfirmBody;
use crate::wire::errors::Problem;
use crate::wire::facts::{Fact, ReservationConfirmed, Text};

pub(super) fn decide<'b>(state: &State, command: &Command<'b>, body: &'b ConfirmBody<'_>) -> Decision<'b> {
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    match r.state {
        ReservationState::Held if state.rules.confirm_deficit == ConfirmDeficit::Refuse => covered(state, slot)?,
        ReservationState::Held => {}
        ReservationState::Cancelled if !r.cancelled_while_held => return Err(closed(state, slot)),
        ReservationState::Committed | ReservationState::InErp | ReservationState::Fulfilled => {
            match (r.order_ref.as_deref(), body.order_ref.as_deref()) {
                (_, None) => return Ok(Decided::stands(slot)),
                (Some(old), Some(new)) if old == new => return Ok(Decided::stands(slot)),
                (Some(_), Some(_)) => return Err(other_order(state, slot)),
                (None, Some(_)) => {}
            }
        }
        _ => {
            if let Err(refusal) = late_fit(state, slot) {
                let is_news = r.state != ReservationState::Oversold;
                return Ok(Decided {
                    fact: is_news.then_some(Fact::ReservationOversold(Text::Borrowed(command.id))),
                    reply: Reply::Refused(refusal),
                });
            }
        }
    }
    let fact = ReservationConfirmed {
        id: Text::Borrowed(command.id),
        order_ref: body.order_ref.as_deref().map(Text::Borrowed),
    };
    Ok(Decided::done(slot, Fact::ReservationConfirmed(fact)))
}

/// Refuses a hold with units that no stock, supply or policy covers any more; it stays held.
fn covered(state: &State, slot: Slot) -> Result<(), Answer> {
    let r = state.reservations.get(slot);
    let deficits = Deficits::new(state).of(r);
    if deficits.is_empty() {
        return Ok(());
    }
    Err(lines::in_deficit(state, r, &deficits))
}

/// A late confirm re-takes the stock or says oversold.
fn late_fit(state: &State, slot: Slot) -> Result<(), Answer> {
    let r = state.reservations.get(slot);
    let open: Vec<AskedLine<'_>> = r
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.quantity > 0)
        .map(|(n, line)| AskedLine {
            made: Made::line(r, n),
            name: state.catalogue.sku_name(line.sku),
            sku: Some(line.sku),
            quantity: line.quantity,
            unit_known: true,
            unit: 1,
            only: line.location,
        })
        .collect();
    let asking = SaleContext::of(Some(r.channel), r.region);
    let verdicts = cart::judge(state, &asking, &open, false, None);
    if verdicts.iter().all(|v| v.reason.is_none()) {
        return Ok(());
    }
    Err(insufficient(state, Problem::Oversold, &open, &verdicts))
}

/// Confirms: a held one with its units, a closed one by taking its lines again.
pub(crate) fn apply(state: &mut State, slot: Slot, order_ref: Option<&str>) {
    let was = state.reservations.get(slot).state;
    state.count_change(slot);
    if was == ReservationState::Held {
        ledger::commit(state, slot);
        indexes::end_hold(state, slot);
    }
    if !was.is_confirmed() {
        state.name_state(slot, ReservationState::Committed);
        if was != ReservationState::Held {
            retake(state, slot);
        }
        reconcile::list(state, slot);
        orders::confirmed(state, slot);
    }
    if let Some(order_ref) = order_ref {
        orders::name_order(state, slot, order_ref);
    }
    shipments::take_up(state, &[slot]);
    returns::settle(state, &[slot]);
    reconcile::renew(state, slot);
}

/// A late confirm: the lines are placed again, on the stock of now.
fn retake(state: &mut State, slot: Slot) {
    state.mark_open(slot);
    let reservation = state.edit(slot);
    reservation.superseded_by = None;
    reservation.cancelled_while_held = false;
    reservation.dropped = None;
    let (channel, mut lines) = (reservation.channel, std::mem::take(&mut reservation.lines));
    let mut recipes = reservation.recipes.take();
    let own = recipes.as_deref_mut().map_or(&mut [][..], |all| all);
    kits::consume_caps(state, channel, &mut lines, own);
    let reservation = state.edit(slot);
    (reservation.lines, reservation.recipes) = (lines, recipes);
    let reservation = state.reservations.get(slot);
    let wanted = placing::needs(state, &reservation.lines, |n| Made::line(reservation, n));
    placing::place(state, slot, wanted);
}

/// A late confirm that did not fit.
pub(crate) fn apply_oversold(state: &mut State, slot: Slot) {
    state.count_change(slot);
    state.mark_open(slot);
    state.name_state(slot, ReservationState::Oversold);
    state.mark_closed(slot);
}

#[cfg(test)]
mod tests;
