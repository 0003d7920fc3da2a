//! The carts of one request: taken apart, decided together, answered in one piece.
//!
//! In: the body of a `reservations:batch`. Out: a part of its carts at a time, as commands; their results as JSON. Always:
//! Python handles a part as one thing, however many carts it has; only what was refused is named cart by cart.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_core::{Command, Verb, commands};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::asked::Answer;
use crate::errors::request_error;

/// HTTP's for what the state refuses.
const REFUSED: u16 = 409;
/// `(id, PUT body)` each.
type All = Arc<Vec<(String, String)>>;

/// The body of a POST /v1/reservations:batch. Raises `RequestError`.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct CartsBody(All);

/// Some of its carts, which go into one batch of LOG; and what became of them, once they were decided.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct Carts {
    all: All,
    range: Range<usize>,
    channels: Option<Vec<String>>,
    by: Option<String>,
    refused: Mutex<Vec<(usize, Vec<u8>)>>,
}

// pyo3 passes what it converts by value.
#[allow(clippy::needless_pass_by_value)]
#[pymethods]
impl CartsBody {
    #[new]
    fn new(py: Python<'_>, body: &[u8]) -> PyResult<Self> {
        let all = commands::split_batch(body).map_err(|error| request_error(py, &error))?;
        Ok(CartsBody(Arc::new(all)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Where a part ends that begins at `start` and has at most so many carts and (beyond the first) bytes of bodies.
    fn end_of(&self, start: usize, carts_max: usize, bytes_max: usize) -> usize {
        let mut bytes = 0;
        let rest = self.0.iter().skip(start).take(carts_max);
        let taken = rest.take_while(|(id, body)| {
            let is_first = bytes == 0;
            bytes += id.len() + body.len();
            is_first || bytes <= bytes_max
        });
        start + taken.count()
    }

    /// The carts from `start` to `end`, as somebody asks for them.
    #[pyo3(signature = (start: "int", end: "int", channels: "tuple[str, ...] | None", by: "str | None") -> "Carts")]
    fn part(&self, start: usize, end: usize, channels: Option<Vec<String>>, by: Option<String>) -> PyResult<Carts> {
        if start >= end || end > self.0.len() {
            return Err(PyIndexError::new_err("no such part"));
        }
        Ok(Carts {
            all: Arc::clone(&self.0),
            range: start..end,
            channels,
            by,
            refused: Mutex::default(),
        })
    }

    /// `(id, PUT body)` of each cart from `start` to `end`.
    #[pyo3(signature = (start: "int", end: "int") -> "list[tuple[str, bytes]]")]
    fn requests<'py>(&self, py: Python<'py>, start: usize, end: usize) -> Vec<(&str, Bound<'py, PyBytes>)> {
        let range = start.min(self.0.len())..end.min(self.0.len());
        self.0[range]
            .iter()
            .map(|(id, body)| (id.as_str(), PyBytes::new(py, body.as_bytes())))
            .collect()
    }

    /// The results of the carts from `start` on, one for each answer, as members of a JSON list.
    #[pyo3(signature = (start: "int", answers: "Sequence[tuple[int, bytes]]") -> "bytes")]
    fn results<'py>(&self, py: Python<'py>, start: usize, answers: Vec<(u16, Vec<u8>)>) -> Bound<'py, PyBytes> {
        let carts = self.0.iter().skip(start);
        let answered = carts
            .zip(&answers)
            .map(|((id, _), (status, answer))| (&**id, *status, &**answer));
        PyBytes::new(py, &commands::join_results(answered))
    }
}

#[pymethods]
impl Carts {
    fn __len__(&self) -> usize {
        self.len()
    }

    /// What the state refused of what was decided: the command each, and its answer. Once.
    #[pyo3(signature = () -> "list[tuple[tuple[str, str, bytes, None, str | None], bytes]]")]
    #[allow(clippy::type_complexity, reason = "what Python has as a request")]
    fn refused<'py>(
        &self,
        py: Python<'py>,
    ) -> Vec<(
        (&'static str, &str, Bound<'py, PyBytes>, Option<()>, Option<&str>),
        Bound<'py, PyBytes>,
    )> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = std::mem::take(&mut *refused);
        let named = refused.into_iter().map(|(at, answer)| {
            let (id, body) = &self.all[at];
            let body = PyBytes::new(py, body.as_bytes());
            (
                ("put", id.as_str(), body, None, self.by.as_deref()),
                PyBytes::new(py, &answer),
            )
        });
        named.collect()
    }
}

impl Carts {
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = Command<'_>> {
        self.all[self.range.clone()].iter().map(|(id, body)| Command {
            verb: Verb::Put,
            id,
            body: body.as_bytes(),
            channels: self.channels.as_deref(),
            by: self.by.as_deref(),
            key: None,
            trace: None,
        })
    }

    /// The members of the list of results. What was refused is kept to be asked for.
    pub(crate) fn answered(&self, answers: Vec<Answer>) -> Vec<u8> {
        let carts = self.all[self.range.clone()].iter().zip(&answers);
        let results = commands::join_results(carts.map(|((id, _), (status, answer))| (&**id, *status, &**answer)));
        let refused = self
            .range
            .clone()
            .zip(answers)
            .filter(|(_, (status, _))| *status == REFUSED);
        let refused = refused.map(|(at, (_, answer))| (at, answer)).collect();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        results
    }
}
