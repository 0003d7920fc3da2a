//! Results of the core as plain Python values.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// `(HTTP status, JSON body)`.
pub(crate) type Answered<'py> = (u16, Bound<'py, PyBytes>);

pub(crate) fn answer(py: Python<'_>, (status, body): (u16, Vec<u8>)) -> Answered<'_> {
    (status, PyBytes::new(py, &body))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| {
        text + &format!("{byte:02x}")
    })
}
