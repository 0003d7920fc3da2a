//! What there is: the whole replicated state and the few doors through which it changes. Holds no rule.
//!
//! In: changes that the rules worked out. Out: the same state on every node for the same LOG.
//! Always: a cell changes only through [`State::change_cell`], so that what is kept ready and the digest follow.

use crate::catalogue::{Catalogue, Channel, Location, Sku};
use crate::digest::Digest;
use crate::facts::{Day, LocationType};
use crate::idempotency::AnsweredRequests;
use crate::identities::Identities;
use crate::ids::{ChannelId, LocationId, RegionId, SkuId, Slot, SourceId};
use crate::policies::Policies;
use crate::reservations::Reservations;
use crate::rules::Rules;
use crate::stock::{Cell, Stock};
use crate::supply::Documents;

/// Where in LOG a state stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    pub sequence: u64,
    pub batch: u64,
    pub epoch: u64,
    pub node: String,
    pub chain: [u8; 32],
    pub in_upto: u64,
    /// Wall time of the newest batch; never goes back.
    pub now_ms: i64,
    /// The clock that runs only while somebody leads; never goes back.
    pub lead_ms: i64,
}

/// What was met and set aside by rule. All of it is counted, none of it is lost: LOG has the facts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) stale_levels: u64,
    pub(crate) level_conflicts: u64,
    pub(crate) repeats: u64,
    pub(crate) stale_versions: u64,
    pub(crate) anomalies: u64,
    pub(crate) unlocated: u64,
    pub(crate) periods_left: u64,
    pub(crate) early_words: u64,
    pub(crate) void_batches: u64,
    pub(crate) answers_dropped: u64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) scope: String,
    pub(crate) position: Position,
    pub(crate) rules: Rules,
    pub(crate) catalogue: Catalogue,
    pub(crate) stock: Stock,
    pub(crate) documents: Documents,
    pub(crate) policies: Policies,
    pub(crate) reservations: Reservations,
    pub(crate) identities: Identities,
    pub(crate) answered: AnsweredRequests,
    /// Who owns the levels of each location.
    pub(crate) location_owner: Vec<Option<SourceId>>,
    /// Whether a source tells time (or counts); None until it has said.
    pub(crate) source_clock: Vec<Option<bool>>,
    pub(crate) counters: Counters,
    pub(crate) digest: Digest,
    /// Units owed in cells, bound to supply and unsourced: kept as they change, to be checked against the reservations.
    pub(crate) units_in_cells: i64,
    pub(crate) units_on_supply: i64,
    pub(crate) units_unsourced: i64,
    /// SKUs with units beyond any node.
    pub(crate) unsourced_skus: std::collections::BTreeSet<SkuId>,
    /// SKUs whose unsourced units may bind now.
    pub(crate) to_bind: Vec<SkuId>,
    /// A question is looking at the state as if something were not there: nothing counts as changed by a fact.
    pub(crate) is_looking: bool,
    /// Room for encodings, used again and again.
    pub(crate) scratch: Vec<u8>,
}

impl State {
    pub(crate) fn new(scope: &str) -> Self {
        State {
            scope: scope.to_owned(),
            position: Position::default(),
            rules: Rules::default(),
            catalogue: Catalogue::default(),
            stock: Stock::default(),
            documents: Documents::default(),
            policies: Policies::default(),
            reservations: Reservations::default(),
            identities: Identities::default(),
            answered: AnsweredRequests::default(),
            location_owner: Vec::new(),
            source_clock: Vec::new(),
            counters: Counters::default(),
            digest: Digest::default(),
            units_in_cells: 0,
            units_on_supply: 0,
            units_unsourced: 0,
            unsourced_skus: std::collections::BTreeSet::new(),
            to_bind: Vec::new(),
            is_looking: false,
            scratch: Vec::new(),
        }
    }

    /// The UTC day of the newest batch.
    pub(crate) fn today(&self) -> Day {
        self.position.now_ms.div_euclid(86_400_000) as Day
    }

    pub(crate) fn sku(&mut self, name: &str) -> SkuId {
        if let Some(sku) = self.catalogue.sku(name) {
            return sku;
        }
        let (number, _) = self.catalogue.sku_names.intern(name);
        self.catalogue.skus.push(Sku::default());
        self.digest.symbol(0, number, name);
        SkuId(number)
    }

    pub(crate) fn location(&mut self, name: &str) -> LocationId {
        let (number, new) = self.catalogue.location_names.intern(name);
        if new {
            self.catalogue.locations.push(Location {
                declared: false,
                r#type: LocationType::Warehouse,
                regions: Vec::new(),
                priority: 100,
                enabled: true,
                rank: 0,
            });
            self.location_owner.push(None);
            self.catalogue.rank_locations();
            self.digest.symbol(1, number, name);
        }
        LocationId(number as u16)
    }

    pub(crate) fn channel(&mut self, name: &str) -> ChannelId {
        let (number, new) = self.catalogue.channel_names.intern(name);
        if new {
            self.catalogue.channels.push(Channel::default());
            self.digest.symbol(2, number, name);
        }
        ChannelId(number as u16)
    }

    pub(crate) fn source(&mut self, name: &str) -> SourceId {
        let (number, new) = self.catalogue.source_names.intern(name);
        if new {
            self.source_clock.push(None);
            self.digest.symbol(3, number, name);
        }
        SourceId(number as u16)
    }

    pub(crate) fn region(&mut self, name: &str) -> RegionId {
        let (number, new) = self.catalogue.region_names.intern(name);
        if new {
            self.digest.symbol(4, number, name);
        }
        RegionId(number as u16)
    }

    #[inline]
    pub(crate) fn cells(&self, sku: SkuId) -> &[Cell] {
        self.stock.cells(self.catalogue.skus[sku.at()].cells)
    }

    pub(crate) fn cell(&self, sku: SkuId, location: LocationId) -> Option<&Cell> {
        self.cells(sku).iter().find(|c| c.location == location)
    }

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
        let cell = &mut self.stock.cells_mut(block)[at];
        self.digest.touch_cell(sku, cell, is_new);
        let (hand, units, stated) = (cell.at_hand(), cell.committed + cell.held, cell.stated());
        change(cell);
        if !self.is_looking {
            let sequence = self.position.sequence + 1;
            *(if cell.stated() == stated {
                &mut cell.owed_sequence
            } else {
                &mut cell.stock_sequence
            }) = sequence;
        }
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
        let safety = crate::safety::of_cell(self, sku, &self.stock.cells(block)[at]);
        self.stock.cells_mut(block)[at].safety = safety;
        at
    }

    /// Notes that what can be taken of a SKU may have changed.
    #[inline]
    pub(crate) fn note_change(&mut self, sku: SkuId) {
        if !self.unsourced_skus.is_empty() && self.unsourced_skus.contains(&sku) {
            self.to_bind.push(sku);
        }
    }

    /// Notes that anything may have changed for every SKU with units beyond any node.
    pub(crate) fn note_change_of_all(&mut self) {
        self.to_bind.extend(self.unsourced_skus.iter().copied());
    }

    /// Marks a reservation as changed by the batch under way.
    pub(crate) fn touch_reservation(&mut self, slot: Slot) {
        let reservation = self.reservations.get_mut(slot);
        self.digest.touch_reservation(slot, reservation, &mut self.scratch);
        reservation.sequence = self.position.sequence + 1;
    }

    /// Recomputes the ready stock at hand of every SKU (a location was switched on or off).
    pub(crate) fn renew_at_hand(&mut self) {
        for n in 0..self.catalogue.skus.len() {
            let sum = self
                .stock
                .cells(self.catalogue.skus[n].cells)
                .iter()
                .filter(|c| self.catalogue.locations[c.location.at()].enabled)
                .map(Cell::at_hand)
                .sum();
            self.catalogue.skus[n].at_hand = sum;
        }
    }

    /// Brings the digest up to date with what the batch changed, while that is still near.
    pub(crate) fn settle_digest(&mut self) {
        let State {
            digest,
            catalogue,
            stock,
            reservations,
            scratch,
            ..
        } = self;
        digest.settle(catalogue, stock, reservations, scratch);
    }

    /// The digest: 32 hexadecimal digits over stock, policies, reservations and the memory of identities.
    pub(crate) fn digest(&mut self) -> String {
        self.settle_digest();
        format!("{:032x}", self.digest.sum())
    }

    /// Open movements of a cell.
    pub(crate) fn movements(&self, sku: SkuId, location: LocationId) -> &[crate::stock::Movement] {
        self.stock.movements.get(&(sku, location)).map_or(&[], Vec::as_slice)
    }
}
