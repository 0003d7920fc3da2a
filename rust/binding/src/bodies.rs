//! Bodies that the gateway takes apart before the engine sees them.

use std::collections::HashSet;

use holdfast_core::commands::{Lack, Rights};
use holdfast_core::{commands, engine};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::request_error;

/// Facts of a body where the caller gives no bound.
const FACTS_MAX: usize = 20_000;

/// The source, and the IN messages of at most `limit` bytes, of a POST /v1/facts or /v1/policies; `by` is the API key,
/// `key` the idempotency key, `trace` the request's. Raises `RequestError`, also for more than `facts_max` facts.
#[pyfunction]
#[pyo3(signature = (body, limit, by = None, key = None, facts_max = FACTS_MAX, trace = None))]
pub(crate) fn split_facts<'py>(
    py: Python<'py>,
    body: &[u8],
    limit: usize,
    by: Option<&str>,
    key: Option<&str>,
    facts_max: usize,
    trace: Option<&str>,
) -> PyResult<(String, Vec<Bound<'py, PyBytes>>)> {
    let messages = commands::split_facts(body, limit, facts_max, by, key, trace);
    let (source, messages) = messages.map_err(|error| request_error(py, &error))?;
    Ok((
        source,
        messages.iter().map(|message| PyBytes::new(py, message)).collect(),
    ))
}

/// How many facts of an IN message are well formed, and which are not: `(count, [(index, reason)])`; index -1: the whole.
#[pyfunction]
pub(crate) fn well_formed(message: &[u8]) -> (usize, Vec<(i64, String)>) {
    engine::well_formed(message)
}

/// The first fact of a body's IN messages that its sender may not send: `(index, right, what)`, `right` being `policies`,
/// `location` or `locations`. `locations`: those that its facts may be about; None: all.
// pyo3 passes what it converts by value.
#[allow(clippy::needless_pass_by_value)]
#[pyfunction]
#[pyo3(signature = (messages: "Sequence[bytes]", policies: "bool", locations: "frozenset[str] | None") -> "tuple[int, str, str] | None")]
pub(crate) fn first_beyond(
    messages: Vec<PyBackedBytes>,
    policies: bool,
    locations: Option<HashSet<String>>,
) -> Option<(usize, &'static str, String)> {
    let messages: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    let locations = locations.as_ref();
    let (at, lack) = commands::first_beyond(&messages, Rights { policies, locations })?;
    Some(match lack {
        Lack::Policies(kind) => (at, "policies", kind),
        Lack::Location(location) => (at, "location", location),
        Lack::AllLocations(kind) => (at, "locations", kind),
    })
}
