//! What the digest covers of each entity: its bytes, without what follows from elsewhere.
//!
//! In: one entity. Out: its encoding; fixed width, little endian, texts behind their length.
//! Always: bounds, indexes and derived sums are left out; sequences too.

use crate::state::catalogue::{Channel, Item, Location};
use crate::state::digest::Encode;
use crate::state::identities::Remembered;
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::state::policies::{Freshness, OversellRule, Quota, QuotaKind, Restriction, SafetyRule, Scope};
use crate::state::rises::CellRises;
use crate::state::shares::NOBODY;
use crate::state::stock::Movement;
use crate::state::supply::{Demand, Supply};
use crate::wire::facts;

pub(in crate::state) fn clock_bytes(source: SourceId, tells_time: bool) -> [u8; 3] {
    let [low, high] = source.0.to_le_bytes();
    [low, high, u8::from(tells_time)]
}

pub(in crate::state) fn item_bytes(sku: SkuId, item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    out.number(sku.0.into())
        .text(&item.base_unit)
        .number(item.sell_multiple)
        .number(item.status as i64);
    out.optional_text(item.tax_class.as_deref());
    for (name, factor) in &item.units {
        out.text(name).number(*factor);
    }
    out.push(1);
    for (component, quantity) in &item.kit {
        out.number(component.0.into()).number(*quantity);
    }
    out.push(2);
    for alias in &item.aliases {
        out.text(alias);
    }
    out
}

pub(in crate::state) fn location_bytes(id: LocationId, l: &Location) -> Vec<u8> {
    let mut out = Vec::new();
    if l.declared {
        out.number(id.0.into())
            .number(l.r#type as i64)
            .number(l.priority.into())
            .number(i64::from(l.enabled));
        for region in &l.regions {
            out.number(region.0.into());
        }
    }
    out
}

pub(in crate::state) fn channel_bytes(id: ChannelId, c: &Channel) -> Vec<u8> {
    let mut out = Vec::new();
    if c.declared {
        out.number(id.0.into())
            .number(i64::from(c.draws_shared))
            .number(c.supply_horizon_days.into());
        out.number(c.sourcing as i64)
            .number(c.regional as i64)
            .number(c.priority.into())
            .optional(c.buffer);
        out.push(u8::from(c.locations.is_some()));
        for location in c.locations.iter().flatten() {
            out.number(location.0.into());
        }
    }
    out
}

fn scope_bytes(a: Option<u32>, b: Option<u16>) -> Vec<u8> {
    let mut out = Vec::new();
    out.optional(a.map(i64::from)).optional(b.map(i64::from));
    out
}

pub(in crate::state) fn safety_bytes((sku, location): Scope<SkuId, LocationId>, r: &SafetyRule) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), location.map(|l| l.0));
    out.optional(r.absolute).optional(r.percent_hundredths);
    out
}

pub(in crate::state) fn oversell_bytes((sku, channel): Scope<SkuId, ChannelId>, r: &OversellRule) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), channel.map(|c| c.0));
    match r.policy {
        facts::OversellPolicy::None => out.push(0),
        facts::OversellPolicy::Limit(n) => out.extend_from_slice(&n.to_be_bytes()),
        facts::OversellPolicy::Unlimited => out.push(1),
    }
    out
}

pub(in crate::state) fn restriction_bytes((sku, channel): Scope<SkuId, ChannelId>, r: &Restriction) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), channel.map(|c| c.0));
    out.number(i64::from(r.blocked)).text(&r.reason);
    out
}

pub(in crate::state) fn freshness_bytes(source: SourceId, f: &Freshness) -> Vec<u8> {
    let mut out = Vec::new();
    out.number(source.0.into())
        .number(f.stale_after_ms)
        .number(f.action as i64)
        .optional(f.amount);
    out
}

pub(in crate::state) fn owner_bytes(location: LocationId, source: SourceId) -> Vec<u8> {
    [location.0.to_le_bytes(), source.0.to_le_bytes()].concat()
}

pub(in crate::state) fn movement_bytes(sku: SkuId, location: LocationId, m: &Movement, out: &mut Vec<u8>) {
    out.clear();
    out.number(sku.0.into())
        .number(location.0.into())
        .number(m.on_hand)
        .number(m.unsellable);
    out.number(m.source.0.into()).stamp(m.as_of);
}

pub(in crate::state) fn condition_bytes(sku: SkuId, location: LocationId, p: &facts::Unsellable, out: &mut Vec<u8>) {
    out.clear();
    out.number(sku.0.into())
        .number(location.0.into())
        .number(p.quality_control)
        .number(p.damaged);
    out.number(p.quarantined).number(p.in_transfer);
}

pub(in crate::state) fn supply_bytes(s: &Supply, out: &mut Vec<u8>) {
    out.clear();
    out.number(s.key.0.0.into())
        .text(&s.key.1)
        .text(&s.key.2)
        .optional(s.version)
        .number(s.sku.0.into());
    out.number(s.location.0.into())
        .number(s.quantity)
        .number(s.due.into())
        .number(s.confidence.into());
    out.push(s.status as u8);
    second_edition_of_supply(s, out);
}

/// What the second edition of the rules knows of a supply; nothing where it is as in the first.
fn second_edition_of_supply(s: &Supply, out: &mut Vec<u8>) {
    let same = s.stated == s.quantity && s.as_of.is_none() && s.since.is_none() && s.arrivals.is_empty();
    if same && s.lowered == 0 && s.presumed == 0 && s.transfer.is_none() {
        return;
    }
    out.number(s.stated).number(s.lowered).number(s.presumed);
    for (stamp, kept) in [(s.as_of, false), (s.since, s.keeps_moment)] {
        out.push(u8::from(stamp.is_some()) + u8::from(kept));
        if let Some(stamp) = stamp {
            out.stamp(stamp);
        }
    }
    for arrival in &s.arrivals {
        out.number(arrival.units).stamp(arrival.as_of);
        if arrival.sku != s.sku {
            out.number(arrival.sku.0.into());
        }
    }
    if let Some(transfer) = &s.transfer {
        out.number(transfer.from.0.into()).push(u8::from(transfer.is_shipped));
        for leg in &transfer.legs {
            out.number(leg.sku.0.into()).number(leg.location.0.into());
            out.number(leg.units).stamp(leg.as_of);
        }
    }
}

pub(in crate::state) fn rises_bytes(sku: SkuId, location: LocationId, r: &CellRises, out: &mut Vec<u8>) {
    out.clear();
    out.number(sku.0.into()).number(location.0.into()).number(r.brought);
    for rise in &r.rises {
        out.push(1 + u8::from(rise.after.is_some()));
        if let Some(after) = rise.after {
            out.stamp(after);
        }
        out.stamp(rise.upto).number(rise.units);
    }
    for lowered in &r.lowered {
        out.push(3 + u8::from(lowered.as_of.is_some()));
        if let Some(as_of) = lowered.as_of {
            out.stamp(as_of);
        }
        out.number(lowered.units);
    }
}

pub(in crate::state) fn demand_bytes(d: &Demand, out: &mut Vec<u8>) {
    out.clear();
    out.number(d.key.0.0.into())
        .text(&d.key.1)
        .text(&d.key.2)
        .optional(d.version)
        .number(d.sku.0.into());
    for location in &d.locations {
        out.number(location.0.into());
    }
    out.number(d.quantity)
        .optional(d.due.map(i64::from))
        .stamp(d.as_of)
        .optional_text(d.order_ref.as_deref());
    out.push(d.class as u8);
    if d.reservation.is_some() || d.channel.is_some() {
        out.optional_text(d.reservation.as_deref())
            .optional(d.channel.map(|c| c.0.into()));
    }
}

pub(in crate::state) fn identity_bytes(key: u128, r: &Remembered) -> Vec<u8> {
    let mut out = key.to_le_bytes().to_vec();
    out.optional(r.version).number(r.body as i64);
    if r.whose != NOBODY {
        out.number(r.whose as i64);
    }
    out
}

pub(in crate::state) fn quota_bytes(sku: SkuId, channel: ChannelId, kind: QuotaKind, quota: &Quota, out: &mut Vec<u8>) {
    out.clear();
    out.push(kind as u8);
    out.number(sku.0.into())
        .number(channel.0.into())
        .optional(quota.quantity)
        .number(quota.consumed);
    out.optional_text(quota.period.as_deref()).number(quota.serial.into());
    for period in &quota.left {
        out.text(period);
    }
}
