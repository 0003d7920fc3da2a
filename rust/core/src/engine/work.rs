//! What one turn may cost: bounded by what comes in, never by a clock, so that a leader always gets back to its lease.
//!
//! In: how much of IN was taken. Out: whether there is room for more. Always: at least one message is taken where the batch
//! has room, and one message is bounded (`wire/commands/incoming.rs`); so any accepted input costs at most
//! `Work::MOST`, and commands wait for no more than that.

use super::intake::{Incoming, take_in};
use super::{Decision, Engine, origin, turn};
use crate::verbs::prefetch;
use crate::verbs::{Body, Command};
use crate::wire::batch::BatchWriter;

/// A batch closes at this many bytes or facts (docs/log.md, "A batch").
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
pub const BATCH_FACTS_MAX: usize = 2_000;
/// Bytes of facts that one batch may have; LOG takes a message of 1 MiB.
pub(super) const BATCH_ROOM_BYTES: usize = 1024 * 1024 - 8 * 1024;
/// Bytes of the fact that one command becomes.
pub(super) const COMMAND_FACT_BYTES_MAX: usize = 512 * 1024;
/// So many bytes cost about as much as a fact does on its own.
const BYTES_A_UNIT: usize = 512;

/// What a fact that looks at every reservation counts for beside others: no message is taken after one, beside commands.
const WIDE_UNITS: usize = 320;

/// A fact, or the bytes of one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work(pub(super) usize);

impl Work {
    /// Of the largest message that can be taken.
    #[cfg(test)]
    pub(super) const MOST: Work = {
        use crate::wire::commands::{MESSAGE_BYTES_MAX, MESSAGE_FACTS_MAX, MESSAGE_WIDE_MAX};
        Work(MESSAGE_FACTS_MAX + MESSAGE_BYTES_MAX.div_ceil(BYTES_A_UNIT) + MESSAGE_WIDE_MAX * WIDE_UNITS)
    };
    /// After so much, no further message is taken beside commands: they wait a fraction of what an append takes.
    const BESIDE_COMMANDS: Work = Work(320);
    /// The same where no command waits.
    const ALONE: Work = Work(2_000);

    pub(super) fn of(facts: usize, bytes: usize) -> Self {
        Work(facts + bytes / BYTES_A_UNIT)
    }

    pub(super) fn with_wide(self, wide: usize) -> Self {
        Work(self.0 + wide * WIDE_UNITS)
    }
}

/// What is left for facts in one turn.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) spent: Work,
    most: Work,
}

impl Budget {
    pub(super) fn new(is_alone: bool) -> Self {
        let most = if is_alone { Work::ALONE } else { Work::BESIDE_COMMANDS };
        Budget { spent: Work(0), most }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent >= self.most
    }

    pub(super) fn spend(&mut self, work: Work) {
        self.spent.0 += work.0;
    }
}

pub(super) fn is_full(writer: &BatchWriter) -> bool {
    writer.bytes() >= BATCH_BYTES_MAX || writer.count() >= BATCH_FACTS_MAX
}

impl Engine {
    /// Decides commands in their order, until the batch is full; those that are joined to the one before go into it all the
    /// same.
    pub(super) fn carry_out(
        &mut self,
        commands: &[Command<'_>],
        joined: &[bool],
        writer: &mut BatchWriter,
        decision: &mut Decision,
    ) {
        decision.answers.reserve(commands.len());
        let mut bodies = Vec::with_capacity(commands.len().min(prefetch::TEXTS_MAX));
        let ends = |at: usize, writer: &BatchWriter| is_full(writer) && !joined.get(at).is_some_and(|&is| is);
        for group in commands.chunks(prefetch::TEXTS_MAX) {
            let first = decision.answers.len();
            if ends(first, writer) {
                break;
            }
            bodies.clear();
            bodies.extend(group.iter().map(|command| Body::of(command, self.owner_key.as_ref())));
            prefetch::look_for(&self.state, group, &bodies);
            for (command, body) in group.iter().zip(&bodies) {
                if ends(decision.answers.len(), writer) {
                    break;
                }
                let (state, key) = (&mut self.state, self.owner_key.as_ref());
                decision.answers.push(turn::command(state, key, command, body, writer));
            }
            // While what changed is still in the processor's caches.
            self.state.settle_digest();
            if decision.answers.len() < first + group.len() {
                break;
            }
        }
        decision.commands_taken = decision.answers.len();
    }

    /// Takes messages of IN in their order; the last one that was taken.
    pub(super) fn take_incoming(
        &mut self,
        incoming: &[Incoming<'_>],
        is_alone: bool,
        writer: &mut BatchWriter,
        decision: &mut Decision,
    ) -> u64 {
        let mut in_upto = self.state.position.in_upto;
        let mut budget = Budget::new(is_alone);
        for message in incoming {
            if is_full(writer) || budget.is_spent() {
                break;
            }
            if message.sequence > in_upto {
                let message = Incoming {
                    sealed: message.sealed && origin::is_from_gateway(self.keys.as_deref(), message),
                    ..*message
                };
                let Some(work) = take_in(&mut self.state, &message, writer, decision) else {
                    break;
                };
                in_upto = message.sequence;
                budget.spend(work);
            }
            decision.incoming_taken += 1;
        }
        decision.work = budget.spent;
        in_upto
    }
}
