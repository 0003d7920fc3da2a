//! Reservations: who holds or bought what, and from which nodes.
//!
//! In: placements that `sourcing` worked out. Out: records by id, and the indexes that find them by owner, order and due time.
//! Always: `open_units` is the sum over all portions that take stock, kept beside them so that the cells can be checked.

use std::collections::BTreeSet;

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId, Slot, tag};
use crate::state::looked;
use crate::state::read_only::ReadOnly;
use crate::state::shares::{Forget, Place, Shares, Whose};

mod at_cell;
mod evidence;
mod lines;
mod owner;
mod prefetch;
mod room;

pub(crate) use at_cell::AtCell;
#[cfg(test)]
pub(crate) use at_cell::set_short;
pub(crate) use evidence::{Evidence, Left, Places, Reports, Statement};
pub(crate) use lines::{Dropped, Line, Portion, Recipe, StockNode};
pub(crate) use owner::Owner;
pub(crate) use prefetch::Wanted;
use room::{Room, Tagged};

/// Reservations of one owner or order, in order of first PUT: mostly one or two.
pub(crate) type ByAge = SmallVec<[Slot; 2]>;
/// Orders by the cell where they have units.
pub(crate) type AtCells = HashMap<(SkuId, LocationId), AtCell>;
/// A reservation's lines and portions: mostly one or two, and then in one piece with it.
pub(crate) type Lines = SmallVec<[Line; 2]>;
pub(crate) type Portions = SmallVec<[Portion; 2]>;

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
    pub(crate) lines: Lines,
    pub(crate) portions: Portions,
    /// Of the lines that need one.
    #[allow(
        clippy::box_collection,
        reason = "most reservations have none, and a box is a third of a list"
    )]
    pub(crate) recipes: Option<Box<Vec<Recipe>>>,
    /// What documents took off its open units.
    #[allow(clippy::box_collection, reason = "as above")]
    pub(crate) dropped: Option<Box<Vec<Dropped>>>,
    /// Base units that came back, by SKU.
    #[allow(clippy::box_collection, reason = "as above")]
    pub(crate) returned: Option<Box<Vec<(SkuId, i64)>>>,
    /// It was no order when it was cancelled: it may be confirmed late.
    pub(crate) cancelled_while_held: bool,
    /// Held by the second edition of the rules: a line without a recipe is a plain item, whatever was declared since.
    pub(crate) keeps_recipes: bool,
    pub(crate) dirty: bool,
    /// The statement that changed it last, by this process's count.
    pub(crate) changed_in: u32,
}

impl Reservation {
    /// How a line was sold, if that is more than base units of a plain item.
    pub(crate) fn recipe(&self, line: usize) -> Option<&Recipe> {
        self.recipes
            .as_ref()?
            .iter()
            .find(|recipe| usize::from(recipe.line) == line)
    }

    pub(crate) fn age(&self, slot: Slot) -> crate::state::policies::AgeKey {
        crate::state::policies::AgeKey {
            serial: self.serial,
            slot,
        }
    }
}

/// Facts about an order that came before a reservation named it.
#[derive(Debug, Clone)]
pub(crate) struct PendingOrderFacts {
    pub(crate) place: Place,
    pub(crate) raw: Vec<Box<str>>,
}

/// Where a closed reservation is in the order of forgetting: its channel's, by when it was closed.
fn closed_place(reservation: &Reservation) -> Place<(i64, u64)> {
    Place {
        whose: Whose::from(reservation.channel.0),
        age: (reservation.closed_at_ms, reservation.serial),
    }
}

/// All reservations.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    room: Room,
    by_id: Tagged,
    /// Held ones by their owner.
    by_owner: Tagged,
    /// Confirmed ones by their order.
    by_order: Tagged,
    hasher: DefaultHashBuilder,
    /// Held ones by (due on the lead clock, serial).
    pub(crate) due: BTreeSet<(i64, u64, Slot)>,
    /// Confirmed ones with units at a cell that a level may still take in or leave out.
    pub(crate) at_cell: AtCells,
    /// Acknowledgements and updates that came before their order, as LOG has them; bounded.
    pub(crate) pending_order_facts: ReadOnly<HashMap<Box<str>, PendingOrderFacts>>,
    pub(crate) pending_orders: Shares<Box<str>>,
    /// Closed ones by (closed at on the lead clock, serial); each is its channel's.
    pub(crate) closed: Shares<Slot, (i64, u64)>,
    pub(crate) next_serial: u64,
    /// Units of all portions that are deducted here, kept as they change.
    pub(crate) units_open: i64,
    pub(crate) count_by_state: [u64; 8],
}

impl Reservations {
    pub(crate) fn find(&self, id: &str) -> Option<Slot> {
        let tag = tag(&self.hasher, id.as_bytes());
        self.by_id.find(tag, |slot| &*self.get(slot).id == id)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Reservation {
        looked::at(1);
        self.room.get(slot).expect("a slot that is referred to is taken")
    }

    #[inline]
    pub(in crate::state) fn get_mut(&mut self, slot: Slot) -> &mut Reservation {
        self.room.get_mut(slot).expect("a slot that is referred to is taken")
    }

    /// A reservation beside the lists of orders by cell.
    #[inline]
    pub(in crate::state) fn with_cells(&mut self, slot: Slot) -> (&mut Reservation, &mut AtCells) {
        let reservation = self.room.get_mut(slot).expect("a slot that is referred to is taken");
        (reservation, &mut self.at_cell)
    }

    pub(crate) fn get_taken(&self, slot: Slot) -> Option<&Reservation> {
        self.room.get(slot)
    }

    pub(in crate::state) fn get_mut_if_taken(&mut self, slot: Slot) -> Option<&mut Reservation> {
        self.room.get_mut(slot)
    }

    pub(in crate::state) fn add(&mut self, reservation: Reservation) -> Slot {
        let tag = tag(&self.hasher, reservation.id.as_bytes());
        self.count_by_state[reservation.state as usize] += 1;
        let slot = self.room.add(reservation);
        self.by_id.enter(tag, slot);
        slot
    }

    /// Lists a closed reservation with those to be forgotten.
    pub(crate) fn enter_closed(&mut self, slot: Slot) {
        let place = closed_place(self.get(slot));
        self.closed.enter(place, slot, 1);
    }

    /// Takes one off that list, which is open again or is forgotten.
    pub(crate) fn leave_closed(&mut self, slot: Slot) {
        let place = closed_place(self.get(slot));
        self.closed.take(place, 1);
    }

    pub(in crate::state) fn remove(&mut self, slot: Slot) -> Reservation {
        let gone = self.room.remove(slot).expect("a slot that is referred to is taken");
        self.by_id.leave(tag(&self.hasher, gone.id.as_bytes()), slot);
        self.count_by_state[gone.state as usize] -= 1;
        gone
    }

    /// Holds of an owner, in order of first PUT.
    pub(crate) fn of_owner(&self, owner: Owner) -> ByAge {
        let tag = tag(&self.hasher, &owner.bytes());
        self.by_age(
            self.by_owner
                .all(tag)
                .filter(|&slot| self.get(slot).owner == Some(owner)),
        )
    }

    /// Holds of an owner, in no order: what is done with them must not depend on one.
    pub(crate) fn each_of_owner(&self, owner: Owner) -> impl Iterator<Item = &Reservation> {
        let found = self.by_owner.all(tag(&self.hasher, &owner.bytes()));
        found.map(|slot| self.get(slot)).filter(move |r| r.owner == Some(owner))
    }

    /// The holds of an owner on a channel, in order of first PUT.
    pub(crate) fn holds_of(&self, owner: Option<Owner>, channel: Option<ChannelId>) -> ByAge {
        let mut all = owner.map(|owner| self.of_owner(owner)).unwrap_or_default();
        all.retain(|&mut slot| Some(self.get(slot).channel) == channel);
        all
    }

    /// Lists a hold with the owner that it has now.
    pub(crate) fn enter_owner(&mut self, slot: Slot) {
        if let Some(owner) = self.get(slot).owner {
            self.by_owner.enter(tag(&self.hasher, &owner.bytes()), slot);
        }
    }

    pub(crate) fn leave_owner(&mut self, slot: Slot, owner: Option<Owner>) {
        if let Some(owner) = owner {
            self.by_owner.leave(tag(&self.hasher, &owner.bytes()), slot);
        }
    }

    /// Confirmed ones of an order, in order of first PUT.
    pub(crate) fn of_order(&self, order_ref: &str) -> ByAge {
        let tag = tag(&self.hasher, order_ref.as_bytes());
        let named = |&slot: &Slot| self.get(slot).order_ref.as_deref() == Some(order_ref);
        self.by_age(self.by_order.all(tag).filter(named))
    }

    /// Gives a reservation its order's name and lists it there.
    pub(in crate::state) fn name_order(&mut self, slot: Slot, order_ref: &str) {
        self.leave_order(slot);
        self.get_mut(slot).order_ref = Some(order_ref.into());
        self.by_order.enter(tag(&self.hasher, order_ref.as_bytes()), slot);
    }

    pub(crate) fn leave_order(&mut self, slot: Slot) {
        if let Some(order) = self.room.get(slot).and_then(|r| r.order_ref.as_deref()) {
            self.by_order.leave(tag(&self.hasher, order.as_bytes()), slot);
        }
    }

    /// Stores a fact about an order that is not known; whether it is the first one about that order.
    pub(in crate::state) fn keep_pending(&mut self, whose: Whose, order_ref: &str, raw: String) {
        let orders = &mut self.pending_orders;
        let pending = self.pending_order_facts.as_mut().entry(order_ref.into());
        let kept = pending.or_insert_with(|| PendingOrderFacts {
            place: orders.push(whose, order_ref.into(), 1),
            raw: Vec::new(),
        });
        kept.raw.push(raw.into());
    }

    /// The order whose pending facts are to be forgotten, if there are more than `most`.
    pub(in crate::state) fn pending_beyond(&mut self, most: usize, which: Forget) -> Option<Box<str>> {
        let is_over = self.pending_orders.len() > most.max(1);
        is_over.then(|| self.pending_orders.next(which).cloned())?
    }

    pub(in crate::state) fn take_pending(&mut self, order_ref: &str) -> Vec<Box<str>> {
        let Some(kept) = self.pending_order_facts.as_mut().remove(order_ref) else {
            return Vec::new();
        };
        self.pending_orders.take(kept.place, 1);
        kept.raw
    }

    fn by_age(&self, slots: impl Iterator<Item = Slot>) -> ByAge {
        let mut list: ByAge = slots.collect();
        if list.len() > 1 {
            list.sort_unstable_by_key(|&slot| self.get(slot).serial);
        }
        list
    }

    pub(in crate::state) fn set_state(&mut self, slot: Slot, state: ReservationState) {
        let old = self.get(slot).state;
        self.count_by_state[old as usize] -= 1;
        self.count_by_state[state as usize] += 1;
        self.get_mut(slot).state = state;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Reservation)> {
        self.room.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.room.len()
    }

    /// Slots given so far, free ones included.
    pub(crate) fn slots_total(&self) -> usize {
        self.room.slots_total()
    }

    /// The last of them is used next.
    pub(crate) fn free_slots(&self) -> &[Slot] {
        self.room.free_slots()
    }

    pub(crate) fn restore_free(&mut self, slot: Slot) {
        self.room.restore_free(slot);
    }

    /// Puts back what the next slot holds; free slots are named by [`Reservations::restore_free`].
    pub(crate) fn restore(&mut self, reservation: Option<Reservation>) {
        let slot = Slot(self.room.slots_total() as u32);
        if let Some(reservation) = &reservation {
            self.count_by_state[reservation.state as usize] += 1;
            self.by_id.enter(tag(&self.hasher, reservation.id.as_bytes()), slot);
        }
        self.room.restore(reservation);
    }

    /// Lists a reservation that was put back with the order that it names.
    pub(crate) fn restore_order(&mut self, slot: Slot) {
        if let Some(order) = self.room.get(slot).and_then(|r| r.order_ref.as_deref()) {
            self.by_order.enter(tag(&self.hasher, order.as_bytes()), slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_small() {
        assert!(size_of::<Reservation>() <= 360, "{}", size_of::<Reservation>());
    }
}
