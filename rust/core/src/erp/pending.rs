//! Facts about orders that no reservation has named yet: stored until one does.

use crate::state::State;

/// Stores a fact about an order; bounded, the oldest order is dropped first.
pub(super) fn keep(state: &mut State, order_ref: &str, raw: String) {
    state.counters.pending_order_facts += 1;
    state.keep_pending_fact(order_ref, raw);
}
