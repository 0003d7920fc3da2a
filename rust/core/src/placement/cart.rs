//! The cart check: all lines together, in order. A page's check and a hold's decision are this one function.
//!
//! In: lines already resolved to SKUs and base units. Out: a verdict for each line.
//! Always: a line is judged after the lines before it that fit; a failing line takes nothing (docs/rules.md, "A cart").

use crate::availability::pool::SaleContext;
use crate::availability::sellable::{self, Blocked, OversellAllowance};
use crate::placement::placing::stands_at;
use crate::placement::sourcing;
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::quantity::{QUANTITY_MAX, common_multiple, floor_to, scaled};
use crate::state::reservations::Portion;
use crate::units::recipes::Made;
use smallvec::SmallVec;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    InsufficientStock,
    UnknownSku,
    Restricted,
    NotAMultiple,
    UnknownUnit,
    Inactive,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::InsufficientStock => "insufficient-stock",
            Reason::UnknownSku => "unknown-sku",
            Reason::Restricted => "restricted",
            Reason::NotAMultiple => "not-a-multiple",
            Reason::UnknownUnit => "unknown-unit",
            Reason::Inactive => "inactive",
        }
    }
}

/// A line as it was asked, with what the catalogue knows of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) sku: Option<SkuId>,
    /// In base units; as it was asked where the unit is unknown.
    pub(crate) quantity: i64,
    pub(crate) unit_known: bool,
    /// Base units in one of the unit that was asked in; a partial hold takes whole ones.
    pub(crate) unit: i64,
    pub(crate) only: Option<LocationId>,
    /// What one of it is made of.
    pub(crate) made: Made<'a>,
}

impl<'a> AskedLine<'a> {
    pub(crate) fn resolve(state: &State, name: &'a str, quantity: i64, unit: Option<&str>) -> Self {
        let sku = state.catalogue.sku(name);
        let factor = match (sku, unit) {
            (Some(sku), Some(unit)) => state.catalogue.unit_factor(sku, unit),
            _ => Some(1),
        };
        let base = factor.map_or(quantity, |f| scaled(quantity, f).unwrap_or(QUANTITY_MAX));
        AskedLine {
            name,
            sku,
            quantity: base,
            unit_known: factor.is_some(),
            unit: factor.unwrap_or(1),
            only: None,
            made: Made::Now,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) requested: i64,
    /// What the lines before it left; where there is no bound, what stock alone allows.
    pub(crate) sellable: i64,
    /// What a partial hold takes.
    pub(crate) granted: i64,
    pub(crate) reason: Option<Reason>,
}

/// One for each line.
pub(crate) type Verdicts = SmallVec<[Verdict; 2]>;

/// What is known of one base SKU (or of one kit's cap) while a cart is judged. None: no bound.
#[derive(Debug, Clone, Copy)]
struct Account {
    sku: SkuId,
    only: Option<LocationId>,
    is_kit_cap: bool,
    total: Option<i64>,
    by_stock: i64,
    taken: i64,
}

#[derive(Debug)]
struct Judge<'a> {
    state: &'a State,
    asking: SaleContext<'a>,
    /// A reservation that is being replaced: its own units count as there.
    credit: Option<Slot>,
    accounts: SmallVec<[Account; 4]>,
    /// What lines took so far of each base SKU, by the location that they name.
    taken: SmallVec<[(SkuId, Option<LocationId>, i64); 4]>,
}

/// Judges lines in order. `partial`: a line that does not fit takes what it can.
pub(crate) fn judge(
    state: &State,
    asking: &SaleContext,
    lines: &[AskedLine<'_>],
    partial: bool,
    credit: Option<Slot>,
) -> Verdicts {
    let mut judge = Judge {
        state,
        asking: *asking,
        credit,
        accounts: SmallVec::new(),
        taken: SmallVec::new(),
    };
    lines.iter().map(|line| judge.line(line, partial)).collect()
}

impl Judge<'_> {
    fn line(&mut self, line: &AskedLine<'_>, partial: bool) -> Verdict {
        let refused = |reason| Verdict {
            requested: line.quantity,
            sellable: 0,
            granted: 0,
            reason: Some(reason),
        };
        let Some(sku) = line.sku else {
            return refused(Reason::UnknownSku);
        };
        match sellable::blocked(self.state, sku, self.asking.channel) {
            Some(Blocked::Restricted) => return refused(Reason::Restricted),
            Some(Blocked::Inactive) => return refused(Reason::Inactive),
            None => {}
        }
        let multiple = self.state.catalogue.sell_multiple(sku);
        let (most, by_stock) = self.most(sku, line.made, line.only);
        let sellable = floor_to(most.unwrap_or(by_stock), multiple);
        if !line.unit_known {
            return Verdict {
                sellable,
                ..refused(Reason::UnknownUnit)
            };
        }
        let bound = floor_to(most.unwrap_or(QUANTITY_MAX), multiple);
        let reason = if line.quantity % multiple != 0 {
            Some(Reason::NotAMultiple)
        } else if line.quantity > bound || self.is_too_large(sku, line.made, line.quantity) {
            Some(Reason::InsufficientStock)
        } else {
            None
        };
        let granted = match reason {
            None => line.quantity,
            Some(_) if partial => floor_to(line.quantity.min(bound), common_multiple(multiple, line.unit)),
            Some(_) => 0,
        };
        if granted > 0 {
            self.take(sku, line.made, line.only, granted);
        }
        Verdict {
            requested: line.quantity,
            sellable,
            granted,
            reason,
        }
    }

    /// The most that may be taken of a SKU or kit now (None: no bound), and what stock alone allows.
    fn most(&mut self, sku: SkuId, made: Made<'_>, only: Option<LocationId>) -> (Option<i64>, i64) {
        let state = self.state;
        let (mut bound, mut by_stock) = (None::<i64>, None::<i64>);
        let least = |so_far: &mut Option<i64>, now: i64| *so_far = Some(so_far.map_or(now, |s| s.min(now)));
        made.for_each_part(&state.catalogue, sku, |part, per| {
            for place in std::iter::once(None).chain(only.map(Some)) {
                let account = self.account(part, place, false);
                least(&mut by_stock, (account.by_stock - account.taken).max(0) / per);
                if let Some(total) = account.total {
                    least(&mut bound, (total - account.taken).max(0) / per);
                }
            }
        });
        if let Some(most) = bound.filter(|_| only.is_some() || self.taken.iter().any(|(_, l, _)| l.is_some())) {
            made.for_each_part(&state.catalogue, sku, |part, per| {
                least(&mut bound, self.room(part, only, most * per) / per);
            });
        }
        made.for_each_kit(&state.catalogue, sku, |kit, per| {
            let cap = self.account(kit, None, true);
            if let Some(total) = cap.total {
                least(&mut bound, (total - cap.taken).max(0) / per);
            }
        });
        (bound, by_stock.unwrap_or(0))
    }

    /// How many of `most` units still fit beside what lines that name locations took: each location may have enough for its
    /// line, and all together too little. The limit is how many units a hold of all these lines would leave unsourced.
    fn room(&self, sku: SkuId, only: Option<LocationId>, most: i64) -> i64 {
        let OversellAllowance::Units(beyond) = sellable::units(self.state, sku, &self.asking).beyond else {
            return most;
        };
        let mut most = most;
        loop {
            let short = sourcing::shortage(self.state, &self.asking, sku, &self.needs(sku, only, most));
            if short <= beyond || most == 0 {
                return most;
            }
            most = (most - (short - beyond)).max(0);
        }
    }

    /// What is to be placed of a SKU with `more` of it, beside what a replacement keeps; lines that name a location first.
    fn needs(&self, sku: SkuId, only: Option<LocationId>, more: i64) -> Vec<(Option<LocationId>, i64)> {
        let mut needs: Vec<(Option<LocationId>, i64)> = Vec::new();
        let taken = self.taken.iter().filter(|(s, _, _)| *s == sku);
        for (_, at, quantity) in taken.chain([&(sku, only, more)]) {
            match needs.iter_mut().find(|(l, _)| l == at) {
                Some((_, sum)) => *sum += quantity,
                None => needs.push((*at, *quantity)),
            }
        }
        needs.sort_by_key(|(at, _)| at.is_none());
        let mut kept = self.credit_of(sku, None, false);
        for (at, quantity) in &mut needs {
            let here = self.credit_of(sku, *at, false).min(kept).min(*quantity);
            kept -= here;
            *quantity -= here;
        }
        needs
    }

    /// Whether taking so many would leave the bounds of the state (only where no stock bounds it).
    fn is_too_large(&mut self, sku: SkuId, made: Made<'_>, quantity: i64) -> bool {
        let (state, mut is_too_large) = (self.state, false);
        made.for_each_part(&state.catalogue, sku, |part, per| {
            let taken = self.account(part, None, false).taken;
            is_too_large |= scaled(quantity, per).and_then(|q| scaled(q + taken, 1)).is_none();
        });
        is_too_large
    }

    fn account(&mut self, sku: SkuId, only: Option<LocationId>, is_kit_cap: bool) -> Account {
        let same = |a: &&Account| a.sku == sku && a.only == only && a.is_kit_cap == is_kit_cap;
        if let Some(account) = self.accounts.iter().find(same) {
            return *account;
        }
        let credit = self.credit_of(sku, only, is_kit_cap);
        let (total, by_stock) = if is_kit_cap {
            (
                sellable::cap_rest(self.state, sku, &self.asking).map(|rest| rest.max(0) + credit),
                0,
            )
        } else {
            let mut units = sellable::units(self.state, sku, &self.asking.at(only));
            if only.is_some() {
                // The cap bounds the whole cart, wherever its units come from.
                units.capped = sellable::base(self.state, sku, &self.asking.at(only)).units();
                units.cap_rest = None;
            }
            (units.total().map(|t| t + credit), units.capped.max(0) + credit)
        };
        let account = Account {
            sku,
            only,
            is_kit_cap,
            total,
            by_stock,
            taken: 0,
        };
        self.accounts.push(account);
        account
    }

    fn credit_of(&self, sku: SkuId, only: Option<LocationId>, is_kit_cap: bool) -> i64 {
        let Some(slot) = self.credit else { return 0 };
        let old = self.state.reservations.get(slot);
        if is_kit_cap {
            let mut kits = 0;
            for (n, line) in old.lines.iter().enumerate() {
                Made::line(old, n).for_each_kit(&self.state.catalogue, line.sku, |kit, per| {
                    kits += if kit == sku { per * line.quantity } else { 0 };
                });
            }
            return kits;
        }
        let counts = |p: &&Portion| p.sku == sku && (only.is_none() || stands_at(self.state, old, p) == only);
        old.portions.iter().filter(counts).map(|p| p.quantity).sum()
    }

    fn take(&mut self, sku: SkuId, made: Made<'_>, only: Option<LocationId>, quantity: i64) {
        let taken = &mut self.taken;
        let accounts = &mut self.accounts;
        made.for_each_part(&self.state.catalogue, sku, |part, per| {
            taken.push((part, only, quantity * per));
            for account in accounts.iter_mut().filter(|a| a.sku == part && !a.is_kit_cap) {
                if account.only.is_none() || account.only == only {
                    account.taken += quantity * per;
                }
            }
        });
        made.for_each_kit(&self.state.catalogue, sku, |kit, per| {
            for account in accounts.iter_mut().filter(|a| a.sku == kit && a.is_kit_cap) {
                account.taken += quantity * per;
            }
        });
    }
}

#[cfg(test)]
mod tests;
