//! What one `decide` came to, as Python reads it.

use holdfast_core::engine;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// `(IN sequence, accepted, [(index, reason)], report)`.
type Reception<'py> = (u64, usize, Vec<(i64, String)>, Bound<'py, PyBytes>);

/// What one call of `Engine.decide` came to.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct Decision(engine::Decision);

impl Decision {
    pub(crate) fn new(decision: engine::Decision) -> Self {
        Self(decision)
    }
}

#[pymethods]
impl Decision {
    /// The batch to append; None: nothing changed, the answers may go out at once.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.message.as_ref().map(|message| PyBytes::new(py, message))
    }

    /// How many of the commands, from the first, were decided; the rest stays queued.
    #[getter]
    fn commands_taken(&self) -> usize {
        self.0.commands_taken
    }

    /// How many of the IN messages, from the first, were taken.
    #[getter]
    fn incoming_taken(&self) -> usize {
        self.0.incoming_taken
    }

    /// (HTTP status, JSON body) for each command taken, in order.
    #[getter]
    fn answers<'py>(&self, py: Python<'py>) -> Vec<(u16, Bound<'py, PyBytes>)> {
        self.0
            .answers
            .iter()
            .map(|(status, body)| (*status, PyBytes::new(py, body)))
            .collect()
    }

    /// (IN sequence, accepted, [(index, reason)], report) for each IN message taken; index -1 is the whole message. The
    /// report is a JSON object: what was ignored, what was created, the sequence of the batch that took it.
    #[getter]
    fn received<'py>(&self, py: Python<'py>) -> Vec<Reception<'py>> {
        let reception = |one: &engine::Received| {
            let outcome = &one.outcome;
            let report = PyBytes::new(py, &outcome.report());
            (one.sequence, outcome.accepted, outcome.rejected.clone(), report)
        };
        self.0.received.iter().map(reception).collect()
    }

    /// (IN sequence, index or -1, reason, raw bytes) of each fact or message for the dead letters.
    #[getter]
    fn dead<'py>(&self, py: Python<'py>) -> Vec<(u64, i64, String, Bound<'py, PyBytes>)> {
        let letter = |one: &engine::Dead| (one.sequence, one.index, one.reason.clone(), PyBytes::new(py, &one.raw));
        self.0.dead.iter().map(letter).collect()
    }
}
