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
//! pool  claims  safety  promise  quotas  invariants  recount  digest
//! state                                              what there is; holds no rule
//! catalogue  policies  stock  supply  reservations  identities  idempotency  rules  batch
//! facts  commands  ids  quantity  json  errors
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
pub use wire::{batch, commands, errors, facts, json};
