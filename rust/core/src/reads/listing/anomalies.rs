//! Facts that came to nothing, or to something unexpected: the newest of each kind, in the order of LOG.
//!
//! In: the state, what is asked. Out: a page. Always: only what this process applied since it started from a snapshot; an
//! entry keeps its place, which is the same on every process. A key that is limited to channels sees what names no other one.

use super::{Listing, Page, RECORD, not_a_place, open};
use crate::reads::render::{Answer, field, text_field};
use crate::state::State;
use crate::state::anomalies::{Anomaly, Place};
use crate::wire::facts::time::write_time;
use crate::wire::json::write_uint;

/// Reads `next` of a page: the batch's sequence, and the entry's place in it.
fn place(text: &str) -> Result<Place, Answer> {
    let (sequence, number) = text.split_once('.').ok_or_else(not_a_place)?;
    let sequence = sequence.parse().map_err(|_| not_a_place())?;
    Ok((sequence, number.parse().map_err(|_| not_a_place())?))
}

fn name_of((sequence, number): Place) -> String {
    format!("{sequence}.{number}")
}

/// `GET /v1/anomalies`. The `place` of an entry may be `after`: later it gives what has come since.
pub(super) fn page(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let words: Vec<(&str, Anomaly)> = Anomaly::ALL.iter().map(|kind| (kind.word(), *kind)).collect();
    let (kind, sku) = (asked.choice("kind", &words)?, asked.sku(state)?);
    let mut seen = asked.after.map(place).transpose()?;
    let (mut page, mut next) = (Page::of(asked), None);
    for entry in state.listed.after(seen, kind) {
        if page.is_full() {
            next = seen.map(name_of);
            break;
        }
        page.look(RECORD);
        seen = Some(entry.place);
        if sku.is_some_and(|sku| entry.sku != Some(sku)) || entry.channel.is_some_and(|c| !asked.sees(state, c)) {
            continue;
        }
        let names = &state.catalogue;
        page.entry(|out| {
            open(out, "place", &name_of(entry.place));
            text_field(out, "kind", Some(entry.kind.word()));
            text_field(out, "fact", Some(entry.fact));
            text_field(out, "source", Some(names.source_names.name(u32::from(entry.source.0))));
            text_field(out, "sku", entry.sku.map(|sku| names.sku_name(sku)));
            text_field(out, "location", entry.location.map(|l| names.location_name(l)));
            text_field(out, "channel", entry.channel.map(|c| names.channel_name(c)));
            text_field(out, "ref", entry.reference.as_deref());
            field(out, "sequence");
            write_uint(out, entry.place.0);
            field(out, "at");
            write_time(out, entry.at_ms * 1_000);
            out.push(b'}');
        });
    }
    Ok(page.end(next.as_deref(), as_of))
}
