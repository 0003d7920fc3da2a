//! SKUs, locations, channels and sources, each in the order in which LOG first named it.
//!
//! In: the state, what is asked. Out: a page. Always: a name keeps its number, so its place.

use super::{Listing, Page, RECORD, as_of_field, bool_field, int_field, open, optional_int};
use crate::reads::render::{Answer, field, list, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::wire::facts::AsOf;
use crate::wire::json::write_string;

/// `GET /v1/skus`.
pub(super) fn skus(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let mut page = Page::of(asked);
    let next = page.numbered(asked.from()?, state.catalogue.skus.len(), |page, n| {
        let sku = SkuId(n as u32);
        page.look(RECORD + state.cells(sku).len());
        if state.catalogue.passed_on.contains_key(&sku) {
            return; // its name is an alias now
        }
        page.entry(|out| {
            open(out, "sku", state.catalogue.sku_name(sku));
            sku_fields(state, sku, out);
            out.push(b'}');
        });
    });
    Ok(page.end(next.as_deref(), as_of))
}

/// What a list shows of a SKU, after its name: what it is, and how many there are, where it is no kit.
fn sku_fields(state: &State, sku: SkuId, out: &mut Vec<u8>) {
    let item = state.catalogue.item(sku);
    bool_field(out, "declared", item.is_some());
    text_field(out, "base_unit", item.map(|i| &*i.base_unit));
    let is_kit = state.catalogue.is_kit(sku);
    bool_field(out, "kit", is_kit);
    text_field(out, "status", item.map(|i| i.status.word()));
    field(out, "aliases");
    list(out, item.map_or(&[][..], |i| &i.aliases), |out, alias| {
        write_string(out, alias);
    });
    let on_hand = state.cells(sku).iter().map(|c| c.on_hand).sum();
    optional_int(out, "on_hand", (!is_kit).then_some(on_hand));
    optional_int(out, "at_hand", (!is_kit).then_some(state.at_hand(sku)));
}

/// `GET /v1/locations`.
pub(super) fn locations(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let mut page = Page::of(asked);
    let next = page.numbered(asked.from()?, state.catalogue.locations.len(), |page, n| {
        let (place, id) = (&state.catalogue.locations[n], LocationId(n as u16));
        page.look(RECORD + place.regions.len());
        page.entry(|out| {
            open(out, "location", state.catalogue.location_name(id));
            bool_field(out, "declared", place.declared);
            text_field(out, "type", Some(place.r#type.word()));
            field(out, "regions");
            list(out, &place.regions, |out, region| {
                write_string(out, state.catalogue.region_names.name(u32::from(region.0)));
            });
            int_field(out, "priority", i64::from(place.priority));
            bool_field(out, "enabled", place.enabled);
            text_field(out, "owner", owner_of(state, id));
            out.push(b'}');
        });
    });
    Ok(page.end(next.as_deref(), as_of))
}

/// The source that owns a location's levels.
pub(super) fn owner_of(state: &State, location: LocationId) -> Option<&str> {
    let owner = state.location_owner[location.at()]?;
    Some(state.catalogue.source_names.name(u32::from(owner.0)))
}

/// `GET /v1/channels`.
pub(super) fn channels(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let mut page = Page::of(asked);
    let next = page.numbered(asked.from()?, state.catalogue.channels.len(), |page, n| {
        let (channel, id) = (&state.catalogue.channels[n], ChannelId(n as u16));
        let places = channel.locations.as_deref();
        page.look(RECORD + places.map_or(0, <[_]>::len));
        if !asked.sees(state, id) {
            return;
        }
        page.entry(|out| {
            open(out, "channel", state.catalogue.channel_name(id));
            bool_field(out, "declared", channel.declared);
            field(out, "locations");
            match places {
                None => out.extend_from_slice(b"\"*\""),
                Some(places) => list(out, places, |out, location| {
                    write_string(out, state.catalogue.location_name(*location));
                }),
            }
            bool_field(out, "draws_shared", channel.draws_shared);
            int_field(out, "supply_horizon_days", i64::from(channel.supply_horizon_days));
            text_field(out, "sourcing", Some(channel.sourcing.word()));
            text_field(out, "regional", Some(channel.regional.word()));
            int_field(out, "priority", i64::from(channel.priority));
            optional_int(out, "buffer", channel.buffer);
            out.push(b'}');
        });
    });
    Ok(page.end(next.as_deref(), as_of))
}

/// `GET /v1/sources`.
pub(super) fn sources(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let mut page = Page::of(asked);
    let next = page.numbered(asked.from()?, state.source_clock.len(), |page, n| {
        let owned: Vec<LocationId> = (0..state.location_owner.len())
            .filter(|&l| state.location_owner[l] == Some(SourceId(n as u16)))
            .map(|l| LocationId(l as u16))
            .collect();
        page.look(RECORD + state.location_owner.len());
        page.entry(|out| {
            open(out, "source", state.catalogue.source_names.name(n as u32));
            let clock = state.source_clock[n].map(|tells_time| if tells_time { "time" } else { "number" });
            text_field(out, "clock", clock);
            field(out, "locations");
            list(out, owned, |out, location| {
                write_string(out, state.catalogue.location_name(location));
            });
            let newest = state.source_newest[n];
            as_of_field(out, "last_as_of", newest);
            let now_ms = asked.now_ms.unwrap_or(state.position.now_ms);
            let age_ms = newest.and_then(|as_of| match as_of {
                AsOf::Time(at_us) => Some((now_ms - at_us.div_euclid(1_000)).max(0)),
                AsOf::Sequence(_) => None,
            });
            optional_int(out, "age_ms", age_ms);
            out.push(b'}');
        });
    });
    Ok(page.end(next.as_deref(), as_of))
}
