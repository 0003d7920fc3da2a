//! `transfer`: units that go from one location to another, and are never in two places.
//!
//! In: statements that they left, arrived or came back, in any order. Out: movements at both locations; a supply at the
//! second one while they are on their way. Always: what is on hand follows from the newest statement, and from the moment
//! at which the units left, however late that is stated.

use crate::erp::documents::{Newness, in_base, is_to_apply, key_of};
use crate::erp::{levels, supplies};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::stock::Movement;
use crate::state::supply::{Leg, Supply, Transfer, transfer_line};
use crate::wire::facts::{self, AsOf, SupplyStatus, TransferStatus};

/// Legs that a transfer keeps apart; older ones are added together.
const LEGS_MAX: usize = 16;

pub(crate) fn apply(state: &mut State, source: SourceId, fact: &facts::Transfer<'_>) {
    let sku = state.sku(&fact.sku);
    let (from, to) = (state.location(&fact.from), state.location(&fact.to));
    let stated = in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let is_shipped = fact.status == TransferStatus::Shipped;
    let mut new = Supply {
        key: key_of(source, &fact.reference, &transfer_line(fact.line.as_deref())),
        version: fact.version,
        sku,
        location: to,
        quantity: stated,
        stated,
        as_of: Some(fact.as_of),
        since: None,
        keeps_moment: false,
        arrivals: Vec::new(),
        lowered: 0,
        presumed: 0,
        transfer: Some(Box::new(Transfer {
            from,
            is_shipped,
            legs: Vec::new(),
        })),
        due: fact.due.unwrap_or(state.today()),
        status: match fact.status {
            TransferStatus::Shipped => SupplyStatus::Open,
            TransferStatus::Received => SupplyStatus::Received,
            TransferStatus::Cancelled => SupplyStatus::Cancelled,
        },
        confidence: 100,
        bound: 0,
        holders: std::collections::BTreeSet::new(),
        sequence: state.position.sequence + 1,
    };
    let held = state.documents.supplies.find(&new.key);
    let old = held.map(|id| state.documents.supplies.get(id).clone());
    if let (None, Some(old)) = (fact.due, &old) {
        // Without a due day the same statement is a repeat on any day.
        new.due = old.due;
    }
    if let (Some(id), Some(old)) = (held, &old) {
        match supplies::order_of(state, old, &new) {
            Newness::Replaces => {}
            Newness::Stale | Newness::Older | Newness::ClosedSupply if is_shipped && tells_when_it_left(old, &new) => {
                left_earlier(state, id, old, &new);
                return;
            }
            newness => {
                is_to_apply(state, &newness);
                return;
            }
        }
    }
    new.due = fact.due.unwrap_or(state.today());
    let legs = next_legs(old.as_ref(), &new, fact.as_of);
    let transfer = new.transfer.as_mut().expect("it was just made");
    if let Some(before) = old.as_ref().and_then(|old| old.transfer.as_deref()) {
        transfer.is_shipped |= before.is_shipped;
        transfer.legs.clone_from(&before.legs);
    }
    append(&mut transfer.legs, &legs);
    move_units(state, source, &legs);
    supplies::tell(state, new);
}

type Place = (SkuId, LocationId);

fn total(legs: &[Leg], place: Place) -> i64 {
    let here = legs.iter().filter(|l| (l.sku, l.location) == place);
    here.map(|l| l.units).sum()
}

/// What a newer statement changes on hand, beside what the ones before it did.
fn next_legs(old: Option<&Supply>, new: &Supply, as_of: AsOf) -> Vec<Leg> {
    let before = old.and_then(|old| old.transfer.as_deref());
    let known: &[Leg] = before.map_or(&[], |t| &t.legs);
    let from = (new.sku, new.transfer.as_ref().map_or(new.location, |t| t.from));
    let to = (new.sku, new.location);
    let left = match new.status {
        SupplyStatus::Cancelled => 0,
        _ if new.stated == 0 => 0,
        // What arrives says nothing of how many left, where that is known.
        SupplyStatus::Received if before.is_some_and(|t| t.is_shipped) && total(known, from) < 0 => total(known, from),
        _ => -new.stated,
    };
    let arrived = if new.status == SupplyStatus::Received {
        new.stated
    } else {
        0
    };
    let mut wanted = vec![(from, left), (to, arrived)];
    for leg in known {
        if !wanted.iter().any(|(place, _)| *place == (leg.sku, leg.location)) {
            wanted.push(((leg.sku, leg.location), 0));
        }
    }
    let leg = |((sku, location), units): (Place, i64)| Leg {
        sku,
        location,
        units: units - total(known, (sku, location)),
        as_of,
    };
    wanted.into_iter().map(leg).filter(|l| l.units != 0).collect()
}

/// Whether an older statement is the first to tell when the units left from where they are known to come.
fn tells_when_it_left(old: &Supply, late: &Supply) -> bool {
    let (Some(known), Some(stated)) = (&old.transfer, &late.transfer) else {
        return false;
    };
    !known.is_shipped && old.as_of.is_some() && (known.from, old.sku) == (stated.from, late.sku)
}

/// An older statement tells when, and how many, units left of a transfer that has ended by what is known.
fn left_earlier(state: &mut State, id: u32, old: &Supply, late: &Supply) {
    let (Some(known), Some(left_at), Some(ended_at)) = (old.transfer.as_deref(), late.as_of, old.as_of) else {
        return;
    };
    let leg = |units, as_of| Leg {
        sku: old.sku,
        location: known.from,
        units,
        as_of,
    };
    let here = known.legs.iter().filter(|l| l.location == known.from);
    let mut legs: Vec<Leg> = here.map(|l| leg(-l.units, l.as_of)).collect();
    legs.push(leg(-late.stated, left_at));
    if old.status != SupplyStatus::Received || old.stated == 0 {
        legs.push(leg(late.stated, ended_at));
    }
    state.change_supply(id, |line| {
        if let Some(transfer) = line.transfer.as_deref_mut() {
            transfer.is_shipped = true;
            append(&mut transfer.legs, &legs);
        }
    });
    move_units(state, old.key.0, &legs);
}

fn append(known: &mut Vec<Leg>, legs: &[Leg]) {
    for leg in legs {
        let same = |l: &&mut Leg| (l.sku, l.location, l.as_of) == (leg.sku, leg.location, leg.as_of);
        match known.iter_mut().find(same) {
            Some(twin) => twin.units += leg.units,
            None => known.push(*leg),
        }
    }
    known.retain(|l| l.units != 0);
    while known.len() > LEGS_MAX {
        let oldest = known.remove(0);
        match known
            .iter_mut()
            .find(|l| (l.sku, l.location) == (oldest.sku, oldest.location))
        {
            Some(next) => next.units += oldest.units,
            None => known.push(oldest),
        }
    }
}

fn move_units(state: &mut State, source: SourceId, legs: &[Leg]) {
    for leg in legs {
        let movement = Movement {
            on_hand: leg.units,
            unsellable: 0,
            source,
            as_of: leg.as_of,
        };
        levels::movement(state, leg.sku, leg.location, movement);
    }
}

#[cfg(test)]
mod tests;
