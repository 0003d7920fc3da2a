//! Sellable: how much of a SKU a channel can sell. The badge, the cart check, the hold and the audit all use this function.
//!
//! In: the state, a SKU, the channel and region. Out: [`Sellable`], [`Units`]. Always: integers, never below 0, and the same
//! for every caller. The rule is docs/rules.md, section 1.

use crate::availability::claims::reachable;
use crate::availability::hypothetical::Away;
use crate::availability::pool::{self, SaleContext};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId};
use crate::state::policies::{QuotaKind, Scope};
use crate::state::quantity::floor_to;
use crate::state::unsourced::Waiting;
use crate::units::quotas;
use crate::wire::facts::{ItemStatus, OversellPolicy, Regional};

/// Why nothing can be sold, where that is by rule and not by stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    Restricted,
    Inactive,
}

impl Blocked {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Blocked::Restricted => "restricted",
            Blocked::Inactive => "inactive",
        }
    }
}

/// What the oversell policy adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OversellAllowance {
    Units(i64),
    Unlimited,
}

/// A base SKU's units before the sell multiple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Units {
    /// What stock alone allows, within the cap.
    pub(crate) capped: i64,
    pub(crate) beyond: OversellAllowance,
    /// The cap's rest; may be below 0 when the cap was lowered.
    pub(crate) cap_rest: Option<i64>,
}

impl Units {
    /// None: no bound.
    pub(crate) fn total(&self) -> Option<i64> {
        let within = |q: i64| self.cap_rest.map_or(q, |cap| q.min(cap)).max(0);
        match self.beyond {
            OversellAllowance::Units(n) => Some(within(self.capped.saturating_add(n))),
            OversellAllowance::Unlimited => self.cap_rest.map(|cap| cap.max(0)),
        }
    }
}

/// What a channel may sell of a SKU or kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sellable {
    /// Where unlimited: what stock alone allows.
    pub(crate) quantity: i64,
    pub(crate) unlimited: bool,
    pub(crate) blocked: Option<Blocked>,
}

/// The two bounds by stock: on the own allocation, and with the shared pool where the channel draws on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) own: i64,
    pub(crate) free: i64,
    pub(crate) draws_shared: bool,
}

impl Base {
    pub(crate) fn units(self) -> i64 {
        if self.draws_shared {
            self.own.max(self.free)
        } else {
            self.own
        }
    }
}

/// Whether a rule, rather than stock, says that nothing of this SKU may be sold; a kit is as blocked as its components.
pub(crate) fn blocked(state: &State, sku: SkuId, channel: Option<ChannelId>) -> Option<Blocked> {
    if state.policies.restriction(sku, channel).is_some() {
        return Some(Blocked::Restricted);
    }
    let item = state.catalogue.item(sku)?;
    if item.status == ItemStatus::Discontinued {
        return Some(Blocked::Inactive);
    }
    let found = item
        .kit
        .iter()
        .filter_map(|&(component, _)| blocked(state, component, channel));
    found.min_by_key(|why| *why as u8)
}

/// Whether only the stock of the cells bounds a SKU: no supply, demand, unsourced units or allocation.
#[inline]
pub(crate) fn is_plain(state: &State, sku: SkuId) -> bool {
    state.catalogue.detail(sku).is_none_or(|d| {
        d.flow.supplies.is_empty()
            && d.flow.demands.is_empty()
            && d.flow.unsourced.is_empty()
            && d.allocations.is_empty()
    })
}

#[inline]
fn cells_alone(state: &State, sku: SkuId, asking: &SaleContext) -> i64 {
    let record = state.catalogue.channel_record(asking.channel);
    let everywhere = record.locations.is_none() && asking.only.is_none();
    if everywhere
        && (asking.region.is_none() || record.regional == Regional::Prefer)
        && asking.away.is_none_or(|away| !away.any_at_hand(sku))
    {
        return state.at_hand(sku);
    }
    state
        .cells(sku)
        .iter()
        .filter(|c| asking.only.is_none_or(|l| l == c.location))
        .filter(|c| state.catalogue.sells_from(record, asking.region, c.location))
        .map(|c| state.in_cell(sku, c, asking.away.map_or(0, |away| away.at(sku, c.location))))
        .sum()
}

#[inline]
pub(crate) fn base(state: &State, sku: SkuId, asking: &SaleContext) -> Base {
    let draws_shared = state.catalogue.channel_record(asking.channel).draws_shared;
    if is_plain(state, sku) {
        let free = if draws_shared {
            cells_alone(state, sku, asking)
        } else {
            0
        };
        return Base {
            own: 0,
            free,
            draws_shared,
        };
    }
    let pool = pool::of(state, sku, asking.away);
    let all = pool::claims(state, sku, &pool, asking);
    let nodes = pool::nodes_of(state, &pool, asking);
    let take = |claims: &[_]| reachable(&pool.stock, &nodes, claims).expect("quantities of the state are bounded");
    let rest = rest_of_allocation(state, sku, asking);
    let own = if rest == 0 {
        0
    } else {
        rest.min(take(&pool::claims_before_own(&all, asking.channel)))
    };
    let free = if draws_shared {
        take(&pool::claims_of_others(&all, asking.channel))
    } else {
        0
    };
    Base {
        own,
        free,
        draws_shared,
    }
}

/// What is left of the allocation of the channel that sells.
pub(crate) fn rest_of_allocation(state: &State, sku: SkuId, asking: &SaleContext) -> i64 {
    let kind = QuotaKind::Allocation;
    let back = asking.away.map_or(0, |away| away.of_quota(sku, asking.channel, kind));
    quotas::rest_of_allocation(state, sku, asking.channel, back)
}

/// The oversell rule that a channel is under; an undeclared channel is under none.
pub(crate) fn oversell_rule(
    state: &State,
    sku: SkuId,
    channel: Option<ChannelId>,
) -> Option<(Scope<SkuId, ChannelId>, OversellPolicy)> {
    let channel = channel.filter(|c| state.catalogue.channels[c.at()].declared)?;
    state
        .policies
        .oversell(sku, channel)
        .map(|(scope, rule)| (scope, rule.policy))
}

fn beyond(state: &State, sku: SkuId, asking: &SaleContext) -> OversellAllowance {
    match oversell_rule(state, sku, asking.channel) {
        None | Some((_, OversellPolicy::None)) => OversellAllowance::Units(0),
        Some((_, OversellPolicy::Unlimited)) => OversellAllowance::Unlimited,
        Some((scope, OversellPolicy::Limit(limit))) => {
            OversellAllowance::Units((limit - unsourced_under(state, sku, scope, asking.away)).max(0))
        }
    }
}

/// Unsourced units of a SKU of all the channels that this very rule governs.
pub(crate) fn unsourced_under(state: &State, sku: SkuId, scope: Scope<SkuId, ChannelId>, away: Option<&Away>) -> i64 {
    let Some(detail) = state.catalogue.detail(sku) else {
        return 0;
    };
    let is_under = |channel: ChannelId| oversell_rule(state, sku, Some(channel)).is_some_and(|(s, _)| s == scope);
    let all = detail
        .flow
        .unsourced
        .channels()
        .filter(|(channel, _)| is_under(*channel));
    let excluded = away.into_iter().flat_map(|away| away.waiting_for(state, sku));
    let excluded = excluded.filter(|((channel, _), _)| is_under(*channel));
    let count = |units: i64, waiting: Waiting| units + waiting.quantity;
    all.map(|(_, units)| units).fold(0, count) - excluded.map(|(_, units)| units).fold(0, count)
}

/// What is left of the cap of the channel that sells; may be below 0.
#[inline]
pub(crate) fn cap_rest(state: &State, sku: SkuId, asking: &SaleContext) -> Option<i64> {
    let rest = quotas::rest_of_cap(state, sku, asking.channel)?;
    Some(
        rest + asking
            .away
            .map_or(0, |away| away.of_quota(sku, asking.channel, QuotaKind::Cap)),
    )
}

/// A base SKU's units, before the sell multiple and before restrictions.
#[inline]
pub(crate) fn units(state: &State, sku: SkuId, asking: &SaleContext) -> Units {
    let stock = base(state, sku, asking).units();
    let cap_rest = cap_rest(state, sku, asking);
    let capped = cap_rest.map_or(stock, |cap| stock.min(cap));
    let beyond = if state.policies.oversell.is_empty() {
        OversellAllowance::Units(0)
    } else {
        beyond(state, sku, asking)
    };
    Units {
        capped,
        beyond,
        cap_rest,
    }
}

/// What a channel can sell of a SKU or kit now.
#[inline]
pub(crate) fn sellable(state: &State, sku: SkuId, asking: &SaleContext) -> Sellable {
    if let Some(why) = blocked(state, sku, asking.channel) {
        return Sellable {
            quantity: 0,
            unlimited: false,
            blocked: Some(why),
        };
    }
    let multiple = state.catalogue.sell_multiple(sku);
    if state.catalogue.is_kit(sku) {
        return kit(state, sku, asking, multiple);
    }
    let units = units(state, sku, asking);
    let (quantity, unlimited) = units.total().map_or((units.capped, true), |q| (q, false));
    Sellable {
        quantity: floor_to(quantity, multiple),
        unlimited,
        blocked: None,
    }
}

fn kit(state: &State, sku: SkuId, asking: &SaleContext, multiple: i64) -> Sellable {
    let (mut bounded, mut by_stock) = (None::<i64>, None::<i64>);
    let least = |so_far: Option<i64>, now: i64| Some(so_far.map_or(now, |s| s.min(now)));
    state.catalogue.for_each_component(sku, |component, per_kit| {
        let units = units(state, component, asking);
        by_stock = least(by_stock, units.capped.max(0) / per_kit);
        if let Some(total) = units.total() {
            bounded = least(bounded, total / per_kit);
        }
    });
    let mut cap = None;
    state.catalogue.for_each_kit(sku, |kit, per| {
        if let Some(rest) = cap_rest(state, kit, asking) {
            cap = least(cap, rest.max(0) / per);
        }
    });
    let limit = match (bounded, cap) {
        (Some(b), Some(c)) => Some(b.min(c)),
        (b, c) => b.or(c),
    };
    let quantity = limit.or(by_stock).unwrap_or(0);
    Sellable {
        quantity: floor_to(quantity, multiple),
        unlimited: limit.is_none(),
        blocked: None,
    }
}

#[cfg(test)]
mod tests;
