//! Facts about orders that no reservation has named yet: stored until one does.

use crate::erp::identity::of_document;
use crate::state::State;
use crate::state::ids::SourceId;
use crate::wire::facts::{Fact, Statement, parse_logged};

/// Stores a fact of this source about an order; bounded by orders.
pub(super) fn keep(state: &mut State, source: SourceId, order_ref: &str, raw: String) {
    state.counters.pending_order_facts += 1;
    let whose = state.whose(source);
    state.keep_pending_fact(whose, order_ref, raw);
}

/// Stores a newer version of a document in the place of the one that waits, after all that came since.
pub(super) fn replace(state: &mut State, source: SourceId, waits_for: &str, document: u128, raw: String) {
    let waiting = state.take_pending_facts(waits_for);
    for kept in waiting {
        let statement = parse_logged(&kept).ok();
        if statement.as_ref().and_then(identity_of) == Some(document) {
            continue;
        }
        let its_source = statement.map_or(source, |statement| state.source(&statement.source));
        let whose = state.whose(its_source);
        state.keep_pending_fact(whose, waits_for, kept.into());
    }
    keep(state, source, waits_for, raw);
}

/// The identity of an update.
fn identity_of(statement: &Statement<'_>) -> Option<u128> {
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
