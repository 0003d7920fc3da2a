//! Allocations and caps as they are consumed and given back, period by period.

use crate::digest::{Encode, Entity};
use crate::ids::{ChannelId, SkuId};
use crate::policies::{Ration, RationChange};
use crate::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Allocation,
    Cap,
}

pub(crate) fn encoded(sku: SkuId, channel: ChannelId, kind: Kind, ration: &Ration, out: &mut Vec<u8>) {
    out.clear();
    out.push(kind as u8);
    out.number(sku.0.into())
        .number(channel.0.into())
        .optional(ration.quantity)
        .number(ration.consumed);
    out.optional_text(ration.period.as_deref()).number(ration.serial.into());
    for period in &ration.left {
        out.text(period);
    }
}

/// Changes one ration, made where it is missing, and keeps the digest in step.
fn change<R>(
    state: &mut State,
    sku: SkuId,
    channel: ChannelId,
    kind: Kind,
    change: impl FnOnce(&mut Ration) -> R,
) -> R {
    let sequence = state.position.sequence + 1;
    let State {
        catalogue,
        digest,
        scratch,
        is_looking,
        ..
    } = state;
    let detail = catalogue.detail_mut(sku);
    let rations = if kind == Kind::Allocation {
        &mut detail.allocations
    } else {
        &mut detail.caps
    };
    if let Some(old) = rations.get(&channel) {
        encoded(sku, channel, kind, old, scratch);
        digest.take(Entity::Ration, scratch);
    }
    let ration = rations.entry(channel).or_default();
    let result = change(ration);
    if !*is_looking {
        ration.sequence = sequence;
    }
    encoded(sku, channel, kind, ration, scratch);
    digest.add(Entity::Ration, scratch);
    state.note_change(sku);
    result
}

/// Applies an `allocation` or `cap` fact.
pub(crate) fn set(
    state: &mut State,
    sku: SkuId,
    channel: ChannelId,
    kind: Kind,
    quantity: Option<i64>,
    period: Option<&str>,
) {
    match change(state, sku, channel, kind, |ration| ration.set(quantity, period)) {
        RationChange::Changed => {}
        RationChange::Repeat => state.counters.repeats += 1,
        RationChange::PeriodLeft => state.counters.periods_left += 1,
    }
}

/// Consumes units in a period (below 0: gives them back); what belongs to another period is past.
pub(crate) fn consume(state: &mut State, sku: SkuId, channel: ChannelId, kind: Kind, units: i64, period: u32) {
    if units != 0 && period != 0 && serial(state, sku, channel, kind) == period {
        change(state, sku, channel, kind, |ration| ration.consumed += units);
    }
}

/// The period that a sale takes from; 0 where nothing is bounded, and so nothing taken.
pub(crate) fn period_for_sale(state: &State, sku: SkuId, channel: ChannelId, kind: Kind) -> u32 {
    let is_open_cap = |d: &crate::catalogue::Detail| d.caps.get(&channel).is_some_and(|cap| cap.quantity.is_none());
    if kind == Kind::Cap && state.catalogue.detail(sku).is_some_and(is_open_cap) {
        return 0;
    }
    serial(state, sku, channel, kind)
}

/// The period under way; 0 where there is no such ration.
fn serial(state: &State, sku: SkuId, channel: ChannelId, kind: Kind) -> u32 {
    state.catalogue.detail(sku).map_or(0, |d| {
        let rations = if kind == Kind::Allocation {
            &d.allocations
        } else {
            &d.caps
        };
        rations.get(&channel).map_or(0, |r| r.serial)
    })
}
