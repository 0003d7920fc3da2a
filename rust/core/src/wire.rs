//! Bytes into types and back: facts, commands, batches, problems, JSON.
//!
//! In: bytes that came from outside, or typed values. Out: typed values that cannot be malformed, or bytes.
//! Always: knows no state; every other folder may use it.

pub mod batch;
pub mod commands;
pub mod errors;
pub mod facts;
pub mod json;
pub(crate) mod keys;
pub mod mac;
