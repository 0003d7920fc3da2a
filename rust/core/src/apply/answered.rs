//! Remembering how a request was answered, and forgetting it.
//!
//! In: `request.answered` facts, and the lead clock. Out: entries of the table in `idempotency`, made alike on every node.
//! Always: an answer about a reservation is not in LOG: it is rendered here, from the state that the facts before it left,
//! which is the state that the leader rendered it from.

use crate::reads::render;
use crate::state::State;
use crate::state::idempotency::{ANSWER_BYTES_MAX, Bounds, Entry, StoredAnswer};
use crate::state::shares::NOBODY;
use crate::wire::facts::{Outcome, RequestAnswered};
use crate::wire::keys::{self, Asked};

/// Entries that one batch forgets at the most because of their age.
const FORGET_BATCH_MAX: usize = 10_000;

/// The facts by which every process remembers `outcome`; the first part that is answered also brings the entry of the whole.
pub(crate) fn facts_of<'a>(
    state: &State,
    asked: &Asked,
    outcome: Outcome<'a>,
) -> impl Iterator<Item = RequestAnswered<'a>> + use<'a> {
    let request = asked.request;
    let first = asked.is_part() && !state.answered.has(asked.root);
    let whole = first.then_some(RequestAnswered {
        key: asked.root,
        request,
        outcome: Outcome::InParts,
    });
    let this = RequestAnswered {
        key: asked.key,
        request,
        outcome,
    };
    whole.into_iter().chain([this])
}

/// `by`: the API key that asked.
pub(crate) fn remember(state: &mut State, by: Option<&str>, fact: &RequestAnswered<'_>) {
    let (status, answer) = match &fact.outcome {
        Outcome::InParts => (0, StoredAnswer::InParts),
        Outcome::Reservation { status, id } => (*status, about_reservation(state, id)),
        Outcome::Body { status, json } => (*status, StoredAnswer::Body(json.as_bytes().into())),
    };
    let entry = Entry {
        request: fact.request,
        at_ms: state.position.lead_ms,
        status,
        answer,
        whose: state.rules.whose(|| by.map_or(NOBODY, keys::whose)),
    };
    if state.answered.has(fact.key) {
        return;
    }
    let bounds = Bounds {
        entries_max: state.rules.answers_max,
        bytes_max: state.rules.answers_bytes_max,
        which: state.rules.forget(),
    };
    let dropped = state.remember_answer(fact.key, entry, bounds);
    state.counters.answers_dropped += dropped as u64;
}

fn about_reservation(state: &State, id: &str) -> StoredAnswer {
    let mut body = Vec::new();
    if let Some(slot) = state.reservations.find(id) {
        render::reservation(state, state.reservations.get(slot), b"", &mut body);
    }
    if body.is_empty() || body.len() > ANSWER_BYTES_MAX {
        return StoredAnswer::Reservation(id.into());
    }
    StoredAnswer::Body(body.into())
}

/// Forgets answers that were given long ago; returns how many.
pub(crate) fn forget_old(state: &mut State) -> usize {
    let until_ms = state.position.lead_ms - state.rules.answers_kept_ms;
    let mut count = 0;
    while count < FORGET_BATCH_MAX && state.forget_answer(until_ms) {
        count += 1;
    }
    count
}
