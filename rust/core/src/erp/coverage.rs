//! What demand adds: not what the reservations of its order cover, and not what its cell's level counts.
//!
//! In: an order whose units or demands changed, a cell whose level changed. Out: what is open of each demand, summed in cells.
//! Always: recomputed from reservations and documents, so the order of arrival does not matter.

use std::collections::BTreeMap;

use crate::availability::pool::{counts_in_cell, demand_inside};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::supply::Demand;

/// Renews what demand under the same order adds to what its reservations cover.
pub(crate) fn renew_of(state: &mut State, slot: Slot) {
    let Some(order) = state.reservations.get(slot).order_ref.clone() else {
        return;
    };
    if state.documents.demands_of_order.contains_key(&order) {
        renew(state, &order);
    }
}

/// Renews how much of an order's demand its reservations cover: only what they do not cover adds.
pub(crate) fn renew(state: &mut State, order_ref: &str) {
    let Some(mut demands) = state.documents.demands_of_order.get(order_ref).cloned() else {
        return;
    };
    let names = &state.catalogue.source_names;
    demands.sort_by_cached_key(|id| {
        let key = &state.documents.demands.get(id.0).key;
        (names.name(u32::from(key.0.0)).to_owned(), key.1.clone(), key.2.clone())
    });
    let mut cover: BTreeMap<SkuId, i64> = BTreeMap::new();
    for slot in state.reservations.of_order(order_ref) {
        for portion in &state.reservations.get(slot).portions {
            *cover.entry(portion.sku).or_default() += portion.quantity;
        }
    }
    let mut changed: Vec<(SkuId, Vec<LocationId>)> = Vec::new();
    for id in demands {
        let demand = state.documents.demands.get(id.0);
        let (sku, locations) = (demand.sku, demand.locations.clone());
        let left = cover.entry(sku).or_default();
        let covered = demand.quantity.min(*left);
        *left -= covered;
        if state.documents.demands.cover(id, covered) {
            changed.push((sku, locations));
        }
    }
    for (sku, locations) in changed {
        for location in locations {
            renew_cell(state, sku, location);
        }
        state.note_change(sku);
    }
}

/// Renews the undated demand at one cell that its level does not count.
pub(crate) fn renew_cell(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(detail) = state.catalogue.detail(sku) else {
        return;
    };
    let sum: i64 = detail
        .flow
        .demands
        .iter()
        .map(|id| state.documents.demands.get(id.0))
        .filter(|d| counts_in_cell(d) && d.single_location() == Some(location) && !demand_inside(state, d))
        .map(Demand::open)
        .sum();
    if state.cell(sku, location).map_or(0, |c| c.demand) != sum {
        state.change_cell(sku, location, |cell| cell.demand = sum);
    }
}

#[cfg(test)]
mod tests;
