//! A command's turn: decided, applied, written to the batch, answered.
//!
//! In: a command with its body read. Out: an answer, and at most one fact in the batch (two more under an idempotency key).
//! Always: the fact is applied before the answer is rendered, so the answer agrees with what LOG records.

use super::keyed;
use super::work::{BATCH_ROOM_BYTES, COMMAND_FACT_BYTES_MAX};
use crate::apply;
use crate::reads::render::{self, Answer, problem};
use crate::state::State;
use crate::verbs::{self, Body, Command, Decided, Reply};
use crate::wire::batch::BatchWriter;
use crate::wire::errors::Problem;
use crate::wire::facts::{Fact, Statement, Text};

/// Decides one command; one that comes again under its idempotency key is answered as the first time.
pub(super) fn command(
    state: &mut State,
    owner_key: Option<&[u8; 32]>,
    command: &Command<'_>,
    body: &Body<'_>,
    writer: &mut BatchWriter,
) -> Answer {
    match command.key {
        None => carry_out(state, command, body, writer),
        Some(key) => keyed::command(state, owner_key, command, body, key, writer),
    }
}

/// Decides a command and does what was decided.
#[inline]
pub(super) fn carry_out(state: &mut State, command: &Command<'_>, body: &Body<'_>, writer: &mut BatchWriter) -> Answer {
    let Decided { fact, reply } = verbs::decide(state, command, body);
    if let Some(fact) = fact
        && !record_bounded(state, command, fact, writer)
    {
        return problem(Problem::TooLarge, None);
    }
    match reply {
        Reply::Refused(answer) => answer,
        Reply::Shown { status, slot } => {
            let slot = slot.or_else(|| state.reservations.find(command.id)).expect("just held");
            let mut out = Vec::with_capacity(640);
            render::reservation(state, state.reservations.get(slot), b"", &mut out);
            (status, out)
        }
    }
}

/// Applies a fact of the leader's own and writes it to the batch.
pub(super) fn record(state: &mut State, by: Option<&str>, fact: Fact<'_>, writer: &mut BatchWriter) {
    let statement = statement(by, None, fact);
    apply::statement(state, &statement);
    writer.push(&statement);
}

/// The same for a fact that a client may have made too large for a batch; false: it is, and nothing was done.
#[inline]
fn record_bounded(state: &mut State, command: &Command<'_>, fact: Fact<'_>, writer: &mut BatchWriter) -> bool {
    let statement = statement(command.by, command.trace, fact);
    let (bytes, count) = (writer.bytes(), writer.count());
    if writer.push(&statement) > COMMAND_FACT_BYTES_MAX || writer.bytes() > BATCH_ROOM_BYTES {
        writer.rewind(bytes, count);
        return false;
    }
    apply::statement(state, &statement);
    true
}

fn statement<'a>(by: Option<&'a str>, trace: Option<&'a str>, fact: Fact<'a>) -> Statement<'a> {
    Statement {
        source: Text::Borrowed(""),
        by: by.map(Text::Borrowed),
        trace: trace.map(Text::Borrowed),
        fact,
    }
}
