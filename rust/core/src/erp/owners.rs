//! Who states the levels of a location: `ownership` hands them over, `source.reset` has the next one count.
//!
//! In: policy facts. Out: owners, cells without a watermark, units that had left as inside the new owner's levels.
//! Always: neither raises what can be sold by itself; the next level of the owner decides.

use hashbrown::HashSet;

use crate::erp::{presumption, reconcile};
use crate::state::ids::{LocationId, SkuId, Slot, SourceId, SupplyId};
use crate::state::reservations::{Portion, StockNode};
use crate::state::rises::CellRises;
use crate::state::stock::Cell;
use crate::state::{State, looked};
use crate::units::ledger;
use crate::wire::facts::{AsOf, Ownership, SourceReset};

/// The levels of a location come from another source. What has left from there by now is in its levels already; what the
/// source before acknowledged is not: orders that are still open need an acknowledgement of the new owner.
pub(crate) fn hand_over(state: &mut State, fact: &Ownership<'_>) {
    let location = state.location(&fact.location);
    let source = state.source(&fact.source);
    let old = state.location_owner[location.at()];
    if old == Some(source) {
        return;
    }
    if let Some(old) = old {
        forget_watermarks(state, old, None, |cell| cell.location == location);
    }
    state.hand_over(location, source);
    if old.is_none() {
        return;
    }
    have_left(state, source, |p| p.node == StockNode::Hand(location));
    // What levels of the source before rose by says nothing of the supply of the new one.
    let here = state.stock.rises.iter().map(|(cell, _)| cell);
    let cells: Vec<(SkuId, LocationId)> = here.filter(|(_, l)| *l == location).collect();
    for (sku, location) in cells {
        state.set_rises(sku, location, CellRises::default());
    }
}

/// Units that are known to have left from these places by now are inside the next levels of a source, whatever their `as_of`;
/// those that came from supply by now have come.
fn have_left(state: &mut State, source: SourceId, is_meant: impl Fn(&Portion) -> bool) {
    let is_third = state.rules.is_third_edition();
    let came = |p: &Portion| is_third && p.evidence.as_ref().is_some_and(|e| e.arrived.is_some());
    let left = |p: &Portion| (p.is_shipped() || came(p)) && is_meant(p);
    for slot in slots_with(state, left) {
        ledger::relocate_each(
            state,
            slot,
            |_, p| Some(p.node),
            |p| {
                if left(p) {
                    let evidence = p.evidence_mut();
                    for known in [&mut evidence.arrived, &mut evidence.shipped] {
                        *known = known.map(|_| (source, AsOf::BEFORE));
                    }
                }
            },
        );
    }
}

/// The next level of these places may be older than what has left from there: it looks at that again.
fn look_again(state: &mut State, is_meant: impl Fn(&Portion) -> bool) {
    for slot in slots_with(state, |p| p.is_shipped() && is_meant(p)) {
        reconcile::order_changed(state, slot);
    }
}

fn slots_with(state: &State, is_meant: impl Fn(&Portion) -> bool) -> Vec<Slot> {
    let all = state.reservations.iter().inspect(|_| looked::at(1));
    all.filter(|(_, r)| r.portions.iter().any(&is_meant))
        .map(|(slot, _)| slot)
        .collect()
}

/// The next level of these cells counts, whatever its `as_of`: of one SKU or of all. `owner`: who stated the ones before.
/// Which cells they are.
fn forget_watermarks(
    state: &mut State,
    owner: SourceId,
    sku: Option<SkuId>,
    is_meant: impl Fn(&Cell) -> bool,
) -> HashSet<(SkuId, LocationId)> {
    let mut places = HashSet::new();
    let skus = match sku {
        Some(SkuId(one)) => one..one + 1,
        None => 0..state.catalogue.skus.len() as u32,
    };
    looked::at(skus.len());
    for sku in skus.map(SkuId) {
        let cells = state.cells(sku).iter().filter(|cell| is_meant(cell));
        let locations: Vec<LocationId> = cells.map(|cell| cell.location).collect();
        for location in locations {
            presumption::keep_as_received(state, (sku, location), owner);
            state.forget_watermark(sku, location);
            places.insert((sku, location));
        }
    }
    presumption::forget_since(state, &places);
    places
}

/// The next level of a source counts, whatever its `as_of`: at a location, of a SKU, or everywhere. Everywhere, the source may
/// change its kind of clock too, and its statements of supply are compared with none before.
pub(crate) fn reset(state: &mut State, fact: &SourceReset<'_>) {
    let Some(source) = state
        .catalogue
        .source_names
        .get(&fact.source)
        .map(|n| SourceId(n as u16))
    else {
        return;
    };
    let location = fact.location.as_deref().map(|l| state.catalogue.location(l));
    let sku = match fact.sku.as_deref().map(|sku| state.catalogue.sku(sku)) {
        Some(None) => return,
        known => known.flatten(),
    };
    let places = forget_watermarks(state, source, sku, |cell| {
        location.is_none_or(|location| location == Some(cell.location))
            && cell.level().is_some_and(|level| level.source == source)
    });
    let is_whole = fact.location.is_none() && fact.sku.is_none();
    if state.rules.is_third_edition() && !places.is_empty() {
        let is_there = |p: &Portion| match p.node {
            StockNode::Hand(location) => places.contains(&(p.sku, location)),
            _ => false,
        };
        if is_whole {
            // What it states from now on is on another clock.
            have_left(state, source, is_there);
        } else {
            look_again(state, is_there);
        }
    }
    if is_whole {
        state.forget_clock(source);
        forget_moments_of_supply(state, source);
    }
}

fn forget_moments_of_supply(state: &mut State, source: SourceId) {
    let supplies = state.documents.supplies.iter();
    let ids: Vec<SupplyId> = supplies
        .filter(|(_, s)| s.key.0 == source)
        .map(|(id, _)| SupplyId(id))
        .collect();
    for id in ids {
        state.change_supply(id.0, |line| {
            line.as_of = None;
            (line.since, line.keeps_moment) = (None, false);
            for arrival in &mut line.arrivals {
                arrival.as_of = AsOf::BEFORE;
            }
        });
    }
}

#[cfg(test)]
mod tests;
