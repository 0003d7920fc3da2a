//! Promise by date: the first day at which a quantity can be sold (docs/rules.md, "Promise").

use crate::availability::pool::{SaleContext, effective_due};
use crate::availability::sellable::sellable;
use crate::state::State;
use crate::state::ids::SkuId;
use crate::wire::facts::Day;

/// Today, or the due day of a supply within the promise horizon, at which sellable reaches `quantity`; else None.
pub(crate) fn day(state: &State, sku: SkuId, asking: &SaleContext, quantity: i64) -> Option<Day> {
    let (today, horizon) = (state.today(), state.rules.promise_horizon_days);
    let mut days = vec![today];
    state.catalogue.for_each_component(sku, |part, _| {
        let supplies = state.catalogue.detail(part).map_or(&[][..], |d| &d.flow.supplies[..]);
        let due = supplies
            .iter()
            .filter_map(|id| effective_due(state, state.documents.supplies.get(id.0)));
        days.extend(due.filter(|&d| d > today && d <= today.saturating_add(horizon)));
    });
    days.sort_unstable();
    days.dedup();
    days.into_iter().find(|&day| {
        let then = sellable(
            state,
            sku,
            &SaleContext {
                until: Some(day),
                ..*asking
            },
        );
        then.blocked.is_none() && (then.unlimited || then.quantity >= quantity)
    })
}

#[cfg(test)]
mod tests;
