//! Whether the name of a SKU may become the alias of another: only where nothing but levels and movements says anything of it.
//!
//! In: a SKU. Out: nothing, or what stands in the way. Always: reservations and rules are looked through once in a message at
//! the most, however many aliases it gives.

use hashbrown::HashSet;

use super::{Foreseen, SkuAhead};
use crate::state::State;
use crate::state::catalogue::Detail;
use crate::state::ids::{SkuId, SupplyId};
use crate::wire::facts::SupplyStatus;

/// SKUs that reservations name, and SKUs that rules name.
#[derive(Debug)]
pub(super) struct Named {
    reserved: HashSet<SkuId>,
    ruled: HashSet<SkuId>,
}

impl Named {
    fn of(state: &State) -> Self {
        let mut reserved = HashSet::new();
        for (_, reservation) in state.reservations.iter() {
            reserved.extend(reservation.lines.iter().map(|line| line.sku));
            reserved.extend(reservation.portions.iter().map(|portion| portion.sku));
        }
        let policies = &state.policies;
        let restricted = policies.restrictions.iter().filter(|(_, rule)| rule.blocked);
        let ruled = restricted
            .filter_map(|((sku, _), _)| *sku)
            .chain(policies.oversell.keys().filter_map(|(sku, _)| *sku))
            .chain(policies.safety.keys().filter_map(|(sku, _)| *sku))
            .collect();
        Named { reserved, ruled }
    }
}

impl Foreseen<'_, '_> {
    /// What keeps a SKU's name from becoming an alias; None: nothing.
    pub(crate) fn why_not_an_alias(&self, sku: SkuAhead) -> Option<&'static str> {
        if self.is_kit(sku) {
            return Some("is a kit");
        }
        if !self.aliases_of(sku).is_empty() {
            return Some("has aliases");
        }
        if self.is_in_a_kit(sku) {
            return Some("is part of a kit");
        }
        if self.items.contains_key(&sku) {
            return Some("an earlier fact of this message declares");
        }
        if self.used.contains(&sku) {
            return Some("an earlier fact of this message uses");
        }
        let SkuAhead::Known(known) = sku else { return None };
        let named = self.named.get_or_init(|| Named::of(self.state));
        if named.reserved.contains(&known) {
            return Some("has reservations");
        }
        if named.ruled.contains(&known) {
            return Some("has rules");
        }
        let detail = self.state.catalogue.detail(known)?;
        in_the_way(self.state, detail)
    }
}

fn in_the_way(state: &State, detail: &Detail) -> Option<&'static str> {
    let is_open = |supply: &SupplyId| {
        let supply = state.documents.supplies.get(supply.0);
        supply.status == SupplyStatus::Open && supply.quantity > 0
    };
    let mut allocations = detail.allocations.values();
    if detail.flow.supplies.iter().any(is_open) {
        Some("has open supply")
    } else if !detail.flow.demands.is_empty() {
        Some("has open demand")
    } else if allocations.any(|quota| quota.quantity != Some(0))
        || detail.caps.values().any(|quota| quota.quantity.is_some())
    {
        Some("has an allocation or a cap")
    } else {
        None
    }
}
