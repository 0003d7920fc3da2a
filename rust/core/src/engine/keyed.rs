//! Commands under an idempotency key: decided once; what comes again is answered as the first time.
//!
//! In: a command with a key. Out: the remembered answer, a conflict, or a new answer and the fact that remembers it.
//! Always: what was done (2xx) and what the state refused (409) are remembered. Other refusals
//! (400, 403, 404, 422) are not remembered: nothing was decided.

use super::turn::{carry_out, record};
use crate::apply::answered::facts_of;
use crate::reads::render::{self, Answer, problem};
use crate::state::State;
use crate::state::idempotency::{ANSWER_BYTES_MAX, Known, StoredAnswer};
use crate::verbs::{Body, Command};
use crate::wire::batch::BatchWriter;
use crate::wire::errors::Problem;
use crate::wire::facts::{Fact, Outcome, Text};
use crate::wire::keys::{Asked, hash, read_hex};

pub(super) fn command(
    state: &mut State,
    owner_key: Option<&[u8; 32]>,
    command: &Command<'_>,
    read: &Body<'_>,
    key: &str,
    writer: &mut BatchWriter,
) -> Answer {
    let asked = asked(owner_key, command, key);
    match state.answered.ask(&asked) {
        Known::New => {}
        Known::Conflict => return problem(Problem::IdempotencyConflict, None),
        Known::Repeat(entry) => match &entry.answer {
            StoredAnswer::InParts => return problem(Problem::IdempotencyConflict, None),
            StoredAnswer::Body(body) => return (entry.status, body.to_vec()),
            StoredAnswer::Reservation(id) => {
                if let Some(slot) = state.reservations.find(id) {
                    let mut out = Vec::new();
                    render::reservation(state, state.reservations.get(slot), b"", &mut out);
                    return (entry.status, out);
                }
            }
        },
    }
    let (status, body) = carry_out(state, command, read, writer);
    let outcome = match status {
        200..300 => Outcome::Reservation {
            status,
            id: Text::Borrowed(command.id),
        },
        409 if body.len() <= ANSWER_BYTES_MAX => Outcome::Body {
            status,
            json: String::from_utf8_lossy(&body),
        },
        _ => return (status, body),
    };
    for fact in facts_of(state, &asked, outcome) {
        record(state, command.by, Fact::RequestAnswered(fact), writer);
    }
    (status, body)
}

/// `key` is the client's, or `key LF number LF hash` for one of several commands that one request became: its number and
/// 32 hexadecimal digits of a hash of the whole. No key of a client holds a line feed.
///
/// A request may name an owner, so its hash is keyed as owners are.
fn asked(owner_key: Option<&[u8; 32]>, command: &Command<'_>, key: &str) -> Asked {
    let secret = owner_key.map_or(&[][..], |secret| &secret[..]);
    let mut parts = key.split('\n');
    let name = parts.next().unwrap_or_default();
    let number = parts.next().and_then(|number| number.parse().ok());
    if let (Some(number), Some(whole)) = (number, parts.next().and_then(read_hex)) {
        let request = hash(&[secret, &whole.to_be_bytes()]);
        return Asked::whole(command.by, name, request).part(number);
    }
    let verb = [command.verb as u8];
    let request = hash(&[secret, &verb, command.id.as_bytes(), command.body]);
    Asked::whole(command.by, name, request)
}
