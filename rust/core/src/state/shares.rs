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

/// Where a key is among the others. `O` orders them by age; by default they are counted as they are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<O = u64> {
    pub(crate) whose: Whose,
    pub(crate) age: O,
}

#[derive(Debug)]
struct Share<K, O> {
    keys: BTreeMap<O, K>,
    weight: usize,
}

#[derive(Debug)]
pub(crate) struct Shares<K, O = u64> {
    of: HashMap<Whose, Share<K, O>>,
    by_weight: BTreeSet<(usize, Whose)>,
    /// By the age of the oldest of each.
    by_age: BTreeSet<(O, Whose)>,
    count: usize,
    weight: usize,
    pushed: u64,
}

impl<K, O> Default for Shares<K, O> {
    fn default() -> Self {
        Shares {
            of: HashMap::new(),
            by_weight: BTreeSet::new(),
            by_age: BTreeSet::new(),
            count: 0,
            weight: 0,
            pushed: 0,
        }
    }
}

impl<K> Shares<K> {
    /// Remembers a key as the newest.
    pub(crate) fn push(&mut self, whose: Whose, key: K, weight: usize) -> Place {
        self.pushed += 1;
        let place = Place {
            whose,
            age: self.pushed,
        };
        self.enter(place, key, weight);
        place
    }
}

impl<K, O: Ord + Copy> Shares<K, O> {
    /// Remembers a key in a place that no other has.
    pub(crate) fn enter(&mut self, place: Place<O>, key: K, weight: usize) {
        let Place { whose, age } = place;
        let share = self.of.entry(whose).or_insert_with(|| Share {
            keys: BTreeMap::new(),
            weight: 0,
        });
        match share.keys.first_key_value() {
            Some((&first, _)) => {
                self.by_weight.remove(&(share.weight, whose));
                if age < first {
                    self.by_age.remove(&(first, whose));
                    self.by_age.insert((age, whose));
                }
            }
            None => {
                self.by_age.insert((age, whose));
            }
        }
        share.keys.insert(age, key);
        share.weight += weight;
        self.by_weight.insert((share.weight, whose));
        self.count += 1;
        self.weight += weight;
    }

    /// The one to forget next.
    pub(crate) fn next(&self, which: Forget) -> Option<&K> {
        self.first(which).map(|(_, key)| key)
    }

    /// Forgets one; `weight_of` tells what it takes, as it was when the key was pushed.
    pub(crate) fn pop(&mut self, which: Forget, weight_of: impl FnOnce(&K) -> usize) -> Option<K> {
        let (place, key) = self.first(which)?;
        let weight = weight_of(key);
        self.take(place, weight)
    }

    /// The one to forget next, and its place.
    pub(crate) fn first(&self, which: Forget) -> Option<(Place<O>, &K)> {
        let whose = match which {
            Forget::Oldest => self.by_age.first()?.1,
            Forget::OfLargestShare => self.by_weight.last()?.1,
        };
        let (&age, key) = self.of.get(&whose)?.keys.first_key_value()?;
        Some((Place { whose, age }, key))
    }

    /// Takes a key out; `weight` as it was when it was pushed.
    pub(crate) fn take(&mut self, place: Place<O>, weight: usize) -> Option<K> {
        let Place { whose, age } = place;
        let share = self.of.get_mut(&whose)?;
        let (&first, _) = share.keys.first_key_value()?;
        let key = share.keys.remove(&age)?;
        self.by_weight.remove(&(share.weight, whose));
        share.weight -= weight;
        if first == age {
            self.by_age.remove(&(age, whose));
        }
        match share.keys.first_key_value() {
            Some((&next, _)) => {
                self.by_weight.insert((share.weight, whose));
                if first == age {
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

    /// The place of each, in no order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (O, K)>
    where
        K: Copy,
    {
        self.of
            .values()
            .flat_map(|share| share.keys.iter().map(|(age, key)| (*age, *key)))
    }

    /// All with whose each is, oldest first: pushed in this order they are the same again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Whose, &K)> {
        let mut all = Vec::with_capacity(self.count);
        for (whose, share) in &self.of {
            all.extend(share.keys.iter().map(|(age, key)| (*age, *whose, key)));
        }
        all.sort_unstable_by_key(|(age, _, _)| *age);
        all.into_iter().map(|(_, whose, key)| (whose, key))
    }
}

/// The same keys, each the same one's, in the same order.
impl<K: PartialEq, O: Ord + Copy> PartialEq for Shares<K, O> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests;
