//! The pure state machine of holdfast: facts and commands in, batches and answers out.
//!
//! No I/O, no clock, no randomness: the state after LOG sequence n is a function of batches 1..n. Arrows run downwards; a
//! folder uses only what is below it (`rust/core/tests/folders.rs` holds the table):
//!
//! ```text
//! engine                     the one interface that the binding calls: decide, apply, queries
//! apply                      a fact into the state, then settle
//! verbs                      put, confirm, release, cancel, extend, fulfil: decision, application
//! erp                        what sources report of stock and orders; each order counted once
//! reads                      queries and answers, as JSON            snapshot   the whole state as bytes, and back
//! placement                  which nodes serve a sale                audit      what must always hold
//! availability               sellable: how much can be sold
//! units                      the ledger: the only writer of portions, quotas and their indexes
//! state                      the whole state, and the functions that change it; holds no rule
//! wire                       bytes into types, and back
//! ```

pub mod engine;
pub mod snapshot;

mod apply;
mod audit;
mod availability;
mod erp;
mod placement;
mod reads;
mod state;
mod units;
mod verbs;
mod wire;

pub use availability::claims;
pub use engine::Engine;
pub use state::{Position, ids, rules};
pub use verbs::{Command, Verb};
pub use wire::{batch, commands, errors, facts, json, mac};

#[cfg(test)]
mod testing;
