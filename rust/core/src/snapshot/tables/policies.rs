//! Tables of rules: quotas by SKU and channel, restrictions, oversell, safety, freshness; each in the order of its key.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::State;
use crate::state::catalogue::Catalogue;
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::state::policies::QuotaKind;
use crate::state::policies::{Freshness, OversellRule, PERIODS_MAX, Quota, Quotas, Restriction, SafetyRule, Scope};
use crate::wire::facts::{FreshnessAction, OversellPolicy};

const ACTIONS: [FreshnessAction; 4] = [
    FreshnessAction::Serve,
    FreshnessAction::Widen,
    FreshnessAction::Cap,
    FreshnessAction::Restrict,
];

fn quotas_of(catalogue: &Catalogue, kind: QuotaKind) -> impl Iterator<Item = (SkuId, &Quotas)> {
    let skus = (0..catalogue.skus.len() as u32).map(SkuId);
    skus.filter_map(move |sku| {
        let detail = catalogue.detail(sku)?;
        let quotas = match kind {
            QuotaKind::Allocation => &detail.allocations,
            QuotaKind::Cap => &detail.caps,
        };
        Some((sku, &**quotas))
    })
}

fn count_quotas(state: &State, kind: QuotaKind) -> u64 {
    quotas_of(&state.catalogue, kind).map(|(_, r)| r.len() as u64).sum()
}

fn put_quotas(state: &State, out: &mut Out<'_, '_>, kind: QuotaKind) {
    for (sku, quotas) in quotas_of(&state.catalogue, kind) {
        for (channel, quota) in quotas {
            let Quota {
                quantity,
                consumed,
                period,
                serial,
                left,
                sequence,
            } = quota;
            out.uint(sku.0).uint(channel.0).optional_int(*quantity).int(*consumed);
            out.optional_text(period.as_deref()).uint(*serial).size(left.len());
            for period in left {
                out.text(period);
            }
            out.uint(*sequence).end_entry();
        }
    }
}

fn get_quotas(state: &mut State, input: &mut In<'_, '_>, count: u64, kind: QuotaKind) -> Result<(), SnapshotError> {
    let (skus, channels) = (state.catalogue.skus.len(), state.catalogue.channels.len());
    for _ in 0..count {
        let sku = SkuId(input.place(skus)? as u32);
        let channel = ChannelId(input.place(channels)? as u16);
        let quota = Quota {
            quantity: input.optional(In::quantity)?,
            consumed: input.quantity()?,
            period: input.optional(In::text)?,
            serial: input.narrow()?,
            left: input.list(In::text)?,
            sequence: input.uint()?,
        };
        if quota.left.len() > PERIODS_MAX {
            return Err(input.damaged("a quota remembers too many periods"));
        }
        let detail = state.catalogue.detail_mut(sku);
        let quotas = match kind {
            QuotaKind::Allocation => detail.allocations.restoring(),
            QuotaKind::Cap => detail.caps.restoring(),
        };
        if quotas.insert(channel, quota).is_some() {
            return Err(input.damaged("a quota stands twice"));
        }
    }
    Ok(())
}

pub(super) mod allocations {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        count_quotas(state, QuotaKind::Allocation)
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_quotas(state, out, QuotaKind::Allocation);
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        get_quotas(state, input, count, QuotaKind::Allocation)
    }
}

pub(super) mod caps {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        count_quotas(state, QuotaKind::Cap)
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_quotas(state, out, QuotaKind::Cap);
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        get_quotas(state, input, count, QuotaKind::Cap)
    }
}

/// What a rule is for: a SKU or all, and a channel (or a location) or all.
fn put_scope(out: &mut Out<'_, '_>, sku: Option<SkuId>, other: Option<u16>) {
    out.optional_uint(sku.map(|s| s.0)).optional_uint(other);
}

fn get_scope<T>(
    input: &mut In<'_, '_>,
    skus: usize,
    others: usize,
    other: impl Fn(u16) -> T,
) -> Result<Scope<SkuId, T>, SnapshotError> {
    let sku = input.optional(|i| Ok(SkuId(i.place(skus)? as u32)))?;
    let other = input.optional(|i| Ok(other(i.place(others)? as u16)))?;
    Ok((sku, other))
}

fn once<T>(old: Option<&T>, input: &In<'_, '_>) -> Result<(), SnapshotError> {
    match old {
        Some(_) => Err(input.damaged("a rule stands twice")),
        None => Ok(()),
    }
}

pub(super) mod restrictions {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.policies.restrictions.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (&(sku, channel), rule) in state.policies.restrictions.iter() {
            let Restriction {
                blocked,
                reason,
                sequence,
            } = rule;
            put_scope(out, sku, channel.map(|c| c.0));
            out.flag(*blocked).text(reason).uint(*sequence).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let (skus, channels) = (state.catalogue.skus.len(), state.catalogue.channels.len());
        for _ in 0..count {
            let scope = get_scope(input, skus, channels, ChannelId)?;
            let rule = Restriction {
                blocked: input.flag()?,
                reason: input.text()?,
                sequence: input.uint()?,
            };
            once(
                state.policies.restrictions.restoring().insert(scope, rule).as_ref(),
                input,
            )?;
        }
        Ok(())
    }
}

pub(super) mod oversell {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.policies.oversell.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (&(sku, channel), rule) in state.policies.oversell.iter() {
            let OversellRule { policy, sequence } = *rule;
            put_scope(out, sku, channel.map(|c| c.0));
            match policy {
                OversellPolicy::None => out.byte(0),
                OversellPolicy::Limit(n) => out.byte(1).int(n),
                OversellPolicy::Unlimited => out.byte(2),
            };
            out.uint(sequence).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let (skus, channels) = (state.catalogue.skus.len(), state.catalogue.channels.len());
        for _ in 0..count {
            let scope = get_scope(input, skus, channels, ChannelId)?;
            let policy = match input.byte()? {
                0 => OversellPolicy::None,
                1 => OversellPolicy::Limit(input.quantity()?),
                2 => OversellPolicy::Unlimited,
                _ => return Err(input.damaged("an oversell policy has no such kind")),
            };
            let sequence = input.uint()?;
            let rule = OversellRule { policy, sequence };
            once(state.policies.oversell.restoring().insert(scope, rule).as_ref(), input)?;
        }
        Ok(())
    }
}

pub(super) mod safety {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.policies.safety.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (&(sku, location), rule) in state.policies.safety.iter() {
            let SafetyRule {
                absolute,
                percent_hundredths,
                sequence,
            } = *rule;
            put_scope(out, sku, location.map(|l| l.0));
            out.optional_int(absolute)
                .optional_int(percent_hundredths)
                .uint(sequence)
                .end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let (skus, places) = (state.catalogue.skus.len(), state.catalogue.locations.len());
        for _ in 0..count {
            let scope = get_scope(input, skus, places, LocationId)?;
            let rule = SafetyRule {
                absolute: input.optional(In::quantity)?,
                percent_hundredths: input.optional(In::quantity)?,
                sequence: input.uint()?,
            };
            once(state.policies.safety.restoring().insert(scope, rule).as_ref(), input)?;
        }
        Ok(())
    }
}

pub(super) mod freshness {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.policies.freshness.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (source, rule) in state.policies.freshness.iter() {
            let Freshness {
                stale_after_ms,
                action,
                amount,
            } = rule;
            out.uint(source.0).int(*stale_after_ms).byte(*action as u8);
            out.optional_int(*amount).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let sources = state.catalogue.source_names.len();
        for _ in 0..count {
            let source = SourceId(input.place(sources)? as u16);
            let rule = Freshness {
                stale_after_ms: input.quantity()?,
                action: input.choice(&ACTIONS)?,
                amount: input.optional(In::quantity)?,
            };
            once(
                state.policies.freshness.restoring().insert(source, rule).as_ref(),
                input,
            )?;
        }
        Ok(())
    }
}
