//! The memory of answered requests, by idempotency key: a request that comes again is answered as the first time.
//!
//! In: a key, who used it, and what was asked. Out: whether that is new, the same again, or another request.
//! Always: bounded in number and bytes; where it is full, the API key whose answers take most forgets its oldest (`shares`).
//! Keys and requests are known by cryptographic hashes, so that nobody can make up a key that meets another client's.

use hashbrown::HashMap;

use crate::state::shares::{Forget, NOBODY, Shares, Whose};
use crate::wire::keys::Asked;

/// A longer answer is not stored in full.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What an entry costs beside its answer.
pub(crate) const ENTRY_BYTES: usize = 128;
/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredAnswer {
    /// In parts, each under its own key.
    InParts,
    /// With this body.
    Body(Box<[u8]>),
    /// With a body that is too long to be stored, about this reservation.
    Reservation(Box<str>),
}

impl StoredAnswer {
    fn bytes(&self) -> usize {
        match self {
            StoredAnswer::InParts => 0,
            StoredAnswer::Body(body) => body.len(),
            StoredAnswer::Reservation(id) => id.len(),
        }
    }
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) request: u128,
    /// When, on the lead clock.
    pub(crate) at_ms: i64,
    /// HTTP's; 0 where it was answered in parts.
    pub(crate) status: u16,
    pub(crate) answer: StoredAnswer,
    /// Whose it is.
    pub(crate) whose: Whose,
}

impl Entry {
    /// What the digest covers. The text of an answer follows from a state that it covers, and newer versions may render it
    /// differently.
    pub(crate) fn digested(&self, key: u128, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(&self.request.to_le_bytes());
        out.extend_from_slice(&self.at_ms.to_le_bytes());
        out.extend_from_slice(&self.status.to_le_bytes());
        if self.whose != NOBODY {
            out.extend_from_slice(&self.whose.to_le_bytes());
        }
    }

    fn weight(&self) -> usize {
        ENTRY_BYTES + self.answer.bytes()
    }
}

/// How a request compares with what is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'t> {
    New,
    Repeat(&'t Entry),
    /// The key was used for another request.
    Conflict,
}

/// The bounds in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) entries_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) which: Forget,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct AnsweredRequests {
    known: HashMap<u128, Entry>,
    /// By bytes.
    order: Shares<u128>,
}

impl AnsweredRequests {
    pub(crate) fn ask(&self, asked: &Asked) -> Known<'_> {
        if self.known.is_empty() {
            return Known::New;
        }
        let of_another = |key: &u128| self.known.get(key).is_some_and(|entry| entry.request != asked.request);
        if of_another(&asked.root) || of_another(&asked.key) {
            return Known::Conflict;
        }
        self.known.get(&asked.key).map_or(Known::New, Known::Repeat)
    }

    pub(crate) fn has(&self, key: u128) -> bool {
        self.known.contains_key(&key)
    }

    /// Remembers an answer; returns what leaves the memory for it. A key that is known stays as it was.
    pub(crate) fn remember(&mut self, key: u128, entry: Entry, bounds: Bounds) -> Vec<(u128, Entry)> {
        let mut left = Vec::new();
        if self.known.contains_key(&key) {
            return left;
        }
        // The newest stays however large it is: its answer is on its way.
        let (whose, weight) = (entry.whose, entry.weight());
        while !self.order.is_empty()
            && (self.order.len() >= bounds.entries_max || self.order.weight() + weight > bounds.bytes_max)
        {
            left.extend(self.forget(bounds.which));
        }
        self.known.insert(key, entry);
        self.order.push(whose, key, weight);
        left
    }

    /// The oldest entry, if it was made at or before `until_ms` on the lead clock, leaves the memory.
    pub(crate) fn forget_older(&mut self, until_ms: i64) -> Option<(u128, Entry)> {
        let oldest = self.order.next(Forget::Oldest)?;
        (self.known[oldest].at_ms <= until_ms).then(|| self.forget(Forget::Oldest))?
    }

    fn forget(&mut self, which: Forget) -> Option<(u128, Entry)> {
        let known = &self.known;
        let key = self.order.pop(which, |key| known[key].weight())?;
        let entry = self.known.remove(&key).expect("each key in the order is known");
        Some((key, entry))
    }

    /// All, oldest first: the whole table, which [`Self::remember`] in this order makes again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u128, &Entry)> {
        self.order.iter().map(|(_, key)| (*key, &self.known[key]))
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.order.weight()
    }

    /// What is wrong with the table, one sentence each.
    pub(crate) fn flaws(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.order.len() != self.known.len() || self.order.iter().any(|(_, key)| !self.known.contains_key(key)) {
            wrong.push("the order of answered requests is not that of those known".to_owned());
            return wrong;
        }
        let bytes: usize = self.iter().map(|(_, entry)| entry.weight()).sum();
        if bytes != self.bytes() {
            wrong.push(format!(
                "answered requests take {bytes} bytes, {} are counted",
                self.bytes()
            ));
        }
        if !self.iter().is_sorted_by_key(|(_, entry)| entry.at_ms) {
            wrong.push("answered requests are not in the order of their age".to_owned());
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
