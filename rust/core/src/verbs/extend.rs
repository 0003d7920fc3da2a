//! `POST .../extend`: a hold ends later.

use crate::reads::refusals::{closed, invalid};
use crate::reads::render::problem;
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::ReservationState;
use crate::units::indexes;
use crate::verbs::{Command, Decided, Decision, existing};
use crate::wire::commands;
use crate::wire::errors::Problem;
use crate::wire::facts::{Fact, ReservationExtended, Text};

pub(super) fn decide<'b>(state: &State, command: &Command<'b>) -> Decision<'b> {
    let body = commands::parse_extend(command.body).map_err(|error| invalid(&error))?;
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    if r.state != ReservationState::Held {
        return Err(closed(state, slot));
    }
    if r.renewals >= state.rules.renewals_max {
        return Err(problem(Problem::RenewalsExhausted, None));
    }
    let fact = ReservationExtended {
        id: Text::Borrowed(command.id),
        ttl_ms: body.ttl_ms,
    };
    Ok(Decided::done(slot, Fact::ReservationExtended(fact)))
}

/// The hold now ends `ttl_ms` from now.
pub(crate) fn apply(state: &mut State, slot: Slot, ttl_ms: i64) {
    indexes::set_due(state, slot, state.position.lead_ms + ttl_ms);
    state.count_change(slot).renewals += 1;
}

#[cfg(test)]
mod tests;
