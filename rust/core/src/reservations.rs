//! Reservations: who holds or bought what, and from which nodes.
//!
//! In: placements that `sourcing` worked out. Out: records by id, and the indexes that find them by owner, order and due time.
//! Always: `open_units` is the sum over all portions that take stock, kept beside them so that the cells can be checked.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::facts::AsOf;
use crate::ids::{ChannelId, LocationId, RegionId, SkuId, Slot, SourceId, SupplyId, spread, tag};

/// The keyed hash of an owner: 128 bits, told as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner(u128);

impl Owner {
    /// The owner of a LOG fact. The gateway writes 32 digits; whatever else stands there becomes as many.
    pub(crate) fn of(text: &str) -> Self {
        let bytes = <&[u8; 32]>::try_from(text.as_bytes()).ok();
        Owner(
            bytes
                .and_then(read_hex)
                .unwrap_or_else(|| xxhash_rust::xxh3::xxh3_128(text.as_bytes())),
        )
    }

    pub(crate) fn text(self) -> String {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
        let mut text = String::with_capacity(32);
        for byte in self.0.to_be_bytes() {
            text.push(digit(byte >> 4));
            text.push(digit(byte));
        }
        text
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

/// 32 lower-case hexadecimal digits; every hold and every replay of it reads them, so by hand.
fn read_hex(digits: &[u8; 32]) -> Option<u128> {
    let mut value = 0;
    for digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(nibble);
    }
    Some(value)
}

/// Reservations of one owner or order, in order of first PUT: mostly one or two.
pub(crate) type ByAge = smallvec::SmallVec<[Slot; 2]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservationState {
    Held,
    Committed,
    InErp,
    Fulfilled,
    Released,
    Expired,
    Cancelled,
    Oversold,
}

impl ReservationState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::InErp => "in_erp",
            Self::Fulfilled => "fulfilled",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Oversold => "oversold",
        }
    }

    /// Confirmed, whether or not the ERP counts it.
    pub(crate) fn is_confirmed(self) -> bool {
        matches!(self, Self::Committed | Self::InErp | Self::Fulfilled)
    }
}

/// Where a portion's units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    Hand(LocationId),
    Supply(SupplyId),
    /// Sold by the oversell policy beyond any node, not yet bound.
    Unsourced,
}

/// What the ERP has said of a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Evidence {
    pub(crate) ack: Option<(SourceId, AsOf)>,
    pub(crate) shipped: Option<(SourceId, AsOf)>,
}

/// Units of one base SKU from one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) sku: SkuId,
    pub(crate) line: u16,
    /// Told over HTTP to have left; deducted all the same until the ERP covers it.
    pub(crate) fulfilled: bool,
    /// Counted inside its cell's level, so not deducted here.
    pub(crate) inside: bool,
    pub(crate) node: Node,
    pub(crate) quantity: i64,
    /// How many of them took the channel's own allocation, and in which period of it.
    pub(crate) own: i64,
    pub(crate) own_period: u32,
    /// The cap's period that they count in; 0: there was no cap.
    pub(crate) cap_period: u32,
    pub(crate) evidence: Option<Box<Evidence>>,
}

impl Portion {
    pub(crate) fn evidence(&self) -> Evidence {
        self.evidence.as_deref().copied().unwrap_or_default()
    }

    pub(crate) fn evidence_mut(&mut self) -> &mut Evidence {
        self.evidence.get_or_insert_with(Box::default)
    }

    pub(crate) fn is_shipped(&self) -> bool {
        self.evidence.as_ref().is_some_and(|e| e.shipped.is_some())
    }

    /// Takes `quantity` units out: those that took the own allocation go first when `own_first`, else last.
    pub(crate) fn split(&mut self, quantity: i64, own_first: bool) -> Portion {
        debug_assert!(
            quantity > 0 && quantity < self.quantity,
            "Invariant: a split leaves both sides something"
        );
        let own = if own_first {
            self.own.min(quantity)
        } else {
            (self.own - (self.quantity - quantity)).max(0)
        };
        let taken = Portion {
            quantity,
            own,
            ..self.clone()
        };
        self.quantity -= quantity;
        self.own -= own;
        taken
    }
}

/// A line as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: SkuId,
    /// Held, in base units (kits in kits).
    pub(crate) quantity: i64,
    pub(crate) asked: Option<i64>,
    pub(crate) location: Option<LocationId>,
    /// A kit's own cap: its period, 0 where there is none.
    pub(crate) cap_period: u32,
}

#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) id: Box<str>,
    /// Order of first PUT.
    pub(crate) serial: u64,
    pub(crate) state: ReservationState,
    pub(crate) channel: ChannelId,
    pub(crate) region: Option<RegionId>,
    pub(crate) owner: Option<Owner>,
    pub(crate) order_ref: Option<Box<str>>,
    pub(crate) superseded_by: Option<Box<str>>,
    /// On the lead clock.
    pub(crate) expires_at_ms: i64,
    /// On the lead clock; 0 while it is open.
    pub(crate) closed_at_ms: i64,
    pub(crate) renewals: u32,
    pub(crate) revision: Option<i64>,
    /// Hash of the body that made it what it is.
    pub(crate) body: u64,
    pub(crate) version: u32,
    /// LOG sequence of the last change.
    pub(crate) sequence: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) portions: Vec<Portion>,
    pub(crate) dirty: bool,
}

impl Reservation {
    pub(crate) fn age(&self, slot: Slot) -> crate::policies::Oversold {
        crate::policies::Oversold {
            serial: self.serial,
            slot,
        }
    }
}

/// What was said of an order before a reservation brought its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct EarlyWord {
    pub(crate) raw: Vec<Box<str>>,
}

/// All reservations.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    slots: Vec<Option<Box<Reservation>>>,
    free: Vec<Slot>,
    /// Each with its id's tag.
    by_id: HashTable<(u32, Slot)>,
    hasher: DefaultHashBuilder,
    /// Held ones by (due on the lead clock, serial).
    pub(crate) due: BTreeSet<(i64, u64, Slot)>,
    /// Held ones of an owner, in order of first PUT.
    pub(crate) of_owner: HashMap<Owner, ByAge>,
    /// Confirmed ones of an order, in order of first PUT.
    pub(crate) of_order: HashMap<Box<str>, ByAge>,
    /// Confirmed ones with units at a cell that a level may still take in or leave out.
    pub(crate) at_cell: HashMap<(SkuId, LocationId), Vec<Slot>>,
    /// Acknowledgements and updates that came before their order, as they stand in LOG; bounded.
    pub(crate) early: HashMap<Box<str>, EarlyWord>,
    pub(crate) early_order: VecDeque<Box<str>>,
    /// Closed ones in order of closing: (closed at, serial, slot).
    pub(crate) closed: VecDeque<(i64, u64, Slot)>,
    pub(crate) next_serial: u64,
    /// Units of all portions that are deducted here, kept as they change.
    pub(crate) units_open: i64,
    pub(crate) count_by_state: [u64; 8],
}

impl Reservations {
    pub(crate) fn find(&self, id: &str) -> Option<Slot> {
        let tag = tag(&self.hasher, id.as_bytes());
        let found = self
            .by_id
            .find(spread(tag), |&(t, slot)| t == tag && &*self.get(slot).id == id);
        found.map(|&(_, slot)| slot)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Reservation {
        self.slots[slot.at()]
            .as_ref()
            .expect("a slot that is referred to is taken")
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Reservation {
        self.slots[slot.at()]
            .as_mut()
            .expect("a slot that is referred to is taken")
    }

    pub(crate) fn get_if_taken(&mut self, slot: Slot) -> Option<&mut Reservation> {
        self.slots[slot.at()].as_deref_mut()
    }

    pub(crate) fn add(&mut self, reservation: Reservation) -> Slot {
        let tag = tag(&self.hasher, reservation.id.as_bytes());
        self.count_by_state[reservation.state as usize] += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(self.slots.len() as u32 - 1)
        });
        self.slots[slot.at()] = Some(Box::new(reservation));
        self.by_id.insert_unique(spread(tag), (tag, slot), |&(t, _)| spread(t));
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Reservation {
        let gone = self.slots[slot.at()]
            .take()
            .expect("a slot that is referred to is taken");
        let tag = tag(&self.hasher, gone.id.as_bytes());
        if let Ok(entry) = self.by_id.find_entry(spread(tag), |&(_, s)| s == slot) {
            entry.remove();
        }
        self.count_by_state[gone.state as usize] -= 1;
        self.free.push(slot);
        *gone
    }

    pub(crate) fn set_state(&mut self, slot: Slot, state: ReservationState) {
        let old = self.get(slot).state;
        self.count_by_state[old as usize] -= 1;
        self.count_by_state[state as usize] += 1;
        self.get_mut(slot).state = state;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Reservation)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(n, r)| r.as_deref().map(|r| (Slot(n as u32), r)))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

/// Adds a slot to an index entry that is kept in order of first PUT.
pub(crate) fn insert_by_age(list: &mut ByAge, slot: Slot, serial_of: impl Fn(Slot) -> u64) {
    if list.contains(&slot) {
        return;
    }
    let serial = serial_of(slot);
    let at = list.partition_point(|&s| serial_of(s) < serial);
    list.insert(at, slot);
}
