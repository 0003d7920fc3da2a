//! Messages of IN: judged as a whole, then what is good of them is taken; nothing is lost.

use serde::{Deserialize, Serialize};

use super::judged::{self, Sender};
use super::turn::record;
use super::work::{BATCH_ROOM_BYTES, Work};
use crate::apply;
use crate::apply::answered;
use crate::engine::Decision;
use crate::state::State;
use crate::state::idempotency::{ANSWER_BYTES_MAX, Known, StoredAnswer};
use crate::wire::batch::BatchWriter;
use crate::wire::commands::{InMessage, POLICY_SOURCE, parse_in_message};
use crate::wire::facts::bounds::NAME_CHARS_MAX;
use crate::wire::facts::take::text_flaw;
use crate::wire::facts::{self, Fact, FactError, Text, names, parse_statement};
use crate::wire::keys::Asked;

/// Why a message is not taken: the gateway answers its sender with 409 because of it.
const CONFLICT: &str = "idempotency-conflict: the key was used for another request";
/// Why a message is dead whose subject is of no family of sources.
const UNKNOWN_SUBJECT: &str = "unknown-subject";
/// Why a message is not taken whose facts, with their source and key written out, are more than LOG takes at once.
const TOO_LARGE: &str =
    "too-large: written out with source and key, the facts are larger than a batch; send fewer at once";
/// Dead letters of one message; where more of its facts are rejected, it is one letter as a whole.
const LETTERS_MAX: usize = 100;
/// Entries of `ignored` and of `created` that one message is answered with; the counts say how many there are.
pub(super) const LISTED_MAX: usize = 100;

/// A fact that is not taken: its index in the message (-1: the whole message), and why.
pub type Rejected = (i64, String);

/// One message of IN.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub sequence: u64,
    pub subject: &'a str,
    pub payload: &'a [u8],
    /// A gateway sent it, and has checked what its sender may say: only then what the message states of the sender is
    /// believed (`by`, the idempotency key), and kinds that need a separate right are taken from any subject.
    pub sealed: bool,
}

/// A fact that was taken and came to nothing: its index, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    pub index: usize,
    pub reason: Text<'static>,
}

/// A SKU that was unknown until now, and a known name that it could be mistaken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub sku: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
}

/// What became of a message of facts, beside what was rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Facts that were not rejected.
    pub accepted: usize,
    /// Index of the fact (-1: the whole message) and why.
    pub rejected: Vec<Rejected>,
    /// The first of them.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
    #[serde(default)]
    pub ignored_count: usize,
    /// The first of them.
    #[serde(default)]
    pub created: Vec<Created>,
    #[serde(default)]
    pub created_count: usize,
    /// Of the batch that took it; 0 for a trial, and where nothing recorded it.
    #[serde(default)]
    pub sequence: u64,
}

/// What became of one message of IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub sequence: u64,
    pub outcome: Outcome,
}

/// What could not be taken in, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    pub sequence: u64,
    pub index: i64,
    pub reason: String,
    pub raw: Vec<u8>,
}

impl Outcome {
    /// Nothing of a message is taken, for one reason.
    fn refused(reason: String) -> Self {
        Outcome {
            rejected: vec![(-1, reason)],
            ..Outcome::default()
        }
    }

    fn of(judged: &mut judged::Judged<'_>) -> Self {
        Outcome {
            accepted: judged.good.len(),
            rejected: std::mem::take(&mut judged.rejected),
            created: std::mem::take(&mut judged.created),
            created_count: judged.created_count,
            ..Outcome::default()
        }
    }

    /// The report that goes to the sender: a JSON object of all but `accepted` and `rejected`.
    pub fn report(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Report<'a> {
            ignored: &'a [Ignored],
            ignored_count: usize,
            created: &'a [Created],
            created_count: usize,
            sequence: u64,
        }
        let report = Report {
            ignored: &self.ignored,
            ignored_count: self.ignored_count,
            created: &self.created,
            created_count: self.created_count,
            sequence: self.sequence,
        };
        serde_json::to_vec(&report).expect("numbers and strings")
    }
}

/// How many facts of an IN message are well formed, and which are not, before the state is asked.
pub fn well_formed(message: &[u8]) -> (usize, Vec<Rejected>) {
    let parsed = match parse_in_message(message) {
        Ok(parsed) => parsed,
        Err(error) => return (0, vec![(-1, error.to_string())]),
    };
    let mut rejected = Vec::new();
    for (index, raw) in parsed.facts.iter().enumerate() {
        let read = parse_statement(raw.get(), None, None);
        let named = read.and_then(|statement| names::check(&statement.fact).map_err(FactError::from));
        if let Err(error) = named {
            rejected.push((index as i64, error.to_string()));
        }
    }
    (parsed.facts.len() - rejected.len(), rejected)
}

/// What would become of a body's messages if they came now; nothing is taken, and what would be ignored is not known.
pub(crate) fn dry_run(state: &State, now_ms: i64, source: &str, policies_only: bool, messages: &[&[u8]]) -> Outcome {
    let sender = Sender {
        source,
        policies_only,
        sealed: true,
    };
    let parsed: Result<Vec<_>, _> = messages.iter().map(|message| parse_in_message(message)).collect();
    match parsed {
        Ok(parsed) => Outcome::of(&mut judged::body(state, now_ms, sender, &parsed)),
        Err(error) => Outcome::refused(error.to_string()),
    }
}

/// Who sent it: the right to publish is granted by subject, so the subject identifies the source. None: nobody may, or the
/// token is no name, and a batch that had it could not be read back.
fn sender_of<'m>(message: &Incoming<'m>) -> Option<Sender<'m>> {
    let sealed = message.sealed;
    let mut tokens = message.subject.split('.').skip(2);
    let found = match (tokens.next()?, tokens.next()?, tokens.next()) {
        ("in", "policy", None) => Sender {
            source: POLICY_SOURCE,
            policies_only: true,
            sealed,
        },
        ("in", "erp" | "woo", Some(source)) if text_flaw(source, 1, NAME_CHARS_MAX).is_none() => Sender {
            source,
            policies_only: false,
            sealed,
        },
        _ => return None,
    };
    tokens.next().is_none().then_some(found)
}

/// Takes one message of IN; returns what that cost. None: this batch has no room for it, and nothing was done.
pub(super) fn take_in(
    state: &mut State,
    message: &Incoming<'_>,
    writer: &mut BatchWriter,
    decision: &mut Decision,
) -> Option<Work> {
    let bytes = message.payload.len();
    let Some(sender) = sender_of(message) else {
        let reason = format!("{UNKNOWN_SUBJECT}: nothing is read from {}", message.subject);
        decision.dead.push(Dead {
            sequence: message.sequence,
            index: -1,
            reason: reason.clone(),
            raw: message.payload.to_vec(),
        });
        decision.received.push(Received {
            sequence: message.sequence,
            outcome: Outcome::refused(reason),
        });
        return Some(Work::of(1, bytes));
    };
    let source = sender.source;
    let parsed = parse_in_message(message.payload)
        .map(|parsed| sender.believed(parsed))
        .map_err(|error| error.to_string());
    let is_foreign = |parsed: &InMessage<'_>| parsed.source.as_deref().is_some_and(|stated| stated != source);
    let mut wide = 0;
    let outcome = match &parsed {
        Err(reason) => Outcome::refused(reason.clone()),
        Ok(parsed) if is_foreign(parsed) => {
            Outcome::refused("source-mismatch: the subject names another source".to_owned())
        }
        Ok(parsed) => match known(state, parsed) {
            Some(Ok(outcome)) => {
                let sequence = message.sequence;
                decision.received.push(Received { sequence, outcome });
                return Some(Work::of(1, bytes));
            }
            Some(Err(reason)) => Outcome::refused(reason.to_owned()),
            None => {
                let taken;
                (taken, wide) = take(state, sender, parsed, writer)?;
                taken
            }
        },
    };
    bury(message, parsed.as_ref().ok(), &outcome.rejected, &mut decision.dead);
    decision.received.push(Received {
        sequence: message.sequence,
        outcome,
    });
    let facts = parsed.map_or(1, |parsed| parsed.facts.len());
    Some(Work::of(facts, bytes).with_wide(wide))
}

/// A dead letter for each fact that was rejected; where they are many, one for the whole message.
fn bury(message: &Incoming<'_>, parsed: Option<&InMessage<'_>>, rejected: &[Rejected], dead: &mut Vec<Dead>) {
    let sequence = message.sequence;
    if rejected.len() > LETTERS_MAX {
        let (first, reason) = &rejected[0];
        let of = parsed.map_or(0, |parsed| parsed.facts.len());
        let reason = format!(
            "{reason} (facts[{first}]; of {of} facts {} were rejected)",
            rejected.len()
        );
        let raw = message.payload.to_vec();
        return dead.push(Dead {
            sequence,
            index: -1,
            reason,
            raw,
        });
    }
    for (index, reason) in rejected {
        let fact = parsed.zip(usize::try_from(*index).ok());
        let raw = fact.map_or(message.payload, |(parsed, index)| parsed.facts[index].get().as_bytes());
        dead.push(Dead {
            sequence,
            index: *index,
            reason: reason.clone(),
            raw: raw.to_vec(),
        });
    }
}

/// Judges a message, takes what is good of it unless the batch has no room for that, and remembers the outcome where an
/// idempotency key names it. The outcome, and how many facts looked at every reservation.
fn take(
    state: &mut State,
    sender: Sender<'_>,
    message: &InMessage<'_>,
    writer: &mut BatchWriter,
) -> Option<(Outcome, usize)> {
    let mut judged = judged::message(state, state.position.now_ms, sender, message);
    let mut outcome = Outcome::of(&mut judged);
    let (bytes, count) = (writer.bytes(), writer.count());
    for (_, statement) in &judged.good {
        writer.push(statement);
    }
    if writer.bytes() > BATCH_ROOM_BYTES {
        writer.rewind(bytes, count);
        // What does not fit with other things may fit alone; what does not fit alone never will.
        return (count == 0).then(|| (Outcome::refused(TOO_LARGE.to_owned()), 0));
    }
    for (index, statement) in &judged.good {
        apply::statement(state, statement);
        if let Some(anomaly) = state.outcome.filter(|anomaly| anomaly.is_ignored()) {
            outcome.ignored_count += 1;
            if outcome.ignored.len() < LISTED_MAX {
                let (index, reason) = (*index, Text::Borrowed(anomaly.word()));
                outcome.ignored.push(Ignored { index, reason });
            }
        }
    }
    outcome.sequence = state.position.sequence + 1;
    remember(state, sender, message, &outcome, writer);
    let wide = judged.good.iter().filter(|(_, statement)| statement.fact.is_wide());
    Some((outcome, wide.count()))
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
        StoredAnswer::Body(body) => stored_outcome(body),
        StoredAnswer::InParts | StoredAnswer::Reservation(_) => None,
    });
    Some(outcome.ok_or(CONFLICT))
}

/// An outcome as this edition stores it, or the first edition's pair of `accepted` and `rejected`.
fn stored_outcome(body: &[u8]) -> Option<Outcome> {
    let first_edition = || {
        let (accepted, rejected) = serde_json::from_slice(body).ok()?;
        Some(Outcome {
            accepted,
            rejected,
            ..Outcome::default()
        })
    };
    serde_json::from_slice(body).ok().or_else(first_edition)
}

/// Records the result of a message under an idempotency key, unless it is too long to be stored: then the identities alone
/// keep a repeat from counting twice.
fn remember(
    state: &mut State,
    sender: Sender<'_>,
    message: &InMessage<'_>,
    outcome: &Outcome,
    writer: &mut BatchWriter,
) {
    let Some(key) = message.idempotency else { return };
    let asked = Asked::from(key);
    let json = serde_json::to_string(outcome).expect("numbers and strings");
    // A whole body of which nothing was taken is no proper request: it may be corrected and sent again under its key.
    let is_refused = outcome.accepted == 0 && !outcome.rejected.is_empty() && !asked.is_part();
    if is_refused || json.len() > ANSWER_BYTES_MAX {
        return;
    }
    let outcome = facts::Outcome::Body {
        status: 202,
        json: Text::Owned(json),
    };
    let by = sender.accountable(message);
    for answered in answered::facts_of(state, &asked, outcome) {
        record(state, by.as_deref(), Fact::RequestAnswered(answered), writer);
    }
}
