//! Answers: what a query or a command is answered with, as JSON.
//!
//! In: the state, read only. Out: an HTTP status and a body. Always: changes nothing.

pub(crate) mod availability;
pub(crate) mod lines;
pub(crate) mod listing;
pub(crate) mod queries;
pub(crate) mod refusals;
pub(crate) mod render;
