//! What a command can do with a reservation: one file for each verb, with its decision and its application.
//!
//! In: a command and the state. Out: the fact that it becomes, if any, and the kind of its answer; a fact, applied.
//! Always: a decision reads and changes nothing; an application follows from the fact alone, so every replay does the same.

pub(crate) mod cancel;
pub(crate) mod confirm;
pub(crate) mod expire;
pub(crate) mod extend;
pub(crate) mod fulfil;
pub(crate) mod prefetch;
pub(crate) mod put;
pub(crate) mod release;

use crate::reads::refusals::{invalid, may_see};
use crate::reads::render::{Answer, problem};
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::Owner;
use crate::wire::commands::{self, ConfirmBody, PutBody};
use crate::wire::errors::{Problem, RequestError};
use crate::wire::facts::Fact;

/// What a command does with a reservation. LOG has hashes of requests over these numbers.
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

/// A command as it came from outside.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    pub verb: Verb,
    pub id: &'a str,
    pub body: &'a [u8],
    /// The channels that the asking key may see; None: all.
    pub channels: Option<&'a [String]>,
    /// The key's id, for the audit.
    pub by: Option<&'a str>,
    /// The idempotency key; `engine/keyed.rs` gives the form of one for a part of a request.
    pub key: Option<&'a str>,
    /// The trace of the request, for LOG; it decides nothing.
    pub trace: Option<&'a str>,
}

/// A command's body, read before its turn so that what it names can be fetched meanwhile.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    Put(Result<PutBody<'a>, RequestError>, Option<KeyedOwner>),
    Confirm(Result<ConfirmBody<'a>, RequestError>),
    /// Read in its turn.
    Other,
}

/// The keyed hash of a shopper, and the digits that LOG has of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyedOwner {
    pub(crate) owner: Owner,
    pub(crate) digits: [u8; 32],
}

impl<'a> Body<'a> {
    pub(crate) fn of(command: &Command<'a>, owner_key: Option<&[u8; 32]>) -> Self {
        match command.verb {
            Verb::Put => {
                let body = commands::parse_put(command.body);
                let name = body.as_ref().ok().and_then(|body| body.owner.as_deref());
                let owner = name.map(|name| Owner::keyed(owner_key, name));
                let digits = |owner: Owner| KeyedOwner {
                    owner,
                    digits: owner.digits(),
                };
                Body::Put(body, owner.map(digits))
            }
            Verb::Confirm => Body::Confirm(commands::parse_confirm(command.body)),
            _ => Body::Other,
        }
    }
}

/// What a command is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The reservation after the fact is applied; None: the one that the fact makes.
    Shown {
        status: u16,
        slot: Option<Slot>,
    },
    Refused(Answer),
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) fact: Option<Fact<'a>>,
    pub(crate) reply: Reply,
}

impl<'a> Decided<'a> {
    /// It is done; the answer shows the reservation.
    fn done(slot: Slot, fact: Fact<'a>) -> Self {
        Decided {
            fact: Some(fact),
            reply: Reply::Shown {
                status: 200,
                slot: Some(slot),
            },
        }
    }

    /// It was done before; the answer shows the present reservation.
    fn stands(slot: Slot) -> Self {
        Decided {
            fact: None,
            reply: Reply::Shown {
                status: 200,
                slot: Some(slot),
            },
        }
    }
}

/// Refusals without a fact; `?` carries them out.
type Decision<'a> = Result<Decided<'a>, Answer>;

/// Decides one command.
pub(crate) fn decide<'b>(state: &State, command: &Command<'b>, body: &'b Body<'_>) -> Decided<'b> {
    decision(state, command, body).unwrap_or_else(|refusal| Decided {
        fact: None,
        reply: Reply::Refused(refusal),
    })
}

#[inline]
fn decision<'b>(state: &State, command: &Command<'b>, body: &'b Body<'_>) -> Decision<'b> {
    commands::check_id(command.id).map_err(|error| invalid(&error))?;
    match body {
        Body::Put(Err(error), _) | Body::Confirm(Err(error)) => Err(invalid(error)),
        Body::Put(Ok(body), owner) => put::decide(state, command, body, owner.as_ref()),
        Body::Confirm(Ok(body)) => confirm::decide(state, command, body),
        Body::Other => match command.verb {
            Verb::Put | Verb::Confirm => unreachable!("their bodies are read before their turn"),
            Verb::Release => release::decide(state, command),
            Verb::Cancel => cancel::decide(state, command),
            Verb::Extend => extend::decide(state, command),
            Verb::Fulfil => fulfil::decide(state, command),
        },
    }
}

/// The reservation that a command names, if the key may see it.
fn existing(state: &State, command: &Command<'_>) -> Result<Slot, Answer> {
    let found = state.reservations.find(command.id);
    let visible = |slot: &Slot| {
        let channel = state.reservations.get(*slot).channel;
        may_see(command.channels, state.catalogue.channel_name(channel))
    };
    found
        .filter(visible)
        .ok_or_else(|| problem(Problem::UnknownReservation, None))
}
