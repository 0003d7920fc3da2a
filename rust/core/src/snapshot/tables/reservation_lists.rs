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

    pub(crate) fn count(state: &State) -> u64 {
        state.reservations.closed.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (_, &slot) in state.reservations.closed.iter() {
            let reservation = state.reservations.get(slot);
            out.int(reservation.closed_at_ms)
                .uint(reservation.serial)
                .uint(slot.0)
                .end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let slots = state.reservations.slots_total();
        for _ in 0..count {
            let (closed_at_ms, serial, slot) = (input.int()?, input.uint()?, Slot(input.place(slots)? as u32));
            let there = state.reservations.get_taken(slot);
            if there.is_some_and(|r| (r.closed_at_ms, r.serial) == (closed_at_ms, serial)) {
                state.reservations.enter_closed(slot);
            }
        }
        Ok(())
    }
}
