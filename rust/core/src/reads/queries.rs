//! Queries: what reads answer, as ready JSON. They change nothing.
//!
//! In: what a client asks, and `as_of` as a ready JSON object. Out: an HTTP status and a body.

use crate::availability::hypothetical::Away;
use crate::placement::cart::{self, AskedLine};
use crate::reads::availability::{asking, place};
use crate::reads::refusals::{invalid, may_see, not_on_channel};
use crate::reads::render::{self, Answer, field, problem};
use crate::state::State;
use crate::state::names::Kind;
use crate::state::reservations::{Owner, ReservationState};
use crate::wire::commands;
use crate::wire::errors::Problem;
use crate::wire::json::{write_int, write_string, write_uint};

pub(super) fn end(out: &mut Vec<u8>, as_of: &[u8]) {
    if !as_of.is_empty() {
        field(out, "as_of");
        out.extend_from_slice(as_of);
    }
    out.push(b'}');
}

/// `POST /v1/carts/validate`. Holds nothing; the owner's own holds on the channel count as released.
#[inline]
pub(crate) fn validate(
    state: &State,
    owner_key: Option<&[u8; 32]>,
    body: &[u8],
    channels: Option<&[String]>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    let body = commands::parse_validate(body).map_err(|error| invalid(&error))?;
    if !may_see(channels, &body.channel) {
        return Err(not_on_channel(&body.channel));
    }
    let owner = body.owner.as_deref().map(|o| Owner::keyed(owner_key, o));
    let asking = asking(state, &body.channel, body.region.as_deref())?;
    let place = place(state, "location", body.location.as_deref())?;
    let mut lines = Vec::with_capacity(body.lines.len());
    for (n, line) in body.lines.iter().enumerate() {
        let only = match line.location.as_deref() {
            None => place,
            named => self::place(state, &format!("lines[{n}].location"), named)?,
        };
        let asked = AskedLine::resolve(state, &line.sku, line.quantity, line.unit.as_deref());
        lines.push(AskedLine { only, ..asked });
    }
    let away = Away::of(state, &state.reservations.holds_of(owner, asking.channel));
    let verdicts = cart::judge(state, &asking.without(&away), &lines, false, None);
    let ok = verdicts.iter().all(|v| v.reason.is_none());
    let mut out = Vec::with_capacity(64 + lines.len() * 80);
    out.extend_from_slice(if ok { b"{\"ok\":true" } else { b"{\"ok\":false" });
    field(&mut out, "lines");
    render::verdicts(state, &lines, &verdicts, &mut out);
    end(&mut out, as_of);
    Ok((200, out))
}

/// `GET /v1/reservations/{id}`.
pub(crate) fn reservation(state: &State, id: &str, channels: Option<&[String]>, as_of: &[u8]) -> Answer {
    let found = state.reservations.find(id).map(|slot| state.reservations.get(slot));
    match found.filter(|r| may_see(channels, state.catalogue.channel_name(r.channel))) {
        Some(r) => {
            let mut out = Vec::with_capacity(320);
            render::reservation(state, r, as_of, &mut out);
            (200, out)
        }
        None => problem(Problem::UnknownReservation, None),
    }
}

/// Totals for `GET /v1/state`, the dashboard and tests: a JSON object of counts.
pub(crate) fn totals(state: &State) -> Vec<u8> {
    let states = [
        ReservationState::Held,
        ReservationState::Committed,
        ReservationState::InErp,
        ReservationState::Fulfilled,
        ReservationState::Released,
        ReservationState::Expired,
        ReservationState::Cancelled,
        ReservationState::Oversold,
    ];
    let c = &state.counters;
    let numbers = [
        ("skus", state.catalogue.skus.len() as i64),
        ("locations", state.catalogue.locations.len() as i64),
        ("channels", state.catalogue.channels.len() as i64),
        ("reservations", state.reservations.len() as i64),
        ("units_in_cells", state.units_in_cells),
        ("units_on_supply", state.units_on_supply),
        ("units_unsourced", state.units_unsourced),
        ("identities", state.identities.len() as i64),
        ("answered_requests", state.answered.len() as i64),
        ("answered_bytes", state.answered.bytes() as i64),
        ("early_orders", state.reservations.pending_orders.len() as i64),
        ("stale_levels", c.stale_levels as i64),
        ("level_conflicts", c.level_conflicts as i64),
        ("repeats", c.repeats as i64),
        ("stale_versions", c.stale_versions as i64),
        ("anomalies", c.anomalies as i64),
        ("unlocated", c.unlocated as i64),
        ("periods_left", c.periods_left as i64),
        ("early_words", c.pending_order_facts as i64),
        ("void_batches", c.void_batches as i64),
        ("answers_dropped", c.answers_dropped as i64),
    ];
    let mut out = Vec::with_capacity(640);
    out.extend_from_slice(b"{\"by_state\":{");
    for (n, s) in states.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(&mut out, s.name());
        out.push(b':');
        write_uint(&mut out, state.reservations.count_by_state[s as usize]);
    }
    out.push(b'}');
    for (name, number) in numbers {
        field(&mut out, name);
        write_int(&mut out, number);
    }
    names(&mut out, "names", |kind| kind.known(&state.catalogue));
    names(&mut out, "names_max", Kind::most);
    out.push(b'}');
    out
}

/// A count for each table of names.
fn names(out: &mut Vec<u8>, name: &str, count: impl Fn(Kind) -> usize) {
    field(out, name);
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        out.push(if n == 0 { b'{' } else { b',' });
        write_string(out, kind.plural());
        out.push(b':');
        write_uint(out, count(kind) as u64);
    }
    out.push(b'}');
}
