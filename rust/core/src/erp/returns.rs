//! `return`: units came back. An order brings back no more than it shipped; what a return names beyond that leaves the open
//! units instead (docs/rules.md, "Returns").
//!
//! In: returns, and orders whose units changed. Out: movements, and open units that left. Always: it follows from the totals
//! of the order, so the order of arrival does not matter; a return of an order that is not known counts as it says.

use std::collections::{BTreeMap, BTreeSet};

use crate::erp::identity::{is_to_count, of_movement};
use crate::erp::named_order::{self, LeftBehind};
use crate::erp::order_units::{self, Cell};
use crate::erp::{levels, presumption, reconcile};
use crate::state::State;
use crate::state::anomalies::Anomaly;
use crate::state::identities::Moves;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::order_documents::{About, OrderDocument, Returned};
use crate::state::stock::Movement;
use crate::units::kits;
use crate::units::recipes::{self, Declared};
use crate::wire::facts::{AsOf, Condition, Return, Statement};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Return<'_>) {
    let (sku, location) = (state.sku(&fact.sku), state.location(&fact.location));
    let name = state.catalogue.sku_name(sku).to_owned();
    let cell = (&*name, &*fact.location);
    let key = of_movement(&statement.source, "return", &fact.reference, fact.line.as_deref(), cell);
    let order = named_order::waits_for(&fact.of).into_owned();
    let mut returned = Returned {
        sku,
        quantity: fact.quantity,
        unit: fact.unit.as_deref().map(Into::into),
        location,
        condition: fact.condition,
        counted: Vec::new(),
    };
    if order.is_empty() {
        without_order(state, source, statement, fact, (key, &returned));
        return;
    }
    let Some(before) = is_to_count(state, source, statement, key, fact.version, Vec::new()) else {
        return;
    };
    if let Some(About::Return(before)) = state.order_documents.held(key).map(|d| &d.about) {
        returned.counted.clone_from(&before.counted);
    } else if state.rules.is_third_edition() {
        returned.counted = counted_without_order(&before);
    }
    let document = OrderDocument {
        name: order_units::name_of(statement, &fact.reference, fact.line.as_deref(), cell),
        key,
        channel: fact.of.channel.as_deref().map(Into::into),
        source,
        as_of: fact.as_of,
        about: About::Return(returned),
        beyond: Declared::now(state, sku, fact.unit.as_deref()).kept(sku),
    };
    let slots = named_order::meant(state, &fact.of);
    let old = named_order::left_behind(state, key, &fact.of, &slots);
    state.put_order_document(&order, document);
    settle_beside(state, (key, old), &[order.into()], &slots);
    note_if_covered(state, (sku, location), (source, fact.as_of));
}

fn note_if_covered(state: &mut State, (sku, location): (SkuId, LocationId), by: (SourceId, AsOf)) {
    if levels::is_covered(state, sku, location, by) {
        state.note(Anomaly::Covered);
    }
}

/// Settles the returns of these orders, and of the one that the version before named: units that left that one are open again.
fn settle_beside(state: &mut State, (key, old): (u128, Option<LeftBehind>), names: &[Box<str>], slots: &[Slot]) {
    let Some(old) = old else {
        settle_named(state, names, slots);
        return;
    };
    for &slot in old.slots.iter().filter(|slot| !slots.contains(slot)) {
        state.count_change(slot);
        let kits = kits::counted(state, slot);
        let dropped: Vec<(SkuId, i64)> = order_units::dropped_by(state, slot, key)
            .map(|d| (d.sku, d.quantity))
            .collect();
        for some in dropped {
            order_units::put_back(state, &[slot], some, |d| d.document == key);
        }
        kits::give_back_gone(state, slot, &kits);
        reconcile::order_changed(state, slot);
    }
    let mut all = old.slots.to_vec();
    all.extend(slots.iter().filter(|slot| !old.slots.contains(slot)));
    settle_named(state, &[names, &[old.order]].concat(), &all);
}

/// What a version without an order counted: two moves of each SKU, on hand and of it unsellable.
fn counted_without_order(moves: &Moves) -> Vec<(SkuId, bool, i64)> {
    let pairs = moves.chunks_exact(2).filter(|pair| pair[0].2 != 0);
    pairs.map(|pair| (pair[0].0, pair[1].2 == 0, pair[0].2)).collect()
}

/// The same the other way.
fn as_moves(counted: &[(SkuId, bool, i64)], location: LocationId) -> Moves {
    let pair = |&(sku, sellable, on_hand): &(SkuId, bool, i64)| {
        let unsellable = if sellable { 0 } else { on_hand };
        [(sku, Some(location), on_hand), (sku, Some(location), unsellable)]
    };
    counted.iter().flat_map(pair).collect()
}

/// A return that names no order counts as it says.
fn without_order(
    state: &mut State,
    source: SourceId,
    statement: &Statement<'_>,
    fact: &Return<'_>,
    (key, returned): (u128, &Returned),
) {
    let quantity = recipes::in_base(state, &[], returned.sku, fact.quantity, fact.unit.as_deref()).unwrap_or(0);
    // Two moves of each SKU: on hand, then unsellable, so that a newer version can take both back.
    let mut moves = Vec::new();
    state.catalogue.for_each_component(returned.sku, |part, per| {
        let (on_hand, unsellable) = levels::returned(fact.condition, quantity * per);
        let at = Some(returned.location);
        moves.extend([(part, at, on_hand), (part, at, unsellable)]);
    });
    let Some(mut before) = is_to_count(state, source, statement, key, fact.version, moves.clone()) else {
        return;
    };
    if state.rules.is_third_edition()
        && let Some(About::Return(with_order)) = state.order_documents.held(key).map(|d| &d.about)
    {
        before.extend(as_moves(&with_order.counted, returned.location));
        let old = named_order::left_behind(state, key, &fact.of, &[]);
        state.forget_order_document(key);
        settle_beside(state, (key, old), &[], &[]);
    }
    let mut changes: BTreeMap<SkuId, (i64, i64)> = BTreeMap::new();
    for (sign, all) in [(1, &moves), (-1, &before)] {
        for pair in all.chunks(2) {
            let change = changes.entry(pair[0].0).or_default();
            change.0 += sign * pair[0].2;
            change.1 += sign * pair.get(1).map_or(0, |(_, _, quantity)| *quantity);
        }
    }
    for (sku, (on_hand, unsellable)) in changes {
        let as_of = fact.as_of;
        presumption::brought(state, (sku, returned.location), on_hand);
        let movement = Movement {
            on_hand,
            unsellable,
            source,
            as_of,
        };
        levels::movement(state, sku, returned.location, movement);
    }
    note_if_covered(state, (returned.sku, returned.location), (source, fact.as_of));
}

/// Settles the returns of the orders that these reservations belong to, after any change of their units.
pub(crate) fn settle(state: &mut State, slots: &[Slot]) {
    if state.order_documents.is_empty() || !state.rules.is_second_edition() {
        return;
    }
    let names = order_units::names_of(state, slots);
    settle_named(state, &names, slots);
}

fn settle_named(state: &mut State, names: &[Box<str>], slots: &[Slot]) {
    let documents = documents_of_order(state, names, slots);
    let mut used = Used::default();
    for (order, document) in documents.iter().filter(|(_, d)| matches!(d.about, About::Return(_))) {
        settle_one(state, order, document, &documents, &mut used);
    }
    note_returned(state, slots, &used);
}

/// All documents of the orders that these reservations belong to: also those that name another reservation of such an order
/// alone, for returns of the order bring back what those shipped. By earlier editions only what names these.
fn documents_of_order(state: &State, names: &[Box<str>], slots: &[Slot]) -> Vec<(Box<str>, OrderDocument)> {
    let mut names = names.to_vec();
    let add = |names: &mut Vec<Box<str>>, slots: &[Slot]| {
        for name in order_units::names_of(state, slots) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    };
    add(&mut names, slots);
    loop {
        let (documents, known) = (order_units::documents_of(state, &names), names.len());
        if state.rules.is_third_edition() {
            for (order, document) in &documents {
                let bearers = named_order::bearers(state, order, document.channel.as_deref());
                add(&mut names, &bearers);
            }
        }
        if names.len() == known {
            return documents;
        }
    }
}

/// Notes on each reservation what of its units came back.
fn note_returned(state: &mut State, slots: &[Slot], used: &Used) {
    let mut all: BTreeSet<Slot> = slots.iter().copied().collect();
    all.extend(used.units.keys().map(|(slot, _)| *slot));
    for slot in all {
        let units = used.units.range((slot, SkuId(0))..=(slot, SkuId(u32::MAX)));
        let now: Vec<(SkuId, i64)> = units.filter(|(_, q)| **q > 0).map(|(key, q)| (key.1, *q)).collect();
        let known = state.reservations.get(slot).returned.as_deref();
        if known.map_or(&[][..], |all| all) != now {
            state.edit(slot).returned = (!now.is_empty()).then(|| Box::new(now));
        }
    }
}

/// What returns that come first by name have taken.
#[derive(Debug, Default)]
struct Used {
    units: BTreeMap<(Slot, SkuId), i64>,
    surplus: BTreeMap<(u128, SkuId), i64>,
}

type Documents = [(Box<str>, OrderDocument)];

fn settle_one(state: &mut State, order: &str, document: &OrderDocument, all: &Documents, used: &mut Used) {
    let About::Return(returned) = &document.about else {
        return;
    };
    let slots = named_order::bearers(state, order, document.channel.as_deref());
    let quantity = (returned.quantity, returned.unit.as_deref());
    let declared = Declared::from_kept(&document.beyond, returned.sku);
    let mut named: BTreeMap<SkuId, i64> = BTreeMap::new();
    recipes::parts_for(
        state,
        &slots,
        returned.sku,
        quantity,
        (Some(document.key), Some(&declared)),
        |part, units| {
            *named.entry(part).or_default() += units;
        },
    );
    for &slot in &slots {
        for dropped in order_units::dropped_by(state, slot, document.key) {
            named.entry(dropped.sku).or_default();
        }
    }
    let mut brought = named.clone();
    if !slots.is_empty() {
        let kits: Vec<Vec<i64>> = slots.iter().map(|&slot| kits::counted(state, slot)).collect();
        for (&sku, &quantity) in &named {
            let mut back = units_back(state, &slots, sku, quantity, used);
            back += surplus_back(state, &slots, sku, quantity - back, (all, used));
            brought.insert(sku, back);
            leave_instead(state, &slots, document, (sku, returned), quantity - back);
        }
        for (&slot, kits) in slots.iter().zip(&kits) {
            kits::give_back_gone(state, slot, kits);
            reconcile::order_changed(state, slot);
        }
    }
    count(state, order, document, &brought);
}

/// Units that have left and are not back yet.
fn units_back(state: &State, slots: &[Slot], sku: SkuId, quantity: i64, used: &mut Used) -> i64 {
    let mut back = 0;
    for &slot in slots {
        let portions = state.reservations.get(slot).portions.iter();
        let gone: i64 = portions
            .filter(|p| p.sku == sku && (p.fulfilled || p.is_shipped()))
            .map(|p| p.quantity)
            .sum();
        let before = used.units.entry((slot, sku)).or_default();
        let some = (gone - *before).clamp(0, quantity - back);
        *before += some;
        back += some;
    }
    back
}

/// Of what shipments of these orders named beyond their open units.
fn surplus_back(state: &State, slots: &[Slot], sku: SkuId, quantity: i64, (all, used): (&Documents, &mut Used)) -> i64 {
    let mut back = 0;
    for (order, shipment) in all.iter().filter(|(_, d)| d.about == About::Shipment) {
        let bearers = named_order::bearers(state, order, shipment.channel.as_deref());
        if !bearers.iter().any(|slot| slots.contains(slot)) {
            continue;
        }
        let beyond = state
            .order_documents
            .find(order, shipment.key)
            .map_or(&[][..], |d| &d.beyond);
        let there: i64 = beyond.iter().filter(|(s, _, _)| *s == sku).map(|(_, _, q)| *q).sum();
        let before = used.surplus.entry((shipment.key, sku)).or_default();
        let some = (there - *before).clamp(0, quantity - back);
        *before += some;
        back += some;
    }
    back
}

/// So many open units have left the order by this return.
fn leave_instead(
    state: &mut State,
    slots: &[Slot],
    document: &OrderDocument,
    (sku, returned): (SkuId, &Returned),
    quantity: i64,
) {
    let left: i64 = slots
        .iter()
        .flat_map(|&slot| order_units::dropped_by(state, slot, document.key))
        .filter(|d| d.sku == sku)
        .map(|d| d.quantity)
        .sum();
    if left > quantity {
        order_units::put_back(state, slots, (sku, left - quantity), |d| d.document == document.key);
    } else if left < quantity {
        let cell: Cell = (sku, Some(returned.location));
        order_units::drop_open(state, slots, (document.key, true), cell, quantity - left);
    }
}

/// A movement of the difference to what the return counted before, from its newest `as_of` on.
fn count(state: &mut State, order: &str, document: &OrderDocument, brought: &BTreeMap<SkuId, i64>) {
    let About::Return(returned) = &document.about else {
        return;
    };
    let sellable = returned.condition == Condition::Sellable;
    let now: Vec<(SkuId, bool, i64)> = brought
        .iter()
        .filter(|(_, quantity)| **quantity != 0)
        .map(|(sku, quantity)| (*sku, sellable, *quantity))
        .collect();
    if now == returned.counted {
        return;
    }
    let mut changes: BTreeMap<(SkuId, bool), i64> = BTreeMap::new();
    for (sign, counted) in [(-1, &returned.counted), (1, &now)] {
        for &(sku, sellable, quantity) in counted {
            *changes.entry((sku, sellable)).or_default() += sign * quantity;
        }
    }
    for ((sku, sellable), on_hand) in changes {
        presumption::brought(state, (sku, returned.location), on_hand);
        let movement = Movement {
            on_hand,
            unsellable: if sellable { 0 } else { on_hand },
            source: document.source,
            as_of: document.as_of,
        };
        levels::movement(state, sku, returned.location, movement);
    }
    state.change_order_document(order, document.key, |d| {
        if let About::Return(returned) = &mut d.about {
            returned.counted = now;
        }
    });
}
