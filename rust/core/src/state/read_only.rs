//! What every folder may read and only `state` may change, because the digest covers it.
//!
//! In: a value. Out: shared references; the one mutable reference stays within `state`. Always: what changes the value
//! updates the digest in the same function (`changes`); reading a snapshot recounts the digest at its end.

use std::ops::Deref;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ReadOnly<T>(T);

impl<T> ReadOnly<T> {
    #[inline]
    pub(in crate::state) fn as_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// For `snapshot` alone, which puts back what a file holds and recounts the digest afterwards.
    pub(crate) fn restoring(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Deref for ReadOnly<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
