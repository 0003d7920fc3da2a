//! The indexes that find reservations: by supply and unsourced units, by their due time and owner, by cell.
//!
//! In: a reservation that changed. Out: the indexes, by its present state. Always: the ledger and the beginnings and ends of
//! holds call these; a rule does not.

use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::policies::AgeKey;
use crate::state::reservations::{Owner, Portion, ReservationState, StockNode};
use crate::state::unsourced::Waiting;

/// Notes in the indexes by age that a reservation has, or no longer has, units on a supply or unsourced ones.
pub(crate) fn renew(state: &mut State, slot: Slot, sku: SkuId, node: StockNode) {
    let reservation = state.reservations.get(slot);
    let age: AgeKey = reservation.age(slot);
    let mut here = reservation.portions.iter().filter(|p| p.sku == sku && p.node == node);
    match node {
        // Units may have left the cell: its next level sees whether the order is still there.
        StockNode::Hand(location) => {
            if reservation.state != ReservationState::Held
                && let Some(list) = state.reservations.at_cell.get_mut(&(sku, location))
            {
                list.wake(slot);
            }
        }
        StockNode::Supply(id) => {
            let present = here.next().is_some();
            state.documents.supplies.list_holder(id, age, present);
        }
        StockNode::Unsourced => {
            let buyers = (reservation.channel, reservation.region);
            let waiting = here.map(waiting).reduce(|mut sum, units| {
                sum.add(units);
                sum
            });
            let unsourced = &mut state.catalogue.detail_mut(sku).flow.unsourced;
            unsourced.set(age, buyers, waiting);
            if unsourced.is_empty() {
                state.end_waiting(sku);
            } else if state.unsourced_skus.insert(sku) || !state.to_bind.contains(sku) {
                state.to_bind.push(sku);
            }
        }
    }
}

/// What a portion adds to those that wait.
pub(crate) fn waiting(portion: &Portion) -> Waiting {
    Waiting {
        quantity: portion.quantity,
        own: portion.own,
    }
}

/// A hold now ends at `until_ms` on the lead clock.
pub(crate) fn set_due(state: &mut State, slot: Slot, until_ms: i64) {
    let reservation = state.edit(slot);
    let (serial, old) = (reservation.serial, reservation.expires_at_ms);
    reservation.expires_at_ms = until_ms;
    state.reservations.due.remove(&(old, serial, slot));
    state.reservations.due.insert((until_ms, serial, slot));
}

/// A hold has a new body: it ends at `until_ms` on the lead clock, and `owner` holds it.
pub(crate) fn renew_hold(state: &mut State, slot: Slot, until_ms: i64, owner: Option<Owner>) {
    let reservation = state.edit(slot);
    let (serial, old_due) = (reservation.serial, reservation.expires_at_ms);
    let old_owner = std::mem::replace(&mut reservation.owner, owner);
    reservation.expires_at_ms = until_ms;
    if old_due != 0 {
        state.reservations.due.remove(&(old_due, serial, slot));
    }
    state.reservations.due.insert((until_ms, serial, slot));
    if old_owner != owner {
        state.reservations.leave_owner(slot, old_owner);
        state.reservations.enter_owner(slot);
    }
}

/// A hold has ended: it is no longer due, and no longer listed with its owner.
pub(crate) fn end_hold(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let (due, owner) = ((reservation.expires_at_ms, reservation.serial, slot), reservation.owner);
    state.reservations.due.remove(&due);
    state.reservations.leave_owner(slot, owner);
}

/// Lists an order with cells whose levels may take its units in, and whether the next ones can.
pub(crate) fn list_at_cells(state: &mut State, slot: Slot, cells: &[((SkuId, LocationId), bool)]) {
    for (cell, is_awake) in cells {
        let list = state.reservations.at_cell.entry(*cell).or_default();
        list.enter(slot, *is_awake);
    }
}

/// Takes a reservation out of the indexes by order and cell, before it is forgotten.
pub(crate) fn leave(state: &mut State, slot: Slot) {
    let portions = state.reservations.get(slot).portions.clone();
    for portion in portions {
        if let StockNode::Hand(location) = portion.node
            && let Some(list) = state.reservations.at_cell.get_mut(&(portion.sku, location))
        {
            list.leave(slot);
        }
    }
    state.reservations.leave_order(slot);
}
