//! Fetching reservations, and the places of the tables that find them, before they are asked for one by one.
//!
//! In: the ids, owners and orders that the next commands name. Out: the slots that they most likely have, and a number that
//! keeps the reading from being left out. Always: changes nothing; a mistake costs time only.

use smallvec::SmallVec;

use super::{Owner, Reservations};
use crate::state::ids::{Slot, tag};

/// Room for what a group of texts usually names.
type Few<T> = SmallVec<[T; 64]>;

/// What the next commands or facts name.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) ids: Few<&'a str>,
    pub(crate) owners: Few<Owner>,
    pub(crate) orders: Few<&'a str>,
}

impl Reservations {
    /// Each loop waits for one kind of miss.
    pub(crate) fn look_ahead(&self, wanted: &Wanted<'_>) -> (Few<Slot>, i64) {
        let tag = |name: &[u8]| tag(&self.hasher, name);
        let ids: Few<u32> = wanted.ids.iter().map(|id| tag(id.as_bytes())).collect();
        let orders: Few<u32> = wanted.orders.iter().map(|order| tag(order.as_bytes())).collect();
        let mut owners: Few<u32> = wanted.owners.iter().map(|owner| tag(&owner.bytes())).collect();
        let slots: Few<Slot> = ids.iter().filter_map(|&tag| self.by_id.find(tag, |_| true)).collect();
        let held = slots.iter().filter_map(|&slot| self.room.get(slot)?.owner);
        owners.extend(held.map(|owner| tag(&owner.bytes())));
        let mut touched = 0;
        for (table, tags) in [(&self.by_owner, &owners), (&self.by_order, &orders)] {
            for &tag in tags {
                touched ^= table.find(tag, |_| true).map_or(0, |slot| i64::from(slot.0));
            }
        }
        for reservation in slots.iter().filter_map(|&slot| self.room.get(slot)) {
            touched ^= reservation.portions.iter().map(|p| p.quantity).sum::<i64>() ^ i64::from(reservation.version);
        }
        (slots, touched)
    }
}
