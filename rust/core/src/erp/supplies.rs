//! Supply documents, and the reservations that are bound to them.

use std::cmp::Ordering;

use crate::erp::documents::{Newness, in_base, is_to_apply, key_of, newness};
use crate::erp::{presumption, reconcile};
use crate::state::State;
use crate::state::ids::{SkuId, SourceId, SupplyId};
use crate::state::policies::AgeKey;
use crate::state::reservations::{Portion, ReservationState, StockNode};
use crate::state::supply::{Arrival, Supply};
use crate::units::ledger::{self, Move};
use crate::wire::facts;
use crate::wire::facts::{AsOf, SupplyStatus};

pub(crate) fn supply(state: &mut State, source: SourceId, fact: &facts::Supply<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let stated = in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let new = Supply {
        key: key_of(source, &fact.reference, &fact.line),
        version: fact.version,
        sku,
        location,
        quantity: stated,
        stated,
        as_of: fact.as_of,
        since: None,
        keeps_moment: false,
        arrivals: Vec::new(),
        lowered: 0,
        presumed: 0,
        transfer: None,
        due: fact.due,
        status: fact.status,
        confidence: fact.confidence,
        bound: 0,
        holders: std::collections::BTreeSet::new(),
        sequence: state.position.sequence + 1,
    };
    tell(state, new);
}

/// Stores what a source states of a line now, unless it knows better already. Returns the line where that has effect.
pub(super) fn tell(state: &mut State, mut new: Supply) -> Option<SupplyId> {
    let sku = new.sku;
    let id = match state.documents.supplies.find(&new.key) {
        None => {
            (new.since, new.keeps_moment) = since(state, &new, None);
            state.add_supply(new.key.clone(), new)
        }
        Some(id) => {
            let newness = order_of(state, state.documents.supplies.get(id), &new);
            if !is_to_apply(state, &newness) {
                return None;
            }
            replace_supply(state, id, new);
            id
        }
    };
    presume_again(state, id);
    list_supply(state, id, sku);
    state.note_change(sku);
    Some(SupplyId(id))
}

/// By version, else by `as_of`, else by arrival; but what is closed opens again only for what is newer.
pub(super) fn order_of(state: &State, old: &Supply, new: &Supply) -> Newness {
    let is_same = old.version == new.version
        && (old.sku, old.location, old.stated, old.as_of) == (new.sku, new.location, new.stated, new.as_of)
        && (old.due, old.status, old.confidence) == (new.due, new.status, new.confidence)
        && old.transfer.as_ref().map(|t| t.from) == new.transfer.as_ref().map(|t| t.from);
    if !state.rules.is_second_edition() {
        return newness(old.version, new.version, is_same);
    }
    if old.is_unstated() {
        return Newness::Replaces;
    }
    let by_time = || old.as_of.zip(new.as_of).and_then(|(a, b)| moment_order(a, b));
    let order = match (old.version, new.version) {
        _ if is_same => return Newness::Repeat,
        (Some(held), Some(stated)) if stated < held => return Newness::Stale,
        (Some(held), Some(stated)) if stated > held => return Newness::Replaces,
        (Some(_), Some(_)) => by_time().filter(|o| *o != Ordering::Equal),
        (None, Some(_)) => by_time().filter(|o| *o == Ordering::Less).or(Some(Ordering::Greater)),
        _ => by_time(),
    };
    let reopens = old.status != SupplyStatus::Open && new.status == SupplyStatus::Open;
    match order {
        Some(Ordering::Greater) => Newness::Replaces,
        Some(Ordering::Less) => Newness::Older,
        _ if reopens => Newness::ClosedSupply,
        _ if old.version.is_some() => Newness::Anomaly,
        _ => Newness::Replaces,
    }
}

/// How the second moment stands to the first; None on different kinds of clocks.
fn moment_order(first: AsOf, second: AsOf) -> Option<Ordering> {
    first.is_by(second).map(|_| second.cmp(&first))
}

/// After which moment a level may show units of a line that arrived since it was stated. A first statement without an `as_of`,
/// or a higher version without one, is true as of the newest level of its source; another one only says what it is lowered by.
/// Beside it whether that moment is one that the line was stated with before.
fn since(state: &State, new: &Supply, old: Option<&Supply>) -> (Option<AsOf>, bool) {
    if !state.rules.is_second_edition() {
        return (None, false);
    }
    let is_third = state.rules.is_third_edition();
    let is_kept = |old: &Supply| {
        let moved_away = (old.sku, old.location) != (new.sku, new.location);
        !old.is_unstated() && old.version >= new.version && !(is_third && moved_away)
    };
    match old {
        _ if new.as_of.is_some() => (new.as_of, false),
        Some(old) if is_kept(old) => {
            let is_its_own = old.as_of.is_some() || old.keeps_moment;
            (old.since, is_third && old.since.is_some() && is_its_own)
        }
        _ => (level_of_own_source(state, new), false),
    }
}

/// The moment of the newest level where a line comes; None where the next one counts whatever its moment.
fn level_of_own_source(state: &State, line: &Supply) -> Option<AsOf> {
    let cell = state.cell(line.sku, line.location)?;
    let is_reset = state.rules.is_third_edition() && cell.is_reset();
    let level = cell.level().filter(|l| l.source == line.key.0 && !is_reset)?;
    Some(level.as_of)
}

/// Receipts that a statement does not count: those after it. Without an `as_of`, a higher version counts all that came
/// before it, and another one those that it is lowered by; the first statement may be late and counts none.
fn still_to_arrive(old: &Supply, new: &Supply, is_third: bool) -> Vec<Arrival> {
    let mut arrivals = old.arrivals.clone();
    if !is_third {
        // Before, what arrived stayed off a line that became one of another SKU.
        for arrival in &mut arrivals {
            arrival.sku = new.sku;
        }
    }
    match new.as_of {
        Some(as_of) => arrivals.retain(|a| a.as_of != AsOf::BEFORE && a.as_of.is_by(as_of) != Some(true)),
        None if old.is_unstated() => {}
        None if old.version < new.version => arrivals.clear(),
        None => {
            let mut counted = (old.stated - new.stated).max(0);
            for arrival in arrivals.iter_mut().filter(|a| a.sku == new.sku) {
                let units = arrival.units.min(counted).max(0);
                arrival.units -= units;
                counted -= units;
            }
            arrivals.retain(|a| a.units != 0);
        }
    }
    arrivals
}

fn replace_supply(state: &mut State, id: u32, mut new: Supply) {
    let old = state.documents.supplies.get(id).clone();
    let moved_away = old.sku != new.sku || old.location != new.location;
    let is_open = new.status == SupplyStatus::Open;
    (new.since, new.keeps_moment) = since(state, &new, Some(&old));
    new.arrivals = still_to_arrive(&old, &new, state.rules.is_third_edition());
    new.presumed = if moved_away || !is_open { 0 } else { old.presumed };
    if is_open {
        new.quantity = new.room();
    }
    let lowered = old.room() - new.room();
    new.lowered = old.lowered;
    if state.rules.is_second_edition() && lowered > 0 && !moved_away && new.status != SupplyStatus::Cancelled {
        explains(state, &old, &mut new, lowered);
    }
    if new.due != old.due && state.rules.is_second_edition() {
        show_due(state, id);
    }
    let (status, quantity, sku, location) = (new.status, new.quantity, new.sku, new.location);
    let arrived = new.transfer.as_ref().and(new.as_of);
    if moved_away {
        presume_again(state, id);
    }
    state.change_supply(id, |record| {
        let (holders, bound) = (std::mem::take(&mut record.holders), record.bound);
        *record = Supply { bound, holders, ..new };
    });
    let excess = match status {
        SupplyStatus::Open if !moved_away => (old.bound - quantity).max(0),
        _ => old.bound,
    };
    // What a transfer brought is where its newest statement says, also if that is another place than before.
    let is_elsewhere = moved_away && state.rules.is_second_edition() && arrived.is_some() && old.sku == sku;
    let to = if status == SupplyStatus::Received && (!moved_away || is_elsewhere) {
        StockNode::Hand(location)
    } else {
        StockNode::Unsourced
    };
    unbind(state, id, old.sku, excess, to, arrived);
    if old.sku != state.documents.supplies.get(id).sku {
        unlist_supply(state, id, old.sku);
        state.note_change(old.sku);
    }
}

/// Reservations show the due day of the supply that they are bound to: it moves, so they have changed.
fn show_due(state: &mut State, id: u32) {
    let holders: Vec<AgeKey> = state.documents.supplies.get(id).holders.iter().copied().collect();
    for age in holders {
        state.edit(age.slot);
    }
}

/// That a line was lowered explains what a level of its source rose by. What a transfer brought is a movement.
fn explains(state: &mut State, old: &Supply, new: &mut Supply, lowered: i64) {
    let is_owner = state.location_owner[new.location.at()].is_none_or(|owner| owner == new.key.0);
    if is_owner && old.transfer.is_none() && !old.is_unstated() {
        new.lowered += lowered;
        presumption::lowered(state, (new.sku, new.location), lowered, old.since, new.as_of);
    }
}

/// Has what is presumed to have arrived at a line's cell worked out again.
pub(super) fn presume_again(state: &mut State, id: u32) {
    let line = state.documents.supplies.get(id);
    let place = (line.sku, line.location);
    if state.rules.is_second_edition() {
        state.to_presume.insert(place);
    }
}

/// Moves units that are bound to a supply elsewhere, oldest reservation first. `arrived`: when a receipt brought them, so that
/// no level before it counts them.
pub(super) fn unbind(state: &mut State, id: u32, sku: SkuId, mut excess: i64, to: StockNode, arrived: Option<AsOf>) {
    let from = StockNode::Supply(SupplyId(id));
    if excess <= 0 {
        return;
    }
    let line = state.documents.supplies.get(id);
    let (home, source, is_third) = (
        StockNode::Hand(line.location),
        line.key.0,
        state.rules.is_third_edition(),
    );
    let holders: Vec<AgeKey> = state.documents.supplies.get(id).holders.iter().copied().collect();
    for age in holders {
        while excess > 0 {
            let portions = &state.reservations.get(age.slot).portions;
            let Some(portion) = portions.iter().find(|p| p.sku == sku && p.node == from) else {
                break;
            };
            let (line, units) = (portion.line, portion.quantity.min(excess));
            excess -= units;
            let units = Move {
                sku,
                line,
                from,
                to,
                units,
            };
            ledger::shift(state, age.slot, units, |portion| {
                if let Some(arrived) = arrived {
                    acknowledged_since(portion, to == home, (source, arrived), is_third);
                }
            });
        }
        if matches!(to, StockNode::Hand(_)) {
            let confirmed = state.reservations.get(age.slot).state != ReservationState::Held;
            if confirmed {
                reconcile::order_changed(state, age.slot);
            }
        }
    }
}

/// What arrived by a movement is in no level before that, though the ERP acknowledged the order.
fn acknowledged_since(portion: &mut Portion, is_here: bool, (source, arrived): (SourceId, AsOf), is_third: bool) {
    if is_third {
        portion.evidence_mut().arrived = Some((source, arrived));
        return;
    }
    let Some(evidence) = portion.evidence.as_deref_mut() else {
        return;
    };
    if is_here {
        evidence.arrive(arrived);
    } else if let StockNode::Hand(location) = portion.node {
        evidence.moved(None, Some(location));
    }
}

pub(super) fn list_supply(state: &mut State, id: u32, sku: SkuId) {
    if state.documents.supplies.get(id).is_listed() {
        let list = &mut state.catalogue.detail_mut(sku).flow.supplies;
        if !list.contains(&SupplyId(id)) {
            list.push(SupplyId(id));
        }
        return;
    }
    unlist_supply(state, id, sku);
    let (closed_max, which) = (state.rules.identities_max, state.rules.forget());
    let whose = state.whose(state.documents.supplies.get(id).key.0);
    if let Some(old) = state.documents.supplies.note_closed(whose, id, closed_max, which) {
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
    if record.bound > 0 || record.is_listed() {
        return;
    }
    let (key, sku) = (record.key.clone(), record.sku);
    // It was closed once before and has come to nothing since, without being stated again.
    unlist_supply(state, id, sku);
    state.forget_supply(id, &key);
}
