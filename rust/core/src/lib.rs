//! The pure heart of holdfast: facts and commands in, batches and answers out.
//!
//! No I/O, no clock, no randomness: the state after LOG sequence n is a function of batches 1..n. Arrows run downwards; a
//! file uses only what is below it:
//!
//! ```text
//! engine     questions    intake                     the one door that the binding knocks on
//! snapshot                                           the whole state as bytes, and back
//! decide     check        explain                    commands -> facts + answers; the waterfall
//! apply      declare      documents   movements      facts -> state
//! answered   render                                  what a request was told; JSON
//! lifecycle  holding      binding     orders         a reservation's life and its units
//! cart       sellable     sourcing    netting        one rule, one file
//! pool  claims  safety  promise  rations  invariants  recount  digest
//! state                                              what there is; holds no rule
//! catalogue  policies  stock  supply  reservations  identities  idempotency  rules  batch
//! facts  commands  ids  quantity  json  errors
//! ```

pub mod batch;
pub mod claims;
pub mod commands;
mod decide;
pub mod engine;
pub mod errors;
pub mod facts;
pub mod ids;
pub mod json;
pub mod rules;
pub mod snapshot;
mod state;

mod ahead;
mod answered;
mod apply;
mod binding;
mod cart;
mod catalogue;
mod check;
mod declare;
mod digest;
mod documents;
mod explain;
mod holding;
mod idempotency;
mod identities;
mod intake;
mod invariants;
mod lifecycle;
mod movements;
mod netting;
mod orders;
mod policies;
mod pool;
mod promise;
mod quantity;
mod questions;
mod rations;
mod recount;
mod render;
mod reservations;
mod safety;
mod sellable;
mod sourcing;
mod stock;
mod supply;

pub use decide::{Command, Verb};
pub use engine::Engine;
pub use state::Position;
