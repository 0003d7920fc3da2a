//! The one interface that the binding calls.
//!
//! In: commands, incoming facts, stored batches, queries. Out: a batch to append, answers, dead letters.
//! Always: `decide` changes the state ahead of LOG by at most one batch; until [`Engine::commit`] names its sequence no
//! other batch is decided or applied. A batch that was not stored cannot be undone: drop the engine and replay LOG.

mod check;
mod documents;
mod follow;
mod foreseen;
mod intake;
mod judged;
mod keyed;
mod origin;
mod publication;
mod reads;
mod turn;
mod work;

use std::io::{Read, Write};
use std::sync::Arc;

use crate::apply;
use crate::audit::invariants;
pub use crate::engine::intake::{Created, Dead, Ignored, Incoming, Outcome, Received, Rejected, well_formed};
pub use crate::engine::publication::{Change, Event, Figure};
pub use crate::engine::reads::{Listing, Sale};
use crate::reads::render::Answer;
use crate::snapshot::{self, SnapshotError};
use crate::state::digest_from_scratch;
use crate::state::rules::{EDITION, Rules};
use crate::state::{Position, State};
use crate::verbs::{Command, expire};
use crate::wire::batch::{BatchHeader, BatchKind, BatchWriter, chain_hash};
use crate::wire::facts::{DigestRecounted, Fact, Text};
use crate::wire::mac::{Purpose, ScopeKeys};
use work::Work;
pub use work::{BATCH_BYTES_MAX, BATCH_FACTS_MAX};

/// Why the log could not be followed. Each stops the process that met it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("sequence {got} came where {expected} was expected: read the messages from {expected} on again")]
    Gap { expected: u64, got: u64 },
    #[error("a batch is pending: commit it, or drop this engine and replay LOG")]
    Pending,
    #[error("no batch is pending")]
    NotPending,
    #[error(
        "the batch at sequence {sequence} cannot be applied ({reason}): LOG was written by another version or is damaged"
    )]
    Unreadable { sequence: u64, reason: String },
    #[error("rules: {0}")]
    Rules(String),
    #[error(
        "batches of this log are signed with the scope key {wanted}, which the scope key file does not hold: copy the file from \
         a gateway of this scope"
    )]
    KeyMissing { wanted: String },
}

/// The result of one call of `decide`.
#[derive(Debug, Default)]
pub struct Decision {
    /// To be appended; None: nothing changed.
    pub message: Option<Vec<u8>>,
    pub commands_taken: usize,
    pub incoming_taken: usize,
    pub answers: Vec<Answer>,
    pub received: Vec<Received>,
    pub dead: Vec<Dead>,
    /// What taking the messages of IN cost.
    pub(crate) work: Work,
}

#[derive(Debug)]
struct Pending {
    chain: [u8; 32],
    in_upto: u64,
    /// The sequence that the batch was decided for: what it changed bears it.
    stamp: u64,
}

#[derive(Debug)]
pub struct Engine {
    pub(crate) state: State,
    pub(crate) owner_key: Option<[u8; 32]>,
    keys: Option<Arc<ScopeKeys>>,
    pending: Option<Pending>,
    /// The maintained digest was found to differ from the recounted one: the next batch records that.
    has_drifted: bool,
    publication: Option<publication::Publication>,
}

impl Engine {
    /// `owner_key`: 32 bytes under which owners are hashed; it is no part of the state.
    pub fn new(scope: &str, owner_key: Option<[u8; 32]>) -> Self {
        Engine {
            state: State::new(scope),
            owner_key,
            keys: None,
            pending: None,
            has_drifted: false,
            publication: None,
        }
    }

    /// The same engine, with the scope's keys: it signs what it writes and believes what is signed (docs/log.md, "MACs").
    #[must_use]
    pub fn with_keys(self, keys: Option<Arc<ScopeKeys>>) -> Self {
        Engine { keys, ..self }
    }

    /// Messages of LOG that did not fit the chain.
    pub fn void_total(&self) -> u64 {
        self.state.counters.void_batches
    }

    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The bytes of a `lead` batch on the present state. `rules`: a JSON object of the settings to change.
    pub fn lead_batch(&self, node: &str, now_ms: i64, rules: &str) -> Result<Vec<u8>, EngineError> {
        if self.pending.is_some() {
            return Err(EngineError::Pending);
        }
        let rules = self
            .state
            .rules
            .overlaid(rules)
            .map_err(|e| EngineError::Rules(e.to_string()))?;
        let rules = Rules {
            edition: EDITION,
            mac_keys: origin::declared(self.keys.as_deref()),
            ..rules
        };
        let signer = origin::signer(&self.state.rules, self.keys.as_deref())?;
        let rules = serde_json::value::to_raw_value(&rules).map_err(|e| EngineError::Rules(e.to_string()))?;
        let position = &self.state.position;
        let header = BatchHeader {
            kind: BatchKind::Lead,
            epoch: position.epoch + 1,
            node: Text::Borrowed(node),
            now_ms: now_ms.max(position.now_ms),
            rules: Some(&rules),
            ..self.header()
        };
        let mut message = BatchWriter::new().finish(&header);
        if let Some(keys) = &self.keys {
            keys.sign_json(signer, Purpose::Batch, b"", &mut message);
        }
        Ok(message)
    }

    fn header(&self) -> BatchHeader<'_> {
        let position = &self.state.position;
        BatchHeader {
            version: 1,
            scope: Text::Borrowed(&self.state.scope),
            kind: BatchKind::Facts,
            epoch: position.epoch,
            node: Text::Borrowed(&position.node),
            batch: position.batch + 1,
            previous: position.chain,
            in_upto: position.in_upto,
            now_ms: position.now_ms,
            lead_ms: position.lead_ms,
            rules: None,
        }
    }

    /// What would become of the IN messages of one body if they came now. Changes nothing.
    pub fn dry_run(&self, now_ms: i64, source: &str, policies_only: bool, messages: &[&[u8]]) -> Outcome {
        intake::dry_run(&self.state, now_ms, source, policies_only, messages)
    }

    /// Decides a group: commands first, until the batch is full, then as many incoming facts as the turn can bear
    /// (`work.rs`). Changes the state ahead of LOG.
    pub fn decide(
        &mut self,
        now_ms: i64,
        lead_ms: i64,
        commands: &[Command<'_>],
        incoming: &[Incoming<'_>],
    ) -> Result<Decision, EngineError> {
        self.decide_together(now_ms, lead_ms, commands, &[], incoming)
    }

    /// The same, where `joined` says of each command whether it goes into the same batch as the one before it; where it
    /// ends, none does. The caller bounds what is joined: what finds no room in a message of LOG is refused.
    pub fn decide_together(
        &mut self,
        now_ms: i64,
        lead_ms: i64,
        commands: &[Command<'_>],
        joined: &[bool],
        incoming: &[Incoming<'_>],
    ) -> Result<Decision, EngineError> {
        if self.pending.is_some() {
            return Err(EngineError::Pending);
        }
        let mut decision = Decision::default();
        let mut writer = BatchWriter::new();
        let clocks = (self.state.position.now_ms, self.state.position.lead_ms);
        let changed = apply::open_batch(&mut self.state, now_ms, lead_ms);
        if std::mem::take(&mut self.has_drifted) {
            self.heal(&mut writer);
        }
        self.carry_out(commands, joined, &mut writer, &mut decision);
        let in_upto = self.take_incoming(incoming, commands.is_empty(), &mut writer, &mut decision);
        self.state.settle_digest();
        if changed || !writer.is_empty() || in_upto > self.state.position.in_upto {
            let header = BatchHeader {
                in_upto,
                ..self.header()
            };
            let mut message = writer.finish(&header);
            if let Some(keys) = self.keys.as_ref().filter(|_| !self.state.rules.mac_keys.is_empty()) {
                keys.sign_json(None, Purpose::Batch, b"", &mut message);
            }
            self.pending = Some(Pending {
                stamp: self.state.position.sequence + 1,
                chain: chain_hash(&message),
                in_upto,
            });
            decision.message = Some(message);
        } else {
            // LOG does not get these times, and the next leader may go on from earlier ones.
            (self.state.position.now_ms, self.state.position.lead_ms) = clocks;
        }
        Ok(decision)
    }

    /// Records in the batch that every process recounts its digest here, so that digests stay comparable.
    fn heal(&mut self, writer: &mut BatchWriter) {
        let digest = digest_from_scratch::count(&self.state).sum();
        turn::record(
            &mut self.state,
            None,
            Fact::DigestRecounted(DigestRecounted { digest }),
            writer,
        );
    }

    pub fn digest(&mut self) -> String {
        self.state.digest()
    }

    /// The digest recounted over the whole state; changes nothing.
    pub fn recount(&self) -> String {
        format!("{:032x}", digest_from_scratch::count(&self.state).sum())
    }

    /// Whether the maintained digest equals the recounted one. Where it does not, the next batch that this engine decides
    /// records that, and every process recounts its digest there.
    pub fn prove(&mut self) -> bool {
        self.has_drifted = self.digest() != self.recount();
        !self.has_drifted
    }

    /// Writes the whole state (docs/snapshots.md); only between batches.
    pub fn snapshot(&mut self, sink: &mut dyn Write) -> Result<snapshot::Header, SnapshotError> {
        if self.pending.is_some() {
            return Err(SnapshotError::Pending);
        }
        snapshot::write(&mut self.state, sink)
    }

    /// The engine that wrote a snapshot, as a replay of LOG up to its sequence would give it; proven by its digest.
    pub fn restore(scope: &str, owner_key: Option<[u8; 32]>, source: &mut dyn Read) -> Result<Self, SnapshotError> {
        Ok(Engine {
            state: snapshot::read(scope, source)?,
            owner_key,
            keys: None,
            pending: None,
            has_drifted: false,
            publication: None,
        })
    }

    /// When, on the lead clock, the next hold is due.
    pub fn next_due_lead_ms(&self) -> Option<i64> {
        expire::next_due(&self.state)
    }

    /// Whether a batch without commands and facts is needed: the UTC day changed since the newest one, or the digest has
    /// drifted.
    pub fn wants_tick(&self, now_ms: i64) -> bool {
        self.has_drifted || now_ms.div_euclid(86_400_000) > i64::from(self.state.today())
    }

    pub fn check(&self) -> Vec<String> {
        invariants::check(&self.state)
    }

    pub fn check_thoroughly(&self) -> Vec<String> {
        invariants::check_thoroughly(&self.state)
    }

    /// Where in LOG the state stands.
    pub fn position(&self) -> &Position {
        &self.state.position
    }
}

/// A key for hashing owners, from a secret of any length.
pub fn owner_key(secret: &[u8]) -> [u8; 32] {
    blake3::derive_key("holdfast 2026 owner hash v1", secret)
}

#[cfg(test)]
mod tests;
