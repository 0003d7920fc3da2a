//! Questions: what reads answer, as ready JSON. They change nothing.
//!
//! In: what a client asks, and `as_of` as a ready JSON object. Out: an HTTP status and a body.

use crate::cart::{self, AskedLine};
use crate::commands;
use crate::decide::owners::holds_of;
use crate::decide::owners::keyed_hash;
use crate::decide::owners::without;
use crate::decide::{check_region, may_see, refused, unknown_sku};
use crate::engine::Engine;
use crate::errors::Problem;
use crate::explain;
use crate::facts::Text;
use crate::facts::time::write_day;
use crate::holding::region_of;
use crate::json::{write_int, write_string, write_uint};
use crate::pool::Asking;
use crate::promise;
use crate::render::{self, Answer, field, list, problem, text_field};
use crate::reservations::ReservationState;
use crate::sellable::sellable;
use crate::state::State;

fn end(out: &mut Vec<u8>, as_of: &[u8]) {
    if !as_of.is_empty() {
        field(out, "as_of");
        out.extend_from_slice(as_of);
    }
    out.push(b'}');
}

fn asking(state: &State, channel: &str, region: Option<&str>) -> Result<Asking, Answer> {
    let channel = state.catalogue.channel(channel);
    check_region(state, channel, region.is_some())?;
    let region = region_of(state, region.map(Text::Borrowed).as_ref());
    Ok(Asking::of(channel, region))
}

impl Engine {
    /// `GET /v1/availability/{sku}`.
    pub fn availability(
        &self,
        sku: &str,
        channel: &str,
        region: Option<&str>,
        quantity: Option<i64>,
        as_of: &[u8],
    ) -> Answer {
        self.availability_or(sku, channel, region, quantity, as_of)
            .unwrap_or_else(|refusal| refusal)
    }

    fn availability_or(
        &self,
        name: &str,
        channel: &str,
        region: Option<&str>,
        quantity: Option<i64>,
        as_of: &[u8],
    ) -> Result<Answer, Answer> {
        let state = &self.state;
        let asking = asking(state, channel, region)?;
        let sku = state.catalogue.sku(name).ok_or_else(|| unknown_sku(name))?;
        let mut out = Vec::with_capacity(192);
        out.push(b'{');
        render::sellable_fields(state, sku, &sellable(state, sku, asking), &mut out);
        text_field(&mut out, "channel", Some(channel));
        if let Some(quantity) = quantity {
            field(&mut out, "promise");
            match promise::day(state, sku, asking, quantity) {
                Some(day) => write_day(&mut out, day),
                None => out.extend_from_slice(b"null"),
            }
        }
        end(&mut out, as_of);
        Ok((200, out))
    }

    /// `POST /v1/availability`.
    pub fn availabilities(&self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        self.availabilities_or(body, channels, as_of)
            .unwrap_or_else(|refusal| refusal)
    }

    fn availabilities_or(&self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Result<Answer, Answer> {
        let state = &self.state;
        let body = commands::parse_availabilities(body).map_err(refused)?;
        if !may_see(channels, &body.channel) {
            return Err(problem(Problem::Forbidden, None));
        }
        let asking = asking(state, &body.channel, body.region.as_deref())?;
        let mut out = Vec::with_capacity(64 + body.skus.len() * 64);
        out.extend_from_slice(b"{\"items\":");
        list(&mut out, &body.skus, |out, name| {
            out.push(b'{');
            if let Some(sku) = state.catalogue.sku(name) {
                render::sellable_fields(state, sku, &sellable(state, sku, asking), out);
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

    /// `GET /v1/availability/{sku}/explain`.
    pub fn explain(&self, sku: &str, channel: &str, region: Option<&str>, as_of: &[u8]) -> Answer {
        self.explain_or(sku, channel, region, as_of)
            .unwrap_or_else(|refusal| refusal)
    }

    fn explain_or(&self, name: &str, channel: &str, region: Option<&str>, as_of: &[u8]) -> Result<Answer, Answer> {
        let state = &self.state;
        let asking = asking(state, channel, region)?;
        let sku = state.catalogue.sku(name).ok_or_else(|| unknown_sku(name))?;
        let (result, terms) = explain::terms(state, sku, asking);
        let mut out = Vec::with_capacity(128 + terms.len() * 96);
        out.push(b'{');
        render::sellable_fields(state, sku, &result, &mut out);
        text_field(&mut out, "channel", Some(channel));
        field(&mut out, "terms");
        list(&mut out, &terms, |out, term| {
            out.extend_from_slice(b"{\"name\":");
            write_string(out, term.name);
            field(out, "quantity");
            write_int(out, term.quantity);
            if let Some(location) = term.location {
                text_field(out, "location", Some(state.catalogue.location_name(location)));
            }
            if let Some(rule) = &term.rule {
                text_field(out, "rule", Some(rule));
            }
            if let Some(sequence) = term.sequence {
                field(out, "sequence");
                write_uint(out, sequence);
            }
            out.push(b'}');
        });
        end(&mut out, as_of);
        Ok((200, out))
    }

    /// `POST /v1/carts/validate`. Holds nothing; the owner's own holds on the channel are looked through and put back.
    pub fn validate(&mut self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        self.validate_or(body, channels, as_of)
            .unwrap_or_else(|refusal| refusal)
    }

    fn validate_or(&mut self, body: &[u8], channels: Option<&[String]>, as_of: &[u8]) -> Result<Answer, Answer> {
        let body = commands::parse_validate(body).map_err(refused)?;
        if !may_see(channels, &body.channel) {
            return Err(problem(Problem::Forbidden, None));
        }
        let owner = body.owner.as_deref().map(|o| keyed_hash(self.owner_key.as_ref(), o));
        let state = &mut self.state;
        let asking = asking(state, &body.channel, body.region.as_deref())?;
        let lines: Vec<AskedLine<'_>> = body
            .lines
            .iter()
            .map(|l| AskedLine::resolve(state, &l.sku, l.quantity, l.unit.as_deref()))
            .collect();
        let away = holds_of(state, owner, asking.channel);
        let verdicts = without(state, &away, |s| {
            cart::judge(s, (asking.channel, asking.region), &lines, false, None)
        });
        let ok = verdicts.iter().all(|v| v.reason.is_none());
        let mut out = Vec::with_capacity(64 + lines.len() * 80);
        out.extend_from_slice(if ok { b"{\"ok\":true" } else { b"{\"ok\":false" });
        field(&mut out, "lines");
        render::verdicts(state, &lines, &verdicts, &mut out);
        end(&mut out, as_of);
        Ok((200, out))
    }

    /// `GET /v1/reservations/{id}`.
    pub fn reservation(&self, id: &str, channels: Option<&[String]>, as_of: &[u8]) -> Answer {
        let state = &self.state;
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
    pub fn totals(&self) -> Vec<u8> {
        let state = &self.state;
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
            ("early_orders", state.reservations.early_order.len() as i64),
            ("stale_levels", c.stale_levels as i64),
            ("level_conflicts", c.level_conflicts as i64),
            ("repeats", c.repeats as i64),
            ("stale_versions", c.stale_versions as i64),
            ("anomalies", c.anomalies as i64),
            ("unlocated", c.unlocated as i64),
            ("periods_left", c.periods_left as i64),
            ("early_words", c.early_words as i64),
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
        out.push(b'}');
        out
    }
}
