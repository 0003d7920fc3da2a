//! Messages of IN: each fact is accepted or rejected on its own; nothing is lost.

use crate::apply;
use crate::batch::BatchWriter;
use crate::check;
use crate::commands::parse_in_message;
use crate::engine::Decision;
use crate::facts::{Statement, parse_statement};
use crate::state::State;

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
pub(crate) fn dry_run(state: &State, source: &str, policies_only: bool, message: &[u8]) -> (usize, Vec<(i64, String)>) {
    let parsed = match parse_in_message(message) {
        Ok(parsed) => parsed,
        Err(error) => return (0, vec![(-1, error.to_string())]),
    };
    let mut rejected = Vec::new();
    for (index, raw) in parsed.facts.iter().enumerate() {
        if let Err(reason) = judged(state, raw.get(), source, parsed.by.as_deref(), policies_only) {
            rejected.push((index as i64, reason));
        }
    }
    (parsed.facts.len() - rejected.len(), rejected)
}

/// One fact of a message: readable, of a kind that may come this way, and one that the state can take.
fn judged<'a>(
    state: &State,
    raw: &'a str,
    source: &'a str,
    by: Option<&'a str>,
    policies_only: bool,
) -> Result<Statement<'a>, String> {
    let statement = parse_statement(raw, Some(source), by).map_err(|error| error.to_string())?;
    if policies_only && !statement.fact.is_policy() {
        return Err("not-a-policy".to_owned());
    }
    check::statement(state, &statement)?;
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
    // Who may publish is granted by subject, so the subject says who speaks.
    let source = message.subject.rsplit('.').next().unwrap_or_default();
    match parse_in_message(message.payload) {
        Err(error) => dead(-1, error.to_string(), message.payload, &mut received),
        Ok(parsed) if parsed.source.as_deref().is_some_and(|told| told != source) => {
            dead(
                -1,
                "source-mismatch: the subject names another source".to_owned(),
                message.payload,
                &mut received,
            );
        }
        Ok(parsed) => {
            let policies_only = message.subject.ends_with(".in.policy");
            for (index, raw) in parsed.facts.iter().enumerate() {
                match judged(state, raw.get(), source, parsed.by.as_deref(), policies_only) {
                    Ok(statement) => {
                        apply::statement(state, &statement);
                        writer.push(&statement);
                        received.accepted += 1;
                    }
                    Err(reason) => dead(index as i64, reason, raw.get().as_bytes(), &mut received),
                }
            }
        }
    }
    decision.received.push(received);
}
