//! Where reservations lie, and how a name finds them: flat memory, and tables of slots by the tag of a name.
//!
//! In: reservations, and the names that they carry themselves. Out: the same by slot, slots by tag.
//! Always: a table stores no name; the caller compares with the one that the reservation carries. A reservation
//! made after another lies beside it, so a group that is decided together is read together.

use hashbrown::HashTable;

use crate::state::ids::{Slot, spread};
use crate::state::reservations::Reservation;

/// Reservations in one piece of memory.
const CHUNK: usize = 128;

/// All reservations by slot; a slot is used again after its reservation is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Room {
    chunks: Vec<Box<[Option<Reservation>]>>,
    used: usize,
    free: Vec<Slot>,
}

impl Room {
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&Reservation> {
        self.chunks[slot.at() / CHUNK][slot.at() % CHUNK].as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Reservation> {
        self.chunks[slot.at() / CHUNK][slot.at() % CHUNK].as_mut()
    }

    pub(crate) fn add(&mut self, reservation: Reservation) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.used == self.chunks.len() * CHUNK {
                self.chunks.push(std::iter::repeat_with(|| None).take(CHUNK).collect());
            }
            self.used += 1;
            Slot(self.used as u32 - 1)
        });
        self.chunks[slot.at() / CHUNK][slot.at() % CHUNK] = Some(reservation);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Reservation> {
        let gone = self.chunks[slot.at() / CHUNK][slot.at() % CHUNK].take();
        self.free.extend(gone.is_some().then_some(slot));
        gone
    }

    pub(crate) fn len(&self) -> usize {
        self.used - self.free.len()
    }

    /// Slots given so far, free ones included.
    pub(crate) fn slots_total(&self) -> usize {
        self.used
    }

    /// The last of them is used next.
    pub(crate) fn free_slots(&self) -> &[Slot] {
        &self.free
    }

    pub(crate) fn restore_free(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// Puts back what the next slot holds.
    pub(crate) fn restore(&mut self, reservation: Option<Reservation>) {
        let at = self.used;
        if at == self.chunks.len() * CHUNK {
            self.chunks.push(std::iter::repeat_with(|| None).take(CHUNK).collect());
        }
        self.used += 1;
        self.chunks[at / CHUNK][at % CHUNK] = reservation;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Reservation)> {
        let places = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let numbered = places.enumerate().map(|(n, place)| (Slot(n as u32), place));
        numbered.filter_map(|(slot, place)| place.as_ref().map(|reservation| (slot, reservation)))
    }
}

/// Slots by the tag of a name; one name may have several.
#[derive(Debug, Default)]
pub(crate) struct Tagged(HashTable<(u32, Slot)>);

impl Tagged {
    /// The slot that has this tag and is `meant`.
    #[inline]
    pub(crate) fn find(&self, tag: u32, meant: impl Fn(Slot) -> bool) -> Option<Slot> {
        let found = self.0.find(spread(tag), |&(t, slot)| t == tag && meant(slot));
        found.map(|&(_, slot)| slot)
    }

    /// All slots of this tag, in no order.
    pub(crate) fn all(&self, tag: u32) -> impl Iterator<Item = Slot> {
        let alike = self.0.iter_hash(spread(tag));
        alike.filter(move |&&(t, _)| t == tag).map(|&(_, slot)| slot)
    }

    pub(crate) fn enter(&mut self, tag: u32, slot: Slot) {
        self.0.insert_unique(spread(tag), (tag, slot), |&(t, _)| spread(t));
    }

    pub(crate) fn leave(&mut self, tag: u32, slot: Slot) {
        if let Ok(entry) = self.0.find_entry(spread(tag), |&entry| entry == (tag, slot)) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_finds_each_slot_that_entered_and_none_that_left() {
        let mut table = Tagged::default();
        for n in 0..1_000 {
            table.enter(n % 10, Slot(n));
        }
        for n in 0..500 {
            table.leave(n % 10, Slot(n));
        }
        let mut sevens: Vec<u32> = table.all(7).map(|slot| slot.0).collect();
        sevens.sort_unstable();
        assert_eq!(sevens, (507..1_000).step_by(10).collect::<Vec<u32>>());
        assert_eq!(table.find(7, |slot| slot.0 > 990), Some(Slot(997)));
        assert_eq!(table.find(7, |slot| slot.0 < 500), None);
    }
}
