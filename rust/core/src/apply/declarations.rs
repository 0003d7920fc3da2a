//! Policy facts: items, locations, channels, and the rules about them.
//!
//! In: facts already checked. Out: changed records; values derived from them are renewed.

use super::phantoms;
use crate::availability::safety;
use crate::state::State;
use crate::state::catalogue::{Channel, Item, Location};
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::policies::{Freshness, OversellRule, Restriction, SafetyRule};
use crate::wire::facts;

pub(crate) fn item(state: &mut State, source: SourceId, fact: &facts::Item<'_>) {
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
        inner: Vec::new(),
        kit,
        aliases: fact.aliases.iter().map(|a| a.as_ref().into()).collect(),
        sell_multiple: fact.sell_multiple,
        tax_class: fact.tax_class.as_deref().map(Into::into),
        status: fact.status,
    };
    for &(component, _) in &new.kit {
        let used_in = &mut state.catalogue.detail_mut(component).used_in;
        if !used_in.contains(&sku) {
            used_in.push(sku);
        }
    }
    for alias in &new.aliases {
        phantoms::take_levels(state, source, alias, sku);
        state.catalogue.add_alias(alias.clone(), sku);
    }
    let old = state.set_item(sku, new);
    let changes_kits = {
        let now = state.catalogue.item(sku).map_or(&[][..], |item| &item.kit);
        old.as_ref().map_or(&[][..], |item| &item.kit) != now
    };
    if let Some(old) = old {
        let now = state.catalogue.item(sku).expect("just set").aliases.clone();
        for gone in old.aliases.iter().filter(|a| !now.contains(a)) {
            state.catalogue.remove_alias(gone);
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
    if changes_kits {
        for kit in kits_above(state, sku) {
            renew_base(state, kit);
        }
    }
}

/// Every kit that takes a SKU, at any depth: each after those of them that are inside it.
fn kits_above(state: &State, sku: SkuId) -> Vec<SkuId> {
    let used_in = |sku: SkuId| {
        state
            .catalogue
            .detail(sku)
            .map_or(&[][..], |detail| &detail.used_in[..])
    };
    let mut seen: hashbrown::HashSet<SkuId> = std::iter::once(sku).collect();
    let (mut way, mut order) = (vec![(sku, 0)], Vec::new());
    while let Some((kit, next)) = way.last_mut() {
        if let Some(&above) = used_in(*kit).get(*next) {
            *next += 1;
            if seen.insert(above) {
                way.push((above, 0));
            }
        } else {
            order.push(*kit);
            way.pop();
        }
    }
    order.pop(); // the SKU itself
    order.reverse();
    order
}

/// Renews what a kit takes from stock, from what its components take.
fn renew_base(state: &mut State, sku: SkuId) {
    let mut base: std::collections::BTreeMap<SkuId, i64> = std::collections::BTreeMap::new();
    let kit = state.catalogue.item(sku).map(|i| i.kit.clone()).unwrap_or_default();
    for (component, quantity) in kit {
        state.catalogue.for_each_component(component, |part, units| {
            *base.entry(part).or_default() += quantity * units;
        });
    }
    state.catalogue.set_base(sku, base.into_iter().collect());
}

pub(crate) fn location(state: &mut State, fact: &facts::Location<'_>) {
    let id = state.location(&fact.location);
    let mut regions: Vec<_> = fact.regions.iter().map(|r| state.region(r)).collect();
    regions.sort_unstable();
    regions.dedup();
    let held = &state.catalogue.locations[id.at()];
    let rank = held.rank;
    let (was_enabled, reaches) = (held.enabled, (held.enabled, &held.regions) != (fact.enabled, &regions));
    let new = Location {
        declared: true,
        r#type: fact.r#type,
        regions,
        priority: fact.priority,
        enabled: fact.enabled,
        rank,
    };
    state.set_location(id, new);
    if was_enabled != fact.enabled {
        state.outdate_all();
    }
    // Its priority decides only in which order nodes serve, never whether any can.
    state.note_wide(|state, sku| reaches && state.has_place_at(sku, id));
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
    let sells = |c: &Channel| (c.locations.clone(), c.draws_shared, c.supply_horizon_days, c.regional);
    let now = sells(&new);
    let reaches = sells(&state.set_channel(id, new)) != now;
    state.note_wide(|state, sku| reaches && state.has_claims_of(sku, id));
}

pub(crate) fn safety(state: &mut State, fact: &facts::Safety<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let location = fact.location.as_deref().map(|l| state.location(l));
    let (absolute, percent_hundredths) = (fact.absolute, fact.percent_hundredths);
    let rule = (absolute.is_some() || percent_hundredths.is_some()).then_some(SafetyRule {
        absolute,
        percent_hundredths,
        sequence: state.position.sequence + 1,
    });
    state.set_safety((sku, location), rule);
    safety::renew_where(state, sku, location);
}

pub(crate) fn oversell(state: &mut State, fact: &facts::Oversell<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let channel = fact.channel.as_deref().map(|c| state.channel(c));
    let rule = fact.policy.map(|policy| OversellRule {
        policy,
        sequence: state.position.sequence + 1,
    });
    state.set_oversell((sku, channel), rule);
    // How much may be sold beyond stock, not what binds to stock.
    state.note_wide(|_, _| false);
}

pub(crate) fn restriction(state: &mut State, fact: &facts::Restriction<'_>) {
    let sku = fact.sku.as_deref().map(|s| state.sku(s));
    let channel = fact.channel.as_deref().map(|c| state.channel(c));
    let rule = Restriction {
        blocked: fact.blocked,
        reason: fact.reason.as_ref().into(),
        sequence: state.position.sequence + 1,
    };
    state.set_restriction((sku, channel), rule);
}

pub(crate) fn freshness(state: &mut State, fact: &facts::Freshness<'_>) {
    let source = state.source(&fact.source);
    let rule = Freshness {
        stale_after_ms: fact.stale_after_ms,
        action: fact.action,
        amount: fact.amount,
    };
    state.set_freshness(source, rule);
}
