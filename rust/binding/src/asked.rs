//! Commands and messages of IN, as Python has them. In: tuples, and carts of one request. Out: what the core decides.
//! Always: it borrows what Python owns.

use holdfast_core::engine::{Decision, Incoming};
use holdfast_core::{Command, Verb};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyTuple;

use crate::carts::Carts;

/// HTTP status and JSON body.
pub(crate) type Answer = (u16, Vec<u8>);

/// `(verb, reservation id, body, channels that the key may see, key id)`, and perhaps after them the idempotency key, and then the trace.
pub(crate) struct One {
    verb: PyBackedStr,
    id: PyBackedStr,
    body: PyBackedBytes,
    channels: Option<Vec<String>>,
    by: Option<PyBackedStr>,
    key: Option<PyBackedStr>,
    trace: Option<PyBackedStr>,
}

/// One command, or the carts of one request.
pub(crate) enum Asked {
    One(One),
    Carts(Py<Carts>),
}

impl<'py> FromPyObject<'_, 'py> for Asked {
    type Error = PyErr;

    fn extract(asked: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(tuple) = asked.cast::<PyTuple>() else {
            return Ok(Asked::Carts(asked.cast::<Carts>()?.to_owned().unbind()));
        };
        let (verb, id, body, channels, by, key, trace) = match tuple.len() {
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
        Ok(Asked::One(One {
            verb,
            id,
            body,
            channels,
            by,
            key,
            trace,
        }))
    }
}

fn command(asked: &One) -> PyResult<Command<'_>> {
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

/// All commands, and of each whether it is joined to the one before it.
pub(crate) fn commands(asked: &[Asked]) -> PyResult<(Vec<Command<'_>>, Vec<bool>)> {
    let (mut commands, mut joined) = (Vec::with_capacity(asked.len()), Vec::new());
    for one in asked {
        match one {
            Asked::One(one) => commands.push(command(one)?),
            Asked::Carts(carts) => {
                joined.resize(commands.len(), false);
                commands.extend(carts.get().commands());
                joined.resize(joined.len() + 1, false);
                joined.resize(commands.len(), true);
            }
        }
    }
    Ok((commands, joined))
}

/// What single commands came to as that of what was asked: carts have one answer together.
pub(crate) fn as_asked(asked: &[Asked], mut each: Decision) -> Decision {
    each.answers = answers(asked, each.answers);
    each.commands_taken = each.answers.len();
    each
}

fn answers(asked: &[Asked], each: Vec<Answer>) -> Vec<Answer> {
    if asked.iter().all(|one| matches!(one, Asked::One(_))) {
        return each;
    }
    let mut each = each.into_iter();
    let mut together = Vec::with_capacity(asked.len());
    for one in asked {
        match one {
            Asked::One(_) => match each.next() {
                Some(answer) => together.push(answer),
                None => break,
            },
            Asked::Carts(carts) => {
                let own: Vec<Answer> = each.by_ref().take(carts.get().len()).collect();
                if own.is_empty() {
                    break;
                }
                together.push((200, carts.get().answered(own)));
            }
        }
    }
    together
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
