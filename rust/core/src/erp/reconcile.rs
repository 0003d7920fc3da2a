//! Each order counted exactly once: what the ERP's levels already count is not deducted here (docs/rules.md, section 3).
//!
//! In: levels, acknowledgements, shipments and updates in any order. Out: which units are inside their cell's level, and
//! from that the reservation's state. Always: recomputed from (level, ack, shipment), so the order of arrival does not matter.

use smallvec::SmallVec;

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
    let is_known = |(source, as_of)| {
        if stands_as_it_was(cell, level, (source, as_of)) {
            portion.in_erp_level
        } else {
            level.covers(source, as_of)
        }
    };
    let shipped = evidence.shipped.is_some_and(is_known);
    let has_arrived = evidence.arrived.is_none_or(is_known);
    let acked = has_arrived
        && level.counts_orders()
        && evidence
            .ack_of(level.source)
            .is_some_and(|as_of| level.covers(level.source, as_of));
    shipped || acked
}

/// Units that had left, or arrived, when the levels of their location were handed over or reset are inside those that follow; until
/// one of these comes, they stand as they were.
fn stands_as_it_was(cell: &Cell, level: LevelStamp, (source, as_of): (SourceId, AsOf)) -> bool {
    as_of == AsOf::BEFORE && (level.source != source || cell.is_reset())
}

/// Whether no later level can count a portion otherwise: it left before this one.
fn is_settled(cell: Option<&Cell>, portion: &Portion) -> bool {
    let level = cell.and_then(|cell| cell.level().map(|level| (cell, level)));
    level.zip(portion.shipped()).is_some_and(|((cell, level), by)| {
        !cell.is_reset() && level.covers(by.0, by.1) && !stands_as_it_was(cell, level, by)
    })
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
    let closed = state.reservations.get(slot).closed_at_ms != 0;
    if settled && ended && !closed {
        state.mark_closed(slot);
    } else if !settled && closed && state.rules.is_second_edition() {
        // A reset or a hand-over took back that a level counts its units: it is not forgotten while its cells owe them.
        state.mark_open(slot);
    }
}

/// Lists a confirmed reservation with the cells whose levels may take its units in.
pub(crate) fn list(state: &mut State, slot: Slot) {
    let open = |p: &Portion| match p.node {
        StockNode::Hand(l) => {
            let cell = state.cell(p.sku, l);
            let is_open = !is_settled(cell, p);
            is_open.then_some(((p.sku, l), is_awake(cell.and_then(Cell::level), p)))
        }
        _ => None,
    };
    let cells: SmallVec<[_; 2]> = state.reservations.get(slot).portions.iter().filter_map(open).collect();
    indexes::list_at_cells(state, slot, &cells);
}

/// An order changed: the cells whose levels may take its units in, which are inside by now, and its state.
pub(crate) fn order_changed(state: &mut State, slot: Slot) {
    list(state, slot);
    renew(state, slot);
}

/// Whether a newer level of the same source and kind may count a portion otherwise than the level of now does.
fn is_awake(level: Option<LevelStamp>, portion: &Portion) -> bool {
    let (Some(level), Some(evidence)) = (level, portion.evidence.as_deref()) else {
        return portion.evidence.is_some();
    };
    let may_cover = |(source, as_of)| match (level.as_of, as_of) {
        (AsOf::Time(_), AsOf::Time(_)) => true,
        (_, AsOf::Sequence(_)) => level.source == source,
        (AsOf::Sequence(_), AsOf::Time(_)) => false,
    };
    let may_count = || level.counts_orders() && evidence.ack_of(level.source).is_some();
    match evidence.shipped {
        Some(shipped) => may_cover(shipped) || !portion.in_erp_level && may_count(),
        None => !portion.in_erp_level && may_count(),
    }
}

/// Whether what the level before counts, as acknowledged, a level counts too.
fn goes_on(before: Option<LevelStamp>, level: Option<LevelStamp>) -> bool {
    before.zip(level).is_some_and(|(before, level)| {
        before.source == level.source
            && before.counts_orders() == level.counts_orders()
            && before.as_of.is_by(level.as_of) == Some(true)
    })
}

/// A level of a cell changed: the orders there that it may count otherwise than the one before are looked at again.
pub(crate) fn level_changed(state: &mut State, sku: SkuId, location: LocationId, before: Option<LevelStamp>) {
    let Some(mut list) = state.reservations.at_cell.remove(&(sku, location)) else {
        return;
    };
    let level = state.cell(sku, location).and_then(Cell::level);
    let slots = list.take_awake(!goes_on(before, level));
    for &slot in &slots {
        renew_as(state, slot, false);
    }
    let cell = state.cell(sku, location);
    for slot in slots {
        let portions = state.reservations.get_taken(slot).map_or(&[][..], |r| &r.portions);
        let here = |p: &&Portion| p.sku == sku && p.node == StockNode::Hand(location);
        let stays = portions.iter().filter(here).any(|p| !is_settled(cell, p));
        let awake = portions.iter().filter(here).any(|p| is_awake(level, p));
        list.looked_at(slot, stays, awake);
    }
    if !list.is_empty() {
        state.reservations.at_cell.insert((sku, location), list);
    }
}

#[cfg(test)]
mod tests;
