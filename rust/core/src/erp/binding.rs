//! Units beyond any node are bound as soon as they can be.
//!
//! In: SKUs whose stock or units changed. Out: units bound, orders reconciled. Always: until nothing more can bind.

use crate::erp::reconcile;
use crate::placement::late_binding;
use crate::state::State;
use crate::state::reservations::ReservationState;

/// Binds what can bind now. What an ERP reported of units before they had a cell counts for that cell, and a unit that a
/// level counts already takes no stock there, so the order is reconciled after each step.
pub(crate) fn bind_open(state: &mut State) {
    while let Some(sku) = state.to_bind.pop() {
        loop {
            let mut pass = late_binding::Pass::begin(state, sku);
            while let Some(slot) = pass.step(state) {
                if state.reservations.get(slot).state != ReservationState::Held {
                    reconcile::order_changed(state, slot);
                }
            }
            if !pass.has_bound() {
                break;
            }
        }
        // Binding changes cells of this very SKU; what could not bind now cannot bind because of that.
        state.to_bind.strike_out(sku);
        late_binding::note_standing(state, sku);
    }
}
