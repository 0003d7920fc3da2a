//! Which nodes serve a sale, and in which order. One rule for a new hold, for a replacement and for late binding.
//!
//! In: how much of a SKU, for which channel. Out: portions bound to nodes, the rest unsourced.
//! Always: whatever is within `sellable` can be placed, in any order of nodes; a sale takes its own allocation first and
//! remembers what it took (docs/rules.md, "Placement").

use smallvec::{SmallVec, smallvec};

use crate::availability::claims::{Claim, NodeSet, reachable};
use crate::availability::pool::{self, Pool, SaleContext};
use crate::availability::sellable::{is_plain, rest_of_allocation};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId};
use crate::state::reservations::StockNode;
use crate::units::ledger::Placement;
use crate::units::quotas;
use crate::wire::facts::{Day, Regional, Sourcing};

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacementRequest {
    pub(crate) sku: SkuId,
    pub(crate) channel: ChannelId,
    pub(crate) region: Option<RegionId>,
    pub(crate) only: Option<LocationId>,
    pub(crate) quantity: i64,
}

/// Units from nodes, in the order in which they were taken: mostly all from one.
pub(crate) type Placed = SmallVec<[(StockNode, i64); 2]>;

/// How early a location is tried: those in the region first, then by splits, then by (priority, name).
type Turn = (bool, (u8, i64), u64);

/// The turn of a location with this much stock (docs/rules.md, "Placement").
fn turn(state: &State, request: &PlacementRequest, location: LocationId, stock: i64) -> Turn {
    let record = state.catalogue.channel_record(Some(request.channel));
    let place = &state.catalogue.locations[location.at()];
    let in_region = request.region.is_some_and(|r| place.regions.contains(&r));
    let by_region = record.sourcing == Sourcing::Region || record.regional == Regional::Prefer;
    let splits = match record.sourcing {
        Sourcing::FewestSplits if stock >= request.quantity => (0, 0),
        Sourcing::FewestSplits => (1, -stock),
        Sourcing::Priority | Sourcing::Region => (0, 0),
    };
    (request.region.is_some() && !in_region && by_region, splits, place.rank)
}

/// The nodes that may serve an order, in the order in which they are tried.
pub(crate) fn tried_in_order(state: &State, pool: &Pool, request: &PlacementRequest, nodes: &NodeSet) -> Vec<usize> {
    let turn_of = |n: usize| turn(state, request, pool.places[n].location, pool.stock[n]);
    let mut hand: Vec<usize> = nodes.iter().filter(|&n| pool.places[n].due.is_none()).collect();
    hand.sort_by_key(|&n| turn_of(n));
    // Supply: earlier due first, then by region, then in the pool's own order, which ends in the document's name.
    let mut supply: Vec<(Day, usize)> = nodes
        .iter()
        .filter_map(|n| pool.places[n].due.map(|d| (d, n)))
        .collect();
    supply.sort_by_key(|&(due, n)| (due, turn_of(n).0, turn_of(n).2, n));
    hand.into_iter().chain(supply.into_iter().map(|(_, n)| n)).collect()
}

/// Takes from each node in turn the most that leaves the claims as reachable as before, up to `limit`.
fn take_round(pool: &mut Pool, order: &[usize], claims: &[Claim], mut limit: i64, out: &mut Placed) -> i64 {
    let wanted = limit;
    for &n in order {
        if limit == 0 {
            break;
        }
        if pool.stock[n] == 0 {
            continue;
        }
        let mut alone = NodeSet::empty();
        alone.insert(n);
        let most = reachable(&pool.stock, &alone, claims).expect("quantities of the state are bounded");
        let taken = most.min(limit);
        if taken > 0 {
            pool.stock[n] -= taken;
            limit -= taken;
            match out.iter_mut().find(|(node, _)| *node == pool.places[n].node) {
                Some((_, quantity)) => *quantity += taken,
                None => out.push((pool.places[n].node, taken)),
            }
        }
    }
    wanted - limit
}

/// The two rounds: first beside every other claim, then the rest of the own allocation beside what comes before it.
pub(crate) fn two_rounds(
    pool: &mut Pool,
    order: &[usize],
    limits: (i64, i64),
    claims: (&[Claim], &[Claim]),
    quantity: i64,
) -> Placed {
    let mut taken = Placed::new();
    let first = take_round(pool, order, claims.0, quantity.min(limits.0), &mut taken);
    let second = (limits.1 - first).max(0).min(quantity - first);
    take_round(pool, order, claims.1, second, &mut taken);
    taken
}

/// Chooses nodes for an order, and how much of it is sold on the own allocation; changes nothing.
pub(crate) fn choose(state: &State, request: &PlacementRequest) -> SmallVec<[Placement; 2]> {
    let record = state.catalogue.channel_record(Some(request.channel));
    let own_left = quotas::rest_of_allocation(state, request.sku, Some(request.channel), 0).min(request.quantity);
    let placed = if is_plain(state, request.sku) && record.draws_shared {
        plain_round(state, request)
    } else {
        let mut pool = pool::of(state, request.sku, None);
        let asking = SaleContext::of(Some(request.channel), request.region).at(request.only);
        let all = pool::claims(state, request.sku, &pool, &asking);
        let nodes = pool::nodes_of(state, &pool, &asking);
        let tried = tried_in_order(state, &pool, request, &nodes);
        let first = if record.draws_shared {
            request.quantity
        } else {
            own_left
        };
        let others = pool::claims_of_others(&all, Some(request.channel));
        let before = pool::claims_before_own(&all, Some(request.channel));
        two_rounds(
            &mut pool,
            &tried,
            (first, own_left),
            (&others, &before),
            request.quantity,
        )
    };
    with_own(placed, request.quantity, own_left)
}

/// How many units of one SKU would be unsourced if all these needs were placed, in the order given, as a hold places them.
pub(crate) fn shortage(state: &State, asking: &SaleContext, sku: SkuId, needs: &[(Option<LocationId>, i64)]) -> i64 {
    let draws_shared = state.catalogue.channel_record(asking.channel).draws_shared;
    let mut pool = pool::of(state, sku, asking.away);
    let all = pool::claims(state, sku, &pool, asking);
    let others = pool::claims_of_others(&all, asking.channel);
    let before = pool::claims_before_own(&all, asking.channel);
    let mut own = rest_of_allocation(state, sku, asking);
    let mut short = 0;
    for &(only, quantity) in needs {
        // At one location: at hand, then supply as it comes. Without one it is the last need, and any order will do.
        let nodes: Vec<usize> = pool::nodes_of(state, &pool, &asking.at(only)).iter().collect();
        let own_left = own.min(quantity);
        own -= own_left;
        let limits = (if draws_shared { quantity } else { own_left }, own_left);
        let placed = two_rounds(&mut pool, &nodes, limits, (&others, &before), quantity);
        short += quantity - placed.iter().map(|(_, q)| q).sum::<i64>();
    }
    short
}

/// The first location in turn, where it serves all that is asked: then the others' turns do not matter.
fn first_of_all(state: &State, request: &PlacementRequest) -> Option<LocationId> {
    let record = state.catalogue.channel_record(Some(request.channel));
    let by_rank = request.region.is_none() && record.sourcing != Sourcing::FewestSplits;
    let mut first: Option<(Turn, LocationId, i64)> = None;
    for cell in state.cells(request.sku) {
        let (location, hand) = (cell.location, state.in_cell(request.sku, cell, 0));
        let named = request.only.is_none_or(|l| l == location);
        if hand == 0 || !named || !state.catalogue.sells_from(record, request.region, location) {
            continue;
        }
        let turn = if by_rank {
            (false, (0, 0), state.catalogue.locations[location.at()].rank)
        } else {
            turn(state, request, location, hand)
        };
        let is_earlier = |before: (Turn, LocationId, i64)| {
            if by_rank {
                turn.2 < before.0.2
            } else {
                (turn, location) < (before.0, before.1)
            }
        };
        if first.is_none_or(is_earlier) {
            first = Some((turn, location, hand));
        }
    }
    first
        .filter(|&(_, _, hand)| hand >= request.quantity)
        .map(|(_, location, _)| location)
}

/// The usual case, without claims: cell by cell in order.
fn plain_round(state: &State, request: &PlacementRequest) -> Placed {
    let record = state.catalogue.channel_record(Some(request.channel));
    let cells = state.cells(request.sku);
    if let [cell] = cells {
        let may = request.only.is_none_or(|l| l == cell.location);
        let most = if may && state.catalogue.sells_from(record, request.region, cell.location) {
            state.in_cell(request.sku, cell, 0)
        } else {
            0
        };
        let taken = most.min(request.quantity);
        return if taken > 0 {
            smallvec![(StockNode::Hand(cell.location), taken)]
        } else {
            Placed::new()
        };
    }
    if let Some(location) = first_of_all(state, request) {
        return smallvec![(StockNode::Hand(location), request.quantity)];
    }
    let mut candidates: SmallVec<[(Turn, LocationId, i64); 8]> = SmallVec::new();
    for cell in cells {
        let hand = state.in_cell(request.sku, cell, 0);
        let named = request.only.is_none_or(|l| l == cell.location);
        if hand > 0 && named && state.catalogue.sells_from(record, request.region, cell.location) {
            candidates.push((turn(state, request, cell.location, hand), cell.location, hand));
        }
    }
    candidates.sort_unstable();
    let (mut left, mut placed) = (request.quantity, Placed::new());
    for (_, location, hand) in candidates {
        let taken = hand.min(left);
        if taken > 0 {
            placed.push((StockNode::Hand(location), taken));
            left -= taken;
        }
    }
    placed
}

/// The first units placed take the own allocation, the unsourced ones after them.
fn with_own(placed: Placed, quantity: i64, mut own_left: i64) -> SmallVec<[Placement; 2]> {
    let unsourced = quantity - placed.iter().map(|(_, q)| q).sum::<i64>();
    let beyond = (unsourced > 0).then_some((StockNode::Unsourced, unsourced));
    placed
        .into_iter()
        .chain(beyond)
        .map(|(node, quantity)| {
            let own = own_left.min(quantity);
            own_left -= own;
            Placement { node, quantity, own }
        })
        .collect()
}

#[cfg(test)]
mod tests;
