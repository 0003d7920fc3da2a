//! The units of reservations: how many, from which node, on which quota.
//!
//! In: decisions of `placement`, `erp` and `verbs`. Out: portions, cells, quotas and their indexes, changed together.
//! Always: nothing else changes these.

pub(crate) mod indexes;
pub(crate) mod kits;
pub(crate) mod ledger;
pub(crate) mod quotas;
pub(crate) mod recipes;
