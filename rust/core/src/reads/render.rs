//! Answers as JSON bytes, ready to be sent (docs/http.md).
//!
//! In: the state and what was decided. Out: bytes appended to a buffer; the order of fields is fixed.

use crate::availability::sellable::Sellable;
use crate::placement::cart::{AskedLine, Verdict};
use crate::reads::lines;
use crate::state::State;
use crate::state::ids::SkuId;
use crate::state::reservations::{Reservation, ReservationState};
use crate::wire::errors::{Problem, write_problem};
use crate::wire::facts::time::write_time;
use crate::wire::json::{write_int, write_string, write_uint};

#[inline]
pub(crate) fn field(out: &mut Vec<u8>, name: &str) {
    out.reserve(name.len() + 4);
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

#[inline]
pub(crate) fn text_field(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    field(out, name);
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// A list of things that each write themselves.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// The reservation as the contract shows it; `as_of` is a JSON object or empty.
///
/// Every accepted command answers with one, so its names stand as they are written, each in one piece.
pub(crate) fn reservation(state: &State, r: &Reservation, as_of: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, &r.id);
    out.extend_from_slice(b",\"state\":\"");
    out.extend_from_slice(r.state.name().as_bytes());
    out.push(b'"');
    if let Some(by) = &r.superseded_by {
        text_field(out, "superseded_by", Some(by));
    }
    out.extend_from_slice(b",\"channel\":");
    write_string(out, state.catalogue.channel_name(r.channel));
    out.extend_from_slice(b",\"owner\":");
    match r.owner {
        Some(owner) => {
            out.push(b'"');
            out.extend_from_slice(&owner.digits());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"order_ref\":");
    match &r.order_ref {
        Some(order) => write_string(out, order),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"expires_at\":");
    if r.state == ReservationState::Held {
        // Now plus what is left: the lead clock stands still while no process leads.
        let left_ms = (r.expires_at_ms - state.position.lead_ms).max(0);
        write_time(out, (state.position.now_ms + left_ms) * 1_000);
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"lines\":");
    lines::write(state, r, out);
    out.extend_from_slice(b",\"version\":");
    write_uint(out, r.version.into());
    out.extend_from_slice(b",\"sequence\":");
    write_uint(out, state.stored_at(r.sequence));
    if !as_of.is_empty() {
        field(out, "as_of");
        out.extend_from_slice(as_of);
    }
    out.push(b'}');
}

/// `"lines":[...]` of a cart check.
pub(crate) fn verdicts(state: &State, lines: &[AskedLine<'_>], verdicts: &[Verdict], out: &mut Vec<u8>) {
    list(out, lines.iter().zip(verdicts), |out, (line, verdict)| {
        out.extend_from_slice(b"{\"sku\":");
        write_string(out, line.sku.map_or(line.name, |sku| state.catalogue.sku_name(sku)));
        field(out, "requested");
        write_int(out, verdict.requested);
        field(out, "sellable");
        write_int(out, verdict.sellable);
        field(out, "ok");
        out.extend_from_slice(if verdict.reason.is_none() { b"true" } else { b"false" });
        if let Some(reason) = verdict.reason {
            text_field(out, "reason", Some(reason.name()));
        }
        out.push(b'}');
    });
}

pub(crate) fn sellable_fields(state: &State, sku: SkuId, what: &Sellable, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"sku\":");
    write_string(out, state.catalogue.sku_name(sku));
    field(out, "sellable");
    write_int(out, what.quantity);
    field(out, "unlimited");
    out.extend_from_slice(if what.unlimited { b"true" } else { b"false" });
}

/// An answer: HTTP status and JSON body.
pub(crate) type Answer = (u16, Vec<u8>);

pub(crate) fn problem(problem: Problem, detail: Option<&str>) -> Answer {
    problem_with(problem, detail, |_| {})
}

pub(crate) fn problem_with(problem: Problem, detail: Option<&str>, members: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut out = Vec::with_capacity(256);
    write_problem(&mut out, problem, detail.unwrap_or(problem.detail()), members);
    (problem.status(), out)
}
