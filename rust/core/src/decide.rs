//! Commands into facts and answers. The leader decides each against memory; commands of one group see each other.
//!
//! In: a verb, a reservation's id, a body. Out: an HTTP status and a JSON body, and at most one fact for LOG, which has
//! already been applied. Always: what cannot be done changes nothing.

pub(crate) mod fulfil;
pub(crate) mod keyed;
pub(crate) mod owners;
pub(crate) mod put;

use crate::apply;
use crate::cart::{self, AskedLine, Verdict};
use crate::commands::{self, ConfirmBody, PutBody};
use crate::decide::fulfil::fulfil;
use crate::decide::owners::keyed_hash;
use crate::decide::put::put;
use crate::errors::{Problem, RequestError};
use crate::facts::{Fact, Regional, ReservationConfirmed, ReservationExtended, Statement, Text};
use crate::ids::{ChannelId, Slot};
use crate::render::{self, Answer, problem, problem_with};
use crate::reservations::{Owner, ReservationState};
use crate::state::State;

/// What is asked of a reservation. LOG has hashes of requests over these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Put = 0,
    Confirm = 1,
    Release = 2,
    Cancel = 3,
    Extend = 4,
    Fulfil = 5,
}

impl Verb {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "put" => Verb::Put,
            "confirm" => Verb::Confirm,
            "release" => Verb::Release,
            "cancel" => Verb::Cancel,
            "extend" => Verb::Extend,
            "fulfil" => Verb::Fulfil,
            _ => return None,
        })
    }
}

/// A command as it came over the border.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    pub verb: Verb,
    pub id: &'a str,
    pub body: &'a [u8],
    /// The channels that the asking key may see; None: all.
    pub channels: Option<&'a [String]>,
    /// The key's id, for the audit.
    pub by: Option<&'a str>,
    /// The idempotency key; [`keyed`] says how one of a part of a request looks.
    pub key: Option<&'a str>,
}

/// A command's body, read before its turn so that what it names can be fetched meanwhile.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    /// With the keyed hash of its owner.
    Put(Result<PutBody<'a>, RequestError>, Option<Owner>),
    Confirm(Result<ConfirmBody<'a>, RequestError>),
    /// Read in its turn.
    Other,
}

impl<'a> Body<'a> {
    pub(crate) fn of(command: &Command<'a>, owner_key: Option<&[u8; 32]>) -> Self {
        match command.verb {
            Verb::Put => {
                let body = commands::parse_put(command.body);
                let owner = body.as_ref().ok().and_then(|body| body.owner.as_deref());
                let owner = owner.map(|owner| keyed_hash(owner_key, owner));
                Body::Put(body, owner)
            }
            Verb::Confirm => Body::Confirm(commands::parse_confirm(command.body)),
            _ => Body::Other,
        }
    }
}

/// Where accepted facts go.
pub(crate) type Sink<'s> = dyn FnMut(&Statement<'_>) + 's;

/// Refusals are answers too; `?` carries them out.
pub(crate) type Outcome = Result<Answer, Answer>;

#[allow(clippy::needless_pass_by_value)] // It ends an `Err`; every caller maps with it.
pub(crate) fn refused(error: RequestError) -> Answer {
    let mut out = Vec::with_capacity(256);
    error.render(&mut out);
    (error.problem.status(), out)
}

/// Decides one command; one that comes again under its idempotency key is answered as the first time.
pub(crate) fn command(
    state: &mut State,
    owner_key: Option<&[u8; 32]>,
    command: &Command<'_>,
    body: Body<'_>,
    sink: &mut Sink<'_>,
) -> Answer {
    match command.key {
        None => decided(state, command, body, sink),
        Some(key) => keyed::keyed(state, owner_key, command, body, key, sink),
    }
}

#[inline]
fn decided(state: &mut State, command: &Command<'_>, body: Body<'_>, sink: &mut Sink<'_>) -> Answer {
    let decided = match (commands::check_id(command.id), body) {
        (Err(error), _) | (Ok(()), Body::Put(Err(error), _) | Body::Confirm(Err(error))) => Err(refused(error)),
        (Ok(()), Body::Put(Ok(body), owner)) => put(state, command, &body, owner, sink),
        (Ok(()), Body::Confirm(Ok(body))) => confirm(state, command, &body, sink),
        (Ok(()), Body::Other) => match command.verb {
            Verb::Put | Verb::Confirm => unreachable!("their bodies are read before their turn"),
            Verb::Release => release(state, command, sink),
            Verb::Cancel => cancel(state, command, sink),
            Verb::Extend => extend(state, command, sink),
            Verb::Fulfil => fulfil(state, command, sink),
        },
    };
    decided.unwrap_or_else(|refusal| refusal)
}

pub(crate) fn may_see(channels: Option<&[String]>, channel: &str) -> bool {
    channels.is_none_or(|list| list.iter().any(|c| c == channel))
}

/// Applies a fact that a command became and hands it to the batch.
pub(crate) fn commit(state: &mut State, command: &Command<'_>, fact: Fact<'_>, sink: &mut Sink<'_>) {
    let statement = Statement {
        source: Text::Borrowed(""),
        by: command.by.map(Text::Borrowed),
        trace: None,
        fact,
    };
    apply::statement(state, &statement);
    sink(&statement);
}

pub(crate) fn shown(state: &State, slot: Slot, status: u16) -> Answer {
    let mut out = Vec::with_capacity(640);
    render::reservation(state, state.reservations.get(slot), b"", &mut out);
    (status, out)
}

pub(crate) fn closed(state: &State, slot: Slot) -> Answer {
    let name = state.reservations.get(slot).state.name();
    let detail = format!(
        "The reservation is {name}; what was asked for is not possible from there. Read it with GET to see where it stands."
    );
    problem_with(Problem::ReservationClosed, Some(&detail), |out| {
        render::text_field(out, "state", Some(name));
    })
}

/// The reservation that a command names, if the key may see it.
pub(crate) fn existing(state: &State, command: &Command<'_>) -> Result<Slot, Answer> {
    let found = state.reservations.find(command.id);
    let visible = |slot: &Slot| {
        let channel = state.reservations.get(*slot).channel;
        may_see(command.channels, state.catalogue.channel_name(channel))
    };
    found
        .filter(visible)
        .ok_or_else(|| problem(Problem::UnknownReservation, None))
}

pub(crate) fn unknown_sku(name: &str) -> Answer {
    problem_with(Problem::UnknownSku, None, |out| {
        render::text_field(out, "sku", Some(name));
    })
}

pub(crate) fn check_region(state: &State, channel: Option<ChannelId>, given: bool) -> Result<(), Answer> {
    let record = state.catalogue.channel_record(channel);
    if record.regional == Regional::Require && !given {
        return Err(refused(RequestError::invalid(
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

fn confirm(state: &mut State, command: &Command<'_>, body: &ConfirmBody<'_>, sink: &mut Sink<'_>) -> Outcome {
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    let told = body.order_ref.as_deref();
    match r.state {
        ReservationState::Held => {}
        ReservationState::Cancelled => return Err(closed(state, slot)),
        ReservationState::Committed | ReservationState::InErp | ReservationState::Fulfilled => {
            match (r.order_ref.as_deref(), told) {
                (_, None) => return Ok(shown(state, slot, 200)),
                (Some(old), Some(new)) if old == new => return Ok(shown(state, slot, 200)),
                (Some(_), Some(_)) => return Err(closed(state, slot)),
                (None, Some(_)) => {}
            }
        }
        ReservationState::Expired | ReservationState::Released | ReservationState::Oversold => {
            late_fit(state, slot, command, sink)?;
        }
    }
    let fact = ReservationConfirmed {
        id: Text::Borrowed(command.id),
        order_ref: body.order_ref.clone(),
    };
    commit(state, command, Fact::ReservationConfirmed(fact), sink);
    Ok(shown(state, slot, 200))
}

/// A late confirm re-takes the stock or says oversold.
fn late_fit(state: &mut State, slot: Slot, command: &Command<'_>, sink: &mut Sink<'_>) -> Result<(), Answer> {
    let r = state.reservations.get(slot);
    let who = (Some(r.channel), r.region);
    let (was, lines) = (r.state, r.lines.clone());
    let names: Vec<String> = lines
        .iter()
        .map(|l| state.catalogue.sku_name(l.sku).to_owned())
        .collect();
    let open: Vec<AskedLine<'_>> = lines
        .iter()
        .zip(&names)
        .filter(|(line, _)| line.quantity > 0)
        .map(|(l, name)| AskedLine {
            name,
            sku: Some(l.sku),
            quantity: l.quantity,
            unit_known: true,
            only: l.location,
        })
        .collect();
    let verdicts = cart::judge(state, who, &open, false, None);
    if verdicts.iter().all(|v| v.reason.is_none()) {
        return Ok(());
    }
    let refusal = insufficient(state, Problem::Oversold, &open, &verdicts);
    if was != ReservationState::Oversold {
        commit(
            state,
            command,
            Fact::ReservationOversold(Text::Borrowed(command.id)),
            sink,
        );
    }
    Err(refusal)
}

fn release(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    commands::parse_empty(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held => {
            commit(
                state,
                command,
                Fact::ReservationReleased(Text::Borrowed(command.id)),
                sink,
            );
            Ok(shown(state, slot, 200))
        }
        ReservationState::Released | ReservationState::Expired => Ok(shown(state, slot, 200)),
        _ => Err(closed(state, slot)),
    }
}

fn cancel(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    commands::parse_empty(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held | ReservationState::Committed | ReservationState::InErp => {
            commit(
                state,
                command,
                Fact::ReservationCancelled(Text::Borrowed(command.id)),
                sink,
            );
            Ok(shown(state, slot, 200))
        }
        ReservationState::Cancelled => Ok(shown(state, slot, 200)),
        _ => Err(closed(state, slot)),
    }
}

fn extend(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_extend(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    if r.state != ReservationState::Held {
        return Err(closed(state, slot));
    }
    if r.renewals >= state.rules.renewals_max {
        return Err(problem(Problem::RenewalsExhausted, None));
    }
    let fact = ReservationExtended {
        id: Text::Borrowed(command.id),
        ttl_ms: body.ttl_ms,
    };
    commit(state, command, Fact::ReservationExtended(fact), sink);
    Ok(shown(state, slot, 200))
}

/// Expires nothing and changes nothing: whether a batch without facts is due.
pub(crate) fn next_due(state: &State) -> Option<i64> {
    state.reservations.due.first().map(|&(due, _, _)| due)
}
