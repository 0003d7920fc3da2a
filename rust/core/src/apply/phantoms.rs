//! A SKU that was never meant: its name becomes the alias of another, and what levels said of it is dropped.
//!
//! In: an alias that is some SKU's name. Out: that SKU without levels, movements and item, each dropped level listed.
//! Always: it has no reservations, demand, supply, rules, kits or aliases: the leader checked that before it wrote the batch,
//! and a leader of the first edition took no such alias. The SKU keeps its number and its cells, which stay empty.

use crate::availability::safety;
use crate::state::State;
use crate::state::anomalies::{Anomaly, Entry};
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::rises::CellRises;
use crate::wire::facts::Unsellable;

pub(super) fn take_levels(state: &mut State, source: SourceId, name: &str, of: SkuId) {
    let Some(phantom) = state.catalogue.sku_names.get(name).map(SkuId) else {
        return;
    };
    if phantom == of || state.catalogue.passed_on.contains_key(&phantom) {
        return;
    }
    let locations: Vec<LocationId> = state.cells(phantom).iter().map(|cell| cell.location).collect();
    for location in locations {
        drop_level(state, phantom, location);
        let entry = Entry {
            place: (0, 0),
            at_ms: state.position.now_ms,
            kind: Anomaly::LevelsDropped,
            fact: "item",
            source,
            sku: Some(of),
            location: Some(location),
            channel: None,
            reference: Some(name.into()),
        };
        state.listed.list(state.position.sequence + 1, entry);
    }
    state.drop_item(phantom);
}

fn drop_level(state: &mut State, sku: SkuId, location: LocationId) {
    state.retain_movements(sku, location, |_| false);
    state.set_conditions(sku, location, Unsellable::default());
    state.set_rises(sku, location, CellRises::default());
    state.change_cell(sku, location, |cell| {
        cell.on_hand = 0;
        cell.unsellable = 0;
        cell.allocated = 0;
        cell.unstamp();
    });
    safety::renew(state, sku, location);
}

#[cfg(test)]
mod tests;
