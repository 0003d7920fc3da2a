//! The digest from scratch: over everything that the state holds, not over what changed.
//!
//! In: a state. Out: its digest. Always: equal to the one that is maintained with each change (`digest`); a difference
//! means that some change bypassed it.

use crate::state::catalogue::Catalogue;
use crate::state::digest::{Digest, Entity};
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::state::policies::QuotaKind;
use crate::state::{State, encodings};

pub(crate) fn count(state: &State) -> Digest {
    let mut digest = Digest::default();
    let mut scratch = Vec::new();
    symbols(&mut digest, &state.catalogue);
    catalogue(&mut digest, state, &mut scratch);
    stock(&mut digest, state, &mut scratch);
    rises(&mut digest, state, &mut scratch);
    policies(&mut digest, state);
    for (_, supply) in state.documents.supplies.iter() {
        encodings::supply_bytes(supply, &mut scratch);
        digest.add(Entity::Supply, &scratch);
    }
    for (_, demand) in state.documents.demands.iter() {
        encodings::demand_bytes(demand, &mut scratch);
        digest.add(Entity::Demand, &scratch);
    }
    for (_, reservation) in state.reservations.iter() {
        digest.add_reservation(reservation, &mut scratch);
    }
    for (key, remembered) in state.identities.iter() {
        digest.add(Entity::Identity, &encodings::identity_bytes(key, remembered));
    }
    for (key, answered) in state.answered.iter() {
        answered.digested(key, &mut scratch);
        digest.add(Entity::Answered, &scratch);
    }
    for (_, order, documents) in state.order_documents.iter() {
        for document in documents {
            digest.add(Entity::OrderDocument, &document.bytes(order));
        }
    }
    for word in state
        .reservations
        .pending_order_facts
        .values()
        .flat_map(|pending| &pending.raw)
    {
        digest.add(Entity::PendingOrderFact, word.as_bytes());
    }
    digest
}

fn symbols(digest: &mut Digest, names: &Catalogue) {
    let kinds = [
        &names.sku_names,
        &names.location_names,
        &names.channel_names,
        &names.source_names,
        &names.region_names,
    ];
    for (kind, symbols) in kinds.into_iter().enumerate() {
        for number in 0..symbols.len() as u32 {
            digest.symbol(kind as u8, number, symbols.name(number));
        }
    }
}

fn catalogue(digest: &mut Digest, state: &State, scratch: &mut Vec<u8>) {
    let catalogue = &state.catalogue;
    for sku in (0..catalogue.skus.len() as u32).map(SkuId) {
        let Some(detail) = catalogue.detail(sku) else { continue };
        if let Some(item) = detail.item.as_ref() {
            digest.add(Entity::Item, &encodings::item_bytes(sku, item));
        }
        for (kind, all) in [
            (QuotaKind::Allocation, &detail.allocations),
            (QuotaKind::Cap, &detail.caps),
        ] {
            for (channel, quota) in all.iter() {
                encodings::quota_bytes(sku, *channel, kind, quota, scratch);
                digest.add(Entity::Quota, scratch);
            }
        }
    }
    for (n, location) in catalogue.locations.iter().enumerate().filter(|(_, l)| l.declared) {
        let bytes = encodings::location_bytes(LocationId(n as u16), location);
        digest.add(Entity::Location, &bytes);
    }
    for (n, channel) in catalogue.channels.iter().enumerate().filter(|(_, c)| c.declared) {
        digest.add(Entity::Channel, &encodings::channel_bytes(ChannelId(n as u16), channel));
    }
    for (n, owner) in state.location_owner.iter().enumerate() {
        if let Some(source) = owner {
            digest.add(Entity::Owner, &encodings::owner_bytes(LocationId(n as u16), *source));
        }
    }
    for &(location, source) in state.former_owners.iter() {
        digest.add(Entity::FormerOwner, &encodings::owner_bytes(location, source));
    }
    for (n, clock) in state.source_clock.iter().enumerate() {
        if let Some(tells_time) = clock {
            digest.add(Entity::Clock, &encodings::clock_bytes(SourceId(n as u16), *tells_time));
        }
    }
}

fn stock(digest: &mut Digest, state: &State, scratch: &mut Vec<u8>) {
    for sku in (0..state.catalogue.skus.len() as u32).map(SkuId) {
        for cell in state.cells(sku) {
            digest.add_cell(sku, cell);
        }
    }
    for (&(sku, location), parts) in state.stock.conditions.iter() {
        encodings::condition_bytes(sku, location, parts, scratch);
        digest.add(Entity::Conditions, scratch);
    }
    for (&(sku, location), movements) in state.stock.movements.iter() {
        for movement in movements {
            encodings::movement_bytes(sku, location, movement, scratch);
            digest.add(Entity::Movement, scratch);
        }
    }
}

fn rises(digest: &mut Digest, state: &State, scratch: &mut Vec<u8>) {
    for ((sku, location), rises) in state.stock.rises.iter() {
        encodings::rises_bytes(sku, location, rises, scratch);
        digest.add(Entity::Rises, scratch);
    }
}

fn policies(digest: &mut Digest, state: &State) {
    let policies = &state.policies;
    for (scope, rule) in policies.restrictions.iter() {
        digest.add(Entity::Restriction, &encodings::restriction_bytes(*scope, rule));
    }
    for (scope, rule) in policies.oversell.iter() {
        digest.add(Entity::Oversell, &encodings::oversell_bytes(*scope, rule));
    }
    for (scope, rule) in policies.safety.iter() {
        digest.add(Entity::Safety, &encodings::safety_bytes(*scope, rule));
    }
    for (source, rule) in policies.freshness.iter() {
        digest.add(Entity::Freshness, &encodings::freshness_bytes(*source, rule));
    }
}
