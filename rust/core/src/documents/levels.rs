//! Levels and the movements on top of them.
//!
//! Always: a movement counts on top of a level that it is newer than, until a newer level absorbs it.

use crate::digest::{Encode, Entity};
use crate::documents::demands::renew_demand;
use crate::documents::in_base;
use crate::facts;
use crate::facts::{AsOf, Condition, StockLevel};
use crate::ids::{LocationId, SkuId, SourceId};
use crate::netting;
use crate::state::State;
use crate::stock::{Cell, LevelStamp, Movement};

pub(crate) fn level(state: &mut State, source: SourceId, fact: &StockLevel<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    own_location(state, location, source);
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
    let told_before = held.as_ref().and_then(Cell::level);
    if let Some(old) = told_before
        && stamp.as_of < old.as_of
    {
        state.counters.stale_levels += 1;
        return;
    }
    let moved = absorb(state, sku, location, stamp);
    let parts_before = conditions(state, sku, location);
    let gross = if fact.basis == facts::Basis::Gross {
        allocated.unwrap_or(0)
    } else {
        0
    };
    if let (Some(old), Some(cell)) = (told_before, held) {
        let same =
            old == stamp && cell.on_hand - moved.0 == on_hand && parts_before == parts && cell.allocated == gross;
        if old.as_of == stamp.as_of {
            if same {
                state.counters.repeats += 1;
                return;
            }
            state.counters.level_conflicts += 1;
        }
    }
    set_conditions(state, sku, location, parts);
    state.change_cell(sku, location, |cell| {
        cell.on_hand = on_hand + moved.0;
        cell.unsellable = unsellable + moved.1;
        cell.allocated = gross;
        cell.stamp(stamp);
    });
    crate::safety::renew(state, sku, location);
    netting::level_changed(state, sku, location);
    renew_demand(state, sku, location);
}

fn own_location(state: &mut State, location: LocationId, source: SourceId) {
    if state.location_owner[location.at()].is_none() {
        state.location_owner[location.at()] = Some(source);
        state.digest.add(Entity::Owner, &owner_bytes(location, source));
    }
}

pub(crate) fn owner_bytes(location: LocationId, source: SourceId) -> Vec<u8> {
    [location.0.to_le_bytes(), source.0.to_le_bytes()].concat()
}

pub(crate) fn movement_bytes(sku: SkuId, location: LocationId, m: &Movement, out: &mut Vec<u8>) {
    out.clear();
    out.number(sku.0.into())
        .number(location.0.into())
        .number(m.on_hand)
        .number(m.unsellable);
    out.number(m.source.0.into()).stamp(m.as_of);
}

/// Drops the movements that a level takes in; returns the sums of those that stay on top of it.
fn absorb(state: &mut State, sku: SkuId, location: LocationId, level: LevelStamp) -> (i64, i64) {
    let State {
        stock, digest, scratch, ..
    } = state;
    let Some(movements) = stock.movements.get_mut(&(sku, location)) else {
        return (0, 0);
    };
    movements.retain(|m| {
        let comparable = match (level.as_of, m.as_of) {
            (AsOf::Time(_), AsOf::Time(_)) => true,
            (AsOf::Sequence(_), AsOf::Sequence(_)) => level.source == m.source,
            _ => false,
        };
        let stays = comparable && !level.covers(m.source, m.as_of);
        if !stays {
            movement_bytes(sku, location, m, scratch);
            digest.take(Entity::Movement, scratch);
        }
        stays
    });
    let sums = movements
        .iter()
        .fold((0, 0), |(h, u), m| (h + m.on_hand, u + m.unsellable));
    if movements.is_empty() {
        stock.movements.remove(&(sku, location));
    }
    sums
}

pub(crate) fn conditions(state: &State, sku: SkuId, location: LocationId) -> facts::Unsellable {
    state
        .stock
        .conditions
        .get(&(sku, location))
        .copied()
        .unwrap_or_default()
}

pub(crate) fn condition_bytes(sku: SkuId, location: LocationId, p: &facts::Unsellable, out: &mut Vec<u8>) {
    out.clear();
    out.number(sku.0.into())
        .number(location.0.into())
        .number(p.quality_control)
        .number(p.damaged);
    out.number(p.quarantined).number(p.in_transfer);
}

fn set_conditions(state: &mut State, sku: SkuId, location: LocationId, parts: facts::Unsellable) {
    let old = conditions(state, sku, location);
    if old == parts {
        return;
    }
    let State {
        stock, digest, scratch, ..
    } = state;
    if old != facts::Unsellable::default() {
        condition_bytes(sku, location, &old, scratch);
        digest.take(Entity::Conditions, scratch);
    }
    if parts == facts::Unsellable::default() {
        stock.conditions.remove(&(sku, location));
    } else {
        condition_bytes(sku, location, &parts, scratch);
        digest.add(Entity::Conditions, scratch);
        stock.conditions.insert((sku, location), parts);
    }
}

/// A movement: nothing where a level covers it, else on top until one does.
pub(crate) fn movement(state: &mut State, sku: SkuId, location: LocationId, movement: Movement) {
    let level = state.cell(sku, location).and_then(Cell::level);
    if level.is_some_and(|l| l.covers(movement.source, movement.as_of))
        || (movement.on_hand == 0 && movement.unsellable == 0)
    {
        return;
    }
    let State {
        stock, digest, scratch, ..
    } = state;
    stock.movements.entry((sku, location)).or_default().push(movement);
    movement_bytes(sku, location, &movement, scratch);
    digest.add(Entity::Movement, scratch);
    state.change_cell(sku, location, |cell| {
        cell.on_hand += movement.on_hand;
        cell.unsellable += movement.unsellable;
    });
    crate::safety::renew(state, sku, location);
}

/// What a return puts where: (on hand, unsellable).
pub(crate) fn returned(condition: Condition, quantity: i64) -> (i64, i64) {
    match condition {
        Condition::Sellable => (quantity, 0),
        Condition::Damaged | Condition::QualityControl => (quantity, quantity),
    }
}
