//! The memory of documents that add to stock, so that each counts once however often it comes (docs/facts.md, "Identity").
//!
//! In: what names a document, its version and its lines. Out: whether it is new, a repeat, a newer version or an anomaly.
//! Always: bounded; where the memory is full, the source that fills it forgets its own oldest identity (`shares`).

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::shares::{Forget, Shares, Whose};

/// What a document moved, by line.
pub(crate) type Moves = Vec<(SkuId, Option<LocationId>, i64)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) version: Option<i64>,
    /// Hash of the whole body.
    pub(crate) body: u64,
    pub(crate) moves: Moves,
    /// Of which source it is.
    pub(crate) whose: Whose,
    /// Of which reservation it first took units: a newer version may name another order.
    pub(crate) taken_of: Option<Slot>,
}

/// How a document compares with what is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    New,
    /// The same again, or an older version.
    Repeat,
    Stale,
    /// The same identity and version with another body: counted, ignored.
    Anomaly,
    /// A newer version of a document that moved this before.
    Newer(Moves),
}

#[derive(Debug, Default)]
pub(crate) struct Identities {
    known: HashMap<u128, Remembered>,
    order: Shares<u128>,
}

/// The key of an identity: a stable hash over its parts, each closed by a byte that no name contains.
pub(crate) fn key(parts: &[&str]) -> u128 {
    let mut bytes = Vec::with_capacity(96);
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    xxh3_128(&bytes)
}

impl Identities {
    pub(crate) fn ask(&self, key: u128, version: Option<i64>, body: u64) -> Known {
        let Some(known) = self.known.get(&key) else {
            return Known::New;
        };
        match (version, known.version) {
            _ if known.body == body && known.version == version => Known::Repeat,
            (Some(new), Some(old)) if new < old => Known::Stale,
            (Some(new), Some(old)) if new > old => Known::Newer(known.moves.clone()),
            (Some(_), None) => Known::Newer(known.moves.clone()),
            _ => Known::Anomaly,
        }
    }

    /// Remembers a document; returns what leaves the memory for it (its earlier version, or what is forgotten).
    pub(crate) fn remember(
        &mut self,
        key: u128,
        what: Remembered,
        bound: usize,
        which: Forget,
    ) -> Vec<(u128, Remembered)> {
        let mut left = Vec::new();
        let whose = what.whose;
        if let Some(old) = self.known.insert(key, what) {
            left.push((key, old));
            return left;
        }
        while self.order.len() >= bound.max(1) {
            let oldest = self.order.pop(which, |_| 1).expect("not empty");
            let gone = self.known.remove(&oldest).expect("each key in the order is known");
            left.push((oldest, gone));
        }
        self.order.push(whose, key, 1);
        left
    }

    /// What is remembered of a document.
    pub(crate) fn find(&self, key: u128) -> Option<&Remembered> {
        self.known.get(&key)
    }

    /// A document took units of a reservation.
    pub(crate) fn take_of(&mut self, key: u128, slot: Slot) {
        if let Some(known) = self.known.get_mut(&key) {
            known.taken_of.get_or_insert(slot);
        }
    }

    /// A document has no units any more.
    pub(crate) fn let_go(&mut self, key: u128) {
        if let Some(known) = self.known.get_mut(&key) {
            known.taken_of = None;
        }
    }

    /// Names what a remembered document moved, where that became known later.
    pub(crate) fn name_moves(&mut self, key: u128, moves: Moves) {
        if let Some(known) = self.known.get_mut(&key) {
            known.moves = moves;
        }
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u128, &Remembered)> {
        self.order.iter().map(|(_, key)| (*key, &self.known[key]))
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}
