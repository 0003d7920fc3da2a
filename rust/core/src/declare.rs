//! Policy facts: items, locations, channels, and the rules about them.
//!
//! In: facts already checked. Out: changed records; what is kept ready is renewed.

use crate::catalogue::{Channel, Item, Location};
use crate::digest::{Digest, Encode, Entity};
use crate::facts;
use crate::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::policies::{Freshness, OversellRule, Restriction, SafetyRule, Scope};
use crate::state::State;

/// Leaves the old encoding out of the digest and takes the new one in; nothing where a side is empty.
fn swap(digest: &mut Digest, entity: Entity, old: &[u8], new: &[u8]) {
    if !old.is_empty() {
        digest.take(entity, old);
    }
    if !new.is_empty() {
        digest.add(entity, new);
    }
}

pub(crate) fn item_bytes(sku: SkuId, item: &Item) -> Vec<u8> {
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

pub(crate) fn item(state: &mut State, fact: &facts::Item<'_>) {
    let sku = state.sku(&fact.sku);
    let kit: Vec<(SkuId, i64)> = fact.kit.iter().map(|c| (state.sku(&c.sku), c.quantity)).collect();
    let new = Item {
        base_unit: fact.base_unit.as_ref().into(),
        units: fact
            .units
            .iter()
            .map(|(name, factor)| (name.as_ref().into(), *factor))
            .collect(),
        base: Vec::new(),
        kit,
        aliases: fact.aliases.iter().map(|a| a.as_ref().into()).collect(),
        sell_multiple: fact.sell_multiple,
        tax_class: fact.tax_class.as_deref().map(Into::into),
        status: fact.status,
    };
    let new_bytes = item_bytes(sku, &new);
    for &(component, _) in &new.kit {
        let used_in = &mut state.catalogue.detail_mut(component).used_in;
        if !used_in.contains(&sku) {
            used_in.push(sku);
        }
    }
    for alias in &new.aliases {
        state.catalogue.aliases.insert(alias.clone(), sku);
    }
    let old = state.catalogue.detail_mut(sku).item.replace(new);
    let old_bytes = old.as_ref().map(|i| item_bytes(sku, i)).unwrap_or_default();
    swap(&mut state.digest, Entity::Item, &old_bytes, &new_bytes);
    if let Some(old) = old {
        let now = state.catalogue.item(sku).expect("just set").aliases.clone();
        for gone in old.aliases.iter().filter(|a| !now.contains(a)) {
            state.catalogue.aliases.remove(gone);
        }
        for (component, _) in old.kit {
            let still = state
                .catalogue
                .item(sku)
                .is_some_and(|i| i.kit.iter().any(|(c, _)| *c == component));
            if !still {
                state.catalogue.detail_mut(component).used_in.retain(|s| *s != sku);
            }
        }
    }
    renew_base(state, sku);
}

/// Renews what a kit, and every kit that it is part of, takes from stock.
fn renew_base(state: &mut State, sku: SkuId) {
    let mut base: std::collections::BTreeMap<SkuId, i64> = std::collections::BTreeMap::new();
    let kit = state.catalogue.item(sku).map(|i| i.kit.clone()).unwrap_or_default();
    for (component, quantity) in kit {
        state.catalogue.for_each_component(component, |part, units| {
            *base.entry(part).or_default() += quantity * units;
        });
    }
    let detail = state.catalogue.detail_mut(sku);
    if let Some(item) = detail.item.as_mut() {
        item.base = base.into_iter().collect();
    }
    for kit in detail.used_in.clone() {
        renew_base(state, kit);
    }
}

pub(crate) fn location_bytes(id: LocationId, l: &Location) -> Vec<u8> {
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

pub(crate) fn location(state: &mut State, fact: &facts::Location<'_>) {
    let id = state.location(&fact.location);
    let mut regions: Vec<_> = fact.regions.iter().map(|r| state.region(r)).collect();
    regions.sort_unstable();
    regions.dedup();
    let rank = state.catalogue.locations[id.at()].rank;
    let new = Location {
        declared: true,
        r#type: fact.r#type,
        regions,
        priority: fact.priority,
        enabled: fact.enabled,
        rank,
    };
    let old = std::mem::replace(&mut state.catalogue.locations[id.at()], new);
    let (old_bytes, new_bytes) = (
        location_bytes(id, &old),
        location_bytes(id, &state.catalogue.locations[id.at()]),
    );
    swap(&mut state.digest, Entity::Location, &old_bytes, &new_bytes);
    if old.priority != fact.priority {
        state.catalogue.rank_locations();
    }
    if old.enabled != fact.enabled {
        state.renew_at_hand();
    }
    state.note_change_of_all();
}

pub(crate) fn channel_bytes(id: ChannelId, c: &Channel) -> Vec<u8> {
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

pub(crate) fn channel(state: &mut State, fact: &facts::Channel<'_>) {
    let id = state.channel(&fact.channel);
    let locations = fact.locations.as_ref().map(|list| {
        let mut ids: Vec<LocationId> = list.iter().map(|l| state.location(l)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    });
    let new = Channel {
        declared: true,
        locations,
        draws_shared: fact.draws_shared,
        supply_horizon_days: fact.supply_horizon_days,
        sourcing: fact.sourcing,
        regional: fact.regional,
        priority: fact.priority,
        buffer: fact.buffer,
    };
    let old = std::mem::replace(&mut state.catalogue.channels[id.at()], new);
    let (old_bytes, new_bytes) = (
        channel_bytes(id, &old),
        channel_bytes(id, &state.catalogue.channels[id.at()]),
    );
    swap(&mut state.digest, Entity::Channel, &old_bytes, &new_bytes);
    state.note_change_of_all();
}

fn scope_bytes(a: Option<u32>, b: Option<u16>) -> Vec<u8> {
    let mut out = Vec::new();
    out.optional(a.map(i64::from)).optional(b.map(i64::from));
    out
}

pub(crate) fn safety_bytes((sku, location): Scope<SkuId, LocationId>, r: &SafetyRule) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), location.map(|l| l.0));
    out.optional(r.absolute).optional(r.percent_hundredths);
    out
}

pub(crate) fn oversell_bytes((sku, channel): Scope<SkuId, ChannelId>, r: &OversellRule) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), channel.map(|c| c.0));
    match r.policy {
        facts::OversellPolicy::None => out.push(0),
        facts::OversellPolicy::Limit(n) => out.extend_from_slice(&n.to_be_bytes()),
        facts::OversellPolicy::Unlimited => out.push(1),
    }
    out
}

pub(crate) fn restriction_bytes((sku, channel): Scope<SkuId, ChannelId>, r: &Restriction) -> Vec<u8> {
    let mut out = scope_bytes(sku.map(|s| s.0), channel.map(|c| c.0));
    out.number(i64::from(r.blocked)).text(&r.reason);
    out
}

pub(crate) fn freshness_bytes(source: SourceId, f: &Freshness) -> Vec<u8> {
    let mut out = Vec::new();
    out.number(source.0.into())
        .number(f.stale_after_ms)
        .number(f.action as i64)
        .optional(f.amount);
    out
}

pub(crate) fn safety(state: &mut State, fact: &facts::Safety<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let location = fact.location.as_deref().map(|l| state.location(l));
    let sequence = state.position.sequence + 1;
    let bytes = |r: &SafetyRule| safety_bytes((sku, location), r);
    let (absolute, percent_hundredths) = (fact.absolute, fact.percent_hundredths);
    let new = (absolute.is_some() || percent_hundredths.is_some()).then_some(SafetyRule {
        absolute,
        percent_hundredths,
        sequence,
    });
    let rules = &mut state.policies.safety;
    let old = match &new {
        Some(rule) => rules.insert((sku, location), *rule),
        None => rules.remove(&(sku, location)),
    };
    let old_bytes = old.as_ref().map(bytes).unwrap_or_default();
    swap(
        &mut state.digest,
        Entity::Safety,
        &old_bytes,
        &new.as_ref().map(bytes).unwrap_or_default(),
    );
    state.policies.sku_safety = state.policies.safety.keys().filter(|(s, _)| s.is_some()).count();
    crate::safety::renew_where(state, sku, location);
}

pub(crate) fn oversell(state: &mut State, fact: &facts::Oversell<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let channel = fact.channel.as_deref().map(|c| state.channel(c));
    let bytes = |r: &OversellRule| oversell_bytes((sku, channel), r);
    let new = fact.policy.map(|policy| OversellRule {
        policy,
        sequence: state.position.sequence + 1,
    });
    let rules = &mut state.policies.oversell;
    let old = match new {
        Some(rule) => rules.insert((sku, channel), rule),
        None => rules.remove(&(sku, channel)),
    };
    let old_bytes = old.as_ref().map(bytes).unwrap_or_default();
    swap(
        &mut state.digest,
        Entity::Oversell,
        &old_bytes,
        &new.as_ref().map(bytes).unwrap_or_default(),
    );
    state.policies.sku_oversell = state.policies.oversell.keys().filter(|(s, _)| s.is_some()).count();
    state.note_change_of_all();
}

pub(crate) fn restriction(state: &mut State, fact: &facts::Restriction<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let channel = fact.channel.as_deref().map(|c| state.channel(c));
    let bytes = |r: &Restriction| restriction_bytes((sku, channel), r);
    let new = Restriction {
        blocked: fact.blocked,
        reason: fact.reason.as_ref().into(),
        sequence: state.position.sequence + 1,
    };
    let new_bytes = bytes(&new);
    let old = state.policies.restrictions.insert((sku, channel), new);
    swap(
        &mut state.digest,
        Entity::Restriction,
        &old.as_ref().map(bytes).unwrap_or_default(),
        &new_bytes,
    );
    state.policies.sku_restrictions = state.policies.restrictions.keys().filter(|(s, _)| s.is_some()).count();
}

pub(crate) fn freshness(state: &mut State, fact: &facts::Freshness<'_>) {
    let source = state.source(&fact.source);
    let bytes = |f: &Freshness| freshness_bytes(source, f);
    let new = Freshness {
        stale_after_ms: fact.stale_after_ms,
        action: fact.action,
        amount: fact.amount,
    };
    let new_bytes = bytes(&new);
    let old = state.policies.freshness.insert(source, new);
    swap(
        &mut state.digest,
        Entity::Freshness,
        &old.as_ref().map(bytes).unwrap_or_default(),
        &new_bytes,
    );
}
