//! The header: where in LOG a snapshot stands and what is in it, as one line of JSON that any tool can read.
//!
//! In: a state, or the header's bytes. Out: the same, checked. Always: keys stand in one order, without blanks, so that
//! the same state gives the same bytes; the bytes are bounded and carry their own checksum (`blocks`).

use serde::{Deserialize, Serialize};

use super::SnapshotError;
use super::tables::TABLES;
use crate::state::rules::Rules;
use crate::state::{Position, State};

/// What a snapshot states about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub scope: String,
    /// Of the newest LOG message that is in it.
    pub sequence: u64,
    pub batch: u64,
    pub epoch: u64,
    /// The leader at that sequence.
    pub node: String,
    /// The hash of the newest batch, 64 hex digits.
    pub chain: String,
    /// The last IN sequence taken.
    pub in_upto: u64,
    pub now_ms: i64,
    pub lead_ms: i64,
    /// Of the state, 32 hex digits.
    pub digest: String,
    pub compression: String,
    pub rules: Rules,
    /// Each table's name and how many entries it has, in the order of the body.
    pub tables: Vec<(String, u64)>,
}

const COMPRESSION: &str = "zstd";

impl Header {
    pub(super) fn of(state: &mut State, counts: Vec<u64>) -> Self {
        let digest = state.digest();
        let Position {
            sequence,
            batch,
            epoch,
            node,
            chain,
            in_upto,
            now_ms,
            lead_ms,
        } = state.position.clone();
        Header {
            scope: state.scope.clone(),
            sequence,
            batch,
            epoch,
            node,
            chain: blake3::Hash::from_bytes(chain).to_hex().to_string(),
            in_upto,
            now_ms,
            lead_ms,
            digest,
            compression: COMPRESSION.to_owned(),
            rules: state.rules.clone(),
            tables: TABLES.iter().map(|t| t.name.to_owned()).zip(counts).collect(),
        }
    }

    /// The bytes that stand in the file.
    pub fn encoded(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a header is plain JSON")
    }

    /// `tables`: how many there are in a file of its format.
    pub(super) fn decoded(bytes: &[u8], tables: usize) -> Result<Self, SnapshotError> {
        let header: Header =
            serde_json::from_slice(bytes).map_err(|error| SnapshotError::damaged("header", error.to_string()))?;
        if header.compression != COMPRESSION || header.tables.len() != tables {
            return Err(SnapshotError::damaged("header", "it does not fit its format"));
        }
        Ok(header)
    }

    pub(super) fn position(&self) -> Result<Position, SnapshotError> {
        let chain =
            blake3::Hash::from_hex(&self.chain).map_err(|_| SnapshotError::damaged("header", "chain is no hash"))?;
        Ok(Position {
            sequence: self.sequence,
            batch: self.batch,
            epoch: self.epoch,
            node: self.node.clone(),
            chain: *chain.as_bytes(),
            in_upto: self.in_upto,
            now_ms: self.now_ms,
            lead_ms: self.lead_ms,
        })
    }
}
