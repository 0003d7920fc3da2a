//! Levels and the movements on top of them.
//!
//! Always: a movement counts on top of a level that it is newer than, until a newer level absorbs it.

use crate::availability::safety;
use crate::erp::coverage;
use crate::erp::documents::in_base;
use crate::erp::{presumption, reconcile};
use crate::state::State;
use crate::state::anomalies::Anomaly;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::stock::{Cell, LevelStamp, Movement};
use crate::wire::facts;
use crate::wire::facts::{AsOf, Condition, StockLevel};

pub(crate) fn level(state: &mut State, source: SourceId, fact: &StockLevel<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    if state.location_owner[location.at()].is_none() {
        state.set_owner(location, source);
    }
    let base = |q: i64| in_base(state, sku, q, fact.unit.as_deref());
    let (on_hand, allocated) = (base(fact.on_hand), fact.allocated.map(base));
    let u = &fact.unsellable;
    let parts = facts::Unsellable {
        quality_control: base(u.quality_control),
        damaged: base(u.damaged),
        quarantined: base(u.quarantined),
        in_transfer: base(u.in_transfer),
    };
    let unsellable = parts.quality_control + parts.damaged + parts.quarantined + parts.in_transfer;
    let stamp = LevelStamp {
        source,
        as_of: fact.as_of,
        basis: fact.basis,
        allocated_given: allocated.is_some(),
    };
    let held = state.cell(sku, location).copied();
    let stamp_before = held.as_ref().and_then(Cell::level);
    if let Some(old) = stamp_before
        && is_comparable(state, held.as_ref(), stamp)
        && stamp.as_of < old.as_of
    {
        state.note(Anomaly::Stale);
        return;
    }
    let counted_before = presumption::counted(state, sku, location);
    // The first edition let a repeat take in what is of another clock, and called it a conflict then.
    let early = (!state.rules.is_second_edition()).then(|| absorb(state, sku, location, stamp));
    let gross = match fact.basis {
        facts::Basis::Gross => allocated.unwrap_or(0),
        facts::Basis::Net => 0,
    };
    if let (Some(old), Some(cell)) = (stamp_before, held)
        && old.as_of == stamp.as_of
        && is_comparable(state, held.as_ref(), stamp)
    {
        let (moved, _) = early.unwrap_or_else(|| on_top(state, sku, location));
        let same = old == stamp && cell.on_hand - moved == on_hand && cell.allocated == gross;
        if same && state.conditions(sku, location) == parts {
            state.note(Anomaly::Repeat);
            return;
        }
        state.note(Anomaly::LevelConflict);
        presumption::restated(state, (sku, location), stamp.as_of);
    }
    let moved = early.unwrap_or_else(|| absorb(state, sku, location, stamp));
    state.set_conditions(sku, location, parts);
    state.change_cell(sku, location, |cell| {
        cell.on_hand = on_hand + moved.0;
        cell.unsellable = unsellable + moved.1;
        cell.allocated = gross;
        cell.stamp(stamp);
    });
    safety::renew(state, sku, location);
    reconcile::level_changed(state, sku, location, stamp_before);
    coverage::renew_cell(state, sku, location);
    presumption::level_came(state, (sku, location), stamp, stamp_before, counted_before);
}

/// Whether the level held and a new one are of one source's clock: not after a hand-over, nor after a reset.
fn is_comparable(state: &State, held: Option<&Cell>, new: LevelStamp) -> bool {
    !state.rules.is_second_edition()
        || held.is_some_and(|cell| !cell.is_reset() && cell.level().is_some_and(|old| old.source == new.source))
}

/// Drops the movements that a level takes in; returns the sums of those that stay on top of it.
fn absorb(state: &mut State, sku: SkuId, location: LocationId, level: LevelStamp) -> (i64, i64) {
    state.retain_movements(sku, location, |m| {
        let comparable = match (level.as_of, m.as_of) {
            (AsOf::Time(_), AsOf::Time(_)) => true,
            (AsOf::Sequence(_), AsOf::Sequence(_)) => level.source == m.source,
            _ => false,
        };
        comparable && !level.covers(m.source, m.as_of)
    });
    on_top(state, sku, location)
}

/// The sums of the movements on top of a cell's level: on hand, unsellable.
fn on_top(state: &State, sku: SkuId, location: LocationId) -> (i64, i64) {
    let all = state.movements(sku, location).iter();
    all.fold((0, 0), |(h, u), m| (h + m.on_hand, u + m.unsellable))
}

/// A movement that is a whole fact: that a level covers it is noted.
pub(crate) fn own_movement(state: &mut State, sku: SkuId, location: LocationId, movement: Movement) {
    if is_covered(state, sku, location, (movement.source, movement.as_of)) {
        state.note(Anomaly::Covered);
    }
    self::movement(state, sku, location, movement);
}

/// Whether the level of a cell counts what a source saw then; not once its moments are forgotten.
pub(super) fn is_covered(state: &State, sku: SkuId, location: LocationId, (source, as_of): (SourceId, AsOf)) -> bool {
    let cell = state.cell(sku, location).filter(|cell| !cell.is_reset());
    let level = cell.and_then(Cell::level);
    level.is_some_and(|l| l.covers(source, as_of))
}

/// A movement: no effect where a level covers it, else it counts on top until one does.
pub(crate) fn movement(state: &mut State, sku: SkuId, location: LocationId, movement: Movement) {
    let is_nothing = movement.on_hand == 0 && movement.unsellable == 0;
    // What a SKU moved whose name became an alias was dropped with its levels: taking it back moves nothing.
    let is_dropped = state.catalogue.passed_on.contains_key(&sku);
    if is_nothing || is_dropped {
        return;
    }
    if is_covered(state, sku, location, (movement.source, movement.as_of)) {
        presumption::moved_before_level(state, (sku, location), movement.as_of, movement.on_hand);
        return;
    }
    state.add_movement(sku, location, movement);
    state.change_cell(sku, location, |cell| {
        cell.on_hand += movement.on_hand;
        cell.unsellable += movement.unsellable;
    });
    safety::renew(state, sku, location);
}

/// What a return puts where: (on hand, unsellable).
pub(crate) fn returned(condition: Condition, quantity: i64) -> (i64, i64) {
    match condition {
        Condition::Sellable => (quantity, 0),
        Condition::Damaged | Condition::QualityControl => (quantity, quantity),
    }
}
