//! Queries asked as if some holds did not exist: what these holds take, excluded without a change of the state.
//!
//! In: holds to exclude. Out: for each node and quota the units that count as given back.
//! Always: an overlay; the state stays as it is. The result equals what giving these holds back leaves (a property test).

use smallvec::SmallVec;

use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId, Slot, SupplyId};
use crate::state::policies::QuotaKind;
use crate::state::reservations::StockNode;
use crate::state::unsourced::{Buyers, Waiting};
use crate::units::{kits, quotas};

/// What some holds take, by where they take it.
#[derive(Debug, Default)]
pub(crate) struct Away {
    slots: SmallVec<[Slot; 2]>,
    cells: SmallVec<[(SkuId, LocationId, i64); 4]>,
    supplies: SmallVec<[(SupplyId, i64); 2]>,
    quotas: SmallVec<[(SkuId, ChannelId, QuotaKind, i64); 2]>,
}

impl Away {
    pub(crate) fn of(state: &State, slots: &[Slot]) -> Self {
        let mut away = Away {
            slots: slots.into(),
            ..Away::default()
        };
        for &slot in slots {
            away.exclude(state, slot);
        }
        away
    }

    fn exclude(&mut self, state: &State, slot: Slot) {
        let hold = state.reservations.get(slot);
        for portion in &hold.portions {
            match portion.node {
                StockNode::Hand(location) => self.cells.push((portion.sku, location, portion.quantity)),
                StockNode::Supply(id) => self.supplies.push((id, portion.quantity)),
                StockNode::Unsourced => {}
            }
            let (sku, kind) = (portion.sku, QuotaKind::Allocation);
            self.quota(state, sku, hold.channel, kind, portion.own, portion.own_period);
            self.quota(
                state,
                sku,
                hold.channel,
                QuotaKind::Cap,
                portion.quantity,
                portion.cap_period,
            );
        }
        for (n, line) in hold.lines.iter().enumerate() {
            for (kit, per, period) in kits::caps_of(line, hold.recipe(n)) {
                self.quota(state, kit, hold.channel, QuotaKind::Cap, line.quantity * per, period);
            }
        }
    }

    fn quota(&mut self, state: &State, sku: SkuId, channel: ChannelId, kind: QuotaKind, units: i64, period: u32) {
        if units != 0 && period != 0 && quotas::serial(state, sku, channel, kind) == period {
            self.quotas.push((sku, channel, kind, units));
        }
    }

    /// Units beyond any node.
    pub(crate) fn waiting_for<'s>(
        &'s self,
        state: &'s State,
        sku: SkuId,
    ) -> impl Iterator<Item = (Buyers, Waiting)> + 's {
        let queue = state.catalogue.detail(sku).map(|d| &d.flow.unsourced);
        self.slots
            .iter()
            .filter_map(move |&slot| queue?.of(state.reservations.get(slot).age(slot)))
    }

    /// Units at hand at a location.
    pub(crate) fn at(&self, sku: SkuId, location: LocationId) -> i64 {
        let here = self.cells.iter().filter(|(s, l, _)| *s == sku && *l == location);
        here.map(|(_, _, units)| units).sum()
    }

    /// Whether there are any at hand anywhere.
    pub(crate) fn any_at_hand(&self, sku: SkuId) -> bool {
        self.cells.iter().any(|(s, _, _)| *s == sku)
    }

    /// Units bound to a supply.
    pub(crate) fn bound_to(&self, supply: SupplyId) -> i64 {
        let here = self.supplies.iter().filter(|(id, _)| *id == supply);
        here.map(|(_, units)| units).sum()
    }

    /// Units that a channel's quota counts as consumed.
    pub(crate) fn of_quota(&self, sku: SkuId, channel: Option<ChannelId>, kind: QuotaKind) -> i64 {
        let here = self
            .quotas
            .iter()
            .filter(|(s, c, k, _)| *s == sku && Some(*c) == channel && *k == kind);
        here.map(|(_, _, _, units)| units).sum()
    }
}

#[cfg(test)]
mod tests;
