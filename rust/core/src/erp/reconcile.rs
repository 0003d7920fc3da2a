//! Each order counted exactly once: what the ERP's levels already count is not deducted here (docs/rules.md, section 3).
//!
//! In: levels, acknowledgements, shipments and updates in any order. Out: which units are inside their cell's level, and
//! from that the reservation's state. Always: recomputed from (level, ack, shipment), so the order of arrival does not matter.

use crate::erp::{coverage, presumption};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::reservations::{Portion, Reservation, ReservationState, StockNode};
use crate::state::stock::{Cell, LevelStamp};
use crate::units::{indexes, ledger};
use crate::wire::facts::AsOf;

/// Whether a unit with this evidence is counted by the cell's level: shipped before it, or acknowledged and counted as owed.
fn is_inside(cell: Option<&Cell>, portion: &Portion) -> bool {
    let level = cell.and_then(Cell::level);
    let (Some(cell), Some(level), Some(evidence)) = (cell, level, portion.evidence.as_deref()) else {
        return false;
    };
    let shipped = evidence.shipped.is_some_and(|(source, as_of)| {
        if stands_as_it_was(cell, level, (source, as_of)) {
            portion.in_erp_level
        } else {
            level.covers(source, as_of)
        }
    });
    let acked = level.counts_orders()
        && evidence
            .ack_of(level.source)
            .is_some_and(|as_of| level.covers(level.source, as_of));
    shipped || acked
}

/// Units that had left when the levels of their location were handed over are inside those of the new owner; until one of
/// these comes, they stand as they were.
fn stands_as_it_was(cell: &Cell, level: LevelStamp, (source, as_of): (SourceId, AsOf)) -> bool {
    as_of == AsOf::BEFORE && (level.source != source || cell.is_reset())
}

/// Whether no later level can count a portion otherwise: it left before this one.
fn is_settled(cell: Option<&Cell>, portion: &Portion) -> bool {
    let level = cell.and_then(|cell| cell.level().map(|level| (cell, level)));
    level
        .zip(portion.shipped())
        .is_some_and(|((cell, level), by)| level.covers(by.0, by.1) && !stands_as_it_was(cell, level, by))
}

/// Renews which units of a confirmed reservation are inside their level, and its state with them.
pub(crate) fn renew(state: &mut State, slot: Slot) {
    renew_as(state, slot, true);
}

/// `is_late`: what is inside now came after the level that counts it.
fn renew_as(state: &mut State, slot: Slot, is_late: bool) {
    // An index may still name a slot whose reservation has moved on.
    let is_order = |r: &Reservation| r.state.is_confirmed() || r.state == ReservationState::Cancelled;
    if !state.reservations.get_taken(slot).is_some_and(is_order) {
        return;
    }
    let mut n = 0;
    while let Some(portion) = state.reservations.get(slot).portions.get(n) {
        if let StockNode::Hand(location) = portion.node {
            let inside = is_inside(state.cell(portion.sku, location), portion);
            if inside != portion.in_erp_level {
                let (sku, units) = (portion.sku, portion.quantity);
                ledger::mark_in_erp_level(state, slot, n, inside);
                if is_late {
                    presumption::counted_late(state, (sku, location), if inside { units } else { -units });
                }
            }
        }
        n += 1;
    }
    rename(state, slot);
    coverage::renew_of(state, slot);
}

/// The reservation's state follows from its units.
fn rename(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let gone = |p: &Portion| p.fulfilled || p.is_shipped();
    let settled = reservation.portions.iter().all(|p| gone(p) && p.in_erp_level);
    let name = if reservation.state == ReservationState::Cancelled || reservation.portions.is_empty() {
        ReservationState::Cancelled
    } else if reservation.portions.iter().all(gone) {
        ReservationState::Fulfilled
    } else if reservation.portions.iter().all(|p| gone(p) || p.in_erp_level) {
        ReservationState::InErp
    } else {
        ReservationState::Committed
    };
    if name != reservation.state {
        state.name_state(slot, name);
        if name == ReservationState::Cancelled {
            state.mark_closed(slot);
        }
    }
    let ended = matches!(name, ReservationState::Fulfilled | ReservationState::Cancelled);
    if settled && ended && state.reservations.get(slot).closed_at_ms == 0 {
        state.mark_closed(slot);
    }
}

/// Lists a confirmed reservation with the cells whose levels may take its units in.
pub(crate) fn list(state: &mut State, slot: Slot) {
    let open = |p: &Portion| match p.node {
        StockNode::Hand(l) => (!is_settled(state.cell(p.sku, l), p)).then_some((p.sku, l)),
        _ => None,
    };
    let cells: Vec<(SkuId, LocationId)> = state.reservations.get(slot).portions.iter().filter_map(open).collect();
    indexes::list_at_cells(state, slot, &cells);
}

/// An order changed: the cells whose levels may take its units in, which are inside by now, and its state.
pub(crate) fn order_changed(state: &mut State, slot: Slot) {
    list(state, slot);
    renew(state, slot);
}

/// A level of a cell changed: every open order there is looked at again.
pub(crate) fn level_changed(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(mut slots) = state.reservations.at_cell.remove(&(sku, location)) else {
        return;
    };
    for &slot in &slots {
        renew_as(state, slot, false);
    }
    let cell = state.cell(sku, location);
    slots.retain(|&mut slot| {
        let open = |p: &Portion| p.sku == sku && p.node == StockNode::Hand(location) && !is_settled(cell, p);
        state
            .reservations
            .get_taken(slot)
            .is_some_and(|r| r.portions.iter().any(open))
    });
    if !slots.is_empty() {
        state.reservations.at_cell.insert((sku, location), slots);
    }
}

#[cfg(test)]
mod tests;
