//! Cells: the stock of one SKU at one location, in flat memory.
//!
//! In: numbers that the rules worked out. Out: the terms of `at hand` (docs/rules.md, section 1).
//! Always: a SKU's cells lie side by side; a cell holds sums only, the reasons for them are stored elsewhere.

use hashbrown::HashMap;

use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::read_only::ReadOnly;
use crate::state::rises::Rises;
use crate::wire::facts::{AsOf, Basis, Unsellable};

/// Flags of a cell.
pub(crate) mod flag {
    pub(crate) const LEVEL: u8 = 1;
    pub(crate) const TIME: u8 = 2;
    pub(crate) const NET: u8 = 4;
    pub(crate) const ALLOCATED_GIVEN: u8 = 8;
    /// Its hash has left the digest's sum and must enter again.
    pub(crate) const DIRTY: u8 = 16;
    /// The next level counts, whatever its `as_of`.
    pub(crate) const RESET: u8 = 32;
}

/// The stock of one SKU at one location, in base units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// The level's, plus movements that no level has absorbed.
    pub(crate) on_hand: i64,
    /// Quality control, damaged, quarantined and in transfer, plus movements into them.
    pub(crate) unsellable: i64,
    /// What the ERP reports to owe out of a gross level.
    pub(crate) allocated: i64,
    /// Open demand here that the level does not count.
    pub(crate) demand: i64,
    /// Confirmed here and not inside the level.
    pub(crate) committed: i64,
    /// Reserved with a TTL.
    pub(crate) held: i64,
    /// Safety stock by the rule in force.
    pub(crate) safety: i64,
    /// The level's `as_of`; its clock is in the flags.
    as_of: i64,
    /// LOG sequence of the fact that last changed what is here: level or movement.
    pub(crate) stock_sequence: u64,
    /// LOG sequence of the fact that last changed what is owed from here.
    pub(crate) owed_sequence: u64,
    pub(crate) location: LocationId,
    /// Who stated the level.
    pub(crate) source: SourceId,
    pub(crate) flags: u8,
}

impl Cell {
    fn new(location: LocationId) -> Self {
        Cell {
            on_hand: 0,
            unsellable: 0,
            allocated: 0,
            demand: 0,
            committed: 0,
            held: 0,
            safety: 0,
            as_of: 0,
            stock_sequence: 0,
            owed_sequence: 0,
            location,
            source: SourceId(0),
            flags: 0,
        }
    }

    /// A cell as it was stored: its terms follow. `level`: who stated it, and the `as_of` on the clock in the flags.
    pub(crate) fn restored(location: LocationId, flags: u8, level: Option<(SourceId, i64)>) -> Self {
        let (source, as_of) = level.unwrap_or((SourceId(0), 0));
        Cell {
            as_of,
            source,
            flags,
            ..Cell::new(location)
        }
    }

    /// What levels and movements state, to see whether a change is theirs.
    pub(crate) fn stated(&self) -> (i64, i64, i64, i64) {
        (self.on_hand, self.unsellable, self.allocated, self.as_of)
    }

    #[inline]
    pub(crate) fn owed(&self) -> i64 {
        self.allocated + self.demand + self.committed + self.held
    }

    /// Stock at hand: what is left here after what is unsellable, owed and kept back for safety.
    #[inline]
    pub(crate) fn at_hand(&self) -> i64 {
        self.at_hand_with(0)
    }

    /// The same as if so many held units were given back.
    #[inline]
    pub(crate) fn at_hand_with(&self, back: i64) -> i64 {
        (self.on_hand - self.unsellable - (self.owed() - back) - self.safety).max(0)
    }

    /// What supply must fill before it can be sold, as if so many held units were given back. Safety is no debt.
    #[inline]
    pub(crate) fn hole_with(&self, back: i64) -> i64 {
        (self.owed() - back - (self.on_hand - self.unsellable)).max(0)
    }

    pub(crate) fn level(&self) -> Option<LevelStamp> {
        (self.flags & flag::LEVEL != 0).then_some(LevelStamp {
            source: self.source,
            as_of: if self.flags & flag::TIME != 0 {
                AsOf::Time(self.as_of)
            } else {
                AsOf::Sequence(self.as_of)
            },
            basis: if self.flags & flag::NET != 0 {
                Basis::Net
            } else {
                Basis::Gross
            },
            allocated_given: self.flags & flag::ALLOCATED_GIVEN != 0,
        })
    }

    /// The next level counts, whatever its `as_of`.
    pub(crate) fn forget_watermark(&mut self) {
        if self.flags & flag::LEVEL != 0 {
            self.flags |= flag::RESET;
        }
    }

    /// Whether the next level counts, whatever its `as_of`.
    pub(crate) fn is_reset(&self) -> bool {
        self.flags & flag::RESET != 0
    }

    pub(crate) fn stamp(&mut self, stamp: LevelStamp) {
        let (time, raw) = match stamp.as_of {
            AsOf::Sequence(n) => (0, n),
            AsOf::Time(t) => (flag::TIME, t),
        };
        let net = if stamp.basis == Basis::Net { flag::NET } else { 0 };
        let given = if stamp.allocated_given {
            flag::ALLOCATED_GIVEN
        } else {
            0
        };
        self.as_of = raw;
        self.source = stamp.source;
        self.flags = (self.flags & flag::DIRTY) | flag::LEVEL | time | net | given;
    }

    /// As before any level: movements count on top of 0.
    pub(crate) fn unstamp(&mut self) {
        self.as_of = 0;
        self.source = SourceId(0);
        self.flags &= flag::DIRTY;
    }

    pub(crate) fn raw_as_of(&self) -> i64 {
        self.as_of
    }
}

/// Who stated a cell's level, when, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelStamp {
    pub(crate) source: SourceId,
    pub(crate) as_of: AsOf,
    pub(crate) basis: Basis,
    pub(crate) allocated_given: bool,
}

impl LevelStamp {
    /// Whether a statement of `source` as of `as_of` is before this level. Two sources compare only by time.
    pub(crate) fn covers(&self, source: SourceId, as_of: AsOf) -> bool {
        if as_of == AsOf::BEFORE {
            return self.source == source;
        }
        match (self.as_of, as_of) {
            (AsOf::Time(level), AsOf::Time(t)) => t <= level,
            (AsOf::Sequence(level), AsOf::Sequence(n)) => self.source == source && n <= level,
            _ => false,
        }
    }

    /// Whether the level leaves out, or gives, what the ERP owes for its open orders.
    pub(crate) fn counts_orders(&self) -> bool {
        self.basis == Basis::Net || self.allocated_given
    }
}

impl AsOf {
    /// Before whatever the levels of a source say from now on.
    pub(crate) const BEFORE: AsOf = AsOf::Sequence(i64::MIN);

    /// Whether it was at or before another moment; None where the two are on different kinds of clocks.
    pub(crate) fn is_by(self, other: AsOf) -> Option<bool> {
        match (self, other) {
            (AsOf::Sequence(a), AsOf::Sequence(b)) | (AsOf::Time(a), AsOf::Time(b)) => Some(a <= b),
            _ => None,
        }
    }
}

/// A change of stock between two levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) on_hand: i64,
    pub(crate) unsellable: i64,
    pub(crate) source: SourceId,
    pub(crate) as_of: AsOf,
}

/// Cells handed out in blocks, one block for each SKU.
const CHUNK: usize = 1 << 12;
/// The longest block, so that a block always fits one chunk.
pub(crate) const CELLS_MAX: usize = CHUNK;

/// Where a SKU's cells lie.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    start: u32,
    pub(crate) len: u16,
    capacity: u16,
}

/// All cells.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    chunks: Vec<Box<[Cell]>>,
    used_in_last: usize,
    free: HashMap<u16, Vec<u32>>,
    /// The four parts of a level's unsellable stock, where any is not 0.
    pub(crate) conditions: ReadOnly<HashMap<(SkuId, LocationId), Unsellable>>,
    /// Movements that no level has absorbed, in order of arrival.
    pub(crate) movements: ReadOnly<HashMap<(SkuId, LocationId), Vec<Movement>>>,
    /// What levels rose by that no movement explains.
    pub(crate) rises: ReadOnly<Rises>,
}

impl Stock {
    #[inline]
    pub(crate) fn cells(&self, block: Block) -> &[Cell] {
        if block.len == 0 {
            return &[];
        }
        let (chunk, at) = (block.start as usize / CHUNK, block.start as usize % CHUNK);
        &self.chunks[chunk][at..at + block.len as usize]
    }

    #[inline]
    pub(in crate::state) fn cells_mut(&mut self, block: Block) -> &mut [Cell] {
        if block.len == 0 {
            return &mut [];
        }
        let (chunk, at) = (block.start as usize / CHUNK, block.start as usize % CHUNK);
        &mut self.chunks[chunk][at..at + block.len as usize]
    }

    /// Adds a cell to a block, moving the block where it is full. `hint`: how many a first block should hold.
    pub(crate) fn add(&mut self, block: &mut Block, location: LocationId, hint: usize) -> usize {
        if block.len == block.capacity {
            let grown = if block.capacity == 0 {
                hint.clamp(1, 6)
            } else {
                block.capacity as usize + 1 + block.capacity as usize / 4
            };
            let new = Block {
                start: self.take(grown.min(CELLS_MAX) as u16),
                len: block.len,
                capacity: grown.min(CELLS_MAX) as u16,
            };
            for n in 0..block.len as usize {
                let cell = self.cells(*block)[n];
                self.cells_mut(new)[n] = cell;
            }
            if block.capacity > 0 {
                self.free.entry(block.capacity).or_default().push(block.start);
            }
            *block = new;
        }
        block.len += 1;
        let at = block.len as usize - 1;
        self.cells_mut(*block)[at] = Cell::new(location);
        at
    }

    /// A block of just these cells (at most `CELLS_MAX`).
    pub(crate) fn restored_block(&mut self, cells: &[Cell]) -> Block {
        let len = u16::try_from(cells.len()).expect("a SKU's cells fit one block");
        if len == 0 {
            return Block::default();
        }
        let start = self.take(len);
        let block = Block {
            start,
            len,
            capacity: len,
        };
        self.cells_mut(block).copy_from_slice(cells);
        block
    }

    fn take(&mut self, capacity: u16) -> u32 {
        if let Some(start) = self.free.get_mut(&capacity).and_then(Vec::pop) {
            return start;
        }
        if self.chunks.is_empty() || self.used_in_last + capacity as usize > CHUNK {
            self.chunks
                .push(vec![Cell::new(LocationId(0)); CHUNK].into_boxed_slice());
            self.used_in_last = 0;
        }
        let start = (self.chunks.len() - 1) * CHUNK + self.used_in_last;
        self.used_in_last += capacity as usize;
        u32::try_from(start).expect("fewer than 2^32 cells")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_sku_stay_together_as_they_grow() {
        let mut stock = Stock::default();
        let mut blocks = vec![Block::default(); 300];
        for location in 0..40u16 {
            for block in &mut blocks {
                let at = stock.add(block, LocationId(location), 5);
                stock.cells_mut(*block)[at].on_hand = i64::from(location);
            }
        }
        for block in blocks {
            let seen: Vec<i64> = stock.cells(block).iter().map(|c| c.on_hand).collect();
            assert_eq!(seen, (0..40).collect::<Vec<i64>>());
        }
    }

    #[test]
    fn a_cell_is_small() {
        assert!(size_of::<Cell>() <= 88);
    }
}
