//! Tables of two orders of reservations that nothing else gives: what a cell's next level looks at, what is forgotten next.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use super::stock::get_key;
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot};

/// For each cell the confirmed reservations that its next level looks at, in that order.
pub(super) mod at_cell {
    use super::*;

    fn keys(state: &State) -> Vec<(SkuId, LocationId)> {
        let lists = state.reservations.at_cell.iter();
        let mut keys: Vec<_> = lists
            .filter(|(_, list)| !list.is_empty())
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) fn count(state: &State) -> u64 {
        keys(state).len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for key in keys(state) {
            let list = &state.reservations.at_cell[&key];
            out.uint(key.0.0).uint(key.1.0).size(list.len());
            for slot in list.iter() {
                out.uint(slot.0).end_entry();
            }
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let mut last = None;
        for _ in 0..count {
            let key = get_key(state, input, &mut last)?;
            let slots = state.reservations.slots_total();
            let of_cell: Vec<Slot> = input.list_into(|i| Ok(Slot(i.place(slots)? as u32)))?;
            state.reservations.at_cell.insert(key, of_cell.into_iter().collect());
        }
        Ok(())
    }
}

/// What is closed, in the order of closing: that is the order of forgetting.
pub(super) mod closed {
    use super::*;

    /// A reservation that was confirmed late, or closed again, leaves entries behind that forget nothing. A leader may have
    /// passed over them already, in a group that came to no batch: they are no part of the state.
    fn live(state: &State) -> impl Iterator<Item = (i64, u64, Slot)> {
        let mut seen = vec![false; state.reservations.slots_total()];
        state
            .reservations
            .closed
            .iter()
            .copied()
            .filter(move |&(closed_at_ms, serial, slot)| {
                let there = state.reservations.get_taken(slot);
                let forgets = there.is_some_and(|r| (r.closed_at_ms, r.serial) == (closed_at_ms, serial));
                forgets && !std::mem::replace(&mut seen[slot.at()], true)
            })
    }

    pub(crate) fn count(state: &State) -> u64 {
        live(state).count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (closed_at_ms, serial, slot) in live(state) {
            out.int(closed_at_ms).uint(serial).uint(slot.0).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let slots = state.reservations.slots_total();
        for _ in 0..count {
            let entry = (input.int()?, input.uint()?, Slot(input.place(slots)? as u32));
            state.reservations.closed.push_back(entry);
        }
        Ok(())
    }
}
