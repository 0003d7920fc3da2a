//! The order of forgetting in a memory that many share: who fills it forgets its own first (docs/rules.md, "Editions").
//!
//! In: keys as they are remembered, each with whose it is and what it takes. Out: the key to forget next. Always: of one whose
//! the oldest goes first; every process comes to the same order, as it follows from the order of LOG alone.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

/// Whose something is: a source or an API key, as a number.
pub(crate) type Whose = u64;

/// Whose is what was remembered by an earlier edition.
pub(crate) const NOBODY: Whose = 0;

/// Which goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forget {
    /// The oldest of all.
    Oldest,
    /// The oldest of the largest share; of equal ones, of the highest number.
    OfLargestShare,
}

/// Where a key is among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) whose: Whose,
    /// Its age, counted in keys since the memory was made or restored.
    serial: u64,
}

#[derive(Debug)]
struct Share<K> {
    keys: BTreeMap<u64, K>,
    weight: usize,
}

#[derive(Debug)]
pub(crate) struct Shares<K> {
    of: HashMap<Whose, Share<K>>,
    by_weight: BTreeSet<(usize, Whose)>,
    /// By the age of the oldest of each.
    by_age: BTreeSet<(u64, Whose)>,
    count: usize,
    weight: usize,
    serial: u64,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Shares {
            of: HashMap::new(),
            by_weight: BTreeSet::new(),
            by_age: BTreeSet::new(),
            count: 0,
            weight: 0,
            serial: 0,
        }
    }
}

impl<K> Shares<K> {
    /// Remembers a key as the newest.
    pub(crate) fn push(&mut self, whose: Whose, key: K, weight: usize) -> Place {
        self.serial += 1;
        let serial = self.serial;
        let share = self.of.entry(whose).or_insert_with(|| Share {
            keys: BTreeMap::new(),
            weight: 0,
        });
        if share.keys.is_empty() {
            self.by_age.insert((serial, whose));
        } else {
            self.by_weight.remove(&(share.weight, whose));
        }
        share.keys.insert(serial, key);
        share.weight += weight;
        self.by_weight.insert((share.weight, whose));
        self.count += 1;
        self.weight += weight;
        Place { whose, serial }
    }

    /// The one to forget next.
    pub(crate) fn next(&self, which: Forget) -> Option<&K> {
        self.first_of(which).map(|(_, key)| key)
    }

    /// Forgets one; `weight_of` tells what it takes, as it was when the key was pushed.
    pub(crate) fn pop(&mut self, which: Forget, weight_of: impl FnOnce(&K) -> usize) -> Option<K> {
        let (place, key) = self.first_of(which)?;
        let weight = weight_of(key);
        self.take(place, weight)
    }

    fn first_of(&self, which: Forget) -> Option<(Place, &K)> {
        let whose = match which {
            Forget::Oldest => self.by_age.first()?.1,
            Forget::OfLargestShare => self.by_weight.last()?.1,
        };
        let (&serial, key) = self.of.get(&whose)?.keys.first_key_value()?;
        Some((Place { whose, serial }, key))
    }

    /// Takes a key out; `weight` as it was when it was pushed.
    pub(crate) fn take(&mut self, place: Place, weight: usize) -> Option<K> {
        let Place { whose, serial } = place;
        let share = self.of.get_mut(&whose)?;
        let (&first, _) = share.keys.first_key_value()?;
        let key = share.keys.remove(&serial)?;
        self.by_weight.remove(&(share.weight, whose));
        share.weight -= weight;
        if first == serial {
            self.by_age.remove(&(serial, whose));
        }
        match share.keys.first_key_value() {
            Some((&next, _)) => {
                self.by_weight.insert((share.weight, whose));
                if first == serial {
                    self.by_age.insert((next, whose));
                }
            }
            None => {
                self.of.remove(&whose);
            }
        }
        self.count -= 1;
        self.weight -= weight;
        Some(key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// What all of them take.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// All with whose each is, oldest first: pushed in this order they are the same again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Whose, &K)> {
        let mut all = Vec::with_capacity(self.count);
        for (whose, share) in &self.of {
            all.extend(share.keys.iter().map(|(serial, key)| (*serial, *whose, key)));
        }
        all.sort_unstable_by_key(|(serial, _, _)| *serial);
        all.into_iter().map(|(_, whose, key)| (whose, key))
    }
}

/// The same keys, each the same one's, in the same order.
impl<K: PartialEq> PartialEq for Shares<K> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests;
