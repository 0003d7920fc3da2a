//! Safety stock of a cell: `max(absolute, ceil(percent * (on_hand - unsellable)))` by the most specific rule.

use crate::ids::{LocationId, SkuId};
use crate::policies::SafetyRule;
use crate::quantity::percent_up;
use crate::state::State;
use crate::stock::Cell;

fn by_rule(rule: &SafetyRule, sound: i64) -> i64 {
    let percent = rule
        .percent_hundredths
        .map_or(0, |hundredths| percent_up(hundredths, sound));
    rule.absolute.unwrap_or(0).max(percent)
}

pub(crate) fn of_cell(state: &State, sku: SkuId, cell: &Cell) -> i64 {
    match state.policies.safety(sku, cell.location) {
        Some((_, rule)) => by_rule(rule, cell.on_hand - cell.unsellable),
        None => 0,
    }
}

/// Renews the safety stock of one cell, if it exists and changes.
pub(crate) fn renew(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(cell) = state.cell(sku, location) else { return };
    let safety = of_cell(state, sku, cell);
    if safety != cell.safety {
        state.change_cell(sku, location, |cell| cell.safety = safety);
    }
}

/// Renews every cell that a changed rule may reach: of one SKU or of all, at one location or at all.
pub(crate) fn renew_where(state: &mut State, sku: Option<SkuId>, location: Option<LocationId>) {
    let skus = match sku {
        Some(one) => one.0..one.0 + 1,
        None => 0..state.catalogue.skus.len() as u32,
    };
    for sku in skus.map(SkuId) {
        let places: Vec<LocationId> = state.cells(sku).iter().map(|c| c.location).collect();
        for place in places.into_iter().filter(|&p| location.is_none_or(|l| l == p)) {
            renew(state, sku, place);
        }
    }
}
