//! `POST .../cancel`: a hold ends; of an order goes back what has not left yet.

use crate::erp::{reconcile, returns};
use crate::reads::refusals::{closed, invalid};
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::ReservationState;
use crate::units::{kits, ledger};
use crate::verbs::release::end_hold;
use crate::verbs::{Command, Decided, Decision, existing};
use crate::wire::commands;
use crate::wire::facts::{Fact, Text};

pub(super) fn decide<'b>(state: &State, command: &Command<'b>) -> Decision<'b> {
    commands::parse_empty(command.body).map_err(|error| invalid(&error))?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held | ReservationState::Committed | ReservationState::InErp => {
            let fact = Fact::ReservationCancelled(Text::Borrowed(command.id));
            Ok(Decided::done(slot, fact))
        }
        ReservationState::Cancelled => Ok(Decided::stands(slot)),
        _ => Err(closed(state, slot)),
    }
}

pub(crate) fn apply(state: &mut State, slot: Slot) {
    if state.reservations.get(slot).state == ReservationState::Held {
        end_hold(state, slot, ReservationState::Cancelled);
        state.edit(slot).cancelled_while_held = state.rules.is_second_edition();
        return;
    }
    let kits = kits::counted(state, slot);
    state.count_change(slot);
    state.edit(slot).dropped = None;
    ledger::give_back_where(state, slot, |p| !p.fulfilled && !p.is_shipped());
    kits::give_back_gone(state, slot, &kits);
    state.name_state(slot, ReservationState::Cancelled);
    returns::settle(state, &[slot]);
    reconcile::renew(state, slot);
}

#[cfg(test)]
mod tests;
