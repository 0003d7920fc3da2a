//! The units of one SKU that are beyond any node: who waits, oldest first, and how many units each channel's buyers wait for.
//!
//! In: reservations with unsourced units, as these change. Out: sums by channel and region, so that no sale walks a queue.
//! Always: the sums are those of the entries.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use crate::state::ids::{ChannelId, RegionId};
use crate::state::policies::AgeKey;

/// Who buys: a channel, for a region if one was named.
pub(crate) type Buyers = (ChannelId, Option<RegionId>);

/// Units that wait; `own` of them were sold on the channel's own allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) quantity: i64,
    pub(crate) own: i64,
}

impl Waiting {
    pub(crate) fn add(&mut self, other: Waiting) {
        self.quantity += other.quantity;
        self.own += other.own;
    }

    pub(crate) fn less(self, other: Waiting) -> Waiting {
        Waiting {
            quantity: self.quantity - other.quantity,
            own: self.own - other.own,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Unsourced {
    by_age: BTreeMap<AgeKey, (Buyers, Waiting)>,
    by_buyers: BTreeMap<Buyers, Waiting>,
    by_channel: BTreeMap<ChannelId, Waiting>,
    /// Reservations whose portions are to be put in order before any of them binds.
    unordered: BTreeSet<AgeKey>,
}

/// Takes from one sum and adds to another; one of nothing is forgotten.
fn shift<K: Ord>(sums: &mut BTreeMap<K, Waiting>, key: K, less: Waiting, more: Waiting) {
    let sum = sums.entry(key).or_default();
    *sum = sum.less(less);
    sum.add(more);
}

impl Unsourced {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    pub(crate) fn contains(&self, age: AgeKey) -> bool {
        self.by_age.contains_key(&age)
    }

    /// What a reservation waits for; nothing: it is no longer listed.
    pub(crate) fn set(&mut self, age: AgeKey, buyers: Buyers, units: Option<Waiting>) {
        let old = match units {
            Some(units) => self.by_age.insert(age, (buyers, units)),
            None => self.by_age.remove(&age),
        };
        if let Some((buyers, units)) = old {
            self.sum(buyers, units, Waiting::default());
        }
        if let Some(units) = units {
            self.sum(buyers, Waiting::default(), units);
        } else {
            self.unordered.remove(&age);
        }
    }

    fn sum(&mut self, buyers: Buyers, less: Waiting, more: Waiting) {
        shift(&mut self.by_buyers, buyers, less, more);
        shift(&mut self.by_channel, buyers.0, less, more);
        if self.by_buyers.get(&buyers).is_some_and(|sum| sum.quantity == 0) {
            self.by_buyers.remove(&buyers);
        }
        if self.by_channel.get(&buyers.0).is_some_and(|sum| sum.quantity == 0) {
            self.by_channel.remove(&buyers.0);
        }
    }

    /// What a reservation waits for.
    pub(crate) fn of(&self, age: AgeKey) -> Option<(Buyers, Waiting)> {
        self.by_age.get(&age).copied()
    }

    /// Who waits, oldest first.
    pub(crate) fn ages(&self) -> impl DoubleEndedIterator<Item = AgeKey> {
        self.by_age.keys().copied()
    }

    /// The next younger ones, with what they wait for.
    pub(crate) fn after(&self, age: Option<AgeKey>) -> impl Iterator<Item = (AgeKey, Buyers, Waiting)> {
        let from = age.map_or(Unbounded, Excluded);
        let all = self.by_age.range((from, Unbounded));
        all.map(|(age, (buyers, units))| (*age, *buyers, *units))
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = (ChannelId, Waiting)> {
        self.by_channel.iter().map(|(channel, units)| (*channel, *units))
    }

    pub(crate) fn has_channel(&self, channel: ChannelId) -> bool {
        self.by_channel.contains_key(&channel)
    }

    /// What the buyers of one channel wait for, by region.
    pub(crate) fn regions_of(&self, channel: ChannelId) -> impl Iterator<Item = (Option<RegionId>, Waiting)> {
        let all = self.by_buyers.range((channel, None)..);
        all.take_while(move |((c, _), _)| *c == channel)
            .map(|((_, region), units)| (*region, *units))
    }

    /// A reservation's portions may be out of order.
    pub(crate) fn note_unordered(&mut self, age: AgeKey) {
        self.unordered.insert(age);
    }

    pub(crate) fn take_unordered(&mut self) -> BTreeSet<AgeKey> {
        std::mem::take(&mut self.unordered)
    }
}
