//! A command and a message of IN, as Python has them. In: tuples. Out: what the core decides. Always: it borrows what
//! Python owns.

use holdfast_core::engine::Incoming;
use holdfast_core::{Command, Verb};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyTuple;

/// `(verb, reservation id, body, channels that the key may see, key id)`, and perhaps after them the idempotency key, and then the trace.
pub(crate) struct Asked {
    verb: PyBackedStr,
    id: PyBackedStr,
    body: PyBackedBytes,
    channels: Option<Vec<String>>,
    by: Option<PyBackedStr>,
    key: Option<PyBackedStr>,
    trace: Option<PyBackedStr>,
}

impl<'py> FromPyObject<'_, 'py> for Asked {
    type Error = PyErr;

    fn extract(asked: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (verb, id, body, channels, by, key, trace) = match asked.cast::<PyTuple>()?.len() {
            7 => asked.extract()?,
            6 => {
                let (verb, id, body, channels, by, key) = asked.extract()?;
                (verb, id, body, channels, by, key, None)
            }
            _ => {
                let (verb, id, body, channels, by) = asked.extract()?;
                (verb, id, body, channels, by, None, None)
            }
        };
        Ok(Self {
            verb,
            id,
            body,
            channels,
            by,
            key,
            trace,
        })
    }
}

pub(crate) fn command(asked: &Asked) -> PyResult<Command<'_>> {
    let verb = &asked.verb;
    let verb = Verb::parse(verb).ok_or_else(|| PyValueError::new_err(format!("no such verb: {verb}")))?;
    Ok(Command {
        verb,
        id: &asked.id,
        body: &asked.body,
        channels: asked.channels.as_deref(),
        by: asked.by.as_deref(),
        key: asked.key.as_deref(),
        trace: asked.trace.as_deref(),
    })
}

/// `(IN sequence, subject, payload)`, and perhaps whether a gateway sealed it.
pub(crate) struct Arrived {
    sequence: u64,
    subject: PyBackedStr,
    payload: PyBackedBytes,
    sealed: bool,
}

impl<'py> FromPyObject<'_, 'py> for Arrived {
    type Error = PyErr;

    fn extract(arrived: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (sequence, subject, payload, sealed) = if arrived.cast::<PyTuple>()?.len() == 4 {
            arrived.extract()?
        } else {
            let (sequence, subject, payload) = arrived.extract()?;
            (sequence, subject, payload, true)
        };
        Ok(Self {
            sequence,
            subject,
            payload,
            sealed,
        })
    }
}

impl Arrived {
    pub(crate) fn as_incoming(&self) -> Incoming<'_> {
        Incoming {
            sequence: self.sequence,
            subject: &self.subject,
            payload: &self.payload,
            sealed: self.sealed,
        }
    }
}
