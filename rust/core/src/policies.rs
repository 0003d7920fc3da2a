//! Policies: rations of channels, oversell, restrictions, safety rules, freshness. Holds no rule but "most specific wins".
//!
//! In: policy facts already checked. Out: the rule that applies to (SKU, channel) or (SKU, location).

use std::collections::BTreeMap;

use crate::facts::{FreshnessAction, OversellPolicy};
use crate::ids::{ChannelId, LocationId, SkuId, Slot, SourceId};

/// A reservation with units beyond any node, by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Oversold {
    pub(crate) serial: u64,
    pub(crate) slot: Slot,
}

/// Periods of a ration that are remembered after they were left.
pub(crate) const PERIODS_MAX: usize = 1_000;

/// A quantity that a channel may take of a SKU within a period: an allocation or a cap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ration {
    /// None: no bound (a cap that was lifted).
    pub(crate) quantity: Option<i64>,
    pub(crate) consumed: i64,
    pub(crate) period: Option<Box<str>>,
    /// Counts the periods; what was taken in one goes back only into the same.
    pub(crate) serial: u32,
    pub(crate) left: Vec<Box<str>>,
    /// LOG sequence of the fact in force.
    pub(crate) sequence: u64,
}

/// What a fact did to a ration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RationChange {
    Changed,
    Repeat,
    /// A period that was left does not come back.
    PeriodLeft,
}

impl Ration {
    /// What is not taken yet; never below 0.
    pub(crate) fn rest(&self) -> Option<i64> {
        self.quantity.map(|q| (q - self.consumed).max(0))
    }

    /// Applies a fact: the same period keeps what was consumed, another starts at zero (api.md, "Identity").
    pub(crate) fn set(&mut self, quantity: Option<i64>, period: Option<&str>) -> RationChange {
        if self.serial > 0 && self.period.as_deref() == period {
            if self.quantity == quantity {
                return RationChange::Repeat;
            }
            if period.is_some() {
                self.quantity = quantity;
                return RationChange::Changed;
            }
        } else if period.is_some_and(|p| self.left.iter().any(|l| &**l == p)) {
            return RationChange::PeriodLeft;
        }
        if let Some(old) = self.period.take() {
            self.left.push(old);
            if self.left.len() > PERIODS_MAX {
                self.left.remove(0);
            }
        }
        self.period = period.map(Into::into);
        self.quantity = quantity;
        self.consumed = 0;
        self.serial += 1;
        RationChange::Changed
    }
}

/// Rations of one SKU by channel.
pub(crate) type Rations = BTreeMap<ChannelId, Ration>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restriction {
    pub(crate) blocked: bool,
    pub(crate) reason: Box<str>,
    pub(crate) sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OversellRule {
    pub(crate) policy: OversellPolicy,
    pub(crate) sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SafetyRule {
    pub(crate) absolute: Option<i64>,
    pub(crate) percent_hundredths: Option<i64>,
    pub(crate) sequence: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Freshness {
    pub(crate) stale_after_ms: i64,
    pub(crate) action: FreshnessAction,
    pub(crate) amount: Option<i64>,
}

/// Which rule applies, as it is named in answers.
pub(crate) type Scope<A, B> = (Option<A>, Option<B>);

/// The rules that are not kept with their SKU.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    pub(crate) restrictions: BTreeMap<Scope<SkuId, ChannelId>, Restriction>,
    pub(crate) oversell: BTreeMap<Scope<SkuId, ChannelId>, OversellRule>,
    pub(crate) safety: BTreeMap<Scope<SkuId, LocationId>, SafetyRule>,
    pub(crate) freshness: BTreeMap<SourceId, Freshness>,
    /// How many of each kind name a SKU: 0 spares the look-up of each SKU.
    pub(crate) sku_restrictions: usize,
    pub(crate) sku_oversell: usize,
    pub(crate) sku_safety: usize,
}

/// Most specific first: SKU and other, SKU, other, none.
fn most_specific<A: Copy + Ord, B: Copy + Ord, R>(
    rules: &BTreeMap<Scope<A, B>, R>,
    with_sku: bool,
    sku: A,
    other: Option<B>,
) -> Option<(Scope<A, B>, &R)> {
    if rules.is_empty() {
        return None;
    }
    let candidates = [(Some(sku), other), (Some(sku), None), (None, other), (None, None)];
    let skip = if with_sku { 0 } else { 2 };
    candidates
        .into_iter()
        .skip(skip)
        .find_map(|scope| rules.get(&scope).map(|rule| (scope, rule)))
}

impl Policies {
    pub(crate) fn restriction(
        &self,
        sku: SkuId,
        channel: Option<ChannelId>,
    ) -> Option<(Scope<SkuId, ChannelId>, &Restriction)> {
        most_specific(&self.restrictions, self.sku_restrictions > 0, sku, channel).filter(|(_, r)| r.blocked)
    }

    pub(crate) fn oversell(&self, sku: SkuId, channel: ChannelId) -> Option<(Scope<SkuId, ChannelId>, &OversellRule)> {
        most_specific(&self.oversell, self.sku_oversell > 0, sku, Some(channel))
    }

    pub(crate) fn safety(&self, sku: SkuId, location: LocationId) -> Option<(Scope<SkuId, LocationId>, &SafetyRule)> {
        most_specific(&self.safety, self.sku_safety > 0, sku, Some(location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_period_keeps_what_was_consumed_and_another_starts_at_zero() {
        let mut ration = Ration::default();
        assert_eq!(ration.set(Some(10), Some("june")), RationChange::Changed);
        ration.consumed = 4;
        assert_eq!(ration.set(Some(12), Some("june")), RationChange::Changed);
        assert_eq!(ration.rest(), Some(8));
        assert_eq!(ration.set(Some(5), Some("july")), RationChange::Changed);
        assert_eq!(ration.rest(), Some(5));
        assert_eq!(ration.set(Some(50), Some("june")), RationChange::PeriodLeft);
        assert_eq!(ration.rest(), Some(5));
    }

    #[test]
    fn without_a_period_only_a_repeat_keeps_what_was_consumed() {
        let mut ration = Ration::default();
        ration.set(Some(10), None);
        ration.consumed = 4;
        assert_eq!(ration.set(Some(10), None), RationChange::Repeat);
        assert_eq!(ration.rest(), Some(6));
        ration.set(Some(11), None);
        assert_eq!(ration.rest(), Some(11));
    }
}
