//! Dated supply and demand: documents that open, change and close.
//!
//! In: facts already checked. Out: records by identity (source, ref, line); closed ones are remembered, bounded.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;

use crate::state::ids::{ChannelId, DemandId, LocationId, SkuId, SourceId, SupplyId};
use crate::state::policies::AgeKey;
use crate::wire::facts::{AsOf, Day, DemandClass, SupplyStatus};

/// What names a document's line: its source, then ref and line.
pub(crate) type DocumentKey = (SourceId, Box<str>, Box<str>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) key: DocumentKey,
    pub(crate) version: Option<i64>,
    pub(crate) sku: SkuId,
    pub(crate) location: LocationId,
    /// Still open, in base units.
    pub(crate) quantity: i64,
    pub(crate) due: Day,
    pub(crate) status: SupplyStatus,
    /// Per cent.
    pub(crate) confidence: u8,
    /// Units of reservations bound to it.
    pub(crate) bound: i64,
    /// Who holds those units, oldest first.
    pub(crate) holders: BTreeSet<AgeKey>,
    pub(crate) sequence: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) key: DocumentKey,
    pub(crate) version: Option<i64>,
    pub(crate) sku: SkuId,
    /// Empty: anywhere.
    pub(crate) locations: Vec<LocationId>,
    pub(crate) quantity: i64,
    pub(crate) class: DemandClass,
    pub(crate) due: Option<Day>,
    pub(crate) as_of: AsOf,
    pub(crate) order_ref: Option<Box<str>>,
    /// Of its order only what this reservation, or this channel, asks for is covered.
    pub(crate) reservation: Option<Box<str>>,
    pub(crate) channel: Option<ChannelId>,
    /// Units that reservations under the same `order_ref` cover.
    pub(crate) covered: i64,
    pub(crate) sequence: u64,
}

impl Demand {
    /// What it adds to what the reservations of its order ask for.
    pub(crate) fn open(&self) -> i64 {
        (self.quantity - self.covered).max(0)
    }

    /// The name that it is listed under: its reservation's ([`crate::erp`] says how), else its order's.
    pub(crate) fn listed_under(&self) -> Option<Box<str>> {
        match &self.reservation {
            Some(id) => Some(format!("\u{1}{id}").into()),
            None => self.order_ref.clone(),
        }
    }

    /// Its one location, where it has exactly one.
    pub(crate) fn single_location(&self) -> Option<LocationId> {
        match self.locations[..] {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// The open supply and demand of one SKU, and its unsourced units.
#[derive(Debug, Default)]
pub(crate) struct SkuSupply {
    pub(crate) supplies: Vec<SupplyId>,
    pub(crate) demands: Vec<DemandId>,
    pub(crate) unsourced: BTreeSet<AgeKey>,
}

/// Documents of one kind by identity. Closed ones are forgotten, oldest first, beyond `closed_max`.
#[derive(Debug)]
pub(crate) struct Register<T> {
    records: Vec<Option<T>>,
    by_key: HashMap<DocumentKey, u32>,
    closed: VecDeque<u32>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Register {
            records: Vec::new(),
            by_key: HashMap::new(),
            closed: VecDeque::new(),
        }
    }
}

impl<T> Register<T> {
    pub(crate) fn find(&self, key: &DocumentKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        self.records[number as usize]
            .as_ref()
            .expect("a document that is referred to is remembered")
    }

    pub(crate) fn try_get(&self, number: u32) -> Option<&T> {
        self.records[number as usize].as_ref()
    }

    pub(in crate::state) fn get_mut(&mut self, number: u32) -> &mut T {
        self.records[number as usize]
            .as_mut()
            .expect("a document that is referred to is remembered")
    }

    pub(in crate::state) fn add(&mut self, key: DocumentKey, record: T) -> u32 {
        let number = self.records.len() as u32;
        self.records.push(Some(record));
        self.by_key.insert(key, number);
        number
    }

    /// Notes that a document was closed; returns the ones to forget now.
    pub(crate) fn note_closed(&mut self, number: u32, closed_max: usize) -> Option<u32> {
        self.closed.push_back(number);
        if self.closed.len() > closed_max {
            self.closed.pop_front()
        } else {
            None
        }
    }

    pub(in crate::state) fn forget(&mut self, number: u32, key: &DocumentKey) -> Option<T> {
        self.by_key.remove(key);
        self.records[number as usize].take()
    }

    /// How many numbers were given so far.
    pub(crate) fn numbers(&self) -> usize {
        self.records.len()
    }

    /// The closed ones, the next to be forgotten first.
    pub(crate) fn closed(&self) -> &VecDeque<u32> {
        &self.closed
    }

    /// Puts a document back under its number; numbers come in ascending order.
    pub(crate) fn restore(&mut self, number: u32, key: DocumentKey, record: T) {
        self.restore_numbers(number);
        self.records.push(Some(record));
        self.by_key.insert(key, number);
    }

    /// So many numbers were given; those without a document were forgotten.
    pub(crate) fn restore_numbers(&mut self, numbers: u32) {
        self.records.resize_with(numbers as usize, || None);
    }

    pub(crate) fn restore_closed(&mut self, number: u32) {
        self.closed.push_back(number);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.records
            .iter()
            .enumerate()
            .filter_map(|(n, r)| r.as_ref().map(|r| (n as u32, r)))
    }
}

/// What is derived for a supply, beside what the digest covers.
impl Register<Supply> {
    /// Binds units of reservations to it; below 0: unbinds.
    pub(crate) fn bind(&mut self, id: SupplyId, units: i64) {
        self.get_mut(id.0).bound += units;
    }

    /// Lists a reservation among those with units of it, or no longer.
    pub(crate) fn list_holder(&mut self, id: SupplyId, age: AgeKey, is_one: bool) {
        let holders = &mut self.get_mut(id.0).holders;
        if is_one {
            holders.insert(age);
        } else {
            holders.remove(&age);
        }
    }
}

/// What is derived for a demand, beside what the digest covers.
impl Register<Demand> {
    /// Sets how many of its units are covered by reservations of its order; whether that changed.
    pub(crate) fn cover(&mut self, id: DemandId, units: i64) -> bool {
        let demand = self.get_mut(id.0);
        std::mem::replace(&mut demand.covered, units) != units
    }
}

/// All documents.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) supplies: Register<Supply>,
    pub(crate) demands: Register<Demand>,
    /// Demands by the order that they belong to.
    pub(crate) demands_of_order: HashMap<Box<str>, Vec<DemandId>>,
}
