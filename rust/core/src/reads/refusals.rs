//! Refusals that several commands and queries share, as problems.
//!
//! In: what is wrong. Out: an answer that says so, and what to do next. Always: changes nothing.

use crate::placement::cart::{AskedLine, Verdict};
use crate::reads::render::{self, Answer, problem_with};
use crate::state::State;
use crate::state::ids::{ChannelId, Slot};
use crate::state::rules::UndeclaredChannels;
use crate::wire::errors::{Problem, RequestError};
use crate::wire::facts::Regional;

/// A request that is not well formed, or names something unknown.
pub(crate) fn invalid(error: &RequestError) -> Answer {
    let mut out = Vec::with_capacity(256);
    error.render(&mut out);
    (error.problem.status(), out)
}

pub(crate) fn may_see(channels: Option<&[String]>, channel: &str) -> bool {
    channels.is_none_or(|list| list.iter().any(|c| c == channel))
}

/// The key lacks the channel that the request names.
pub(crate) fn not_on_channel(channel: &str) -> Answer {
    let detail = format!(
        "This key is not for channel '{channel}'. Use a key for it; the operator of the gateway makes one (`holdfast keys add`)."
    );
    problem_with(Problem::Forbidden, Some(&detail), |out| {
        render::text_field(out, "channel", Some(channel));
    })
}

/// The id is another channel's, which the key must not learn more about.
pub(crate) fn on_another_channel() -> Answer {
    let detail = "A reservation on a channel that this key is not for has this id. Use another id.";
    problem_with(Problem::Forbidden, Some(detail), |_| {})
}

/// A confirmed reservation is another order's.
pub(crate) fn other_order(state: &State, slot: Slot) -> Answer {
    let reservation = state.reservations.get(slot);
    let (name, order_ref) = (reservation.state.name(), reservation.order_ref.as_deref());
    let detail = format!(
        "The reservation is confirmed already, as order '{}'. Confirm it with that order_ref or with none; another order needs another reservation.",
        order_ref.unwrap_or_default()
    );
    problem_with(Problem::ReservationClosed, Some(&detail), |out| {
        render::text_field(out, "state", Some(name));
        render::text_field(out, "order_ref", order_ref);
    })
}

pub(crate) fn closed(state: &State, slot: Slot) -> Answer {
    let name = state.reservations.get(slot).state.name();
    let detail = format!(
        "The reservation is {name}; what was asked for is not possible from there. Read it with GET to see its present state."
    );
    problem_with(Problem::ReservationClosed, Some(&detail), |out| {
        render::text_field(out, "state", Some(name));
    })
}

pub(crate) fn unknown_sku(name: &str) -> Answer {
    problem_with(Problem::UnknownSku, None, |out| {
        render::text_field(out, "sku", Some(name));
    })
}

#[inline]
pub(crate) fn check_region(state: &State, channel: Option<ChannelId>, given: bool) -> Result<(), Answer> {
    let record = state.catalogue.channel_record(channel);
    if record.regional == Regional::Require && !given {
        return Err(invalid(&RequestError::invalid(
            "region",
            "is required: this channel sells by region",
        )));
    }
    Ok(())
}

pub(crate) fn insufficient(state: &State, what: Problem, lines: &[AskedLine<'_>], verdicts: &[Verdict]) -> Answer {
    problem_with(what, None, |out| {
        render::field(out, "lines");
        render::verdicts(state, lines, verdicts, out);
    })
}

/// A channel that is not declared sells only while none is, unless the rules say otherwise.
#[inline]
pub(crate) fn check_channel(state: &State, name: &str, channel: Option<ChannelId>) -> Result<(), Answer> {
    let is_known = state.catalogue.channels_declared == 0
        || state.catalogue.channel_record(channel).declared
        || state.rules.undeclared_channels == UndeclaredChannels::Serve;
    if is_known {
        return Ok(());
    }
    Err(problem_with(Problem::UnknownChannel, None, |out| {
        render::text_field(out, "channel", Some(name));
    }))
}
