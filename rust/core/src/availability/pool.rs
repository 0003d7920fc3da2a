//! The nodes of one SKU and the claims on them: what both `sellable` and `sourcing` compute from.
//!
//! In: the state. Out: a [`Pool`] (stock at hand by location, then usable supply, earliest due first) and its claims.
//! Always: supply has filled its location's hole before any of it is in the pool (docs/rules.md, section 1).

use crate::availability::claims::{Claim, NodeSet};
use crate::availability::hypothetical::Away;
use crate::state::State;
use crate::state::catalogue::Channel;
use crate::state::ids::{ChannelId, DemandId, LocationId, RegionId, SkuId, Slot, SupplyId};
use crate::state::looked;
use crate::state::policies::QuotaKind;
use crate::state::reservations::StockNode;
use crate::state::stock::Cell;
use crate::state::supply::{Demand, Supply};
use crate::state::unsourced::{Buyers, Unsourced, Waiting};
use crate::wire::facts::{Day, Regional, SupplyStatus};
use std::collections::BTreeMap;

/// One node: a location's stock at hand, or one of its dated supplies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) node: StockNode,
    pub(crate) location: LocationId,
    /// None: at hand.
    pub(crate) due: Option<Day>,
}

#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) places: Vec<Place>,
    pub(crate) stock: Vec<i64>,
}

/// Whose claim it is; which of them count depends on the channel that sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimOwner {
    /// The rest of a channel's allocation.
    Rest(ChannelId),
    /// Unsourced units of a channel.
    Unsourced(ChannelId),
    Demand(DemandId),
}

/// Whose claim it is, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimant {
    /// What is left of a channel's allocation.
    Allocation(ChannelId),
    /// Units of a reservation that are bound to nothing yet.
    Reservation(Slot),
    Demand(DemandId),
}

#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) whose: ClaimOwner,
    pub(crate) claim: Claim,
}

/// The day on which a supply counts, or None where it does not (not open, not confident enough, overdue beyond grace).
pub(crate) fn effective_due(state: &State, supply: &Supply) -> Option<Day> {
    let (rules, today) = (&state.rules, state.today());
    if supply.status != SupplyStatus::Open || supply.is_unstated() || supply.confidence < rules.supply_confidence_min {
        return None;
    }
    if supply.due >= today {
        Some(supply.due)
    } else if today - supply.due <= rules.overdue_grace_days {
        Some(today + rules.overdue_slip_days)
    } else {
        None
    }
}

/// Usable supplies of a SKU: (effective due, id), earliest first, ties by place and name of the document.
fn usable(state: &State, sku: SkuId) -> Vec<(Day, SupplyId)> {
    let Some(detail) = state.catalogue.detail(sku) else {
        return Vec::new();
    };
    let record = |id: SupplyId| state.documents.supplies.get(id.0);
    let mut found: Vec<(Day, SupplyId)> = detail
        .flow
        .supplies
        .iter()
        .filter_map(|&id| effective_due(state, record(id)).map(|due| (due, id)))
        .collect();
    let names = &state.catalogue.source_names;
    looked::at(detail.flow.supplies.len());
    let place = |&(due, id): &(Day, SupplyId)| {
        let s = record(id);
        let rank = state.catalogue.locations[s.location.at()].rank;
        (due, rank, names.name(u32::from(s.key.0.0)), &s.key.1, &s.key.2)
    };
    found.sort_by(|a, b| place(a).cmp(&place(b)));
    found
}

/// The nodes of a SKU, each with what can be taken from it. `away`: holds that are excluded.
pub(crate) fn of(state: &State, sku: SkuId, away: Option<&Away>) -> Pool {
    let mut pool = Pool::default();
    let enabled = |l: LocationId| state.catalogue.locations[l.at()].enabled;
    let mut holes: Vec<(LocationId, i64)> = Vec::new();
    for cell in state.cells(sku) {
        let back = away.map_or(0, |away| away.at(sku, cell.location));
        holes.push((cell.location, cell.hole_with(back)));
        if enabled(cell.location) {
            pool.places.push(Place {
                node: StockNode::Hand(cell.location),
                location: cell.location,
                due: None,
            });
            pool.stock.push(state.in_cell(sku, cell, back));
        }
    }
    for (due, id) in usable(state, sku) {
        let supply = state.documents.supplies.get(id.0);
        let bound = supply.bound - away.map_or(0, |away| away.bound_to(id));
        let mut left = (supply.quantity - bound).max(0);
        if let Some((_, hole)) = holes.iter_mut().find(|(l, _)| *l == supply.location) {
            let fill = left.min(*hole);
            left -= fill;
            *hole -= fill;
        }
        if enabled(supply.location) {
            pool.places.push(Place {
                node: StockNode::Supply(id),
                location: supply.location,
                due: Some(due),
            });
            pool.stock.push(left);
        }
    }
    pool
}

impl Pool {
    fn set(&self, wanted: impl Fn(&Place) -> bool) -> NodeSet {
        let mut set = NodeSet::empty();
        for (n, place) in self.places.iter().enumerate() {
            if wanted(place) {
                set.insert(n);
            }
        }
        set
    }
}

/// For which channel and region something is computed, and how far ahead supply counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SaleContext<'a> {
    pub(crate) channel: Option<ChannelId>,
    pub(crate) region: Option<RegionId>,
    /// Only this location, where a line names one.
    pub(crate) only: Option<LocationId>,
    /// Supply due by this day counts (promise); None: the channel's own horizon.
    pub(crate) until: Option<Day>,
    /// Holds that are excluded.
    pub(crate) away: Option<&'a Away>,
}

impl<'a> SaleContext<'a> {
    pub(crate) fn of(channel: Option<ChannelId>, region: Option<RegionId>) -> Self {
        SaleContext {
            channel,
            region,
            only: None,
            until: None,
            away: None,
        }
    }

    pub(crate) fn without(self, away: &'a Away) -> Self {
        SaleContext {
            away: Some(away),
            ..self
        }
    }

    pub(crate) fn at(self, only: Option<LocationId>) -> Self {
        SaleContext { only, ..self }
    }
}

/// N(c): the nodes that a channel may sell from.
pub(crate) fn nodes_of(state: &State, pool: &Pool, asking: &SaleContext) -> NodeSet {
    let record: &Channel = state.catalogue.channel_record(asking.channel);
    let until = asking.until.unwrap_or_else(|| match record.supply_horizon_days {
        0 => Day::MIN,
        days => state.today().saturating_add(days),
    });
    pool.set(|place| {
        asking.only.is_none_or(|l| l == place.location)
            && place.due.is_none_or(|due| due <= until)
            && state.catalogue.sells_from(record, asking.region, place.location)
    })
}

/// Whether a level counts this demand already (docs/rules.md, section 3).
pub(crate) fn demand_inside(state: &State, demand: &Demand) -> bool {
    let Some(location) = demand.single_location() else {
        return false;
    };
    state
        .cell(demand.sku, location)
        .and_then(Cell::level)
        .is_some_and(|level| {
            level.source == demand.key.0 && level.counts_orders() && level.covers(demand.key.0, demand.as_of)
        })
}

/// Whether a demand counts in its cell's `owed` rather than as a claim.
pub(crate) fn counts_in_cell(demand: &Demand) -> bool {
    demand.due.is_none() && demand.single_location().is_some()
}

fn demand_claim(state: &State, pool: &Pool, id: DemandId) -> Option<Claimed> {
    let demand = state.documents.demands.get(id.0);
    if counts_in_cell(demand) || demand.open() == 0 || demand_inside(state, demand) {
        return None;
    }
    let named = |l: LocationId| demand.locations.is_empty() || demand.locations.contains(&l);
    let nodes = pool.set(|place| {
        named(place.location)
            && match (place.due, demand.due) {
                (None, _) => true,
                (Some(supply_due), Some(due)) => supply_due <= due,
                (Some(_), None) => false,
            }
    });
    Some(Claimed {
        whose: ClaimOwner::Demand(id),
        claim: Claim {
            quantity: demand.open(),
            nodes,
        },
    })
}

/// Every claim on a SKU's nodes; those of all that wait on a channel for one region together.
///
/// A context that looks further ahead (a promise) serves its own unsourced units from the same later supply.
pub(crate) fn claims(state: &State, sku: SkuId, pool: &Pool, asking: &SaleContext) -> Vec<Claimed> {
    let Some(detail) = state.catalogue.detail(sku) else {
        return Vec::new();
    };
    let mut all: Vec<Claimed> = rests(state, sku, pool, asking.away).collect();
    let mut waiting = waiting(state, &detail.flow.unsourced);
    for (buyers, units) in asking.away.into_iter().flat_map(|away| away.waiting_for(state, sku)) {
        let sum = waiting.entry(nodes_alike(state, buyers)).or_default();
        *sum = sum.less(units);
    }
    looked::at(waiting.len());
    for ((channel, region), units) in waiting {
        let until = asking.until.filter(|_| asking.channel == Some(channel));
        let buyers = SaleContext {
            until,
            ..SaleContext::of(Some(channel), region)
        };
        all.push(Claimed {
            whose: ClaimOwner::Unsourced(channel),
            claim: Claim {
                quantity: claimed(state, channel, units),
                nodes: nodes_of(state, pool, &buyers),
            },
        });
    }
    all.extend(demands(state, sku, pool));
    all
}

/// Of units that wait those that claim anything: a channel that draws nothing shared has only what is its own.
pub(crate) fn claimed(state: &State, channel: ChannelId, units: Waiting) -> i64 {
    if state.catalogue.channels[channel.at()].draws_shared {
        units.quantity
    } else {
        units.own
    }
}

/// Buyers by whose region the nodes differ; a channel that only prefers the region sells to all from the same.
pub(crate) fn nodes_alike(state: &State, (channel, region): Buyers) -> Buyers {
    let record = &state.catalogue.channels[channel.at()];
    (channel, region.filter(|_| record.regional != Regional::Prefer))
}

/// What waits, by buyers whose nodes are alike.
pub(crate) fn waiting(state: &State, queue: &Unsourced) -> BTreeMap<Buyers, Waiting> {
    let mut sums: BTreeMap<Buyers, Waiting> = BTreeMap::new();
    for (channel, units) in queue.channels() {
        if state.catalogue.channels[channel.at()].regional == Regional::Prefer {
            sums.insert((channel, None), units);
        } else {
            sums.extend(
                queue
                    .regions_of(channel)
                    .map(|(region, units)| ((channel, region), units)),
            );
        }
    }
    sums
}

/// What is left of the allocations of all channels. `away`: holds that are excluded.
pub(crate) fn rests<'s>(
    state: &'s State,
    sku: SkuId,
    pool: &'s Pool,
    away: Option<&'s Away>,
) -> impl Iterator<Item = Claimed> + 's {
    let quotas = state.catalogue.detail(sku).map(|detail| detail.allocations.iter());
    quotas.into_iter().flatten().filter_map(move |(&channel, quota)| {
        looked::at(1);
        let back = away.map_or(0, |away| away.of_quota(sku, Some(channel), QuotaKind::Allocation));
        let quantity = quota.rest(back).filter(|&q| q > 0)?;
        let nodes = nodes_of(state, pool, &SaleContext::of(Some(channel), None));
        Some(Claimed {
            whose: ClaimOwner::Rest(channel),
            claim: Claim { quantity, nodes },
        })
    })
}

/// The claims of documents.
pub(crate) fn demands<'s>(state: &'s State, sku: SkuId, pool: &'s Pool) -> impl Iterator<Item = Claimed> + 's {
    let ids = state.catalogue.detail(sku).map(|detail| &detail.flow.demands);
    ids.into_iter().flatten().filter_map(move |&id| {
        looked::at(1);
        demand_claim(state, pool, id)
    })
}

/// Every claim by itself: rests of allocations, those who wait, oldest first, demand.
pub(crate) fn claims_of_each<'s>(
    state: &'s State,
    sku: SkuId,
    pool: &'s Pool,
) -> impl Iterator<Item = (Claimant, Claim)> + 's {
    let queue = state.catalogue.detail(sku).map(|detail| &detail.flow.unsourced);
    let waits = queue.into_iter().flat_map(|queue| queue.after(None));
    let waits = waits.map(move |(age, (channel, region), units)| {
        looked::at(1);
        let claim = Claim {
            quantity: claimed(state, channel, units),
            nodes: nodes_of(state, pool, &SaleContext::of(Some(channel), region)),
        };
        (Claimant::Reservation(age.slot), claim)
    });
    let of = |claimed: Claimed| {
        let claimant = match claimed.whose {
            ClaimOwner::Rest(channel) | ClaimOwner::Unsourced(channel) => Claimant::Allocation(channel),
            ClaimOwner::Demand(id) => Claimant::Demand(id),
        };
        (claimant, claimed.claim)
    };
    rests(state, sku, pool, None)
        .map(of)
        .chain(waits)
        .chain(demands(state, sku, pool).map(of))
}

/// The claims of those owners that count.
pub(crate) fn counting(all: &[Claimed], keep: impl Fn(&ClaimOwner) -> bool) -> Vec<Claim> {
    let kept = all.iter().filter(|claimed| keep(&claimed.whose));
    kept.map(|claimed| claimed.claim.clone()).collect()
}

/// Every claim but the rest of the asking channel's own allocation: what `free` leaves as reachable as before.
pub(crate) fn claims_of_others(all: &[Claimed], channel: Option<ChannelId>) -> Vec<Claim> {
    counting(
        all,
        |whose| !matches!(whose, ClaimOwner::Rest(k) if Some(*k) == channel),
    )
}

/// Demand and the channel's own unsourced units: what `own` leaves as reachable as before.
pub(crate) fn claims_before_own(all: &[Claimed], channel: Option<ChannelId>) -> Vec<Claim> {
    counting(all, |whose| match whose {
        ClaimOwner::Demand(_) => true,
        ClaimOwner::Unsourced(k) => Some(*k) == channel,
        ClaimOwner::Rest(_) => false,
    })
}
