//! Values derived from the tables: indexes, sums, the stock at hand of each SKU.
//!
//! In: a state with its tables read. Out: the same with everything that rules look up. Always: derived as the rules
//! maintain it (`invariants` compares); sums are checked, for a table can be damaged in a way that its checksum was made after.

use super::SnapshotError;
use crate::state::State;
use crate::state::ids::{DemandId, SkuId, Slot};
use crate::state::policies::AgeKey;
use crate::state::reservations::{ReservationState, StockNode};
use crate::state::unsourced::Waiting;

pub(super) fn renew(state: &mut State) -> Result<(), SnapshotError> {
    aliases(state);
    // Which of them can bind is not stored: all are looked at once.
    state.unproven = true;
    state.catalogue.renew_inner();
    counts_of_rules(state);
    state.catalogue.channels_declared = state.catalogue.channels.iter().filter(|c| c.declared).count();
    demands_of_orders(state);
    nodes(state)?;
    indexes_of_reservations(state);
    ready_stock(state)
}

fn aliases(state: &mut State) {
    let catalogue = &mut state.catalogue;
    for sku in (0..catalogue.skus.len() as u32).map(SkuId) {
        let aliases = catalogue.item(sku).map(|item| item.aliases.clone()).unwrap_or_default();
        for alias in aliases {
            catalogue.add_alias(alias, sku);
        }
    }
}

fn counts_of_rules(state: &mut State) {
    let policies = &mut state.policies;
    policies.sku_restrictions = policies.restrictions.keys().filter(|(sku, _)| sku.is_some()).count();
    policies.sku_oversell = policies.oversell.keys().filter(|(sku, _)| sku.is_some()).count();
    policies.sku_safety = policies.safety.keys().filter(|(sku, _)| sku.is_some()).count();
}

fn demands_of_orders(state: &mut State) {
    let documents = &mut state.documents;
    for (number, demand) in documents.demands.iter() {
        if let (true, Some(order)) = (demand.quantity > 0, demand.listed_under()) {
            let list = documents.demands_of_order.entry(order).or_default();
            list.push(DemandId(number));
        }
    }
}

/// Which reservations are bound to which supply or have unsourced units, and the sums over all portions.
fn nodes(state: &mut State) -> Result<(), SnapshotError> {
    let State {
        reservations,
        documents,
        catalogue,
        unsourced_skus,
        units_on_supply,
        units_unsourced,
        ..
    } = state;
    let mut units_open = 0;
    for (slot, reservation) in reservations.iter() {
        let age = AgeKey {
            serial: reservation.serial,
            slot,
        };
        for portion in &reservation.portions {
            if !portion.in_erp_level {
                add(&mut units_open, portion.quantity)?;
            }
            match portion.node {
                StockNode::Hand(_) => {}
                StockNode::Supply(id) => {
                    let mut bound = documents.supplies.get(id.0).bound;
                    add(&mut bound, portion.quantity)?;
                    documents.supplies.bind(id, portion.quantity);
                    documents.supplies.list_holder(id, age, true);
                    add(units_on_supply, portion.quantity)?;
                }
                StockNode::Unsourced => {
                    let buyers = (reservation.channel, reservation.region);
                    let unsourced = &mut catalogue.detail_mut(portion.sku).flow.unsourced;
                    let mut units = Waiting {
                        quantity: portion.quantity,
                        own: portion.own,
                    };
                    if let Some((_, more)) = unsourced.of(age) {
                        units.add(more);
                        unsourced.note_unordered(age);
                    }
                    unsourced.set(age, buyers, Some(units));
                    unsourced_skus.insert(portion.sku);
                    add(units_unsourced, portion.quantity)?;
                }
            }
        }
    }
    reservations.units_open = units_open;
    Ok(())
}

fn indexes_of_reservations(state: &mut State) {
    let reservations = &mut state.reservations;
    for slot in (0..reservations.slots_total() as u32).map(Slot) {
        let Some(record) = reservations.get_taken(slot) else {
            continue;
        };
        if record.state == ReservationState::Held {
            let due = (record.expires_at_ms, record.serial, slot);
            reservations.due.insert(due);
            reservations.enter_owner(slot);
        }
        reservations.restore_order(slot);
    }
}

fn ready_stock(state: &mut State) -> Result<(), SnapshotError> {
    let mut units = 0;
    for n in 0..state.catalogue.skus.len() {
        let mut ready = 0;
        for cell in state.stock.cells(state.catalogue.skus[n].cells) {
            add(&mut units, cell.committed)?;
            add(&mut units, cell.held)?;
            if state.catalogue.locations[cell.location.at()].enabled {
                add(&mut ready, cell.at_hand())?;
            }
        }
        state.catalogue.skus[n].at_hand = ready;
    }
    state.units_in_cells = units;
    Ok(())
}

fn add(sum: &mut i64, quantity: i64) -> Result<(), SnapshotError> {
    *sum = sum
        .checked_add(quantity)
        .ok_or_else(|| SnapshotError::damaged("sums", "units overflow"))?;
    Ok(())
}
