//! `POST .../release`: a hold ends, and everything goes back.

use crate::reads::refusals::{closed, invalid};
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::ReservationState;
use crate::units::{indexes, kits, ledger};
use crate::verbs::{Command, Decided, Decision, existing};
use crate::wire::commands;
use crate::wire::facts::{Fact, Text};

pub(super) fn decide<'b>(state: &State, command: &Command<'b>) -> Decision<'b> {
    commands::parse_empty(command.body).map_err(|error| invalid(&error))?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held => {
            let fact = Fact::ReservationReleased(Text::Borrowed(command.id));
            Ok(Decided::done(slot, fact))
        }
        ReservationState::Released | ReservationState::Expired => Ok(Decided::stands(slot)),
        _ => Err(closed(state, slot)),
    }
}

pub(crate) fn apply(state: &mut State, slot: Slot) {
    end_hold(state, slot, ReservationState::Released);
}

/// Ends a hold under the name of what ended it: everything goes back.
pub(super) fn end_hold(state: &mut State, slot: Slot, as_state: ReservationState) {
    state.count_change(slot);
    ledger::give_back_all(state, slot);
    kits::give_back_caps(state, slot);
    indexes::end_hold(state, slot);
    state.name_state(slot, as_state);
    state.mark_closed(slot);
}

#[cfg(test)]
mod tests;
