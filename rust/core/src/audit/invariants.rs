//! What must always hold. Cheap checks after every batch; thorough ones, from scratch, for tests and `verify`.
//!
//! In: the state. Out: one sentence for each thing that is wrong; empty when all is well.

use std::collections::BTreeMap;

use crate::availability::pool::{counts_in_cell, demand_inside};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::policies::AgeKey;
use crate::state::reservations::{ReservationState, StockNode};
use crate::state::unsourced::{Unsourced, Waiting};

/// Costs almost nothing: sums that two different places keep must be equal.
pub(crate) fn check(state: &State) -> Vec<String> {
    let mut wrong = Vec::new();
    let booked = state.units_in_cells + state.units_on_supply + state.units_unsourced;
    if booked != state.reservations.units_open {
        wrong.push(format!(
            "nodes hold {booked} units, reservations {}",
            state.reservations.units_open
        ));
    }
    if state.units_in_cells < 0 || state.units_on_supply < 0 || state.units_unsourced < 0 {
        wrong.push("a sum of held units is below zero".to_owned());
    }
    wrong
}

/// Recomputes the derived values from the reservations and documents, and compares.
pub(crate) fn check_thoroughly(state: &State) -> Vec<String> {
    let mut wrong = check(state);
    cells(state, &mut wrong);
    supplies(state, &mut wrong);
    unsourced(state, &mut wrong);
    quotas(state, &mut wrong);
    indexes(state, &mut wrong);
    if crate::state::digest_from_scratch::count(state).sum() != state.digest_kept() {
        wrong.push("the maintained digest differs from the recounted one".to_owned());
    }
    wrong.extend(identities(state));
    wrong.extend(state.answered.flaws());
    wrong
}

/// A document took units of a reservation that has, or had, a slot.
pub(crate) fn identities(state: &State) -> Option<String> {
    let total = state.reservations.slots_total();
    let mut slots = state.identities.iter().filter_map(|(_, known)| known.taken_of);
    slots
        .any(|slot| slot.at() >= total)
        .then(|| "a document took units of a slot that was never given".to_owned())
}

fn cells(state: &State, wrong: &mut Vec<String>) {
    let mut expected: BTreeMap<(SkuId, LocationId), (i64, i64)> = BTreeMap::new();
    for (_, r) in state.reservations.iter() {
        for p in r.portions.iter().filter(|p| !p.in_erp_level) {
            if let StockNode::Hand(location) = p.node {
                let entry = expected.entry((p.sku, location)).or_default();
                *(if r.state == ReservationState::Held {
                    &mut entry.0
                } else {
                    &mut entry.1
                }) += p.quantity;
            }
        }
    }
    for n in 0..state.catalogue.skus.len() as u32 {
        let sku = SkuId(n);
        let mut ready = 0;
        for cell in state.cells(sku) {
            let (held, committed) = expected.remove(&(sku, cell.location)).unwrap_or_default();
            if (cell.held, cell.committed) != (held, committed) {
                wrong.push(format!(
                    "{} at {}: held {} and committed {}, reservations say {held} and {committed}",
                    state.catalogue.sku_name(sku),
                    state.catalogue.location_name(cell.location),
                    cell.held,
                    cell.committed
                ));
            }
            if state.catalogue.locations[cell.location.at()].enabled {
                ready += state.in_cell(sku, cell, 0);
            }
            cell_terms(state, sku, cell, wrong);
        }
        if ready != state.at_hand(sku) {
            wrong.push(format!(
                "{}: the ready stock at hand is not the sum of its cells",
                state.catalogue.sku_name(sku)
            ));
        }
    }
    if !expected.is_empty() {
        wrong.push(format!("{} cells that reservations name are missing", expected.len()));
    }
}

fn cell_terms(state: &State, sku: SkuId, cell: &crate::state::stock::Cell, wrong: &mut Vec<String>) {
    let name = || {
        format!(
            "{} at {}",
            state.catalogue.sku_name(sku),
            state.catalogue.location_name(cell.location)
        )
    };
    if state.safety_in(sku, cell) != state.policies.safety_of(sku, cell) {
        wrong.push(format!("{}: safety stock is not by the rule in force", name()));
    }
    let demand: i64 = state
        .catalogue
        .detail(sku)
        .map_or(&[][..], |d| &d.flow.demands[..])
        .iter()
        .map(|id| state.documents.demands.get(id.0))
        .filter(|d| counts_in_cell(d) && d.single_location() == Some(cell.location) && !demand_inside(state, d))
        .map(crate::state::supply::Demand::open)
        .sum();
    if cell.demand != demand {
        wrong.push(format!("{}: demand {}, documents say {demand}", name(), cell.demand));
    }
}

fn supplies(state: &State, wrong: &mut Vec<String>) {
    let mut bound: BTreeMap<u32, i64> = BTreeMap::new();
    for (_, r) in state.reservations.iter() {
        for p in &r.portions {
            if let StockNode::Supply(id) = p.node {
                *bound.entry(id.0).or_default() += p.quantity;
            }
        }
    }
    for (id, supply) in state.documents.supplies.iter() {
        let units = bound.get(&id).copied().unwrap_or(0);
        if supply.bound != units || supply.bound > supply.quantity {
            wrong.push(format!(
                "supply {}: bound {} of {}, reservations say {units}",
                supply.key.1, supply.bound, supply.quantity
            ));
        }
    }
}

fn unsourced(state: &State, wrong: &mut Vec<String>) {
    let mut expected: BTreeMap<(SkuId, AgeKey), Waiting> = BTreeMap::new();
    for (slot, r) in state.reservations.iter() {
        for p in r.portions.iter().filter(|p| p.node == StockNode::Unsourced) {
            let units = expected.entry((p.sku, r.age(slot))).or_default();
            units.quantity += p.quantity;
            units.own += p.own;
        }
    }
    for (&(sku, age), units) in &expected {
        let r = state.reservations.get(age.slot);
        let listed = state.catalogue.detail(sku).and_then(|d| d.flow.unsourced.of(age));
        if listed != Some(((r.channel, r.region), *units)) || !state.unsourced_skus.contains(&sku) {
            wrong.push(format!("{}: unsourced units are not listed with their SKU", r.id));
        }
    }
    for &sku in &state.unsourced_skus {
        let queue = state.catalogue.detail(sku).map(|d| &d.flow.unsourced);
        let ages = queue.into_iter().flat_map(Unsourced::ages);
        let (mut sum, mut by_channel) = (Waiting::default(), Waiting::default());
        for age in ages {
            match expected.get(&(sku, age)) {
                Some(units) => sum.add(*units),
                None => wrong.push(format!(
                    "{}: waits and is listed no more",
                    state.catalogue.sku_name(sku)
                )),
            }
        }
        let channels = queue.into_iter().flat_map(Unsourced::channels);
        channels.for_each(|(_, units)| by_channel.add(units));
        if sum != by_channel {
            wrong.push(format!(
                "{}: what channels wait for is not the sum of their units",
                state.catalogue.sku_name(sku)
            ));
        }
    }
}

fn quotas(state: &State, wrong: &mut Vec<String>) {
    for n in 0..state.catalogue.skus.len() as u32 {
        let Some(detail) = state.catalogue.detail(SkuId(n)) else {
            continue;
        };
        for (channel, quota) in detail.allocations.iter() {
            let used: i64 = state
                .reservations
                .iter()
                .filter(|(_, r)| r.channel == *channel)
                .flat_map(|(_, r)| r.portions.iter())
                .filter(|p| p.sku == SkuId(n) && p.own_period == quota.serial)
                .map(|p| p.own)
                .sum();
            // Forgotten reservations keep what they consumed.
            if quota.consumed < used {
                wrong.push(format!(
                    "{}: consumed {} of an allocation, reservations say {used}",
                    state.catalogue.sku_name(SkuId(n)),
                    quota.consumed
                ));
            }
        }
    }
}

fn indexes(state: &State, wrong: &mut Vec<String>) {
    let mut closed = 0;
    for (slot, r) in state.reservations.iter() {
        closed += usize::from(r.closed_at_ms != 0);
        let due = state.reservations.due.contains(&(r.expires_at_ms, r.serial, slot));
        if due != (r.state == ReservationState::Held) {
            wrong.push(format!(
                "{}: {} and yet {}",
                r.id,
                r.state.name(),
                if due { "due" } else { "never due" }
            ));
        }
        if r.portions
            .iter()
            .any(|p| p.quantity <= 0 || p.own < 0 || p.own > p.quantity)
        {
            wrong.push(format!("{}: a portion is empty or owns more than it has", r.id));
        }
        if matches!(
            r.state,
            ReservationState::Released | ReservationState::Expired | ReservationState::Oversold
        ) && !r.portions.is_empty()
        {
            wrong.push(format!("{}: {} and yet it holds units", r.id, r.state.name()));
        }
        if let Some(order) = &r.order_ref
            && !state.reservations.of_order(order).contains(&slot)
        {
            wrong.push(format!("{}: its order does not know it", r.id));
        }
    }
    let listed = &state.reservations.closed;
    let closed_then = |(age, slot): ((i64, u64), Slot)| {
        let found = state.reservations.get_taken(slot);
        found.is_some_and(|r| (r.closed_at_ms, r.serial) == age)
    };
    if listed.len() != closed || !listed.places().all(closed_then) {
        wrong.push(format!("{closed} are closed, and {} are listed as such", listed.len()));
    }
}
