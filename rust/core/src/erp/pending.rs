//! Facts about orders that no reservation has named yet: stored until one does.

use crate::erp::identity::of_document;
use crate::state::State;
use crate::wire::facts::{Fact, parse_logged};

/// Stores a fact about an order; bounded, the oldest order is dropped first.
pub(super) fn keep(state: &mut State, order_ref: &str, raw: String) {
    state.counters.pending_order_facts += 1;
    state.keep_pending_fact(order_ref, raw);
}

/// Stores a newer version of a document in the place of the one that waits, after all that came since.
pub(super) fn replace(state: &mut State, waits_for: &str, document: u128, raw: String) {
    let waiting = state.take_pending_facts(waits_for);
    for kept in waiting {
        if identity_of(&kept) != Some(document) {
            state.keep_pending_fact(waits_for, kept.into());
        }
    }
    keep(state, waits_for, raw);
}

/// The identity of an update as LOG has it.
fn identity_of(raw: &str) -> Option<u128> {
    let statement = parse_logged(raw).ok()?;
    match &statement.fact {
        Fact::OrderUpdate(update) => Some(of_document(
            &statement.source,
            "order.update",
            &update.reference,
            update.line.as_deref(),
        )),
        _ => None,
    }
}
