//! Demand documents: what they add to cells and to claims.

use crate::digest::{Encode, Entity};
use crate::documents::{in_base, is_to_apply, key_of, newness};
use crate::facts;
use crate::ids::{DemandId, LocationId, SkuId, SourceId};
use crate::orders;
use crate::pool::{counts_in_cell, demand_inside};
use crate::state::State;
use crate::supply::Demand;

pub(crate) fn demand_bytes(d: &Demand, out: &mut Vec<u8>) {
    out.clear();
    out.number(d.key.0.0.into())
        .text(&d.key.1)
        .text(&d.key.2)
        .optional(d.version)
        .number(d.sku.0.into());
    for location in &d.locations {
        out.number(location.0.into());
    }
    out.number(d.quantity)
        .optional(d.due.map(i64::from))
        .stamp(d.as_of)
        .optional_text(d.order_ref.as_deref());
    out.push(d.class as u8);
}

pub(crate) fn demand(state: &mut State, source: SourceId, fact: &facts::Demand<'_>) {
    let sku = state.sku(&fact.sku);
    let mut locations: Vec<LocationId> = fact.locations.iter().map(|l| state.location(l)).collect();
    locations.sort_unstable();
    locations.dedup();
    let key = key_of(source, &fact.reference, &fact.line);
    let told = Demand {
        key: key.clone(),
        version: fact.version,
        sku,
        locations,
        quantity: in_base(state, sku, fact.quantity, fact.unit.as_deref()),
        class: fact.class,
        due: fact.due,
        as_of: fact.as_of,
        order_ref: fact.order_ref.as_deref().map(Into::into),
        covered: 0,
        sequence: state.position.sequence + 1,
    };
    let (id, old) = match state.documents.demands.find(&key) {
        None => {
            demand_bytes(&told, &mut state.scratch);
            state.digest.add(Entity::Demand, &state.scratch);
            (state.documents.demands.add(key, told), None)
        }
        Some(id) => {
            let old = state.documents.demands.get(id);
            let same = Demand {
                covered: old.covered,
                sequence: old.sequence,
                ..told.clone()
            } == *old;
            let newness = newness(old.version, told.version, same);
            if !is_to_apply(state, &newness) {
                return;
            }
            let State {
                documents,
                digest,
                scratch,
                ..
            } = state;
            let record = documents.demands.get_mut(id);
            demand_bytes(record, scratch);
            digest.take(Entity::Demand, scratch);
            let old = std::mem::replace(record, told);
            demand_bytes(record, scratch);
            digest.add(Entity::Demand, scratch);
            (id, Some(old))
        }
    };
    relist_demand(state, DemandId(id), old.as_ref());
}

fn relist_demand(state: &mut State, id: DemandId, old: Option<&Demand>) {
    let mut orders: Vec<Box<str>> = Vec::new();
    if let Some(old) = old {
        state.catalogue.detail_mut(old.sku).flow.demands.retain(|d| *d != id);
        if let Some(order) = &old.order_ref {
            if let Some(list) = state.documents.demands_of_order.get_mut(order) {
                list.retain(|d| *d != id);
            }
            orders.push(order.clone());
        }
    }
    let now = state.documents.demands.get(id.0).clone();
    if now.quantity > 0 {
        state.catalogue.detail_mut(now.sku).flow.demands.push(id);
        if let Some(order) = &now.order_ref {
            state
                .documents
                .demands_of_order
                .entry(order.clone())
                .or_default()
                .push(id);
            orders.push(order.clone());
        }
    }
    orders.dedup();
    for order in orders {
        cover(state, &order);
    }
    for demand in old.into_iter().chain([&now]) {
        for &location in &demand.locations {
            renew_demand(state, demand.sku, location);
        }
        state.note_change(demand.sku);
    }
    if now.quantity == 0 {
        let closed_max = state.rules.identities_max;
        if let Some(oldest) = state.documents.demands.note_closed(id.0, closed_max) {
            forget_demand(state, oldest);
        }
    }
}

fn forget_demand(state: &mut State, id: u32) {
    let Some(record) = state.documents.demands.try_get(id) else {
        return;
    };
    if record.quantity > 0 {
        return;
    }
    let key = record.key.clone();
    if let Some(gone) = state.documents.demands.forget(id, &key) {
        demand_bytes(&gone, &mut state.scratch);
        state.digest.take(Entity::Demand, &state.scratch);
    }
}

/// Renews how much of an order's demand its reservations cover: only what they do not cover adds.
pub(crate) fn cover(state: &mut State, order_ref: &str) {
    let Some(mut demands) = state.documents.demands_of_order.get(order_ref).cloned() else {
        return;
    };
    let names = &state.catalogue.source_names;
    demands.sort_by_cached_key(|id| {
        let key = &state.documents.demands.get(id.0).key;
        (names.name(u32::from(key.0.0)).to_owned(), key.1.clone(), key.2.clone())
    });
    let mut cover: std::collections::BTreeMap<SkuId, i64> = std::collections::BTreeMap::new();
    for slot in orders::slots_of(state, order_ref) {
        for portion in &state.reservations.get(slot).portions {
            *cover.entry(portion.sku).or_default() += portion.quantity;
        }
    }
    let mut changed: Vec<(SkuId, Vec<LocationId>)> = Vec::new();
    for id in demands {
        let demand = state.documents.demands.get_mut(id.0);
        let left = cover.entry(demand.sku).or_default();
        let covered = demand.quantity.min(*left);
        *left -= covered;
        if covered != demand.covered {
            demand.covered = covered;
            changed.push((demand.sku, demand.locations.clone()));
        }
    }
    for (sku, locations) in changed {
        for location in locations {
            renew_demand(state, sku, location);
        }
        state.note_change(sku);
    }
}

/// Renews the undated demand at one cell that its level does not count.
pub(crate) fn renew_demand(state: &mut State, sku: SkuId, location: LocationId) {
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
