//! Each order counted exactly once: what the ERP's levels already count is not deducted here (design, section 4).
//!
//! In: levels, acknowledgements, shipments and updates in any order. Out: which units are inside their cell's level, and
//! from that the reservation's state. Always: recomputed from (level, ack, shipment), so the order of arrival is nothing.

use crate::ids::{LocationId, SkuId, Slot};
use crate::lifecycle::mark_closed;
use crate::reservations::{Node, Portion, ReservationState};
use crate::sourcing::occupy;
use crate::state::State;
use crate::stock::{Cell, LevelStamp};

/// Whether a unit with this evidence is counted by the level: shipped before it, or acknowledged and counted as owed.
fn is_inside(level: Option<LevelStamp>, portion: &Portion) -> bool {
    let (Some(level), Some(evidence)) = (level, portion.evidence.as_deref()) else {
        return false;
    };
    let shipped = evidence
        .shipped
        .is_some_and(|(source, as_of)| level.covers(source, as_of));
    let acked = evidence
        .ack
        .is_some_and(|(source, as_of)| level.source == source && level.counts_orders() && level.covers(source, as_of));
    shipped || acked
}

/// Whether no later level can change its mind about a portion: it left before this one.
fn is_settled(level: Option<LevelStamp>, portion: &Portion) -> bool {
    let shipped = portion.evidence.as_deref().and_then(|e| e.shipped);
    level
        .zip(shipped)
        .is_some_and(|(level, (source, as_of))| level.covers(source, as_of))
}

/// Renews which units of a confirmed reservation are inside their level, and the state's name with them.
pub(crate) fn renew(state: &mut State, slot: Slot) {
    // An index may still name a slot whose reservation has moved on.
    let is_order =
        |r: &crate::reservations::Reservation| r.state.is_confirmed() || r.state == ReservationState::Cancelled;
    if !state.reservations.get_if_taken(slot).is_some_and(|r| is_order(r)) {
        return;
    }
    let mut n = 0;
    while let Some(portion) = state.reservations.get(slot).portions.get(n) {
        n += 1;
        let Node::Hand(location) = portion.node else { continue };
        let (sku, quantity) = (portion.sku, portion.quantity);
        let inside = is_inside(state.cell(sku, location).and_then(Cell::level), portion);
        if inside != portion.inside {
            state.touch_reservation(slot);
            state.reservations.get_mut(slot).portions[n - 1].inside = inside;
            occupy(
                state,
                sku,
                Node::Hand(location),
                if inside { -quantity } else { quantity },
                true,
            );
        }
    }
    rename(state, slot);
    cover_demand(state, slot);
}

/// The state's name follows from the units.
fn rename(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let gone = |p: &Portion| p.fulfilled || p.is_shipped();
    let settled = reservation.portions.iter().all(|p| gone(p) && p.inside);
    let name = if reservation.state == ReservationState::Cancelled || reservation.portions.is_empty() {
        ReservationState::Cancelled
    } else if reservation.portions.iter().all(gone) {
        ReservationState::Fulfilled
    } else if reservation.portions.iter().all(|p| gone(p) || p.inside) {
        ReservationState::InErp
    } else {
        ReservationState::Committed
    };
    if name != reservation.state {
        state.touch_reservation(slot);
        state.reservations.set_state(slot, name);
        if name == ReservationState::Cancelled {
            crate::lifecycle::mark_closed(state, slot);
        }
    }
    let ended = matches!(name, ReservationState::Fulfilled | ReservationState::Cancelled);
    if settled && ended && state.reservations.get(slot).closed_at_ms == 0 {
        state.touch_reservation(slot);
        mark_closed(state, slot);
    }
}

/// Lists a confirmed reservation with the cells whose levels may take its units in.
pub(crate) fn enter_indexes(state: &mut State, slot: Slot) {
    let open = |p: &Portion| match p.node {
        Node::Hand(l) => (!is_settled(state.cell(p.sku, l).and_then(Cell::level), p)).then_some((p.sku, l)),
        _ => None,
    };
    let cells: Vec<(SkuId, LocationId)> = state.reservations.get(slot).portions.iter().filter_map(open).collect();
    for cell in cells {
        let list = state.reservations.at_cell.entry(cell).or_default();
        if !list.contains(&slot) {
            list.push(slot);
        }
    }
}

/// Takes a reservation out of the indexes by order and cell, before it is forgotten.
pub(crate) fn leave_indexes(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let cells: Vec<_> = reservation
        .portions
        .iter()
        .filter_map(|p| {
            if let Node::Hand(l) = p.node {
                Some((p.sku, l))
            } else {
                None
            }
        })
        .collect();
    for cell in cells {
        if let Some(list) = state.reservations.at_cell.get_mut(&cell) {
            list.retain(|s| *s != slot);
        }
    }
    state.reservations.leave_order(slot);
}

/// A level of a cell changed: every open order there is looked at again.
pub(crate) fn level_changed(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(mut slots) = state.reservations.at_cell.remove(&(sku, location)) else {
        return;
    };
    for &slot in &slots {
        renew(state, slot);
    }
    let level = state.cell(sku, location).and_then(Cell::level);
    slots.retain(|&mut slot| {
        let open = |p: &Portion| p.sku == sku && p.node == Node::Hand(location) && !is_settled(level, p);
        state
            .reservations
            .get_if_taken(slot)
            .is_some_and(|r| r.portions.iter().any(open))
    });
    if !slots.is_empty() {
        state.reservations.at_cell.insert((sku, location), slots);
    }
}

/// Renews what demand under the same order adds to what its reservations cover.
pub(crate) fn cover_demand(state: &mut State, slot: Slot) {
    let Some(order) = state.reservations.get(slot).order_ref.clone() else {
        return;
    };
    if state.documents.demands_of_order.contains_key(&order) {
        crate::documents::demands::cover(state, &order);
    }
}
