//! The scope's keys, as Python uses them for messages other than batches.

use std::sync::Arc;

use holdfast_core::mac::{self, Origin, Purpose};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// The secrets of the scope key file: the first signs, all are believed. Raises `ValueError` without a secret.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct ScopeKeys(Arc<mac::ScopeKeys>);

impl ScopeKeys {
    pub(crate) fn core(&self) -> Arc<mac::ScopeKeys> {
        Arc::clone(&self.0)
    }
}

fn purpose(word: &str) -> PyResult<Purpose> {
    Purpose::of(word).ok_or_else(|| PyValueError::new_err(format!("{word} is no purpose")))
}

// pyo3 passes what it converts by value.
#[allow(clippy::needless_pass_by_value)]
#[pymethods]
impl ScopeKeys {
    #[new]
    #[pyo3(signature = (secrets: "list[bytes]"))]
    fn new(secrets: Vec<PyBackedBytes>) -> PyResult<Self> {
        let keys = mac::ScopeKeys::new(secrets.iter().map(|secret| &secret[..]));
        let keys = keys.ok_or_else(|| PyValueError::new_err("there is no secret"))?;
        Ok(Self(Arc::new(keys)))
    }

    /// The names of the keys; they say nothing about the secrets.
    fn ids(&self) -> Vec<String> {
        self.0.ids().map(str::to_owned).collect()
    }

    /// A JSON object with its code as the last member. Raises `ValueError` for anything but an object with a member.
    fn sign_json<'py>(
        &self,
        py: Python<'py>,
        purpose: &str,
        context: &[u8],
        message: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        if message.len() < 3 || !message.ends_with(b"}") {
            return Err(PyValueError::new_err("a JSON object with a member is signed"));
        }
        let mut signed = message.to_vec();
        self.0.sign_json(None, self::purpose(purpose)?, context, &mut signed);
        Ok(PyBytes::new(py, &signed))
    }

    /// Which key signed a JSON object: `(its name, True)`; `(name, False)` where that key is not known here; None: it has no
    /// code, or a wrong one.
    fn key_of_json(&self, purpose: &str, context: &[u8], message: &[u8]) -> PyResult<Option<(String, bool)>> {
        Ok(match self.0.origin_of_json(self::purpose(purpose)?, context, message) {
            Origin::Proven { key } => Some((key.to_owned(), true)),
            Origin::UnknownKey { key } => Some((key.to_owned(), false)),
            Origin::Unproven => None,
        })
    }

    /// Any message, behind its code.
    fn sign<'py>(
        &self,
        py: Python<'py>,
        purpose: &str,
        context: &[u8],
        message: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let signed = self.0.sign(self::purpose(purpose)?, context, message);
        Ok(PyBytes::new(py, &signed))
    }

    /// The message behind its code; None: the code is not right.
    fn open<'py>(
        &self,
        py: Python<'py>,
        purpose: &str,
        context: &[u8],
        signed: &[u8],
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let message = self.0.open(self::purpose(purpose)?, context, signed);
        Ok(message.map(|message| PyBytes::new(py, message)))
    }
}
