//! How much can be sold: nodes, claims on them, safety stock, sellable, its explanation.
//!
//! In: the state, read only. Out: sellable units, promises, terms.
//! Always: changes nothing.

pub mod claims;
pub(crate) mod deficits;
pub(crate) mod explain;
pub(crate) mod hypothetical;
pub(crate) mod pool;
pub(crate) mod promise;
pub(crate) mod safety;
pub(crate) mod sellable;
