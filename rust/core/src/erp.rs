//! What sources report of stock and orders: levels, movements, supply, demand, acknowledgements, shipments.
//!
//! In: facts that the leader accepted. Out: changed stock and documents, and units with evidence.
//! Always: each order is counted exactly once, in any order of arrival.

pub(crate) mod binding;
pub(crate) mod coverage;
pub(crate) mod demands;
mod documents;
mod identity;
pub(crate) mod leaving;
pub(crate) mod levels;
pub(crate) mod movements;
pub(crate) mod named_order;
mod order_units;
pub(crate) mod orders;
pub(crate) mod owners;
mod pending;
pub(crate) mod presumption;
pub(crate) mod receipts;
pub(crate) mod reconcile;
pub(crate) mod returns;
pub(crate) mod shipments;
pub(crate) mod supplies;
pub(crate) mod transfers;
pub(crate) mod updates;
