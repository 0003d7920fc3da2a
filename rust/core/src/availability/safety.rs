//! Safety stock of cells, stored with each cell: renewed when a rule or the cell changes. `SafetyRule::units` is the rule.
//!
//! In: a changed rule or cell. Out: the cells' safety stock. Always: by the most specific rule in force.

use crate::state::State;
use crate::state::ids::{LocationId, SkuId};

/// Renews the safety stock of one cell, if it exists and changes.
pub(crate) fn renew(state: &mut State, sku: SkuId, location: LocationId) {
    let Some(cell) = state.cell(sku, location) else { return };
    let safety = state.policies.safety_of(sku, cell);
    if safety != cell.safety || !state.is_renewed(sku) {
        state.set_safety_stock(sku, location, safety);
    }
}

/// Renews every cell that a changed rule may reach: of one SKU now, of all SKUs where somebody waits for what it frees, and
/// else when the SKU changes or is renewed in its turn.
pub(crate) fn renew_where(state: &mut State, sku: Option<SkuId>, location: Option<LocationId>) {
    let Some(sku) = sku else {
        state.outdate_all();
        state.note_renewed(|state, sku| location.is_none_or(|l| state.has_place_at(sku, l)));
        return;
    };
    let places: Vec<LocationId> = state.cells(sku).iter().map(|c| c.location).collect();
    for place in places.into_iter().filter(|&p| location.is_none_or(|l| l == p)) {
        renew(state, sku, place);
    }
}
