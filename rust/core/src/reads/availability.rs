//! Availability and its explanation, as JSON.
//!
//! In: a SKU or many, who sells, perhaps one location, and `as_of` as a ready JSON object. Out: an HTTP status and a body.
//! Always: the figure is that of `availability::sellable`; a published one has the channel's buffer taken off.

use std::collections::BTreeSet;

use crate::availability::deficits::Deficits;
use crate::availability::explain::{self, Claimant, Term};
use crate::availability::pool::SaleContext;
use crate::availability::promise;
use crate::availability::sellable::{Sellable, sellable};
use crate::reads::queries::end;
use crate::reads::refusals::{check_channel, check_region, invalid, may_see, not_on_channel, unknown_sku};
use crate::reads::render::{self, Answer, field, list, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId};
use crate::state::reservations::{AtCell, Reservation};
use crate::wire::commands;
use crate::wire::errors::RequestError;
use crate::wire::facts::time::write_day;
use crate::wire::json::{write_int, write_string, write_uint};

/// Locations that an answer by location lists.
const PLACES_MAX: usize = 200;
/// Deficits that an explanation lists.
const DEFICITS_MAX: usize = 100;
/// Reservations that an explanation looks at for them.
const LOOKED_MAX: usize = 2_000;
/// Orders of a cell beyond which it does not say whose are short; `/v1/deficits` does.
const QUEUE_MAX: usize = 20_000;

/// What a caller asks of one SKU's availability beside the SKU and the channel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sale<'a> {
    pub region: Option<&'a str>,
    /// What this location alone can give (pick-up).
    pub location: Option<&'a str>,
    /// Answer `promise` for so many.
    pub quantity: Option<i64>,
    /// Answer each location's figure, too.
    pub by_location: bool,
    /// Answer the figures that the channel publishes.
    pub published: bool,
}

#[inline]
pub(super) fn asking(state: &State, channel: &str, region: Option<&str>) -> Result<SaleContext<'static>, Answer> {
    let (name, channel) = (channel, state.catalogue.channel(channel));
    check_channel(state, name, channel)?;
    check_region(state, channel, region.is_some())?;
    Ok(SaleContext::of(channel, state.catalogue.asked_region(region)))
}

/// The one location that a request names, if it names one.
#[inline]
pub(super) fn place(state: &State, path: &str, name: Option<&str>) -> Result<Option<LocationId>, Answer> {
    let Some(name) = name else { return Ok(None) };
    let found = state
        .catalogue
        .location(name)
        .filter(|l| state.catalogue.locations[l.at()].declared);
    let unknown = || invalid(&RequestError::invalid(path, "is not a declared location"));
    found.map(Some).ok_or_else(unknown)
}

/// The figure as the channel publishes it: less its buffer.
fn published(state: &State, asking: &SaleContext, figure: Sellable) -> Sellable {
    let buffer = state.catalogue.channel_record(asking.channel).buffer.unwrap_or(0);
    Sellable {
        quantity: (figure.quantity - buffer).max(0),
        ..figure
    }
}

/// What a channel publishes of a SKU, and the whole figure behind it.
pub(crate) fn as_published(state: &State, channel: ChannelId, sku: SkuId) -> (Sellable, Sellable) {
    let asking = SaleContext::of(Some(channel), None);
    let figure = sellable(state, sku, &asking);
    (published(state, &asking, figure), figure)
}

/// `GET /v1/availability/{sku}`.
#[inline]
pub(crate) fn availability(
    state: &State,
    name: &str,
    channel: &str,
    sale: &Sale<'_>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    let asking = asking(state, channel, sale.region)?.at(place(state, "location", sale.location)?);
    let sku = state.catalogue.sku(name).ok_or_else(|| unknown_sku(name))?;
    let shown = |figure| {
        if sale.published {
            published(state, &asking, figure)
        } else {
            figure
        }
    };
    let mut out = Vec::with_capacity(192);
    out.push(b'{');
    render::sellable_fields(state, sku, &shown(sellable(state, sku, &asking)), &mut out);
    text_field(&mut out, "channel", Some(channel));
    if sale.published {
        out.extend_from_slice(b",\"published\":true");
    }
    if let Some(location) = asking.only {
        text_field(&mut out, "location", Some(state.catalogue.location_name(location)));
    }
    if sale.by_location {
        by_location(state, sku, &asking, shown, &mut out);
    }
    if let Some(quantity) = sale.quantity {
        field(&mut out, "promise");
        match promise::day(state, sku, &asking, quantity) {
            Some(day) => write_day(&mut out, day),
            None => out.extend_from_slice(b"null"),
        }
    }
    end(&mut out, as_of);
    Ok((200, out))
}

/// What each location that the channel sells from could give by itself, in the order of locations.
fn by_location(
    state: &State,
    sku: SkuId,
    asking: &SaleContext,
    shown: impl Fn(Sellable) -> Sellable,
    out: &mut Vec<u8>,
) {
    let record = state.catalogue.channel_record(asking.channel);
    let mut places = BTreeSet::new();
    state.catalogue.for_each_component(sku, |part, _| {
        places.extend(state.cells(part).iter().map(|c| c.location));
        if let Some(detail) = state.catalogue.detail(part) {
            let supplies = detail.flow.supplies.iter();
            places.extend(supplies.map(|id| state.documents.supplies.get(id.0).location));
        }
    });
    let mut places: Vec<LocationId> = places
        .into_iter()
        .filter(|&l| asking.only.is_none_or(|only| only == l) && state.catalogue.sells_from(record, asking.region, l))
        .collect();
    places.sort_unstable_by_key(|l| state.catalogue.locations[l.at()].rank);
    field(out, "locations");
    list(out, places.iter().take(PLACES_MAX), |out, &location| {
        let figure = shown(sellable(state, sku, &asking.at(Some(location))));
        out.extend_from_slice(b"{\"location\":");
        write_string(out, state.catalogue.location_name(location));
        field(out, "sellable");
        write_int(out, figure.quantity);
        field(out, "unlimited");
        out.extend_from_slice(if figure.unlimited { b"true" } else { b"false" });
        out.push(b'}');
    });
    field(out, "more_locations");
    out.extend_from_slice(if places.len() > PLACES_MAX { b"true" } else { b"false" });
}

/// `POST /v1/availability`.
pub(crate) fn availabilities(
    state: &State,
    body: &[u8],
    channels: Option<&[String]>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    let body = commands::parse_availabilities(body).map_err(|error| invalid(&error))?;
    if !may_see(channels, &body.channel) {
        return Err(not_on_channel(&body.channel));
    }
    let asking = asking(state, &body.channel, body.region.as_deref())?;
    let asking = asking.at(place(state, "location", body.location.as_deref())?);
    let mut out = Vec::with_capacity(64 + body.skus.len() * 64);
    out.extend_from_slice(b"{\"items\":");
    list(&mut out, &body.skus, |out, name| {
        out.push(b'{');
        if let Some(sku) = state.catalogue.sku(name) {
            let figure = sellable(state, sku, &asking);
            let figure = if body.published {
                published(state, &asking, figure)
            } else {
                figure
            };
            render::sellable_fields(state, sku, &figure, out);
        } else {
            out.extend_from_slice(b"\"sku\":");
            write_string(out, name);
            text_field(out, "error", Some("unknown-sku"));
        }
        out.push(b'}');
    });
    end(&mut out, as_of);
    Ok((200, out))
}

/// `GET /v1/availability/{sku}/explain`. `channels`: claims of others are named to a key that may see their channel.
pub(crate) fn explain(
    state: &State,
    name: &str,
    channel: &str,
    region: Option<&str>,
    channels: Option<&[String]>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    let asking = asking(state, channel, region)?;
    let sku = state.catalogue.sku(name).ok_or_else(|| unknown_sku(name))?;
    let (result, terms) = explain::terms(state, sku, &asking);
    let mut out = Vec::with_capacity(128 + terms.len() * 96);
    out.push(b'{');
    render::sellable_fields(state, sku, &result, &mut out);
    text_field(&mut out, "channel", Some(channel));
    field(&mut out, "terms");
    list(&mut out, &terms, |out, term| term_fields(state, term, channels, out));
    deficits(state, sku, channels, &mut out);
    end(&mut out, as_of);
    Ok((200, out))
}

fn term_fields(state: &State, term: &Term, channels: Option<&[String]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    write_string(out, term.name);
    field(out, "quantity");
    write_int(out, term.quantity);
    if let Some(component) = term.component {
        text_field(out, "component", Some(state.catalogue.sku_name(component)));
    }
    if let Some(location) = term.location {
        text_field(out, "location", Some(state.catalogue.location_name(location)));
    }
    if let Some(claimant) = term.claimant {
        claimant_fields(state, claimant, channels, out);
    } else if let Some(rule) = &term.rule {
        text_field(out, "rule", Some(rule));
    }
    if let Some(sequence) = term.sequence {
        field(out, "sequence");
        write_uint(out, state.stored_at(sequence));
    }
    out.push(b'}');
}

/// The channel and the document of a claim; what a key may not see is only said to be another's.
fn claimant_fields(state: &State, claimant: Claimant, channels: Option<&[String]>, out: &mut Vec<u8>) {
    let (rule, channel, document) = match claimant {
        Claimant::Allocation(channel) => ("allocation", Some(channel), None),
        Claimant::Reservation(slot) => {
            let r = state.reservations.get(slot);
            (
                "sold beyond stock",
                Some(r.channel),
                Some(format!("reservation {}", r.id)),
            )
        }
        Claimant::Demand(id) => {
            let demand = state.documents.demands.get(id.0);
            let source = state.catalogue.source_names.name(u32::from(demand.key.0.0));
            let document = format!("demand {} {} of {source}", demand.key.1, demand.key.2);
            ("demand", demand.channel, Some(document))
        }
    };
    let name = channel.map(|c| state.catalogue.channel_name(c));
    if channels.is_some() && !name.is_some_and(|name| may_see(channels, name)) {
        text_field(out, "rule", Some("claims of other channels and demand"));
        return;
    }
    text_field(out, "rule", Some(rule));
    if name.is_some() {
        text_field(out, "channel", name);
    }
    if document.is_some() {
        text_field(out, "document", document.as_deref());
    }
}

/// Orders with units of the SKU (of a kit: of its components) that nothing covers, as far as few enough have to be looked at.
fn deficits(state: &State, sku: SkuId, channels: Option<&[String]>, out: &mut Vec<u8>) {
    let mut slots = BTreeSet::new();
    let mut parts = Vec::new();
    state.catalogue.for_each_component(sku, |part, _| {
        parts.push(part);
        for cell in state.cells(part).iter().filter(|c| c.hole_with(0) > 0) {
            let list = state.reservations.at_cell.get(&(part, cell.location));
            let short = list.into_iter().filter(|list| list.len() <= QUEUE_MAX);
            slots.extend(short.flat_map(AtCell::iter));
        }
        if let Some(detail) = state.catalogue.detail(part) {
            slots.extend(detail.flow.unsourced.ages().take(LOOKED_MAX).map(|age| age.slot));
        }
    });
    let sees = |r: &&Reservation| may_see(channels, state.catalogue.channel_name(r.channel));
    let mut found = Deficits::new(state);
    let taken = slots
        .iter()
        .take(LOOKED_MAX)
        .filter_map(|&slot| state.reservations.get_taken(slot));
    let lacking: Vec<_> = taken
        .filter(sees)
        .flat_map(|r| found.of(r).into_iter().map(move |deficit| (r, deficit)))
        .filter(|(_, deficit)| parts.contains(&deficit.sku))
        .take(DEFICITS_MAX)
        .collect();
    field(out, "deficits");
    list(out, lacking, |out, (r, deficit)| {
        out.extend_from_slice(b"{\"reservation\":");
        write_string(out, &r.id);
        text_field(out, "channel", Some(state.catalogue.channel_name(r.channel)));
        text_field(out, "order_ref", r.order_ref.as_deref());
        text_field(out, "sku", Some(state.catalogue.sku_name(deficit.sku)));
        text_field(
            out,
            "location",
            deficit.location.map(|l| state.catalogue.location_name(l)),
        );
        field(out, "quantity");
        write_int(out, deficit.units);
        out.push(b'}');
    });
}
