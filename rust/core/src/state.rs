//! The whole replicated state, and the few functions that change it. Holds no rule.
//!
//! In: changes that the rules worked out. Out: the same state on every node for the same LOG.
//! Always: a cell changes only through [`State::change_cell`], so that derived values and the digest follow.

pub(crate) mod anomalies;
pub(crate) mod catalogue;
mod changes;
pub(crate) mod digest;
pub(crate) mod digest_from_scratch;
mod encodings;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub mod ids;
pub(crate) mod likeness;
pub(crate) mod looked;
pub(crate) mod names;
pub(crate) mod order_documents;
pub(crate) mod policies;
pub(crate) mod quantity;
mod ranks;
pub(crate) mod read_only;
mod ready;
pub(crate) mod reservations;
pub(crate) mod rises;
pub mod rules;
pub(crate) mod shares;
pub(crate) mod stock;
pub(crate) mod supply;
mod to_bind;
pub(crate) mod unsourced;
mod waiting;
pub(crate) mod watch;

use crate::state::anomalies::{Anomalies, Anomaly};
use crate::state::catalogue::{Catalogue, Channel, Location, Sku};
use crate::state::digest::Digest;
use crate::state::idempotency::AnsweredRequests;
use crate::state::identities::Identities;
use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId, SourceId};
use crate::state::order_documents::OrderDocuments;
use crate::state::policies::Policies;
use crate::state::read_only::ReadOnly;
use crate::state::reservations::{Reservations, StockNode};
use crate::state::rules::Rules;
use crate::state::shares::Whose;
use crate::state::stock::{Cell, Stock};
use crate::state::supply::Documents;
use crate::state::to_bind::ToBind;
use crate::state::watch::Watch;
use crate::wire::facts::{AsOf, Day, LocationType, Unsellable};

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
    /// The clock that runs only while a process leads; never goes back.
    pub lead_ms: i64,
}

/// Facts that had no effect, counted by reason. None is lost: LOG has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) stale_levels: u64,
    pub(crate) level_conflicts: u64,
    pub(crate) repeats: u64,
    pub(crate) stale_versions: u64,
    pub(crate) anomalies: u64,
    pub(crate) unlocated: u64,
    pub(crate) periods_left: u64,
    pub(crate) pending_order_facts: u64,
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
    pub(crate) order_documents: ReadOnly<OrderDocuments>,
    /// Who owns the levels of each location.
    pub(crate) location_owner: ReadOnly<Vec<Option<SourceId>>>,
    /// Who owned the levels of a location and handed them over.
    pub(crate) former_owners: ReadOnly<std::collections::BTreeSet<(LocationId, SourceId)>>,
    /// Whether a source sends times (or running numbers); None before its first fact.
    pub(crate) source_clock: ReadOnly<Vec<Option<bool>>>,
    /// The newest `as_of` of each source's facts, to see which one has gone quiet. No rule asks it, and no digest covers it.
    pub(crate) source_newest: Vec<Option<AsOf>>,
    pub(crate) counters: Counters,
    /// Batches that this process decided for one sequence and that LOG has at a later one, behind messages of strangers.
    /// Not part of the state: a replay bears the later one from the start.
    moved: std::collections::BTreeMap<u64, u64>,
    /// What the fact that was applied last came to, if not to what it says.
    pub(crate) outcome: Option<Anomaly>,
    /// The newest such facts.
    pub(crate) listed: Anomalies,
    digest: Digest,
    /// Units owed in cells, bound to supply and unsourced: kept as they change, to be checked against the reservations.
    pub(crate) units_in_cells: i64,
    pub(crate) units_on_supply: i64,
    pub(crate) units_unsourced: i64,
    /// SKUs with unsourced units.
    pub(crate) unsourced_skus: std::collections::BTreeSet<SkuId>,
    /// Of these the ones with anything on a shelf or coming: only their units may bind when a rule changes.
    stocked: std::collections::BTreeSet<SkuId>,
    /// And the day on which their supply next counts otherwise.
    wakes: std::collections::BTreeSet<(Day, SkuId)>,
    /// Units may bind of any SKU, whatever is known of it: the rules changed, or the state was just restored.
    pub(crate) unproven: bool,
    /// SKUs of which some reservation's unsourced portions are to be put in order.
    unordered: std::collections::BTreeSet<SkuId>,
    /// SKUs whose unsourced units may bind now.
    pub(crate) to_bind: ToBind,
    /// Cells whose presumed receipts are to be worked out again.
    pub(crate) to_presume: std::collections::BTreeSet<(SkuId, LocationId)>,
    /// Room for encodings, used again and again.
    scratch: Vec<u8>,
    /// Counts what is applied: statements, and the beginnings of batches. It says only whether a reservation was changed by the
    /// present one already, so it is no part of what is stored.
    pub(crate) statement: u32,
    /// What a batch changed, where somebody publishes it.
    watch: Watch,
}

/// Moves of batches that are remembered.
const MOVED_MAX: usize = 10_000;

impl State {
    /// The sequence at which LOG has the batch that was decided for another one.
    pub(crate) fn stored_at(&self, stamp: u64) -> u64 {
        self.moved.get(&stamp).copied().unwrap_or(stamp)
    }

    /// The batch that was decided for `stamp` is stored.
    pub(crate) fn note_moved(&mut self, stamp: u64, sequence: u64) {
        if stamp != sequence {
            self.moved.insert(stamp, sequence);
            if self.moved.len() > MOVED_MAX {
                self.moved.pop_first();
            }
        }
    }

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
            order_documents: ReadOnly::default(),
            location_owner: ReadOnly::default(),
            former_owners: ReadOnly::default(),
            source_clock: ReadOnly::default(),
            source_newest: Vec::new(),
            counters: Counters::default(),
            moved: std::collections::BTreeMap::new(),
            outcome: None,
            listed: Anomalies::default(),
            digest: Digest::default(),
            units_in_cells: 0,
            units_on_supply: 0,
            units_unsourced: 0,
            unsourced_skus: std::collections::BTreeSet::new(),
            stocked: std::collections::BTreeSet::new(),
            wakes: std::collections::BTreeSet::new(),
            unproven: false,
            unordered: std::collections::BTreeSet::new(),
            to_bind: ToBind::default(),
            to_presume: std::collections::BTreeSet::new(),
            scratch: Vec::new(),
            statement: 0,
            watch: Watch::default(),
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
        let mut record = Sku::default();
        record.renewal = self.catalogue.renewal;
        self.catalogue.skus.push(record);
        self.watch.sku(SkuId(number));
        self.catalogue.likeness.add(number, name);
        self.digest.symbol(0, number, name);
        SkuId(number)
    }

    pub(crate) fn location(&mut self, name: &str) -> LocationId {
        let (number, new) = self.catalogue.location_names.intern(name);
        if new {
            self.catalogue.locations.as_mut().push(Location {
                declared: false,
                r#type: LocationType::Warehouse,
                regions: Vec::new(),
                priority: 100,
                enabled: true,
                rank: 0,
            });
            self.location_owner.as_mut().push(None);
            self.catalogue.place_location(LocationId(number as u16));
            self.digest.symbol(1, number, name);
        }
        LocationId(number as u16)
    }

    pub(crate) fn channel(&mut self, name: &str) -> ChannelId {
        let (number, new) = self.catalogue.channel_names.intern(name);
        if new {
            self.catalogue.channels.as_mut().push(Channel::default());
            self.digest.symbol(2, number, name);
        }
        ChannelId(number as u16)
    }

    /// Whose is what a statement of this source makes remembered.
    pub(crate) fn whose(&self, source: SourceId) -> Whose {
        self.rules.whose(|| u64::from(source.0) + 1)
    }

    pub(crate) fn source(&mut self, name: &str) -> SourceId {
        let (number, new) = self.catalogue.source_names.intern(name);
        if new {
            self.source_clock.as_mut().push(None);
            self.source_newest.push(None);
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
        let block = self.catalogue.skus[sku.at()].cells;
        looked::at(usize::from(block.len));
        self.stock.cells(block)
    }

    pub(crate) fn cell(&self, sku: SkuId, location: LocationId) -> Option<&Cell> {
        self.cells(sku).iter().find(|c| c.location == location)
    }

    /// Where a node is; None: unsourced.
    pub(crate) fn location_of(&self, node: StockNode) -> Option<LocationId> {
        match node {
            StockNode::Hand(location) => Some(location),
            StockNode::Supply(id) => Some(self.documents.supplies.get(id.0).location),
            StockNode::Unsourced => None,
        }
    }

    /// Notes that what can be taken of a SKU may have changed.
    #[inline]
    pub(crate) fn note_change(&mut self, sku: SkuId) {
        self.watch.sku(sku);
        if !self.unsourced_skus.is_empty() && self.unsourced_skus.contains(&sku) {
            self.to_bind.push(sku);
        }
    }

    /// The four parts of a cell's unsellable stock.
    pub(crate) fn conditions(&self, sku: SkuId, location: LocationId) -> Unsellable {
        self.stock.conditions.get(&(sku, location)).copied().unwrap_or_default()
    }

    /// Open movements of a cell.
    pub(crate) fn movements(&self, sku: SkuId, location: LocationId) -> &[crate::state::stock::Movement] {
        self.stock.movements.get(&(sku, location)).map_or(&[], Vec::as_slice)
    }
}

/// Names every field of the state and which table of a snapshot has it. It does nothing: it is there to be compiled.
#[allow(dead_code, reason = "it is there to be compiled")]
fn every_field(state: &State) {
    let State {
        scope: _,    // header
        position: _, // header
        rules: _,    // header
        catalogue,
        stock: _,           // cells, conditions, movements, rises; the memory behind them is laid out again
        documents: _,       // supplies, demands and their closed ones; by key and by order: derived
        policies: _,        // restrictions, oversell, safety, freshness; counts: derived
        reservations: _,    // slots, reservations, at_cell, closed, early; due, by id, owner, order, state: derived
        identities: _,      // identities
        answered: _,        // answered
        order_documents: _, // order_documents
        location_owner: _,  // locations
        former_owners: _,   // former_owners
        source_clock: _,    // sources
        source_newest: _,   // sources
        counters: _,        // counters
        outcome: _,         // of the fact applied last
        listed: _,          // begins empty
        digest: _,          // recounted
        units_in_cells: _,  // derived
        units_on_supply: _, // derived
        units_unsourced: _, // derived
        unsourced_skus: _,  // derived
        stocked: _,         // derived
        wakes: _,           // derived, when each SKU is looked at next
        unproven: _,        // true: all are to be looked at once
        unordered: _,       // derived, as `unproven` has all looked at once
        to_bind: _,         // empty between batches
        to_presume: _,      // empty between batches
        scratch: _,         // holds nothing
        statement: _,       // no part of it
        watch: _,           // of the batch applied last
        moved: _,           // what a replay has from the start
    } = state;
    let Catalogue {
        sku_names: _,         // skus
        skus: _,              // at hand: derived; the rest says where things lie
        renewal: _,           // all is renewed before it is written
        renewed_upto: _,      // as above
        details: _,           // items, lists, allocations, caps; unsourced: derived
        aliases: _,           // derived from items
        passed_on: _,         // derived from items
        likeness: _,          // derived from the names
        location_names: _,    // locations
        locations: _,         // locations; rank: derived
        by_rank: _,           // derived
        channel_names: _,     // channels
        channels: _,          // channels
        channels_declared: _, // derived
        source_names: _,      // sources
        region_names: _,      // regions
    } = catalogue;
}
