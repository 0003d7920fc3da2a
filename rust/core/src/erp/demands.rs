//! Demand documents: what they add to cells and to claims.

use crate::erp::coverage;
use crate::erp::documents::{in_base, is_to_apply, key_of, newness};
use crate::state::State;
use crate::state::ids::{DemandId, LocationId, SourceId};
use crate::state::supply::Demand;
use crate::wire::facts;

pub(crate) fn demand(state: &mut State, source: SourceId, fact: &facts::Demand<'_>) {
    let sku = state.sku(&fact.sku);
    let mut locations: Vec<LocationId> = fact.locations.iter().map(|l| state.location(l)).collect();
    locations.sort_unstable();
    locations.dedup();
    let key = key_of(source, &fact.reference, &fact.line);
    let new = Demand {
        key: key.clone(),
        version: fact.version,
        sku,
        locations,
        quantity: in_base(state, sku, fact.quantity, fact.unit.as_deref()),
        class: fact.class,
        due: fact.due,
        as_of: fact.as_of,
        order_ref: fact.of.order_ref.as_deref().map(Into::into),
        reservation: fact.of.reservation.as_deref().map(Into::into),
        channel: fact.of.channel.as_deref().map(|name| state.channel(name)),
        covered: 0,
        sequence: state.position.sequence + 1,
    };
    let (id, old) = match state.documents.demands.find(&key) {
        None => (state.add_demand(key, new), None),
        Some(id) => {
            let old = state.documents.demands.get(id);
            let same = Demand {
                covered: old.covered,
                sequence: old.sequence,
                ..new.clone()
            } == *old;
            let newness = newness(old.version, new.version, same);
            if !is_to_apply(state, &newness) {
                return;
            }
            let old = state.replace_demand(id, new);
            (id, Some(old))
        }
    };
    relist_demand(state, DemandId(id), old.as_ref());
}

fn relist_demand(state: &mut State, id: DemandId, old: Option<&Demand>) {
    let mut orders: Vec<Box<str>> = Vec::new();
    if let Some(old) = old {
        state.catalogue.detail_mut(old.sku).flow.demands.retain(|d| *d != id);
        if let Some(order) = old.listed_under() {
            if let Some(list) = state.documents.demands_of_order.get_mut(&order) {
                list.retain(|d| *d != id);
            }
            orders.push(order);
        }
    }
    let now = state.documents.demands.get(id.0).clone();
    if now.quantity > 0 {
        state.catalogue.detail_mut(now.sku).flow.demands.push(id);
        if let Some(order) = now.listed_under() {
            state
                .documents
                .demands_of_order
                .entry(order.clone())
                .or_default()
                .push(id);
            orders.push(order);
        }
    }
    orders.dedup();
    for order in orders {
        coverage::renew(state, &order);
    }
    for demand in old.into_iter().chain([&now]) {
        for &location in &demand.locations {
            coverage::renew_cell(state, demand.sku, location);
        }
        state.note_change(demand.sku);
    }
    if now.quantity == 0 {
        let (closed_max, which) = (state.rules.identities_max, state.rules.forget());
        let whose = state.whose(now.key.0);
        if let Some(oldest) = state.documents.demands.note_closed(whose, id.0, closed_max, which) {
            forget_demand(state, oldest);
        }
    }
}

fn forget_demand(state: &mut State, id: u32) {
    let Some(record) = state.documents.demands.try_get(id) else {
        return;
    };
    if record.quantity > 0 {
        return;
    }
    let key = record.key.clone();
    state.forget_demand(id, &key);
}
