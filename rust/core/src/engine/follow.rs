//! What LOG holds, one message after the other: the own batch, another's, or one that is void.
//!
//! In: sequences and stored messages. Out: the state at that sequence. Always: no message is left out; one that does not
//! continue the state is void, skipped and counted, on every node alike.

use super::{Engine, EngineError, origin};
use crate::apply;
use crate::state::rules::{EDITION, Rules};
use crate::verbs::prefetch;
use crate::wire::batch::{Batch, BatchHeader, BatchKind, chain_hash, parse_batch};

impl Engine {
    /// The pending batch is stored at `sequence`.
    pub fn commit(&mut self, sequence: u64) -> Result<(), EngineError> {
        let expected = self.state.position.sequence + 1;
        if sequence != expected {
            return Err(EngineError::Gap {
                expected,
                got: sequence,
            });
        }
        let pending = self.pending.take().ok_or(EngineError::NotPending)?;
        self.state.note_moved(pending.stamp, sequence);
        let position = &mut self.state.position;
        position.sequence = sequence;
        position.batch += 1;
        position.chain = pending.chain;
        position.in_upto = pending.in_upto;
        Ok(())
    }

    /// Applies a stored message; false: it is void (it does not fit the chain), skipped and counted, on every node alike.
    pub fn apply(&mut self, sequence: u64, message: &[u8]) -> Result<bool, EngineError> {
        if self.pending.is_some() {
            return Err(EngineError::Pending);
        }
        let expected = self.state.position.sequence + 1;
        if sequence != expected {
            return Err(EngineError::Gap {
                expected,
                got: sequence,
            });
        }
        let Some(batch) = self.effective(message)? else {
            self.skip(sequence);
            return Ok(false);
        };
        let unreadable = |reason: String| EngineError::Unreadable { sequence, reason };
        if let Some(rules) = batch.header.rules {
            let rules = serde_json::from_str::<Rules>(rules.get()).map_err(|e| unreadable(e.to_string()))?;
            if rules.edition > EDITION {
                let newest = format!(
                    "edition {} of the rules, this version knows {EDITION}: upgrade it",
                    rules.edition
                );
                return Err(unreadable(newest));
            }
            if rules != self.state.rules {
                self.state.unproven = true;
                self.state.watch_all();
            }
            self.state.rules = rules;
        }
        apply::open_batch(&mut self.state, batch.header.now_ms, batch.header.lead_ms);
        if let Some(publication) = &mut self.publication {
            publication.note(&mut self.state, None);
        }
        for group in batch.facts.chunks(prefetch::TEXTS_MAX) {
            prefetch::look_into(&self.state, group.iter().flatten());
            for read in group {
                let statement = read.as_ref().map_err(|error| unreadable(error.to_string()))?;
                apply::statement(&mut self.state, statement);
                if let Some(publication) = &mut self.publication {
                    publication.note(&mut self.state, Some(statement));
                }
            }
            // While what changed is still in the processor's caches.
            self.state.settle_digest();
        }
        self.state.settle_digest();
        if let Some(publication) = &mut self.publication {
            publication.settle(&mut self.state);
        }
        let position = &mut self.state.position;
        if batch.header.kind == BatchKind::Lead {
            position.epoch = batch.header.epoch;
            position.node = batch.header.node.into_owned();
        }
        position.sequence = sequence;
        position.batch = batch.header.batch;
        position.chain = chain_hash(message);
        position.in_upto = batch.header.in_upto;
        Ok(true)
    }

    /// A message of LOG where the pending batch should stand: whether no process of the scope can have written it, because
    /// it lacks a right code. If so it is skipped and counted like in [`Self::apply`], and the pending batch follows it. If
    /// not, nothing changes: it may be a batch of another history, and only a replay can tell.
    pub fn skip_unsigned(&mut self, sequence: u64, message: &[u8]) -> Result<bool, EngineError> {
        let expected = self.state.position.sequence + 1;
        if sequence != expected {
            return Err(EngineError::Gap {
                expected,
                got: sequence,
            });
        }
        let lacks_code = self.lacks_code(message)?;
        if lacks_code {
            self.skip(sequence);
        }
        Ok(lacks_code)
    }

    /// Whether no process of the scope can have written a message of LOG, by its code.
    pub fn lacks_code(&self, message: &[u8]) -> Result<bool, EngineError> {
        Ok(!origin::is_signed_as_declared(
            &self.state.rules,
            self.keys.as_deref(),
            message,
        )?)
    }

    /// The names of the keys that batches of LOG are signed with from here on; none where they need no code.
    pub fn mac_keys(&self) -> &[String] {
        &self.state.rules.mac_keys
    }

    /// Whether batches are signed from here on.
    pub fn is_signed(&self) -> bool {
        !self.state.rules.mac_keys.is_empty()
    }

    fn skip(&mut self, sequence: u64) {
        self.state.counters.void_batches += 1;
        self.state.position.sequence = sequence;
    }

    /// A message of LOG as a batch; None: it is void. Where batches are signed, one without a right code costs a hash.
    fn effective<'a>(&self, message: &'a [u8]) -> Result<Option<Batch<'a>>, EngineError> {
        let keys = self.keys.as_deref();
        if !origin::is_signed_as_declared(&self.state.rules, keys, message)? {
            return Ok(None);
        }
        let batch = parse_batch(message).ok().filter(|batch| self.fits(&batch.header));
        match batch {
            Some(batch) if origin::is_well_declared(&self.state.rules, &batch, keys, message)? => Ok(Some(batch)),
            _ => Ok(None),
        }
    }

    /// Whether a batch continues this state: the chain, the scope, and for facts the current leader.
    fn fits(&self, header: &BatchHeader<'_>) -> bool {
        let position = &self.state.position;
        let in_office = match header.kind {
            BatchKind::Lead => header.epoch == position.epoch + 1,
            BatchKind::Facts => header.epoch == position.epoch && header.node == position.node.as_str(),
        };
        header.version == 1
            && header.scope == self.state.scope.as_str()
            && header.previous == position.chain
            && header.batch == position.batch + 1
            && header.in_upto >= position.in_upto
            && in_office
    }
}
