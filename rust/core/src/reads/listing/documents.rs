//! Supply lines and demands, in the order in which LOG first named them; closed ones while they are remembered.
//!
//! In: the state, what is asked. Out: a page. Always: a document keeps its number, so its place.

use super::{Listing, Page, RECORD, as_of_field, int_field, open, optional_int};
use crate::reads::render::{Answer, field, list, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId};
use crate::state::supply::{Demand, DocumentKey, Supply};
use crate::wire::facts::SupplyStatus;
use crate::wire::facts::time::write_day;
use crate::wire::json::{write_string, write_uint};

const STATUSES: [(&str, SupplyStatus); 3] = [
    (SupplyStatus::Open.word(), SupplyStatus::Open),
    (SupplyStatus::Received.word(), SupplyStatus::Received),
    (SupplyStatus::Cancelled.word(), SupplyStatus::Cancelled),
];

/// `GET /v1/supplies?sku=&location=&status=`.
pub(super) fn supplies(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let (sku, status) = (asked.sku(state)?, asked.choice("status", &STATUSES)?);
    let place = asked.location(state)?;
    let mut page = Page::of(asked);
    let all = &state.documents.supplies;
    let next = page.numbered(asked.from()?, all.numbers(), |page, n| {
        page.look(1);
        let Some(supply) = all.try_get(n as u32) else { return };
        page.look(RECORD);
        if !supply.is_unstated()
            && sku.is_none_or(|s| s == supply.sku)
            && place.is_none_or(|l| l == supply.location)
            && status.is_none_or(|s| s == supply.status)
        {
            page.entry(|out| supply_fields(state, supply, out));
        }
    });
    Ok(page.end(next.as_deref(), as_of))
}

fn document(state: &State, (key, line): (&DocumentKey, &str), version: Option<i64>, sku: SkuId, out: &mut Vec<u8>) {
    open(out, "source", state.catalogue.source_names.name(u32::from(key.0.0)));
    text_field(out, "ref", Some(&key.1));
    text_field(out, "line", Some(line));
    optional_int(out, "version", version);
    text_field(out, "sku", Some(state.catalogue.sku_name(sku)));
}

fn supply_fields(state: &State, supply: &Supply, out: &mut Vec<u8>) {
    document(state, (&supply.key, supply.line()), supply.version, supply.sku, out);
    text_field(out, "location", Some(state.catalogue.location_name(supply.location)));
    int_field(out, "quantity", supply.quantity);
    int_field(out, "bound", supply.bound);
    int_field(out, "presumed_received", supply.presumed);
    let from = supply.transfer.as_ref().map(|t| state.catalogue.location_name(t.from));
    text_field(out, "transfer_from", from);
    as_of_field(out, "as_of", supply.as_of);
    field(out, "due");
    write_day(out, supply.due);
    text_field(out, "status", Some(supply.status.word()));
    int_field(out, "confidence", i64::from(supply.confidence));
    field(out, "sequence");
    write_uint(out, state.stored_at(supply.sequence));
    out.push(b'}');
}

/// `GET /v1/demands?sku=`. A key that is limited to channels sees only demands that name one of these.
pub(super) fn demands(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let sku = asked.sku(state)?;
    let mut page = Page::of(asked);
    let all = &state.documents.demands;
    let is_seen =
        |channel: Option<ChannelId>| asked.channels.is_none() || channel.is_some_and(|c| asked.sees(state, c));
    let next = page.numbered(asked.from()?, all.numbers(), |page, n| {
        page.look(1);
        let Some(demand) = all.try_get(n as u32) else { return };
        page.look(RECORD + demand.locations.len());
        if sku.is_none_or(|s| s == demand.sku) && is_seen(demand.channel) {
            page.entry(|out| demand_fields(state, demand, out));
        }
    });
    Ok(page.end(next.as_deref(), as_of))
}

fn demand_fields(state: &State, demand: &Demand, out: &mut Vec<u8>) {
    document(state, (&demand.key, &demand.key.2), demand.version, demand.sku, out);
    field(out, "locations");
    list(out, &demand.locations, |out, location| {
        write_string(out, state.catalogue.location_name(*location));
    });
    int_field(out, "quantity", demand.quantity);
    int_field(out, "covered", demand.covered);
    int_field(out, "open", demand.open());
    text_field(out, "class", Some(demand.class.word()));
    field(out, "due");
    match demand.due {
        Some(day) => write_day(out, day),
        None => out.extend_from_slice(b"null"),
    }
    text_field(out, "order_ref", demand.order_ref.as_deref());
    text_field(out, "reservation", demand.reservation.as_deref());
    text_field(out, "channel", demand.channel.map(|c| state.catalogue.channel_name(c)));
    as_of_field(out, "as_of", Some(demand.as_of));
    field(out, "sequence");
    write_uint(out, state.stored_at(demand.sequence));
    out.push(b'}');
}
