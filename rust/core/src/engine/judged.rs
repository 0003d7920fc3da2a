//! A message of facts, judged: which of them can be taken, before any is.
//!
//! In: a message of IN and the state that it meets. Out: the good facts, why each other is rejected, which SKUs are new.
//! Always: each fact is judged as if those before it that are good had been taken; of an atomic message all are good or
//! none. A trial judges the same way, so it says exactly what taking the message would say.

use std::borrow::Cow;

use super::check;
use super::documents::Documents;
use super::foreseen::Foreseen;
use super::intake::{Created, LISTED_MAX, Rejected};
use crate::state::State;
use crate::state::ids::Symbols;
use crate::state::likeness::Likeness;
use crate::wire::commands::{ATOMIC_FACTS_MAX, InMessage, MESSAGE_WIDE_MAX};
use crate::wire::facts::{FactError, Statement, Text, names, parse_statement};

/// Why a fact is rejected that sets rules and came over NATS by a source's own subject.
const NOT_ALLOWED: &str = "not-allowed";
/// Of a name that users and keys may have as a source.
const SOURCE_BYTES_MAX: usize = 64;

/// Which subject a message came by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'m> {
    pub(super) source: &'m str,
    pub(super) policies_only: bool,
    /// See [`Incoming::sealed`](super::intake::Incoming::sealed).
    pub(super) sealed: bool,
}

impl Sender<'_> {
    /// A message without what it may not state of its sender: who it is, and idempotency keys of other sources.
    pub(super) fn believed<'m>(&self, message: InMessage<'m>) -> InMessage<'m> {
        if self.sealed {
            return message;
        }
        InMessage {
            by: None,
            idempotency: message.idempotency.map(|key| key.of_source(self.source)),
            ..message
        }
    }

    /// Whose the memory of an outcome is: the API key's, or, of a message that no gateway passed on, the source's. A
    /// subject may have any token; one that is no name of a source could not be read back from LOG.
    pub(super) fn accountable<'m>(&self, message: &'m InMessage<'_>) -> Option<Cow<'m, str>> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match &message.by {
            Some(by) => Some(Cow::Borrowed(by)),
            None if !self.sealed && self.source.len() <= SOURCE_BYTES_MAX && self.source.bytes().all(is_name) => {
                Some(Cow::Owned(format!("source:{}", self.source)))
            }
            None => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Judged<'m> {
    /// With their indexes.
    pub(super) good: Vec<(usize, Statement<'m>)>,
    pub(super) rejected: Vec<Rejected>,
    /// The first of them.
    pub(super) created: Vec<Created>,
    pub(super) created_count: usize,
}

/// `now_ms`: the time of the batch that would take it.
pub(super) fn message<'m>(state: &State, now_ms: i64, sender: Sender<'m>, message: &'m InMessage<'m>) -> Judged<'m> {
    body(state, now_ms, sender, std::slice::from_ref(message))
}

/// The messages that one body became, the indexes of their facts counted through.
pub(super) fn body<'m>(state: &State, now_ms: i64, sender: Sender<'m>, messages: &'m [InMessage<'m>]) -> Judged<'m> {
    let mut judged = Judged::default();
    let is_atomic = messages.iter().any(|message| message.atomic);
    if is_atomic && messages.iter().map(|message| message.facts.len()).sum::<usize>() > ATOMIC_FACTS_MAX {
        let reason = format!("malformed: facts: must have at most {ATOMIC_FACTS_MAX} entries in an atomic message");
        judged.rejected = vec![(-1, reason)];
        return judged;
    }
    let mut ahead = Foreseen::new(state, now_ms, sender.source);
    let mut documents = Documents::default();
    for message in messages {
        ahead.next_message();
        for raw in &message.facts {
            match one(&mut ahead, &mut documents, &judged.good, sender, raw.get(), message) {
                Ok(statement) => judged.good.push((ahead.at, statement)),
                Err(reason) => judged.rejected.push((ahead.at as i64, reason)),
            }
            ahead.at += 1;
        }
    }
    if is_atomic && !judged.rejected.is_empty() {
        let others = judged.good.drain(..).map(|(at, _)| (at as i64, "atomic".to_owned()));
        judged.rejected.extend(others);
        judged.rejected.sort_unstable_by_key(|(at, _)| *at);
        return judged;
    }
    judged.created_count = ahead.new_skus().len();
    judged.created = created(state, &ahead.new_skus()[..judged.created_count.min(LISTED_MAX)]);
    judged
}

/// One fact of a message: readable, of a kind that may come this way, one that the state can take, and no contradiction.
fn one<'m>(
    ahead: &mut Foreseen<'_, 'm>,
    documents: &mut Documents<'m>,
    before: &[(usize, Statement<'m>)],
    sender: Sender<'m>,
    raw: &'m str,
    around: &'m InMessage<'m>,
) -> Result<Statement<'m>, String> {
    let read = parse_statement(raw, Some(sender.source), around.by.as_deref());
    let mut statement = read.map_err(|error| error.to_string())?;
    if statement.trace.is_none() {
        statement.trace = around.trace.as_deref().map(Text::Borrowed);
    }
    if sender.policies_only && !statement.fact.is_policy() {
        return Err("not-a-policy".to_owned());
    }
    if !sender.sealed && !sender.policies_only && statement.fact.is_rule() {
        return Err(format!("{NOT_ALLOWED}: {} is a kind of rules", statement.fact.kind()));
    }
    names::check(&statement.fact).map_err(|flaw| FactError::from(flaw).to_string())?;
    check::statement(ahead, &statement)?;
    if statement.fact.is_wide() && !ahead.has_room_for_wide() {
        return Err(format!(
            "too-costly: a message has at most {MESSAGE_WIDE_MAX} facts `ownership` and `source.reset`"
        ));
    }
    documents.take(ahead, before, &statement)?;
    ahead.foresee(&statement);
    Ok(statement)
}

/// The new SKUs, each with a name that it is like: one that was known, or an earlier new one.
fn created(state: &State, names: &[Text<'_>]) -> Vec<Created> {
    let (mut new, mut likeness) = (Symbols::default(), Likeness::default());
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let like = state.catalogue.like(name).or_else(|| likeness.of(&new, name));
        let like = like.map(str::to_owned);
        let (number, _) = new.intern(name);
        likeness.add(number, name);
        found.push(Created {
            sku: name.to_string(),
            like,
        });
    }
    found
}

#[cfg(test)]
mod tests;
