//! Tables of stock: cells, the parts of what is unsellable, movements on top of levels.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::rises::{CellRises, Lowered, Rise};
use crate::state::stock::{CELLS_MAX, Cell, Movement, flag};
use crate::wire::facts::Unsellable;

/// The flags of a cell that are stored; above them one bit for each term that is not 0.
const FLAGS: u16 = 15;
const TERMS: u32 = 4;
/// The bit of a cell whose next level counts, whatever its `as_of`. Since format 2.
const RESET: u16 = 1 << (TERMS + 6);

type Key = (SkuId, LocationId);

fn put_key(out: &mut Out<'_, '_>, (sku, location): Key) {
    out.uint(sku.0).uint(location.0);
}

/// The key of an entry: each greater than the one before, so that none stands twice.
pub(super) fn get_key(state: &State, input: &mut In<'_, '_>, last: &mut Option<Key>) -> Result<Key, SnapshotError> {
    let sku = SkuId(input.place(state.catalogue.skus.len())? as u32);
    let location = LocationId(input.place(state.catalogue.locations.len())? as u16);
    if last.is_some_and(|last| last >= (sku, location)) {
        return Err(input.damaged("its entries are out of order"));
    }
    *last = Some((sku, location));
    Ok((sku, location))
}

pub(super) mod cells {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        let skus = (0..state.catalogue.skus.len() as u32).map(SkuId);
        skus.map(|sku| state.cells(sku).len() as u64).sum()
    }

    /// What of a cell stands in the entry as a separate term, in the order of their bits.
    fn terms(cell: &Cell) -> [i64; 6] {
        [
            cell.unsellable,
            cell.held,
            cell.committed,
            cell.allocated,
            cell.demand,
            cell.safety,
        ]
    }

    /// For each SKU in order how many cells it has, and those in the order in which they came to it.
    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        let mut last = [0i64; 3];
        for sku in (0..state.catalogue.skus.len() as u32).map(SkuId) {
            let cells = state.cells(sku);
            out.size(cells.len());
            for cell in cells {
                put(cell, &mut last, out);
            }
            out.end_entry();
        }
    }

    fn put(cell: &Cell, last: &mut [i64; 3], out: &mut Out<'_, '_>) {
        let mut bits = u16::from(cell.flags) & FLAGS;
        for (n, term) in terms(cell).into_iter().enumerate() {
            bits |= u16::from(term != 0) << (TERMS + n as u32);
        }
        if cell.is_reset() {
            bits |= RESET;
        }
        out.uint(cell.location.0).uint(bits).int(cell.on_hand);
        let sequences = [cell.stock_sequence as i64, cell.owed_sequence as i64];
        for (now, before) in sequences.into_iter().zip(last.iter_mut()) {
            out.int(now.wrapping_sub(*before));
            *before = now;
        }
        if cell.flags & flag::LEVEL != 0 {
            let as_of = cell.raw_as_of();
            out.uint(cell.source.0).int(as_of.wrapping_sub(last[2]));
            last[2] = as_of;
        }
        for term in terms(cell).into_iter().filter(|&term| term != 0) {
            out.int(term);
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let mut last = [0i64; 3];
        let (places, sources) = (state.catalogue.locations.len(), state.catalogue.source_names.len());
        let (mut cells, mut total) = (Vec::new(), 0);
        for n in 0..state.catalogue.skus.len() {
            let of_sku = input.place(CELLS_MAX.min(places) + 1)?;
            cells.clear();
            for _ in 0..of_sku {
                let cell = get(places, sources, &mut last, input)?;
                if cells.iter().any(|c: &Cell| c.location == cell.location) {
                    return Err(input.damaged("a cell stands twice"));
                }
                cells.push(cell);
            }
            total += of_sku as u64;
            state.catalogue.skus[n].cells = state.stock.restored_block(&cells);
        }
        if total != count {
            return Err(input.damaged("there are not as many cells as the header says"));
        }
        Ok(())
    }

    fn get(places: usize, sources: usize, last: &mut [i64; 3], input: &mut In<'_, '_>) -> Result<Cell, SnapshotError> {
        let location = LocationId(input.place(places)? as u16);
        let bits: u16 = input.narrow()?;
        if bits >> (TERMS + 7) != 0 {
            return Err(input.damaged("a cell has flags that this format does not know"));
        }
        let on_hand = input.quantity()?;
        for before in &mut last[..2] {
            *before = before.wrapping_add(input.int()?);
        }
        let level = if bits & u16::from(flag::LEVEL) != 0 {
            let source = SourceId(input.place(sources)? as u16);
            last[2] = last[2].wrapping_add(input.int()?);
            Some((source, last[2]))
        } else {
            None
        };
        let mut cell = Cell::restored(location, (bits & FLAGS) as u8, level);
        cell.on_hand = on_hand;
        if bits & RESET != 0 {
            cell.forget_watermark();
        }
        (cell.stock_sequence, cell.owed_sequence) = (last[0] as u64, last[1] as u64);
        let Cell {
            unsellable,
            held,
            committed,
            allocated,
            demand,
            safety,
            ..
        } = &mut cell;
        let terms = [unsellable, held, committed, allocated, demand, safety];
        for (n, term) in terms.into_iter().enumerate() {
            if bits & (1 << (TERMS + n as u32)) != 0 {
                *term = input.quantity()?;
            }
        }
        Ok(cell)
    }
}

pub(super) mod conditions {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.stock.conditions.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        let mut keys: Vec<Key> = state.stock.conditions.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let Unsellable {
                quality_control,
                damaged,
                quarantined,
                in_transfer,
            } = state.stock.conditions[&key];
            put_key(out, key);
            out.int(quality_control).int(damaged).int(quarantined).int(in_transfer);
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let mut last = None;
        for _ in 0..count {
            let key = get_key(state, input, &mut last)?;
            let parts = Unsellable {
                quality_control: input.quantity()?,
                damaged: input.quantity()?,
                quarantined: input.quantity()?,
                in_transfer: input.quantity()?,
            };
            state.stock.conditions.restoring().insert(key, parts);
        }
        Ok(())
    }
}

pub(super) mod movements {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.stock.movements.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        let mut keys: Vec<Key> = state.stock.movements.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let list = &state.stock.movements[&key];
            put_key(out, key);
            out.size(list.len());
            for movement in list {
                let Movement {
                    on_hand,
                    unsellable,
                    source,
                    as_of,
                } = *movement;
                out.int(on_hand).int(unsellable).uint(source.0).stamp(as_of).end_entry();
            }
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let mut last = None;
        for _ in 0..count {
            let key = get_key(state, input, &mut last)?;
            let sources = state.catalogue.source_names.len();
            let of_cell = input.list(|i| {
                Ok(Movement {
                    on_hand: i.quantity()?,
                    unsellable: i.quantity()?,
                    source: SourceId(i.place(sources)? as u16),
                    as_of: i.stamp()?,
                })
            })?;
            state.stock.movements.restoring().insert(key, of_cell);
        }
        Ok(())
    }
}

/// What levels rose by, in the order in which the cells came to it. Since format 2.
pub(super) mod rises {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.stock.rises.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (key, of_cell) in state.stock.rises.iter() {
            put_key(out, key);
            out.int(of_cell.brought).size(of_cell.rises.len());
            for rise in &of_cell.rises {
                out.optional_stamp(rise.after).stamp(rise.upto).int(rise.units);
            }
            out.size(of_cell.lowered.len());
            for lowered in &of_cell.lowered {
                out.optional_stamp(lowered.as_of).int(lowered.units);
            }
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        for _ in 0..count {
            let sku = SkuId(input.place(state.catalogue.skus.len())? as u32);
            let location = LocationId(input.place(state.catalogue.locations.len())? as u16);
            let of_cell = CellRises {
                brought: input.quantity()?,
                rises: input.list(|i| {
                    Ok(Rise {
                        after: i.optional(In::stamp)?,
                        upto: i.stamp()?,
                        units: i.quantity()?,
                    })
                })?,
                lowered: input.list(|i| {
                    Ok(Lowered {
                        as_of: i.optional(In::stamp)?,
                        units: i.quantity()?,
                    })
                })?,
            };
            if of_cell.is_empty() || state.stock.rises.restoring().set((sku, location), of_cell).is_some() {
                return Err(input.damaged("a cell's rises stand twice, or are none"));
            }
        }
        Ok(())
    }
}

/// Who owned the levels of a location and handed them over. Since format 2.
pub(super) mod former_owners {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.former_owners.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (location, source) in state.former_owners.iter() {
            out.uint(location.0).uint(source.0).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        for _ in 0..count {
            let location = LocationId(input.place(state.catalogue.locations.len())? as u16);
            let source = SourceId(input.place(state.catalogue.source_names.len())? as u16);
            if !state.former_owners.restoring().insert((location, source)) {
                return Err(input.damaged("a former owner stands twice"));
            }
        }
        Ok(())
    }
}
