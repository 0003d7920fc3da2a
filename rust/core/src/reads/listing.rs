//! Listings: what is stored, page by page (docs/http.md, "Reading back").
//!
//! In: which list, from where on, how many entries, filters, the channels that the caller may see. Out: one page as JSON, and
//! where the next one begins. Always: a page is bounded in entries, in bytes and in entries looked at, whatever is stored, so
//! that no checkout waits for it; an entry keeps its place while it exists, so pages over changing data miss none that stood all
//! the time and give none twice.

mod anomalies;
mod catalogue;
mod documents;
mod policies;
mod reservations;
mod sku;
#[cfg(test)]
mod tests;

pub(crate) use sku::sku;

use crate::reads::refusals::{invalid, unknown_sku};
use crate::reads::render::{Answer, field, problem, problem_with, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId};
use crate::wire::errors::{Problem, RequestError};
use crate::wire::facts::AsOf;
use crate::wire::facts::time::write_time;
use crate::wire::json::{write_int, write_string};

/// A page ends after the entry with which its body reaches this size.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// The cost of what a page looks at, at the most: 1 for what lies in flat memory, more for what must be fetched.
const PAGE_COST_MAX: usize = 100_000;
/// The cost of looking at a separate record: a reservation, a document, a location.
const RECORD: usize = 20;

/// What a caller asks of a list.
#[derive(Debug, Default)]
pub struct Listing<'a> {
    /// Where to begin: `next` of the page before.
    pub after: Option<&'a str>,
    /// Entries at the most.
    pub limit: usize,
    /// By name; each list takes its own.
    pub filters: Vec<(&'a str, &'a str)>,
    /// The channels that the asking key may see; None: all.
    pub channels: Option<&'a [String]>,
    /// The time of the question, which ages count up to; None: the newest batch's.
    pub now_ms: Option<i64>,
}

impl Listing<'_> {
    fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    fn sees(&self, state: &State, channel: ChannelId) -> bool {
        crate::reads::refusals::may_see(self.channels, state.catalogue.channel_name(channel))
    }

    /// Where a list by number begins.
    fn from(&self) -> Result<usize, Answer> {
        self.after.map_or(Ok(0), |text| text.parse().map_err(|_| not_a_place()))
    }

    fn sku(&self, state: &State) -> Result<Option<SkuId>, Answer> {
        self.filter("sku")
            .map(|name| state.catalogue.sku(name).ok_or_else(|| unknown_sku(name)))
            .transpose()
    }

    /// The channel of a filter. One that is not among the key's is refused, as everywhere.
    fn channel(&self, state: &State) -> Result<Option<ChannelId>, Answer> {
        let Some(name) = self.filter("channel") else {
            return Ok(None);
        };
        if !crate::reads::refusals::may_see(self.channels, name) {
            return Err(crate::reads::refusals::not_on_channel(name));
        }
        let unknown = || {
            problem_with(Problem::UnknownChannel, None, |out| {
                text_field(out, "channel", Some(name));
            })
        };
        state.catalogue.channel(name).map(Some).ok_or_else(unknown)
    }

    fn location(&self, state: &State) -> Result<Option<LocationId>, Answer> {
        let unknown = || invalid(&RequestError::invalid("location", "is unknown"));
        self.filter("location")
            .map(|name| state.catalogue.location(name).ok_or_else(unknown))
            .transpose()
    }

    /// One word out of a few.
    fn choice<T: Copy>(&self, name: &str, all: &[(&str, T)]) -> Result<Option<T>, Answer> {
        let Some(word) = self.filter(name) else {
            return Ok(None);
        };
        let found = all.iter().find(|(n, _)| *n == word).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(|(n, _)| *n).collect();
            invalid(&RequestError::invalid(
                name,
                format!("must be one of {}", words.join(" ")),
            ))
        })
    }
}

fn not_a_place() -> Answer {
    invalid(&RequestError::invalid(
        "after",
        "must be `next` of a page of the same list",
    ))
}

/// A page as it grows.
struct Page {
    out: Vec<u8>,
    entries: usize,
    limit: usize,
    cost: usize,
}

impl Page {
    fn of(asked: &Listing<'_>) -> Self {
        let mut out = Vec::with_capacity(4_096);
        out.extend_from_slice(b"{\"items\":[");
        Page {
            out,
            entries: 0,
            limit: asked.limit,
            cost: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.entries >= self.limit || self.out.len() >= PAGE_BYTES_MAX || self.cost >= PAGE_COST_MAX
    }

    fn look(&mut self, cost: usize) {
        self.cost += cost;
    }

    /// One entry, which writes its fields; `{` is written.
    fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.entries > 0 {
            self.out.push(b',');
        }
        self.entries += 1;
        write(&mut self.out);
    }

    /// Looks at what has a number until the page is full; where the next page begins.
    fn numbered(&mut self, from: usize, total: usize, mut look: impl FnMut(&mut Self, usize)) -> Option<String> {
        for n in from..total {
            if self.is_full() {
                return Some(n.to_string());
            }
            look(self, n);
        }
        None
    }

    fn end(mut self, next: Option<&str>, as_of: &[u8]) -> Answer {
        self.out.push(b']');
        text_field(&mut self.out, "next", next);
        if !as_of.is_empty() {
            field(&mut self.out, "as_of");
            self.out.extend_from_slice(as_of);
        }
        self.out.push(b'}');
        (200, self.out)
    }
}

/// Opens an entry with its first field, a text.
fn open(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(out, text);
}

fn int_field(out: &mut Vec<u8>, name: &str, value: i64) {
    field(out, name);
    write_int(out, value);
}

fn optional_int(out: &mut Vec<u8>, name: &str, value: Option<i64>) {
    field(out, name);
    match value {
        Some(value) => write_int(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn bool_field(out: &mut Vec<u8>, name: &str, value: bool) {
    field(out, name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// As facts carry it: a running number, or a time.
fn as_of_field(out: &mut Vec<u8>, name: &str, as_of: Option<AsOf>) {
    field(out, name);
    match as_of {
        None => out.extend_from_slice(b"null"),
        Some(AsOf::Sequence(number)) => write_int(out, number),
        Some(AsOf::Time(at_us)) => write_time(out, at_us),
    }
}

/// `GET /v1/<list>`: one page of it. `owner_key`: what owners are hashed under.
pub(crate) fn page(
    state: &State,
    list: &str,
    asked: &Listing<'_>,
    owner_key: Option<&[u8; 32]>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    match list {
        "skus" => catalogue::skus(state, asked, as_of),
        "locations" => catalogue::locations(state, asked, as_of),
        "channels" => catalogue::channels(state, asked, as_of),
        "sources" => catalogue::sources(state, asked, as_of),
        "anomalies" => anomalies::page(state, asked, as_of),
        "policies" => policies::page(state, asked, as_of),
        "supplies" => documents::supplies(state, asked, as_of),
        "demands" => documents::demands(state, asked, as_of),
        "reservations" => reservations::page(state, asked, owner_key, as_of),
        "deficits" => reservations::deficits(state, asked, as_of),
        _ => Err(problem(Problem::NotFound, None)),
    }
}
