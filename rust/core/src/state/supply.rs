//! Dated supply and demand: documents that open, change and close.
//!
//! In: facts already checked. Out: records by identity (source, ref, line); closed ones are remembered, bounded.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::state::ids::{ChannelId, DemandId, LocationId, SkuId, SourceId, SupplyId};
use crate::state::order_documents::name_of_reservation;
use crate::state::policies::AgeKey;
use crate::state::shares::{Forget, Shares, Whose};
use crate::state::unsourced::Unsourced;
use crate::wire::facts::{AsOf, Day, DemandClass, SupplyStatus};

/// What names a document's line: its source, then ref and line.
pub(crate) type DocumentKey = (SourceId, Box<str>, Box<str>);

/// Units of a line that arrived, by a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// They are off the line only where it is of this SKU.
    pub(crate) sku: SkuId,
    pub(crate) units: i64,
    pub(crate) as_of: AsOf,
}

/// What a transfer changed on hand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) sku: SkuId,
    pub(crate) location: LocationId,
    pub(crate) units: i64,
    pub(crate) as_of: AsOf,
}

/// What a supply that is on its way from another location has beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) from: LocationId,
    /// Whether a statement said when it left.
    pub(crate) is_shipped: bool,
    pub(crate) legs: Vec<Leg>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) key: DocumentKey,
    pub(crate) version: Option<i64>,
    pub(crate) sku: SkuId,
    pub(crate) location: LocationId,
    /// Still open, in base units: what was stated, less what arrived since and what is presumed to have.
    pub(crate) quantity: i64,
    /// What its source stated to be open.
    pub(crate) stated: i64,
    /// When its source stated that, as it says itself.
    pub(crate) as_of: Option<AsOf>,
    /// Levels after this may show units of it that arrived; None: any level.
    pub(crate) since: Option<AsOf>,
    /// Whether that is the `as_of` of an earlier statement, and not of the newest level when the line came.
    pub(crate) keeps_moment: bool,
    /// Receipts that the statement does not count yet.
    pub(crate) arrivals: Vec<Arrival>,
    /// Units that its statements were lowered by and no receipt tells of.
    pub(crate) lowered: i64,
    /// Units that a level is presumed to count already.
    pub(crate) presumed: i64,
    pub(crate) transfer: Option<Box<Transfer>>,
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

/// What a transfer's line begins with: no line that a source names does, so that it is no other supply's.
const TRANSFER: char = '\u{1}';

/// The line under which a transfer's supply is known.
pub(crate) fn transfer_line(line: Option<&str>) -> String {
    format!("{TRANSFER}{}", line.unwrap_or_default())
}

/// The due day of a line that nobody stated yet, of which units arrived.
pub(crate) const UNSTATED: Day = Day::MIN;

impl Supply {
    /// What its source stated to be open, less what arrived since. A line of which only receipts are known has none, also where
    /// one of them was corrected to less.
    pub(crate) fn room(&self) -> i64 {
        if self.status != SupplyStatus::Open || self.is_unstated() {
            return 0;
        }
        let of_sku = self.arrivals.iter().filter(|a| a.sku == self.sku);
        let arrived: i64 = of_sku.map(|a| a.units).sum();
        (self.stated - arrived).max(0)
    }

    /// Its line as its source names it; empty where a transfer names none.
    pub(crate) fn line(&self) -> &str {
        self.key.2.strip_prefix(TRANSFER).unwrap_or(&self.key.2)
    }

    /// Whether its statement was made after a receipt, and counts it.
    pub(crate) fn counts_receipt(&self, receipt: AsOf) -> bool {
        self.as_of.is_some_and(|since| receipt.is_by(since) == Some(true))
    }

    /// Whether only receipts are known of it.
    pub(crate) fn is_unstated(&self) -> bool {
        self.due == UNSTATED
    }

    /// Whether it is listed with its SKU: something of it is open, presumed to have arrived or not.
    pub(crate) fn is_listed(&self) -> bool {
        self.status == SupplyStatus::Open && (self.room() > 0 || self.quantity > 0)
    }
}

impl Demand {
    /// What it adds to what the reservations of its order ask for.
    pub(crate) fn open(&self) -> i64 {
        (self.quantity - self.covered).max(0)
    }

    /// The name that it is listed under: its reservation's, else its order's.
    pub(crate) fn listed_under(&self) -> Option<Box<str>> {
        match &self.reservation {
            Some(id) => Some(name_of_reservation(id).into()),
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
    pub(crate) unsourced: Unsourced,
    /// The day on which its supply next counts otherwise.
    pub(in crate::state) wakes: Option<Day>,
}

/// Documents of one kind by identity. Closed ones are forgotten, oldest first, beyond `closed_max`.
#[derive(Debug)]
pub(crate) struct Register<T> {
    records: Vec<Option<T>>,
    by_key: HashMap<DocumentKey, u32>,
    closed: Shares<u32>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Register {
            records: Vec::new(),
            by_key: HashMap::new(),
            closed: Shares::default(),
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

    /// Notes that a document of this source was closed; returns the one to forget now.
    pub(crate) fn note_closed(&mut self, whose: Whose, number: u32, closed_max: usize, which: Forget) -> Option<u32> {
        let full = self.closed.len() >= closed_max.max(1);
        let gone = if full { self.closed.pop(which, |_| 1) } else { None };
        self.closed.push(whose, number, 1);
        gone
    }

    pub(in crate::state) fn forget(&mut self, number: u32, key: &DocumentKey) -> Option<T> {
        self.by_key.remove(key);
        self.records[number as usize].take()
    }

    /// How many numbers were given so far.
    pub(crate) fn numbers(&self) -> usize {
        self.records.len()
    }

    /// The closed ones with whose each is, oldest first.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (Whose, u32)> {
        self.closed.iter().map(|(whose, number)| (whose, *number))
    }

    pub(crate) fn closed_count(&self) -> usize {
        self.closed.len()
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

    pub(crate) fn restore_closed(&mut self, whose: Whose, number: u32) {
        self.closed.push(whose, number, 1);
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
