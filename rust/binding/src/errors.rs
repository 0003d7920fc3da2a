//! The core's errors as one exception tree: `HoldfastError` > (`LogError` > (`GapError`, `PendingError`, `ScopeKeyError`), `SnapshotError`,
//! `RequestError`).

use holdfast_core::engine::EngineError;
use holdfast_core::errors::RequestError as Refused;
use holdfast_core::snapshot::SnapshotError as Unusable;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pyo3::create_exception!(
    holdfast._core,
    HoldfastError,
    PyException,
    "Anything that the core refuses or cannot do."
);
pyo3::create_exception!(
    holdfast._core,
    LogError,
    HoldfastError,
    "The log cannot be followed: stop, and rebuild."
);
pyo3::create_exception!(holdfast._core, GapError, LogError, "A sequence came that was not due.");
pyo3::create_exception!(
    holdfast._core,
    PendingError,
    LogError,
    "A batch is pending, or none is where one should be."
);
pyo3::create_exception!(
    holdfast._core,
    ScopeKeyError,
    LogError,
    "Batches are signed with a key that is not known here."
);
pyo3::create_exception!(
    holdfast._core,
    SnapshotError,
    HoldfastError,
    "A snapshot cannot be used: use an older one, or replay LOG."
);
pyo3::create_exception!(
    holdfast._core,
    RequestError,
    HoldfastError,
    "A body was refused: args are the problem's JSON body and its HTTP status."
);

// By value, as `map_err` gives it.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn log_error(error: EngineError) -> PyErr {
    let message = error.to_string();
    match error {
        EngineError::Gap { .. } => GapError::new_err(message),
        EngineError::Pending | EngineError::NotPending => PendingError::new_err(message),
        EngineError::Unreadable { .. } | EngineError::Rules(_) => LogError::new_err(message),
        EngineError::KeyMissing { .. } => ScopeKeyError::new_err(message),
    }
}

pub(crate) fn snapshot_error(error: Unusable) -> PyErr {
    match error {
        Unusable::Io(fault) => fault.into(),
        Unusable::Pending => PendingError::new_err(error.to_string()),
        other => SnapshotError::new_err(other.to_string()),
    }
}

pub(crate) fn request_error(py: Python<'_>, error: &Refused) -> PyErr {
    let mut body = Vec::with_capacity(256);
    error.render(&mut body);
    RequestError::new_err((PyBytes::new(py, &body).unbind(), error.problem.status()))
}
