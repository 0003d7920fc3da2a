//! Cells, what stands behind their sums, and who states them: how they change. `changes` says what always holds.

use crate::state::digest::Entity;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::stock::{Cell, Movement};
use crate::state::{State, encodings};
use crate::wire::facts::Unsellable;

/// Cells, and what stands behind their sums.
impl State {
    /// Changes one cell, made where it is missing; keeps the SKU's stock at hand, the digest and the open sequence in step.
    pub(crate) fn change_cell(&mut self, sku: SkuId, location: LocationId, change: impl FnOnce(&mut Cell)) {
        let block = self.catalogue.skus[sku.at()].cells;
        let found = self.stock.cells(block).iter().position(|c| c.location == location);
        let (at, is_new) = match found {
            Some(at) => (at, false),
            None => (self.add_cell(sku, location), true),
        };
        let block = self.catalogue.skus[sku.at()].cells;
        let enabled = self.catalogue.locations[location.at()].enabled;
        let sequence = self.position.sequence + 1;
        let cell = &mut self.stock.cells_mut(block)[at];
        self.digest.touch_cell(sku, cell, is_new);
        let (hand, units, stated) = (cell.at_hand(), cell.committed + cell.held, cell.stated());
        change(cell);
        *(if cell.stated() == stated {
            &mut cell.owed_sequence
        } else {
            &mut cell.stock_sequence
        }) = sequence;
        self.units_in_cells += cell.committed + cell.held - units;
        if enabled {
            self.catalogue.skus[sku.at()].at_hand += cell.at_hand() - hand;
        }
        self.note_change(sku);
    }

    fn add_cell(&mut self, sku: SkuId, location: LocationId) -> usize {
        let hint = self.catalogue.locations.len();
        let mut block = self.catalogue.skus[sku.at()].cells;
        let at = self.stock.add(&mut block, location, hint);
        self.catalogue.skus[sku.at()].cells = block;
        let safety = self.policies.safety_of(sku, &self.stock.cells(block)[at]);
        self.stock.cells_mut(block)[at].safety = safety;
        at
    }

    pub(crate) fn add_movement(&mut self, sku: SkuId, location: LocationId, movement: Movement) {
        let movements = self.stock.movements.as_mut();
        movements.entry((sku, location)).or_default().push(movement);
        encodings::movement_bytes(sku, location, &movement, &mut self.scratch);
        self.digest.add(Entity::Movement, &self.scratch);
    }

    /// Drops the movements of a cell that do not stay.
    pub(crate) fn retain_movements(&mut self, sku: SkuId, location: LocationId, stays: impl Fn(&Movement) -> bool) {
        let all = self.stock.movements.as_mut();
        let Some(movements) = all.get_mut(&(sku, location)) else {
            return;
        };
        movements.retain(|movement| {
            let stays = stays(movement);
            if !stays {
                encodings::movement_bytes(sku, location, movement, &mut self.scratch);
                self.digest.take(Entity::Movement, &self.scratch);
            }
            stays
        });
        if movements.is_empty() {
            all.remove(&(sku, location));
        }
    }

    /// The four parts of a level's unsellable stock; nothing is kept where all are 0.
    pub(crate) fn set_conditions(&mut self, sku: SkuId, location: LocationId, parts: Unsellable) {
        let all = self.stock.conditions.as_mut();
        let none = Unsellable::default();
        let old = if parts == none {
            all.remove(&(sku, location))
        } else {
            all.insert((sku, location), parts)
        };
        for (parts, enters) in [(old.unwrap_or(none), false), (parts, true)] {
            if parts != none {
                encodings::condition_bytes(sku, location, &parts, &mut self.scratch);
                if enters {
                    self.digest.add(Entity::Conditions, &self.scratch);
                } else {
                    self.digest.take(Entity::Conditions, &self.scratch);
                }
            }
        }
    }

    /// The first source to state a level of a location owns its levels.
    pub(crate) fn set_owner(&mut self, location: LocationId, source: SourceId) {
        let old = self.location_owner.as_mut()[location.at()].replace(source);
        if let Some(old) = old {
            self.digest.take(Entity::Owner, &encodings::owner_bytes(location, old));
        }
        self.digest
            .add(Entity::Owner, &encodings::owner_bytes(location, source));
    }

    /// A source sends times or running numbers; its first fact decides.
    pub(crate) fn set_clock(&mut self, source: SourceId, tells_time: bool) {
        self.source_clock.as_mut()[source.at()] = Some(tells_time);
        self.digest
            .add(Entity::Clock, &encodings::clock_bytes(source, tells_time));
    }
}
