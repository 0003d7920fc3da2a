//! What must always hold, checked.
//!
//! In: the state, read only. Out: one sentence for each thing that is wrong.
//! Always: changes nothing.

pub(crate) mod invariants;
