//! Facts about orders that no reservation has named yet: kept until one does.

use crate::state::State;

/// Keeps what was said of an order; bounded, the order heard of first is dropped first.
pub(super) fn keep(state: &mut State, order_ref: &str, raw: String) {
    state.counters.early_words += 1;
    state.keep_pending_fact(order_ref, raw);
}
