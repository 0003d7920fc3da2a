//! Allocations and caps as they are consumed and given back, period by period.
//!
//! In: units that a sale takes or gives back, and the period that they belong to. Out: changed quotas.
//! Always: what was taken in one period goes back only into the same (docs/rules.md, "Placement").

use crate::state::State;
use crate::state::anomalies::Anomaly;
use crate::state::catalogue::Detail;
use crate::state::ids::{ChannelId, SkuId};
use crate::state::policies::{QuotaChange, QuotaKind};

/// Applies an `allocation` or `cap` fact.
pub(crate) fn set(
    state: &mut State,
    sku: SkuId,
    channel: ChannelId,
    kind: QuotaKind,
    quantity: Option<i64>,
    period: Option<&str>,
) {
    match state.change_quota(sku, channel, kind, |quota| quota.set(quantity, period)) {
        QuotaChange::Changed => {}
        QuotaChange::Repeat => state.note(Anomaly::Repeat),
        QuotaChange::PeriodLeft => {
            state.counters.periods_left += 1;
            state.outcome = Some(Anomaly::Stale);
        }
    }
}

/// Consumes units in a period (below 0: gives them back); what belongs to another period is past.
pub(super) fn consume(state: &mut State, sku: SkuId, channel: ChannelId, kind: QuotaKind, units: i64, period: u32) {
    if units != 0 && period != 0 && serial(state, sku, channel, kind) == period {
        state.change_quota(sku, channel, kind, |quota| quota.consumed += units);
    }
}

/// The period that a sale takes from; 0 where nothing is bounded, and so nothing taken.
pub(super) fn period_for_sale(state: &State, sku: SkuId, channel: ChannelId, kind: QuotaKind) -> u32 {
    let is_open_cap = |d: &Detail| d.caps.get(&channel).is_some_and(|cap| cap.quantity.is_none());
    if kind == QuotaKind::Cap && state.catalogue.detail(sku).is_some_and(is_open_cap) {
        return 0;
    }
    serial(state, sku, channel, kind)
}

/// The period under way; 0 where there is no such quota.
pub(crate) fn serial(state: &State, sku: SkuId, channel: ChannelId, kind: QuotaKind) -> u32 {
    let quotas = state.catalogue.detail(sku).map(|detail| match kind {
        QuotaKind::Allocation => &detail.allocations,
        QuotaKind::Cap => &detail.caps,
    });
    quotas.and_then(|all| all.get(&channel)).map_or(0, |quota| quota.serial)
}

/// What is left of a channel's allocation, never below 0. `away`: units that count as given back in a hypothetical query.
#[inline]
pub(crate) fn rest_of_allocation(state: &State, sku: SkuId, channel: Option<ChannelId>, away: i64) -> i64 {
    let quota = channel.and_then(|c| state.catalogue.detail(sku).and_then(|d| d.allocations.get(&c)));
    quota.and_then(|quota| quota.rest(away)).unwrap_or(0)
}

/// What is left of a channel's cap; may be below 0. None: there is none.
#[inline]
pub(crate) fn rest_of_cap(state: &State, sku: SkuId, channel: Option<ChannelId>) -> Option<i64> {
    let quota = state.catalogue.detail(sku)?.caps.get(&channel?)?;
    quota.quantity.map(|cap| cap - quota.consumed)
}
