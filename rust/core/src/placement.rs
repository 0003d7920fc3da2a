//! Which nodes serve a sale: the cart check, the order of nodes, placing, and late binding.
//!
//! In: what a channel wants of a SKU. Out: portions bound to nodes, through the ledger.
//! Always: whatever is within `sellable` can be placed.

pub(crate) mod cart;
pub(crate) mod late_binding;
pub(crate) mod placing;
pub(crate) mod sourcing;
