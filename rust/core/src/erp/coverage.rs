//! What demand adds: not what the reservations of its order cover, and not what its cell's level counts.
//!
//! In: an order whose units or demands changed, a cell whose level changed. Out: what is open of each demand, summed in cells.
//! Always: recomputed from reservations and documents, so the order of arrival does not matter.

use std::collections::BTreeMap;

use smallvec::smallvec;

use crate::availability::pool::{counts_in_cell, demand_inside};
use crate::state::State;
use crate::state::ids::{DemandId, LocationId, SkuId, Slot};
use crate::state::order_documents;
use crate::state::reservations::{Reservation, ReservationState};
use crate::state::supply::Demand;

/// Renews what demand of the same order, or of this very reservation, adds to what they cover.
pub(crate) fn renew_of(state: &mut State, slot: Slot) {
    if state.documents.demands_of_order.is_empty() {
        return;
    }
    let order = state.reservations.get(slot).order_ref.clone();
    let slots = order
        .as_deref()
        .map_or_else(|| smallvec![slot], |order| state.reservations.of_order(order));
    renew_together(state, order.as_deref(), &slots);
}

/// Renews how much the demand under one name is covered: an order's, or a reservation's ([`crate::erp::named_order::waits_for`]).
pub(crate) fn renew(state: &mut State, name: &str) {
    let Some(id) = order_documents::reservation_of(name) else {
        let slots = state.reservations.of_order(name);
        renew_together(state, Some(name), &slots);
        return;
    };
    match state.reservations.find(id) {
        Some(slot) if state.reservations.get(slot).state != ReservationState::Held => renew_of(state, slot),
        _ => cover(state, &[name.into()], &[]),
    }
}

/// Demand of an order and demand of its single reservations share what these cover.
fn renew_together(state: &mut State, order: Option<&str>, slots: &[Slot]) {
    let ids = slots.iter().map(|&slot| &*state.reservations.get(slot).id);
    let of_each = ids.map(|id| order_documents::name_of_reservation(id).into());
    let names: Vec<Box<str>> = order.map(Into::into).into_iter().chain(of_each).collect();
    cover(state, &names, slots);
}

/// Covers the demands under these names by the units of these reservations, each unit once. Those that name a reservation
/// go first, then those that name a channel: they can be covered by fewer.
fn cover(state: &mut State, names: &[Box<str>], slots: &[Slot]) {
    let listed = names
        .iter()
        .filter_map(|name| state.documents.demands_of_order.get(name));
    let mut demands: Vec<DemandId> = listed.flatten().copied().collect();
    demands.sort_by_cached_key(|id| {
        let demand = state.documents.demands.get(id.0);
        let (source, reference, line) = &demand.key;
        let source = state.catalogue.source_names.name(u32::from(source.0)).to_owned();
        let wide = (demand.reservation.is_none(), demand.channel.is_none());
        (wide, source, reference.clone(), line.clone())
    });
    let mut units: BTreeMap<(Slot, SkuId), i64> = BTreeMap::new();
    for &slot in slots {
        for portion in &state.reservations.get(slot).portions {
            *units.entry((slot, portion.sku)).or_default() += portion.quantity;
        }
    }
    let mut changed: Vec<(SkuId, Vec<LocationId>)> = Vec::new();
    for id in demands {
        let demand = state.documents.demands.get(id.0);
        let (sku, locations, mut open) = (demand.sku, demand.locations.clone(), demand.quantity);
        for (&(slot, _), left) in units.iter_mut().filter(|((_, of), _)| *of == sku) {
            if is_of(state.reservations.get(slot), demand) {
                let some = open.min(*left);
                open -= some;
                *left -= some;
            }
        }
        let covered = demand.quantity - open;
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

/// Whether the demand means this reservation of its order.
fn is_of(reservation: &Reservation, demand: &Demand) -> bool {
    demand.reservation.as_deref().is_none_or(|id| id == &*reservation.id)
        && demand.channel.is_none_or(|channel| channel == reservation.channel)
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
