//! Units of orders: confirmed, moved and marked by what sources report of them.
//!
//! In: loose portions, or a reservation whose portions all change. Out: the same units at other nodes, with evidence.
//! Always: what a source saw of units at one place says nothing of them at another.

use smallvec::SmallVec;

use super::{Loose, occupy, put};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId, SupplyId};
use crate::state::reservations::{Portion, Statement, StockNode};
use crate::units::indexes;
use crate::wire::facts::SupplyStatus;

/// Moves a portion of an order to a node, by a source's statement if it was one, changes it, and puts it back.
pub(crate) fn relocate(
    state: &mut State,
    slot: Slot,
    Loose(mut portion): Loose,
    (node, by): (StockNode, Option<SourceId>),
    change: impl FnOnce(&mut Portion),
) {
    let (sku, from, quantity) = (portion.sku, portion.node, portion.quantity);
    if from != node {
        if !portion.in_erp_level {
            occupy(state, sku, from, -quantity, true);
        }
        portion.in_erp_level = false;
        portion.node = node;
        occupy(state, sku, node, quantity, true);
        // An acknowledgement of a unit elsewhere does not count at this location.
        let place = state.location_of(node);
        if let (true, Some(evidence)) = (place != state.location_of(from), portion.evidence.as_deref_mut()) {
            evidence.moved(by, place);
        }
    }
    change(&mut portion);
    put(state, slot, Loose(portion));
    if from != node {
        indexes::renew(state, slot, sku, from);
        indexes::renew(state, slot, sku, node);
    }
}

/// Takes each portion of an order out in turn and moves it to where `target` says (None: it stays), changed by `change`.
pub(crate) fn relocate_each(
    state: &mut State,
    slot: Slot,
    target: impl Fn(&State, &Portion) -> Option<StockNode>,
    change: impl Fn(&mut Portion),
) {
    let portions = std::mem::take(&mut state.edit(slot).portions);
    let before: Vec<(SkuId, StockNode)> = portions.iter().map(|p| (p.sku, p.node)).collect();
    for portion in portions {
        match target(state, &portion) {
            Some(node) => relocate(state, slot, Loose(portion), (node, None), &change),
            None => put(state, slot, Loose(portion)),
        }
    }
    for (sku, node) in before {
        indexes::renew(state, slot, sku, node);
    }
}

/// Takes each portion of an order out in turn, lets a source's statement change it, and moves it to the place that follows.
pub(crate) fn report_each(
    state: &mut State,
    slot: Slot,
    source: SourceId,
    report: impl Fn(&State, &mut Portion) -> Option<LocationId>,
) {
    let portions = std::mem::take(&mut state.edit(slot).portions);
    let before: Vec<(SkuId, StockNode)> = portions.iter().map(|p| (p.sku, p.node)).collect();
    for mut portion in portions {
        let place = report(state, &mut portion);
        let node = match place {
            Some(place) if state.location_of(portion.node) != Some(place) => StockNode::Hand(place),
            _ => portion.node,
        };
        relocate(state, slot, Loose(portion), (node, Some(source)), |_| {});
    }
    for (sku, node) in before {
        indexes::renew(state, slot, sku, node);
    }
}

/// A hold becomes an order: its units at hand count as committed.
pub(crate) fn commit(state: &mut State, slot: Slot) {
    let hands = state
        .reservations
        .get(slot)
        .portions
        .iter()
        .filter_map(|p| match p.node {
            StockNode::Hand(location) => Some((p.sku, location, p.quantity)),
            _ => None,
        });
    let hands: SmallVec<[_; 2]> = hands.collect();
    for (sku, location, quantity) in hands {
        state.change_cell(sku, location, |cell| {
            cell.held -= quantity;
            cell.committed += quantity;
        });
    }
}

/// Marks a portion of an order as counted in its cell's level, or no longer: only what no level counts is deducted here.
pub(crate) fn mark_in_erp_level(state: &mut State, slot: Slot, at: usize, is_in: bool) {
    let portion = &mut state.edit(slot).portions[at];
    portion.in_erp_level = is_in;
    let (sku, node) = (portion.sku, portion.node);
    let quantity = if is_in { -portion.quantity } else { portion.quantity };
    occupy(state, sku, node, quantity, true);
}

/// Takes back that units were shipped, by the first edition: they are open again, where they are.
pub(crate) fn unship(state: &mut State, slot: Slot, Loose(mut portion): Loose) {
    portion.evidence_mut().shipped = None;
    put(state, slot, Loose(portion));
}

/// Takes back that units have left: as if they never had. They are where they were, or beyond any node where a supply that
/// they were bound to can take them no more, and what was reported of them since counts again.
pub(crate) fn come_back(state: &mut State, slot: Slot, Loose(mut portion): Loose) {
    let Some((node, since)) = portion.evidence_mut().come_back() else {
        put(state, slot, Loose(portion));
        return;
    };
    let (node, room) = match node {
        StockNode::Supply(id) => was_bound_to(state, id),
        node => (node, i64::MAX),
    };
    let mut rest = None;
    if room < portion.quantity {
        rest = (room > 0).then(|| portion.split(portion.quantity - room, false));
        if rest.is_none() {
            rest = Some(portion);
        } else {
            report_again(state, slot, portion, node, &since);
        }
    } else {
        report_again(state, slot, portion, node, &since);
    }
    if let Some(rest) = rest {
        report_again(state, slot, rest, StockNode::Unsourced, &since);
    }
}

/// Where units that were bound to a supply are now, and how many of them.
fn was_bound_to(state: &State, id: SupplyId) -> (StockNode, i64) {
    let supply = state.documents.supplies.get(id.0);
    match supply.status {
        SupplyStatus::Received => (StockNode::Hand(supply.location), i64::MAX),
        SupplyStatus::Open => (StockNode::Supply(id), (supply.quantity - supply.bound).max(0)),
        SupplyStatus::Cancelled => (StockNode::Unsourced, i64::MAX),
    }
}

/// Puts units back to a node as they were, then has the statements count again.
fn report_again(state: &mut State, slot: Slot, mut portion: Portion, node: StockNode, since: &[Statement]) {
    let (sku, from, quantity) = (portion.sku, portion.node, portion.quantity);
    if !portion.in_erp_level {
        occupy(state, sku, from, -quantity, true);
    }
    portion.in_erp_level = false;
    portion.node = node;
    occupy(state, sku, node, quantity, true);
    indexes::renew(state, slot, sku, from);
    let mut at = state.location_of(node);
    let mut moved = None;
    for (source, as_of, places) in since {
        let evidence = portion.evidence_mut();
        let to = evidence.acknowledge(at, *source, *as_of, places.as_deref());
        if to != at {
            evidence.moved(Some(*source), to);
            (at, moved) = (to, to);
        }
    }
    let node = moved.map_or(node, StockNode::Hand);
    // What the statements say of that move is worked out. Earlier editions forgot it with the move.
    let known = portion.evidence.take_if(|_| state.rules.is_third_edition());
    relocate(state, slot, Loose(portion), (node, None), |portion| {
        if known.is_some() {
            portion.evidence = known;
        }
    });
    indexes::renew(state, slot, sku, node);
}
