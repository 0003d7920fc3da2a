//! What levels rose by and nothing explained, by cell; and what explains a rise that is still to come.
//!
//! In: rises and explanations that the rules worked out. Out: the same, by cell, in the order in which cells came to it.
//! Always: bounded; presumed receipts follow from these and from the supply lines (`erp::presumption`).

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::state::ids::{LocationId, SkuId};
use crate::wire::facts::AsOf;

/// Cells remembered at the most; those with open supply of the level's source are remembered beyond it.
pub(crate) const CELLS_MAX: usize = 65_536;
/// Rises of one cell; older ones are added together.
pub(crate) const RISES_MAX: usize = 16;

/// What one level rose by beyond what is known to have moved between the level before and it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rise {
    /// The `as_of` of the level before; None: there was none.
    pub(crate) after: Option<AsOf>,
    pub(crate) upto: AsOf,
    /// Below 0: it fell.
    pub(crate) units: i64,
}

/// Units that a supply line was lowered by before a level showed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lowered {
    pub(crate) as_of: Option<AsOf>,
    pub(crate) units: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CellRises {
    /// Oldest first.
    pub(crate) rises: Vec<Rise>,
    pub(crate) lowered: Vec<Lowered>,
    /// Units that movements brought since the newest level: they explain a line that is lowered later.
    pub(crate) brought: i64,
}

impl CellRises {
    pub(crate) fn is_empty(&self) -> bool {
        self.rises.is_empty() && self.lowered.is_empty() && self.brought == 0
    }
}

type Key = (SkuId, LocationId);

#[derive(Debug, Default)]
pub(crate) struct Rises {
    of_cell: HashMap<Key, (u64, CellRises)>,
    order: BTreeMap<u64, Key>,
    next: u64,
}

impl Rises {
    pub(crate) fn get(&self, key: Key) -> Option<&CellRises> {
        self.of_cell.get(&key).map(|(_, rises)| rises)
    }

    /// Puts what is known of a cell in the place of the old, which is returned; an empty one is forgotten.
    pub(crate) fn set(&mut self, key: Key, new: CellRises) -> Option<CellRises> {
        if new.is_empty() {
            let (number, old) = self.of_cell.remove(&key)?;
            self.order.remove(&number);
            return Some(old);
        }
        if let Some((_, held)) = self.of_cell.get_mut(&key) {
            return Some(std::mem::replace(held, new));
        }
        self.of_cell.insert(key, (self.next, new));
        self.order.insert(self.next, key);
        self.next += 1;
        None
    }

    /// The cell that came first, once there are more than may be remembered.
    pub(crate) fn first_too_many(&self) -> Option<Key> {
        (self.of_cell.len() > CELLS_MAX)
            .then(|| self.order.values().next().copied())
            .flatten()
    }

    /// Has a cell be the last to have come.
    pub(crate) fn move_to_end(&mut self, key: Key) {
        if let Some((number, _)) = self.of_cell.get_mut(&key) {
            self.order.remove(number);
            *number = self.next;
            self.order.insert(self.next, key);
            self.next += 1;
        }
    }

    /// In the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &CellRises)> {
        self.order.values().map(|key| (*key, &self.of_cell[key].1))
    }

    pub(crate) fn len(&self) -> usize {
        self.of_cell.len()
    }
}
