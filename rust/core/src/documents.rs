//! Facts about stock on the move: supply, demand, and movements that count on top of a level.
//!
//! In: facts already checked. Out: changed documents, cells and bindings.
//! Always: a movement counts on top of a level that it is newer than, until a newer level absorbs it.

use crate::digest::{Encode, Entity};
use crate::facts;
use crate::facts::{AsOf, Condition, StockLevel, SupplyStatus};
use crate::ids::{DemandId, LocationId, SkuId, SourceId, SupplyId};
use crate::netting;
use crate::policies::Oversold;
use crate::pool::{counts_in_cell, demand_inside};
use crate::reservations::Node;
use crate::sourcing::move_units;
use crate::state::State;
use crate::stock::{Cell, LevelStamp, Movement};
use crate::supply::{Demand, DocumentKey, Supply};

/// What a newer statement about a document is to the one held.
#[derive(Debug, PartialEq, Eq)]
enum Newness {
    Repeat,
    Stale,
    Anomaly,
    Replaces,
}

fn newness(old: Option<i64>, new: Option<i64>, same_body: bool) -> Newness {
    match (old, new) {
        _ if same_body && old == new => Newness::Repeat,
        (Some(held), Some(told)) if told < held => Newness::Stale,
        (Some(held), Some(told)) if told == held => Newness::Anomaly,
        (Some(_), None) => Newness::Anomaly,
        _ => Newness::Replaces,
    }
}

/// Counts what is set aside; true where the statement is to be applied.
fn is_to_apply(state: &mut State, newness: &Newness) -> bool {
    match newness {
        Newness::Repeat => state.counters.repeats += 1,
        Newness::Stale => state.counters.stale_versions += 1,
        Newness::Anomaly => state.counters.anomalies += 1,
        Newness::Replaces => return true,
    }
    false
}

fn key_of(source: SourceId, reference: &str, line: &str) -> DocumentKey {
    (source, reference.into(), line.into())
}

/// Base units of a quantity that may name a unit.
pub(crate) fn in_base(state: &State, sku: SkuId, quantity: i64, unit: Option<&str>) -> i64 {
    quantity * unit.and_then(|u| state.catalogue.unit_factor(sku, u)).unwrap_or(1)
}

// ---- levels and movements

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
    if let Some(old) = told_before {
        if stamp.as_of < old.as_of {
            state.counters.stale_levels += 1;
            return;
        }
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
        let bytes = [location.0.to_le_bytes(), source.0.to_le_bytes()].concat();
        state.digest.add(Entity::Owner, &bytes);
    }
}

fn movement_bytes(sku: SkuId, location: LocationId, m: &Movement, out: &mut Vec<u8>) {
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

fn set_conditions(state: &mut State, sku: SkuId, location: LocationId, parts: facts::Unsellable) {
    let old = conditions(state, sku, location);
    if old == parts {
        return;
    }
    let bytes = |p: &facts::Unsellable, out: &mut Vec<u8>| {
        out.clear();
        out.number(sku.0.into())
            .number(location.0.into())
            .number(p.quality_control)
            .number(p.damaged);
        out.number(p.quarantined).number(p.in_transfer);
    };
    let State {
        stock, digest, scratch, ..
    } = state;
    if old != facts::Unsellable::default() {
        bytes(&old, scratch);
        digest.take(Entity::Conditions, scratch);
    }
    if parts == facts::Unsellable::default() {
        stock.conditions.remove(&(sku, location));
    } else {
        bytes(&parts, scratch);
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

// ---- supply

fn supply_bytes(s: &Supply, out: &mut Vec<u8>) {
    out.clear();
    out.number(s.key.0.0.into())
        .text(&s.key.1)
        .text(&s.key.2)
        .optional(s.version)
        .number(s.sku.0.into());
    out.number(s.location.0.into())
        .number(s.quantity)
        .number(s.due.into())
        .number(s.confidence.into());
    out.push(s.status as u8);
}

pub(crate) fn supply(state: &mut State, source: SourceId, fact: &facts::Supply<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let key = key_of(source, &fact.reference, &fact.line);
    let told = Supply {
        key: key.clone(),
        version: fact.version,
        sku,
        location,
        quantity: in_base(state, sku, fact.quantity, fact.unit.as_deref()),
        due: fact.due,
        status: fact.status,
        confidence: fact.confidence,
        bound: 0,
        holders: std::collections::BTreeSet::new(),
        sequence: state.position.sequence + 1,
    };
    let id = match state.documents.supplies.find(&key) {
        None => add_supply(state, key, told),
        Some(id) => {
            let old = state.documents.supplies.get(id);
            let same = Supply {
                bound: old.bound,
                holders: old.holders.clone(),
                sequence: old.sequence,
                ..told.clone()
            } == *old;
            let newness = newness(old.version, told.version, same);
            if !is_to_apply(state, &newness) {
                return;
            }
            replace_supply(state, id, told);
            id
        }
    };
    list_supply(state, id, sku);
    state.note_change(sku);
}

fn add_supply(state: &mut State, key: DocumentKey, told: Supply) -> u32 {
    supply_bytes(&told, &mut state.scratch);
    state.digest.add(Entity::Supply, &state.scratch);
    state.documents.supplies.add(key, told)
}

fn replace_supply(state: &mut State, id: u32, told: Supply) {
    let (old_sku, old_location) = {
        let old = state.documents.supplies.get(id);
        (old.sku, old.location)
    };
    let moved_away = old_sku != told.sku || old_location != told.location;
    let State {
        documents,
        digest,
        scratch,
        ..
    } = state;
    let record = documents.supplies.get_mut(id);
    supply_bytes(record, scratch);
    digest.take(Entity::Supply, scratch);
    let (bound, holders) = (record.bound, std::mem::take(&mut record.holders));
    let (status, quantity) = (told.status, told.quantity);
    *record = Supply { bound, holders, ..told };
    supply_bytes(record, scratch);
    digest.add(Entity::Supply, scratch);
    let excess = match status {
        SupplyStatus::Open if !moved_away => (bound - quantity).max(0),
        _ => bound,
    };
    let to = if status == SupplyStatus::Received && !moved_away {
        Node::Hand(old_location)
    } else {
        Node::Unsourced
    };
    unbind(state, id, old_sku, excess, to);
    if old_sku != state.documents.supplies.get(id).sku {
        unlist_supply(state, id, old_sku);
        state.note_change(old_sku);
    }
}

/// Moves units that are bound to a supply elsewhere, oldest reservation first.
fn unbind(state: &mut State, id: u32, sku: SkuId, mut excess: i64, to: Node) {
    let from = Node::Supply(SupplyId(id));
    let holders: Vec<Oversold> = state.documents.supplies.get(id).holders.iter().copied().collect();
    for age in holders {
        while excess > 0 {
            let portions = &state.reservations.get(age.slot).portions;
            let Some(portion) = portions.iter().find(|p| p.sku == sku && p.node == from) else {
                break;
            };
            let (line, units) = (portion.line, portion.quantity.min(excess));
            excess -= units;
            move_units(state, age.slot, sku, line, from, to, units, false);
        }
        if matches!(to, Node::Hand(_)) {
            let confirmed = state.reservations.get(age.slot).state.is_confirmed();
            if confirmed {
                netting::enter_indexes(state, age.slot);
                netting::renew(state, age.slot);
            }
        }
    }
}

fn list_supply(state: &mut State, id: u32, sku: SkuId) {
    let open = {
        let s = state.documents.supplies.get(id);
        s.status == SupplyStatus::Open && s.quantity > 0
    };
    if open {
        let list = &mut state.catalogue.detail_mut(sku).flow.supplies;
        if !list.contains(&SupplyId(id)) {
            list.push(SupplyId(id));
        }
        return;
    }
    unlist_supply(state, id, sku);
    let closed_max = state.rules.identities_max;
    if let Some(old) = state.documents.supplies.note_closed(id, closed_max) {
        forget_supply(state, old);
    }
}

fn unlist_supply(state: &mut State, id: u32, sku: SkuId) {
    if let Some(detail) = state.catalogue.detail_if_any(sku) {
        detail.flow.supplies.retain(|s| s.0 != id);
    }
}

fn forget_supply(state: &mut State, id: u32) {
    let Some(record) = state.documents.supplies.try_get(id) else {
        return;
    };
    if record.bound > 0 || (record.status == SupplyStatus::Open && record.quantity > 0) {
        return;
    }
    let key = record.key.clone();
    if let Some(gone) = state.documents.supplies.forget(id, &key) {
        supply_bytes(&gone, &mut state.scratch);
        state.digest.take(Entity::Supply, &state.scratch);
    }
}

// ---- demand

fn demand_bytes(d: &Demand, out: &mut Vec<u8>) {
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
    for slot in netting::slots_of(state, order_ref) {
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
