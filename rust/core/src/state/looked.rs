//! How much a fact or command looks at: counted in tests alone, so that a walk over all there is cannot come back unseen.
//!
//! In: each look at a cell, a reservation, a document, a rule or an entry of an index. Out: the count. Always: it costs
//! nothing outside of tests, and changes nothing.

#[cfg(test)]
thread_local! {
    static LOOKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many things are looked at.
#[inline]
#[cfg_attr(
    not(test),
    allow(unused_variables, clippy::missing_const_for_fn, reason = "only tests count")
)]
pub(crate) fn at(things: usize) {
    #[cfg(test)]
    LOOKED.with(|looked| looked.set(looked.get() + things as u64));
}

/// How many things were looked at while something was done.
#[cfg(test)]
pub(crate) fn while_doing<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = LOOKED.with(std::cell::Cell::get);
    let result = work();
    (LOOKED.with(std::cell::Cell::get) - before, result)
}
