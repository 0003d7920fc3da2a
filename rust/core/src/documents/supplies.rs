//! Supply documents, and the reservations that are bound to them.

use crate::binding::move_units;
use crate::digest::{Encode, Entity};
use crate::documents::{in_base, is_to_apply, key_of, newness};
use crate::facts;
use crate::facts::SupplyStatus;
use crate::ids::{SkuId, SourceId, SupplyId};
use crate::netting;
use crate::policies::Oversold;
use crate::reservations::{Node, ReservationState};
use crate::state::State;
use crate::supply::{DocumentKey, Supply};

pub(crate) fn supply_bytes(s: &Supply, out: &mut Vec<u8>) {
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
            let confirmed = state.reservations.get(age.slot).state != ReservationState::Held;
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
