//! How fast figures fall by sales, and how many units are withheld for it while a figure is on its way to its shop.
//!
//! In: units by which sales lowered a figure; how late each channel's shop learns of a figure. Out: units withheld of a figure.
//! Always: integers alone, rounded up; of figures that nothing lowered for two windows nothing is known and nothing is
//! withheld; at most so many figures are known at once, and those beyond are left out, so that memory is bounded.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Key;
use crate::state::ids::ChannelId;

/// Sales of one figure, counted in windows: the present one, and the one before it.
#[derive(Debug, Clone, Copy)]
struct Pace {
    begins_ms: i64,
    now: i64,
    before: i64,
    withheld: i64,
}

#[derive(Debug)]
pub(super) struct Paces {
    window_ms: i64,
    most: usize,
    lags_ms: BTreeMap<ChannelId, i64>,
    /// Of channels that are not named there.
    other_ms: i64,
    of: HashMap<Key, Pace>,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            window_ms: 60_000,
            most: 100_000,
            lags_ms: BTreeMap::new(),
            other_ms: 0,
            of: HashMap::new(),
        }
    }
}

impl Pace {
    /// Brings the windows to a moment.
    fn turn(&mut self, now_ms: i64, window_ms: i64) {
        let passed = now_ms.saturating_sub(self.begins_ms).max(0) / window_ms;
        if passed == 0 {
            return;
        }
        self.before = if passed == 1 { self.now } else { 0 };
        self.now = 0;
        self.begins_ms = self.begins_ms.saturating_add(passed.saturating_mul(window_ms));
    }

    /// Units of the last window's time: of the window before, the part that is not over.
    fn units(&self, now_ms: i64, window_ms: i64) -> i64 {
        let over = now_ms.saturating_sub(self.begins_ms).clamp(0, window_ms);
        self.now
            .saturating_add(divided_up(self.before, window_ms - over, window_ms))
    }
}

/// `units * part / whole`, rounded up.
fn divided_up(units: i64, part: i64, whole: i64) -> i64 {
    let exact = i128::from(units) * i128::from(part);
    i64::try_from((exact + i128::from(whole) - 1) / i128::from(whole)).unwrap_or(i64::MAX)
}

impl Paces {
    pub(super) fn set(&mut self, window_ms: i64, most: usize) {
        (self.window_ms, self.most) = (window_ms.max(1), most);
        self.of.clear();
    }

    pub(super) fn set_lags(&mut self, lags_ms: BTreeMap<ChannelId, i64>, other_ms: i64) {
        (self.lags_ms, self.other_ms) = (lags_ms, other_ms);
    }

    /// Sales lowered a figure by so many units.
    pub(super) fn sold(&mut self, key: Key, units: i64, now_ms: i64) {
        let lag_ms = self.lags_ms.get(&key.0).copied().unwrap_or(self.other_ms);
        if lag_ms <= 0 {
            return;
        }
        if !self.of.contains_key(&key) && self.of.len() >= self.most {
            return;
        }
        let window_ms = self.window_ms;
        let pace = self.of.entry(key).or_insert(Pace {
            begins_ms: now_ms,
            now: 0,
            before: 0,
            withheld: 0,
        });
        pace.turn(now_ms, window_ms);
        pace.now = pace.now.saturating_add(units);
        pace.withheld = divided_up(pace.units(now_ms, window_ms), lag_ms, window_ms);
    }

    /// Units that are withheld of a figure, beside the channel's buffer: the larger of the two counts.
    pub(super) fn withheld(&self, key: Key) -> i64 {
        self.of.get(&key).map_or(0, |pace| pace.withheld)
    }

    /// What time changed: figures of which more or less is withheld now, with what was.
    pub(super) fn renew(&mut self, now_ms: i64) -> Vec<(Key, i64)> {
        let (window_ms, lags, other_ms) = (self.window_ms, &self.lags_ms, self.other_ms);
        let mut changed = Vec::new();
        self.of.retain(|&key, pace| {
            pace.turn(now_ms, window_ms);
            let lag_ms = lags.get(&key.0).copied().unwrap_or(other_ms);
            let withheld = divided_up(pace.units(now_ms, window_ms), lag_ms, window_ms);
            let before = std::mem::replace(&mut pace.withheld, withheld);
            if before != withheld {
                changed.push((key, before));
            }
            pace.now > 0 || pace.before > 0
        });
        changed.sort_unstable();
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::ids::SkuId;

    const KEY: Key = (ChannelId(0), SkuId(0));

    fn paces(window_ms: i64, lag_ms: i64) -> Paces {
        let mut paces = Paces::default();
        paces.set(window_ms, 10);
        paces.set_lags(BTreeMap::from([(ChannelId(0), lag_ms)]), 0);
        paces
    }

    proptest! {
        /// Never less than what sold in the last window at that pace, never more than what sold in two; and in the end nothing.
        #[test]
        fn what_is_withheld_lies_between_the_sales_of_one_window_and_of_two(
            sales in prop::collection::vec((0_i64..3_000, 1_i64..1_000), 1..40),
            window_ms in 1_000_i64..5_000,
            lag_ms in 0_i64..20_000,
        ) {
            let mut paces = paces(window_ms, lag_ms);
            let mut now_ms = 1_000_000;
            let mut all = Vec::new();
            for (after_ms, units) in sales {
                now_ms += after_ms;
                paces.sold(KEY, units, now_ms);
                all.push((now_ms, units));
                let within = |ms: i64| all.iter().filter(|(at, _)| now_ms - at < ms).map(|(_, units)| units).sum::<i64>();
                let withheld = paces.withheld(KEY);
                prop_assert!(withheld >= divided_up(units, lag_ms, window_ms));
                prop_assert!(withheld <= divided_up(within(2 * window_ms), lag_ms, window_ms));
                let renewed = paces.renew(now_ms);
                prop_assert_eq!(renewed, vec![]);
            }
            paces.renew(now_ms + 2 * window_ms);
            prop_assert_eq!(paces.withheld(KEY), 0);
            prop_assert!(paces.of.is_empty());
        }
    }

    #[test]
    fn figures_beyond_the_bound_are_left_out() {
        let mut paces = paces(1_000, 1_000);
        for sku in 0..50 {
            paces.sold((ChannelId(0), SkuId(sku)), 1, 0);
        }
        assert_eq!(paces.of.len(), 10);
    }

    #[test]
    fn nothing_is_withheld_for_a_channel_whose_lag_nobody_knows() {
        let mut paces = paces(1_000, 1_000);
        paces.sold((ChannelId(1), SkuId(0)), 9, 0);
        assert_eq!(paces.withheld((ChannelId(1), SkuId(0))), 0);
    }
}
