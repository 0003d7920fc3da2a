//! What time does to reservations: holds expire, closed ones are forgotten.
//!
//! In: the lead clock. Out: ended holds, forgotten reservations. Always: in the order of being due, or of closing.

use crate::state::State;
use crate::state::reservations::ReservationState;
use crate::state::shares::Forget;
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

/// Forgets reservations that were closed long ago, and those beyond `closed_max`: of the channel that has most, its oldest
/// first; returns how many.
///
/// Before the third edition (docs/rules.md, "Editions") by age alone, and all of them in one batch.
pub(crate) fn forget_old(state: &mut State) -> usize {
    let (rules, closed) = (&state.rules, &state.reservations.closed);
    let before = state.position.lead_ms - rules.remember_closed_ms;
    let (most_kept, at_once) = if rules.is_third_edition() {
        (rules.closed_max, rules.expire_batch_max)
    } else {
        (usize::MAX, usize::MAX)
    };
    let beyond = closed.len().saturating_sub(most_kept).min(at_once);
    for _ in 0..beyond {
        forget_first(state, Forget::OfLargestShare);
    }
    let mut count = beyond;
    while count < at_once {
        match state.reservations.closed.first(Forget::Oldest) {
            Some((place, _)) if place.age.0 <= before => forget_first(state, Forget::Oldest),
            _ => break,
        }
        count += 1;
    }
    count
}

fn forget_first(state: &mut State, which: Forget) {
    if let Some(&slot) = state.reservations.closed.next(which) {
        state.reservations.leave_closed(slot);
        indexes::leave(state, slot);
        state.forget_reservation(slot);
    }
}

#[cfg(test)]
mod tests;
