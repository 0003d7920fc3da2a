//! Safety stock of cells, stored with each cell: renewed when a rule or the cell changes. `SafetyRule::units` is the rule.
//!
//! In: a changed rule or cell. Out: the cells' safety stock. Always: by the most specific rule in force.

use crate::state::State;
use crate::state::ids::{LocationId, SkuId};

/// Renews the safety stock of one cell, if it exists and changes.
pub(crate) fn renew(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(cell) = state.cell(sku, location) else { return };
    let safety = state.policies.safety_of(sku, cell);
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
