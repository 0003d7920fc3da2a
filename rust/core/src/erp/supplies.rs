//! Supply documents, and the reservations that are bound to them.

use crate::erp::documents::{in_base, is_to_apply, key_of, newness};
use crate::erp::reconcile;
use crate::state::State;
use crate::state::ids::{SkuId, SourceId, SupplyId};
use crate::state::policies::AgeKey;
use crate::state::reservations::{ReservationState, StockNode};
use crate::state::supply::Supply;
use crate::units::ledger::{self, Move};
use crate::wire::facts;
use crate::wire::facts::SupplyStatus;

pub(crate) fn supply(state: &mut State, source: SourceId, fact: &facts::Supply<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let key = key_of(source, &fact.reference, &fact.line);
    let new = Supply {
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
        None => state.add_supply(key, new),
        Some(id) => {
            let old = state.documents.supplies.get(id);
            let same = Supply {
                bound: old.bound,
                holders: old.holders.clone(),
                sequence: old.sequence,
                ..new.clone()
            } == *old;
            let newness = newness(old.version, new.version, same);
            if !is_to_apply(state, &newness) {
                return;
            }
            replace_supply(state, id, new);
            id
        }
    };
    list_supply(state, id, sku);
    state.note_change(sku);
}

fn replace_supply(state: &mut State, id: u32, new: Supply) {
    let (old_sku, old_location, old_due) = {
        let old = state.documents.supplies.get(id);
        (old.sku, old.location, old.due)
    };
    if new.due != old_due && state.rules.is_second_edition() {
        show_due(state, id);
    }
    let moved_away = old_sku != new.sku || old_location != new.location;
    let (status, quantity) = (new.status, new.quantity);
    let bound = state.documents.supplies.get(id).bound;
    state.change_supply(id, |record| {
        let holders = std::mem::take(&mut record.holders);
        *record = Supply { bound, holders, ..new };
    });
    let excess = match status {
        SupplyStatus::Open if !moved_away => (bound - quantity).max(0),
        _ => bound,
    };
    let to = if status == SupplyStatus::Received && !moved_away {
        StockNode::Hand(old_location)
    } else {
        StockNode::Unsourced
    };
    unbind(state, id, old_sku, excess, to);
    if old_sku != state.documents.supplies.get(id).sku {
        unlist_supply(state, id, old_sku);
        state.note_change(old_sku);
    }
}

/// Reservations show the due day of the supply that they are bound to: it moves, so they have changed.
fn show_due(state: &mut State, id: u32) {
    let holders: Vec<AgeKey> = state.documents.supplies.get(id).holders.iter().copied().collect();
    for age in holders {
        state.edit(age.slot);
    }
}

/// Moves units that are bound to a supply elsewhere, oldest reservation first.
fn unbind(state: &mut State, id: u32, sku: SkuId, mut excess: i64, to: StockNode) {
    let from = StockNode::Supply(SupplyId(id));
    let holders: Vec<AgeKey> = state.documents.supplies.get(id).holders.iter().copied().collect();
    for age in holders {
        while excess > 0 {
            let portions = &state.reservations.get(age.slot).portions;
            let Some(portion) = portions.iter().find(|p| p.sku == sku && p.node == from) else {
                break;
            };
            let (line, units) = (portion.line, portion.quantity.min(excess));
            excess -= units;
            ledger::shift(
                state,
                age.slot,
                Move {
                    sku,
                    line,
                    from,
                    to,
                    units,
                },
            );
        }
        if matches!(to, StockNode::Hand(_)) {
            let confirmed = state.reservations.get(age.slot).state != ReservationState::Held;
            if confirmed {
                reconcile::order_changed(state, age.slot);
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
    state.forget_supply(id, &key);
}
