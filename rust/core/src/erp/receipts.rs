//! `receipt`: units of a supply line arrived. They are on hand and no longer open, in one fact.
//!
//! In: receipts with an identity, perhaps corrected by a newer version. Out: movements; supply lines with less open; units
//! bound to them on the shelf. Always: a line's own later statement counts what arrived before it.

use crate::erp::documents::{in_base, key_of};
use crate::erp::identity::{difference, is_to_count, of_movement};
use crate::erp::{levels, presumption, supplies};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::reservations::StockNode;
use crate::state::stock::Movement;
use crate::state::supply::{Arrival, DocumentKey, Supply, UNSTATED};
use crate::wire::facts::{AsOf, Receipt, Statement, SupplyStatus};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Receipt<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let identity = of_movement(
        &statement.source,
        "receipt",
        &fact.reference,
        Some(&fact.line),
        (&name, &fact.location),
    );
    let quantity = in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let moves = vec![(sku, Some(location), quantity)];
    let Some(before) = is_to_count(state, source, statement, identity, fact.version, moves.clone()) else {
        return;
    };
    let key = key_of(source, &fact.reference, &fact.line);
    // A correction takes back first.
    let mut changes = difference(&moves, &before);
    changes.sort_by_key(|(_, _, units)| *units > 0);
    for (sku, location, units) in changes {
        let Some(location) = location else { continue };
        let movement = Movement {
            on_hand: units,
            unsellable: 0,
            source,
            as_of: fact.as_of,
        };
        levels::movement(state, sku, location, movement);
        off_the_line(state, &key, (sku, location), units, fact.as_of);
    }
}

/// Takes units that arrived off their line, and those of them that are bound to it to the shelf where they arrived.
fn off_the_line(state: &mut State, key: &DocumentKey, place: (SkuId, LocationId), units: i64, as_of: AsOf) {
    let id = match state.documents.supplies.find(key) {
        Some(id) => id,
        None => state.add_supply(key.clone(), unstated(state, key, place)),
    };
    let line = state.documents.supplies.get(id);
    if line.sku != place.0 {
        if line.is_unstated() && state.rules.is_third_edition() {
            // The line may turn out to be of this SKU.
            let sku = place.0;
            state.change_supply(id, |line| line.arrivals.push(Arrival { sku, units, as_of }));
        }
        return;
    }
    let is_counted = !line.is_unstated() && line.counts_receipt(as_of);
    if is_counted {
        let again = line.lowered.min(units).max(0);
        let home = (line.sku, line.location);
        state.change_supply(id, |line| line.lowered -= again);
        presumption::lowered_by_receipt(state, home, again, as_of);
    } else {
        let sequence = state.position.sequence + 1;
        state.change_supply(id, |line| {
            line.arrivals.push(Arrival {
                sku: line.sku,
                units,
                as_of,
            });
            if line.status == SupplyStatus::Open {
                line.quantity = (line.room() - line.presumed).max(0);
            }
            line.sequence = sequence;
        });
    }
    supplies::unbind(state, id, place.0, units, StockNode::Hand(place.1), Some(as_of));
    supplies::presume_again(state, id);
    supplies::list_supply(state, id, place.0);
    state.note_change(place.0);
}

/// A line of which units arrived before anybody stated it.
fn unstated(state: &State, key: &DocumentKey, (sku, location): (SkuId, LocationId)) -> Supply {
    Supply {
        key: key.clone(),
        version: None,
        sku,
        location,
        quantity: 0,
        stated: 0,
        as_of: None,
        since: None,
        keeps_moment: false,
        arrivals: Vec::new(),
        lowered: 0,
        presumed: 0,
        transfer: None,
        due: UNSTATED,
        status: SupplyStatus::Open,
        confidence: 100,
        bound: 0,
        holders: std::collections::BTreeSet::new(),
        sequence: state.position.sequence + 1,
    }
}

#[cfg(test)]
mod tests;
