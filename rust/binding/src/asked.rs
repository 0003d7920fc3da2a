//! A command, as Python has it. In: a tuple. Out: the command that the core decides. Always: it borrows what Python owns.

use holdfast_core::{Command, Verb};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyTuple;

/// `(verb, reservation id, body, channels that the key may see, key id)`, and perhaps the idempotency key after them.
pub(crate) struct Asked {
    verb: PyBackedStr,
    id: PyBackedStr,
    body: PyBackedBytes,
    channels: Option<Vec<String>>,
    by: Option<PyBackedStr>,
    key: Option<PyBackedStr>,
}

impl<'py> FromPyObject<'_, 'py> for Asked {
    type Error = PyErr;

    fn extract(asked: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (key, (verb, id, body, channels, by)) = match asked.cast::<PyTuple>()?.len() {
            6 => {
                let (verb, id, body, channels, by, key) = asked.extract()?;
                (key, (verb, id, body, channels, by))
            }
            _ => (None, asked.extract()?),
        };
        Ok(Self {
            verb,
            id,
            body,
            channels,
            by,
            key,
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
    })
}
