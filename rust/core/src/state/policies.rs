//! Policies: quotas of channels, oversell, restrictions, safety rules, freshness. Holds no rule but "most specific wins".
//!
//! In: policy facts already checked. Out: the rule that applies to (SKU, channel) or (SKU, location).

use std::collections::BTreeMap;

use crate::state::ids::{ChannelId, LocationId, SkuId, Slot, SourceId};
use crate::state::quantity::percent_up;
use crate::state::read_only::ReadOnly;
use crate::state::stock::Cell;
use crate::wire::facts::{FreshnessAction, OversellPolicy};

/// A reservation with unsourced units or units on supply, by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgeKey {
    pub(crate) serial: u64,
    pub(crate) slot: Slot,
}

/// Periods of a quota that are remembered after they were left.
pub(crate) const PERIODS_MAX: usize = 1_000;

/// A quantity that a channel may take of a SKU within a period: an allocation or a cap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Quota {
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

/// Which of the two quantities that bound a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaKind {
    /// Set aside for the channel.
    Allocation,
    /// The most that the channel may sell.
    Cap,
}

/// What a fact did to a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaChange {
    Changed,
    Repeat,
    /// A period that was left does not come back.
    PeriodLeft,
}

impl Quota {
    /// What is not taken yet; never below 0. `away`: units that count as given back.
    pub(crate) fn rest(&self, away: i64) -> Option<i64> {
        self.quantity.map(|q| (q - self.consumed + away).max(0))
    }

    /// Applies a fact: the same period keeps what was consumed, another starts at zero (docs/facts.md, "Identity").
    pub(crate) fn set(&mut self, quantity: Option<i64>, period: Option<&str>) -> QuotaChange {
        if self.serial > 0 && self.period.as_deref() == period {
            if self.quantity == quantity {
                return QuotaChange::Repeat;
            }
            if period.is_some() {
                self.quantity = quantity;
                return QuotaChange::Changed;
            }
        } else if period.is_some_and(|p| self.left.iter().any(|l| &**l == p)) {
            return QuotaChange::PeriodLeft;
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
        QuotaChange::Changed
    }
}

/// Quotas of one SKU by channel.
pub(crate) type Quotas = BTreeMap<ChannelId, Quota>;

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

impl SafetyRule {
    /// `max(absolute, ceil(percent * (on_hand - unsellable)))` (docs/rules.md, "Sellable").
    fn units(&self, cell: &Cell) -> i64 {
        let sound = cell.on_hand - cell.unsellable;
        let percent = self
            .percent_hundredths
            .map_or(0, |hundredths| percent_up(hundredths, sound));
        self.absolute.unwrap_or(0).max(percent)
    }
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
    pub(crate) restrictions: ReadOnly<BTreeMap<Scope<SkuId, ChannelId>, Restriction>>,
    pub(crate) oversell: ReadOnly<BTreeMap<Scope<SkuId, ChannelId>, OversellRule>>,
    pub(crate) safety: ReadOnly<BTreeMap<Scope<SkuId, LocationId>, SafetyRule>>,
    pub(crate) freshness: ReadOnly<BTreeMap<SourceId, Freshness>>,
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
    /// The safety stock of a cell by the rule in force.
    pub(crate) fn safety_of(&self, sku: SkuId, cell: &Cell) -> i64 {
        self.safety(sku, cell.location).map_or(0, |(_, rule)| rule.units(cell))
    }

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
        let mut quota = Quota::default();
        assert_eq!(quota.set(Some(10), Some("june")), QuotaChange::Changed);
        quota.consumed = 4;
        assert_eq!(quota.set(Some(12), Some("june")), QuotaChange::Changed);
        assert_eq!(quota.rest(0), Some(8));
        assert_eq!(quota.set(Some(5), Some("july")), QuotaChange::Changed);
        assert_eq!(quota.rest(0), Some(5));
        assert_eq!(quota.set(Some(50), Some("june")), QuotaChange::PeriodLeft);
        assert_eq!(quota.rest(0), Some(5));
    }

    #[test]
    fn without_a_period_only_a_repeat_keeps_what_was_consumed() {
        let mut quota = Quota::default();
        quota.set(Some(10), None);
        quota.consumed = 4;
        assert_eq!(quota.set(Some(10), None), QuotaChange::Repeat);
        assert_eq!(quota.rest(0), Some(6));
        quota.set(Some(11), None);
        assert_eq!(quota.rest(0), Some(11));
    }
}
