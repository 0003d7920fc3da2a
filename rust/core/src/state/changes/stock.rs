//! Cells, what stands behind their sums, and who states them: how they change. `changes` says what always holds.

use crate::state::digest::Entity;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::rises::CellRises;
use crate::state::stock::{Cell, Movement};
use crate::state::{State, encodings, looked};
use crate::wire::facts::{AsOf, Unsellable};

/// Cells, and what stands behind their sums.
impl State {
    /// Changes one cell, made where it is missing; keeps the SKU's stock at hand, the digest and the open sequence in step.
    pub(crate) fn change_cell(&mut self, sku: SkuId, location: LocationId, change: impl FnOnce(&mut Cell)) {
        if !self.is_renewed(sku) {
            self.renew(sku);
        }
        let block = self.catalogue.skus[sku.at()].cells;
        looked::at(usize::from(block.len));
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

    /// The safety stock of a cell changed. It says nothing of what is there or owed, so no sequence moves.
    pub(crate) fn set_safety_stock(&mut self, sku: SkuId, location: LocationId, units: i64) {
        self.renew(sku);
        let block = self.catalogue.skus[sku.at()].cells;
        let enabled = self.catalogue.locations[location.at()].enabled;
        let cells = self.stock.cells_mut(block);
        if let Some(cell) = cells.iter_mut().find(|c| c.location == location) {
            let before = cell.at_hand();
            cell.safety = units;
            if enabled {
                self.catalogue.skus[sku.at()].at_hand += cell.at_hand() - before;
            }
            self.note_change(sku);
        }
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

    /// What a cell's levels rose by; nothing is kept where there is nothing to say.
    pub(crate) fn set_rises(&mut self, sku: SkuId, location: LocationId, new: CellRises) {
        if self.stock.rises.get((sku, location)) == Some(&new) {
            return;
        }
        if !new.is_empty() {
            encodings::rises_bytes(sku, location, &new, &mut self.scratch);
            self.digest.add(Entity::Rises, &self.scratch);
        }
        if let Some(old) = self.stock.rises.as_mut().set((sku, location), new) {
            encodings::rises_bytes(sku, location, &old, &mut self.scratch);
            self.digest.take(Entity::Rises, &self.scratch);
        }
    }

    /// Has a cell be the last whose rises are forgotten.
    pub(crate) fn keep_rises(&mut self, sku: SkuId, location: LocationId) {
        self.stock.rises.as_mut().move_to_end((sku, location));
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

    /// The levels of a location come from another source from now on; those of the one before do not.
    pub(crate) fn hand_over(&mut self, location: LocationId, source: SourceId) {
        let old = self.location_owner[location.at()];
        self.set_owner(location, source);
        if self.former_owners.as_mut().remove(&(location, source)) {
            self.digest
                .take(Entity::FormerOwner, &encodings::owner_bytes(location, source));
        }
        if let Some(old) = old
            && self.former_owners.as_mut().insert((location, old))
        {
            self.digest
                .add(Entity::FormerOwner, &encodings::owner_bytes(location, old));
        }
    }

    /// What a cell's level said of its time no longer counts; movements up to now are in the next level.
    pub(crate) fn forget_watermark(&mut self, sku: SkuId, location: LocationId) {
        let movements = self.movements(sku, location).to_vec();
        self.retain_movements(sku, location, |_| false);
        for movement in movements {
            let as_of = AsOf::BEFORE;
            self.add_movement(sku, location, Movement { as_of, ..movement });
        }
        self.change_cell(sku, location, Cell::forget_watermark);
    }

    /// A source may change from times to running numbers, or back.
    pub(crate) fn forget_clock(&mut self, source: SourceId) {
        if let Some(tells_time) = self.source_clock.as_mut()[source.at()].take() {
            self.digest
                .take(Entity::Clock, &encodings::clock_bytes(source, tells_time));
        }
    }

    /// A source sends times or running numbers; its first fact decides.
    pub(crate) fn set_clock(&mut self, source: SourceId, tells_time: bool) {
        self.source_clock.as_mut()[source.at()] = Some(tells_time);
        self.digest
            .add(Entity::Clock, &encodings::clock_bytes(source, tells_time));
    }
}
