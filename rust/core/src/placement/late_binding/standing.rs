//! What is known of a SKU for whose units somebody waits: whether there is anything to bind, and when that changes by itself.
//!
//! In: a SKU whose units were bound as far as they can be. Out: the same, noted in the state. Always: what is noted depends
//! on nothing but the SKU's cells, supply and claims, each of whose changes has it noted again.

use crate::availability::pool::effective_due;
use crate::state::ids::SkuId;
use crate::state::supply::Supply;
use crate::state::{State, looked};
use crate::wire::facts::Day;

/// Notes what is known of a SKU.
pub(crate) fn note(state: &mut State, sku: SkuId) {
    if state.unsourced_skus.contains(&sku) {
        let (is_stocked, wakes) = (is_stocked(state, sku), wakes(state, sku));
        state.set_standing(sku, is_stocked, wakes);
    }
}

fn left(supply: &Supply) -> i64 {
    supply.quantity - supply.bound
}

fn supplies(state: &State, sku: SkuId) -> impl Iterator<Item = &Supply> {
    let ids = state.catalogue.detail(sku).map_or(&[][..], |d| &d.flow.supplies);
    looked::at(ids.len());
    ids.iter().map(|id| state.documents.supplies.get(id.0))
}

/// Whether anything lies on a shelf or comes, whatever rules keep it from being sold.
pub(super) fn is_stocked(state: &State, sku: SkuId) -> bool {
    let mut cells = state.cells(sku).iter();
    cells.any(|c| c.on_hand - c.unsellable - c.owed() > 0) || supplies(state, sku).any(|s| left(s) > 0)
}

/// The next day on which a supply of the SKU counts otherwise: it becomes overdue, has been for a day more, or comes within
/// the horizon of a channel that claims any of it.
fn wakes(state: &State, sku: SkuId) -> Option<Day> {
    let today = state.today();
    let detail = state.catalogue.detail(sku)?;
    let channels = detail.flow.unsourced.channels().map(|(channel, _)| channel);
    let mut horizons: Vec<Day> = channels
        .chain(detail.allocations.keys().copied())
        .map(|channel| state.catalogue.channels[channel.at()].supply_horizon_days)
        .collect();
    horizons.sort_unstable();
    horizons.dedup();
    let next = |supply: &Supply| -> Option<Day> {
        effective_due(state, supply)?;
        if supply.due < today {
            return Some(today + 1);
        }
        let within = horizons.iter().map(|days| supply.due.saturating_sub(*days));
        let within = within.filter(|&day| day > today);
        within.chain([supply.due.saturating_add(1)]).min()
    };
    supplies(state, sku).filter(|s| left(s) > 0).filter_map(next).min()
}
