//! Messages of IN: each fact is accepted or rejected on its own; nothing is lost.

use super::check;
use super::turn::record;
use crate::apply;
use crate::apply::answered;
use crate::engine::Decision;
use crate::state::State;
use crate::state::idempotency::{ANSWER_BYTES_MAX, Known, StoredAnswer};
use crate::wire::batch::BatchWriter;
use crate::wire::commands::{InMessage, parse_in_message};
use crate::wire::facts::{self, Fact, Statement, Text, parse_statement};
use crate::wire::keys::Asked;

/// Why a message is not taken: the gateway answers its sender with 409 because of it.
const CONFLICT: &str = "idempotency-conflict: the key was used for another request";

/// Facts accepted, and (index, reason) of each other.
type Outcome = (usize, Vec<(i64, String)>);

/// One message of IN.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub sequence: u64,
    pub subject: &'a str,
    pub payload: &'a [u8],
}

/// What became of one message of IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub sequence: u64,
    pub accepted: usize,
    /// Index of the fact (-1: the whole message) and why.
    pub rejected: Vec<(i64, String)>,
}

/// What could not be taken in, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    pub sequence: u64,
    pub index: i64,
    pub reason: String,
    pub raw: Vec<u8>,
}

/// How many facts of an IN message are well formed, and which are not, before the state is asked.
pub fn well_formed(message: &[u8]) -> (usize, Vec<(i64, String)>) {
    let parsed = match parse_in_message(message) {
        Ok(parsed) => parsed,
        Err(error) => return (0, vec![(-1, error.to_string())]),
    };
    let mut rejected = Vec::new();
    for (index, raw) in parsed.facts.iter().enumerate() {
        if let Err(error) = parse_statement(raw.get(), None, None) {
            rejected.push((index as i64, error.to_string()));
        }
    }
    (parsed.facts.len() - rejected.len(), rejected)
}

/// What would be rejected of a message if it came now: each fact against the state as it is, none of them taken.
pub(crate) fn dry_run(
    state: &State,
    now_ms: i64,
    source: &str,
    policies_only: bool,
    message: &[u8],
) -> (usize, Vec<(i64, String)>) {
    let parsed = match parse_in_message(message) {
        Ok(parsed) => parsed,
        Err(error) => return (0, vec![(-1, error.to_string())]),
    };
    let mut rejected = Vec::new();
    for (index, raw) in parsed.facts.iter().enumerate() {
        if let Err(reason) = judged(state, now_ms, raw.get(), source, parsed.by.as_deref(), policies_only) {
            rejected.push((index as i64, reason));
        }
    }
    (parsed.facts.len() - rejected.len(), rejected)
}

/// One fact of a message: readable, of a kind that may come this way, and one that the state can take.
fn judged<'a>(
    state: &State,
    now_ms: i64,
    raw: &'a str,
    source: &'a str,
    by: Option<&'a str>,
    policies_only: bool,
) -> Result<Statement<'a>, String> {
    let statement = parse_statement(raw, Some(source), by).map_err(|error| error.to_string())?;
    if policies_only && !statement.fact.is_policy() {
        return Err("not-a-policy".to_owned());
    }
    check::statement(state, now_ms, &statement)?;
    Ok(statement)
}

/// Takes one message of IN: each fact is accepted or rejected on its own.
pub(crate) fn take_in(state: &mut State, message: &Incoming<'_>, writer: &mut BatchWriter, decision: &mut Decision) {
    let mut received = Received {
        sequence: message.sequence,
        accepted: 0,
        rejected: Vec::new(),
    };
    let mut dead = |index: i64, reason: String, raw: &[u8], received: &mut Received| {
        received.rejected.push((index, reason.clone()));
        decision.dead.push(Dead {
            sequence: message.sequence,
            index,
            reason,
            raw: raw.to_vec(),
        });
    };
    // The right to publish is granted by subject, so the subject identifies the source.
    let source = message.subject.rsplit('.').next().unwrap_or_default();
    match parse_in_message(message.payload) {
        Err(error) => dead(-1, error.to_string(), message.payload, &mut received),
        Ok(parsed) if parsed.source.as_deref().is_some_and(|stated| stated != source) => {
            dead(
                -1,
                "source-mismatch: the subject names another source".to_owned(),
                message.payload,
                &mut received,
            );
        }
        Ok(parsed) => match known(state, &parsed) {
            Some(Ok((accepted, rejected))) => {
                received.accepted = accepted;
                received.rejected = rejected;
            }
            Some(Err(reason)) => dead(-1, reason.to_owned(), message.payload, &mut received),
            None => {
                let policies_only = message.subject.ends_with(".in.policy");
                let now_ms = state.position.now_ms;
                for (index, raw) in parsed.facts.iter().enumerate() {
                    match judged(state, now_ms, raw.get(), source, parsed.by.as_deref(), policies_only) {
                        Ok(statement) => {
                            apply::statement(state, &statement);
                            writer.push(&statement);
                            received.accepted += 1;
                        }
                        Err(reason) => dead(index as i64, reason, raw.get().as_bytes(), &mut received),
                    }
                }
                remember(state, &parsed, &received, writer);
            }
        },
    }
    decision.received.push(received);
}

/// What became of the same message when it came before; the reason, if its idempotency key was used for another one.
fn known(state: &State, message: &InMessage<'_>) -> Option<Result<Outcome, &'static str>> {
    let asked = Asked::from(message.idempotency?);
    let stored = match state.answered.ask(&asked) {
        Known::New => return None,
        Known::Repeat(entry) => Some(&entry.answer),
        Known::Conflict => None,
    };
    let outcome = stored.and_then(|answer| match answer {
        StoredAnswer::Body(body) => serde_json::from_slice(body).ok(),
        StoredAnswer::InParts | StoredAnswer::Reservation(_) => None,
    });
    Some(outcome.ok_or(CONFLICT))
}

/// Records the result of a message under an idempotency key, unless it is too long to be stored: then the identities alone
/// keep a repeat from counting twice.
fn remember(state: &mut State, message: &InMessage<'_>, received: &Received, writer: &mut BatchWriter) {
    let Some(key) = message.idempotency else { return };
    let asked = Asked::from(key);
    let json = serde_json::to_string(&(received.accepted, &received.rejected)).expect("numbers and strings");
    if json.len() > ANSWER_BYTES_MAX {
        return;
    }
    let outcome = facts::Outcome::Body {
        status: 202,
        json: Text::Owned(json),
    };
    for answered in answered::facts_of(state, &asked, outcome) {
        record(state, message.by.as_deref(), Fact::RequestAnswered(answered), writer);
    }
}
