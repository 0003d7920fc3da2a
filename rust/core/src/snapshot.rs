//! Snapshots: the whole state as bytes, and back (docs/snapshots.md gives every byte).
//!
//! In: a state between two batches, or a file's bytes in order. Out: bytes that do not depend on hash order or on memory
//! layout, or the very state that a replay of LOG gives. Always: the same state gives the same content; nothing of a
//! damaged file is accepted: every block, length and number is checked, and the digest is recounted from what was
//! read. What can be derived is derived, not stored. The owner key is no part of it.

mod blocks;
mod derived;
mod header;
#[allow(
    clippy::wildcard_imports,
    reason = "a table is a part of its file, not a module apart"
)]
mod tables;
#[cfg(test)]
mod tests;
mod wire;

use std::io::{Read, Write};

pub use header::Header;

use crate::audit::invariants;
use crate::state::State;
use blocks::{BlockReader, BlockWriter};
use tables::{TABLES, tables_of};
use wire::{In, Out};

/// The format that is written; older ones are read as well (docs/snapshots.md says what each added).
pub const FORMAT: u32 = 4;

/// Why a snapshot was not written or cannot be used. None of these leaves anything half done.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot could not be read or written: {0}")]
    Io(#[from] std::io::Error),
    #[error("this file is not a snapshot: it does not begin as one")]
    NotASnapshot,
    #[error(
        "the snapshot has format {found}, this build reads up to {known}: use the version that wrote it, or replay LOG"
    )]
    TooNew { found: u32, known: u32 },
    #[error("the snapshot is of scope {found:?}, not {wanted:?}")]
    OtherScope { found: String, wanted: String },
    #[error("the snapshot is damaged ({part}: {reason}): use an older one, or replay LOG")]
    Damaged { part: &'static str, reason: String },
    #[error("the snapshot's contents have digest {counted}, its header says {stated}: use an older one, or replay LOG")]
    DigestDiffers { stated: String, counted: String },
    #[error("a batch is pending: take the snapshot after it is committed")]
    Pending,
}

impl SnapshotError {
    pub(crate) fn damaged(part: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        SnapshotError::Damaged { part, reason }
    }
}

/// Writes a snapshot and returns its header. Uses one block of memory and, at a time, the sorted keys of one table.
pub(crate) fn write(state: &mut State, sink: &mut dyn Write) -> Result<Header, SnapshotError> {
    state.settle_digest();
    state.renew_all();
    let counts = TABLES.iter().map(|table| (table.count)(state)).collect();
    let header = Header::of(state, counts);
    let mut blocks = BlockWriter::begin(sink, &header.encoded())?;
    for (number, table) in TABLES.iter().enumerate() {
        blocks.open(number as u16);
        (table.write)(state, &mut Out::new(&mut blocks));
        blocks.close()?;
    }
    blocks.finish()?;
    Ok(header)
}

/// Reads a snapshot of `scope` into a state that answers as the written one did. Reads to the end of `source`.
pub(crate) fn read(scope: &str, source: &mut dyn Read) -> Result<State, SnapshotError> {
    let (mut blocks, bytes) = BlockReader::begin(source)?;
    let tables = tables_of(blocks.format);
    let header = Header::decoded(&bytes, tables.len())?;
    if header.scope != scope {
        return Err(SnapshotError::OtherScope {
            found: header.scope,
            wanted: scope.to_owned(),
        });
    }
    let mut state = State::new(scope);
    state.position = header.position()?;
    state.rules = header.rules.clone();
    for (number, (table, (name, count))) in tables.iter().zip(&header.tables).enumerate() {
        if table.name != name {
            return Err(SnapshotError::damaged(
                "header",
                "the tables are not those of its format",
            ));
        }
        blocks.open(number as u16, table.name)?;
        (table.read)(&mut state, &mut In::new(&mut blocks, table.name), *count)?;
        blocks.close()?;
    }
    blocks.finish()?;
    derived::renew(&mut state)?;
    prove(&mut state, &header)?;
    Ok(state)
}

/// What was read is what the header promises: the digest counted from the entities, and sums that must agree.
fn prove(state: &mut State, header: &Header) -> Result<(), SnapshotError> {
    state.recount_digest();
    let counted = state.digest();
    if counted != header.digest {
        return Err(SnapshotError::DigestDiffers {
            stated: header.digest.clone(),
            counted,
        });
    }
    match invariants::check(state)
        .into_iter()
        .chain(invariants::identities(state))
        .next()
    {
        Some(wrong) => Err(SnapshotError::damaged("sums", wrong)),
        None => Ok(()),
    }
}
