//! The orders with units at a cell that a level may still take in or leave out, in the order in which they came to it, and
//! which of them the next level must look at.
//!
//! In: orders as they come to a cell, change and leave it. Out: all of them, or those that are awake. Always: the order stays;
//! one that is asleep has nothing that a newer level of the same source and kind could count otherwise: no source reported its
//! units, or the level counts them already as acknowledged.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::state::ids::Slot;
use crate::state::looked;

/// Lists up to this length are searched and looked at as they are.
#[cfg(not(test))]
const fn short() -> usize {
    16
}

#[cfg(test)]
thread_local! {
    static SHORT: std::cell::Cell<usize> = const { std::cell::Cell::new(16) };
}

#[cfg(test)]
fn short() -> usize {
    SHORT.with(std::cell::Cell::get)
}

/// Has what follows in this test keep lists up to this length as they are.
#[cfg(test)]
pub(crate) fn set_short(length: usize) {
    SHORT.with(|short| short.set(length));
}

/// Stands where an order was.
const GONE: Slot = Slot(u32::MAX);

#[derive(Debug, Default)]
pub(crate) struct AtCell {
    slots: Vec<Slot>,
    long: Option<Box<Long>>,
}

/// What it takes to find one of many.
#[derive(Debug, Default)]
struct Long {
    places: HashMap<Slot, u32>,
    awake: BTreeSet<u32>,
}

impl AtCell {
    pub(crate) fn len(&self) -> usize {
        self.long.as_ref().map_or(self.slots.len(), |long| long.places.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> {
        let listed = self.slots.iter().copied().filter(|slot| *slot != GONE);
        listed.inspect(|_| looked::at(1))
    }

    /// Lists an order, if it is not listed yet, and wakes it.
    pub(crate) fn enter(&mut self, slot: Slot, is_awake: bool) {
        let place = match &self.long {
            Some(long) => long.places.get(&slot).copied(),
            None if self.slots.contains(&slot) => return,
            None => None,
        };
        let place = place.unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        });
        if let Some(long) = &mut self.long {
            long.places.insert(slot, place);
            if is_awake {
                long.awake.insert(place);
            }
        } else if self.slots.len() > short() {
            self.index(true);
        }
    }

    /// An order changed: the next level looks at it, if it is listed.
    pub(crate) fn wake(&mut self, slot: Slot) {
        if let Some(long) = &mut self.long
            && let Some(place) = long.places.get(&slot)
        {
            long.awake.insert(*place);
        }
    }

    /// Takes out those that a level must look at, in order; `all`: whether asleep or not.
    pub(crate) fn take_awake(&mut self, all: bool) -> Vec<Slot> {
        match &mut self.long {
            Some(long) if !all => {
                let awake = std::mem::take(&mut long.awake);
                awake.into_iter().map(|place| self.slots[place as usize]).collect()
            }
            Some(long) => {
                long.awake.clear();
                self.iter().collect()
            }
            None => self.slots.clone(),
        }
    }

    /// After a look: whether an order stays listed, and is to be looked at again.
    pub(crate) fn looked_at(&mut self, slot: Slot, stays: bool, is_awake: bool) {
        if !stays {
            self.leave(slot);
        } else if is_awake {
            self.wake(slot);
        }
    }

    pub(crate) fn leave(&mut self, slot: Slot) {
        let Some(long) = &mut self.long else {
            self.slots.retain(|s| *s != slot);
            return;
        };
        let Some(place) = long.places.remove(&slot) else {
            return;
        };
        long.awake.remove(&place);
        self.slots[place as usize] = GONE;
        if long.places.len() < self.slots.len() / 2 {
            self.close_ranks();
        }
    }

    /// Drops the places that nobody has.
    fn close_ranks(&mut self) {
        let long = self.long.take().unwrap_or_default();
        let awake: Vec<Slot> = long.awake.iter().map(|place| self.slots[*place as usize]).collect();
        self.slots.retain(|slot| *slot != GONE);
        looked::at(self.slots.len());
        if self.slots.len() > short() {
            self.index(false);
            for slot in awake {
                self.wake(slot);
            }
        }
    }

    fn index(&mut self, are_awake: bool) {
        let places = self.slots.iter().zip(0..).map(|(slot, place)| (*slot, place)).collect();
        let awake = if are_awake {
            (0..self.slots.len() as u32).collect()
        } else {
            BTreeSet::new()
        };
        self.long = Some(Box::new(Long { places, awake }));
    }
}

impl FromIterator<Slot> for AtCell {
    /// As they were stored: which of them are asleep is found at the next look.
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut all = AtCell::default();
        slots.into_iter().for_each(|slot| all.enter(slot, true));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn orders_keep_their_order_and_the_awake_ones_are_looked_at(
            steps in prop::collection::vec((0u8..6, 0u32..40, any::<bool>()), 0..200)
        ) {
            let (mut listed, mut plain) = (AtCell::default(), Vec::<(Slot, bool)>::new());
            for (what, number, is_awake) in steps {
                let slot = Slot(number);
                let known = plain.iter().position(|(s, _)| *s == slot);
                match what {
                    0..=2 => {
                        listed.enter(slot, is_awake);
                        match known {
                            Some(at) => plain[at].1 |= is_awake,
                            None => plain.push((slot, is_awake)),
                        }
                    }
                    3 => {
                        listed.leave(slot);
                        plain.retain(|(s, _)| *s != slot);
                    }
                    4 => {
                        listed.wake(slot);
                        if let Some(at) = known {
                            plain[at].1 = true;
                        }
                    }
                    _ => {
                        let taken = listed.take_awake(false);
                        let all: Vec<Slot> = plain.iter().map(|(s, _)| *s).collect();
                        let must: Vec<Slot> = plain.iter().filter(|(_, awake)| *awake).map(|(s, _)| *s).collect();
                        prop_assert!(must.iter().all(|slot| taken.contains(slot)), "{taken:?} lacks some of {must:?}");
                        let in_order: Vec<Slot> = all.iter().copied().filter(|slot| taken.contains(slot)).collect();
                        prop_assert_eq!(taken, in_order);
                        for (_, awake) in &mut plain {
                            *awake = false;
                        }
                    }
                }
                let all: Vec<Slot> = plain.iter().map(|(s, _)| *s).collect();
                prop_assert_eq!(listed.iter().collect::<Vec<_>>(), all);
                prop_assert_eq!(listed.len(), plain.len());
            }
        }
    }
}
