//! What time does to reservations: holds expire, closed ones are forgotten.
//!
//! In: the lead clock. Out: ended holds, forgotten reservations. Always: in the order of being due, or of closing.

use crate::state::State;
use crate::state::reservations::ReservationState;
use crate::units::indexes;
use crate::verbs::release::end_hold;

/// When, on the lead clock, the next hold is due.
pub(crate) fn next_due(state: &State) -> Option<i64> {
    state.reservations.due.first().map(|&(due, _, _)| due)
}

/// Expires what is due, oldest due first; returns how many.
pub(crate) fn expire_due(state: &mut State) -> usize {
    let mut count = 0;
    while count < state.rules.expire_batch_max {
        let Some(&(due, _, slot)) = state.reservations.due.first() else {
            break;
        };
        if due > state.position.lead_ms {
            break;
        }
        end_hold(state, slot, ReservationState::Expired);
        count += 1;
    }
    count
}

/// Forgets reservations that were closed long ago; returns how many.
pub(crate) fn forget_old(state: &mut State) -> usize {
    let mut count = 0;
    let before = state.position.lead_ms - state.rules.remember_closed_ms;
    while let Some(&(closed_at, serial, slot)) = state.reservations.closed.front() {
        if closed_at > before {
            break;
        }
        state.reservations.closed.pop_front();
        let still = state
            .reservations
            .get_taken(slot)
            .is_some_and(|r| r.serial == serial && r.closed_at_ms == closed_at);
        if still {
            indexes::leave(state, slot);
            state.forget_reservation(slot);
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests;
