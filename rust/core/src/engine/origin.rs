//! Who may write LOG: batches are signed with the scope key from the first lead batch on that declares its keys
//! (docs/log.md, "MACs").
//!
//! In: the declared keys, the keys of this process, a message of LOG. Out: whether the message can take effect. Always: a
//! message without a right code costs a hash and is void on every process alike; a process that lacks a declared key does
//! not guess, it stops.

use super::{EngineError, Incoming};
use crate::state::rules::Rules;
use crate::wire::batch::{Batch, BatchKind};
use crate::wire::mac::{Origin, Purpose, ScopeKeys};

/// The keys that a leader with these declares.
pub(super) fn declared(keys: Option<&ScopeKeys>) -> Vec<String> {
    keys.map_or_else(Vec::new, |keys| keys.ids().map(str::to_owned).collect())
}

/// The key that signs a lead batch on a state: one that is declared already, or, where none is, the first (None).
pub(super) fn signer<'a>(rules: &Rules, keys: Option<&'a ScopeKeys>) -> Result<Option<&'a str>, EngineError> {
    let Some(first) = rules.mac_keys.first() else {
        return Ok(None);
    };
    let known = keys.and_then(|keys| {
        keys.ids()
            .find(|id| rules.mac_keys.iter().any(|declared| declared == id))
    });
    match known {
        Some(id) => Ok(Some(id)),
        None => Err(missing(first)),
    }
}

/// Whether the message has the code that the state asks for.
pub(super) fn is_signed_as_declared(
    rules: &Rules,
    keys: Option<&ScopeKeys>,
    message: &[u8],
) -> Result<bool, EngineError> {
    match rules.mac_keys.first() {
        None => Ok(true),
        Some(first) => is_signed_by(&rules.mac_keys, keys.ok_or_else(|| missing(first))?, message),
    }
}

/// Whether a lead batch is signed with one of the keys that it declares, where no key was declared before it.
pub(super) fn is_well_declared(
    before: &Rules,
    batch: &Batch<'_>,
    keys: Option<&ScopeKeys>,
    message: &[u8],
) -> Result<bool, EngineError> {
    let (BatchKind::Lead, Some(rules), true) = (batch.header.kind, batch.header.rules, before.mac_keys.is_empty())
    else {
        return Ok(true);
    };
    match serde_json::from_str::<Rules>(rules.get()) {
        Ok(rules) => is_signed_as_declared(&rules, keys, message),
        Err(_) => Ok(true), // applying it will say what is wrong
    }
}

/// Whether a gateway sent a message of IN. Without the scope's keys that cannot be known, and everybody is believed.
pub(super) fn is_from_gateway(keys: Option<&ScopeKeys>, message: &Incoming<'_>) -> bool {
    keys.is_none_or(|keys| {
        let origin = keys.origin_of_json(Purpose::Incoming, message.subject.as_bytes(), message.payload);
        matches!(origin, Origin::Proven { .. })
    })
}

fn is_signed_by(declared: &[String], keys: &ScopeKeys, message: &[u8]) -> Result<bool, EngineError> {
    let is_declared = |key: &str| declared.iter().any(|one| one == key);
    match keys.origin_of_json(Purpose::Batch, b"", message) {
        Origin::Proven { key } => Ok(is_declared(key)),
        Origin::UnknownKey { key } if is_declared(key) => Err(missing(key)),
        Origin::UnknownKey { .. } | Origin::Unproven => Ok(false),
    }
}

fn missing(key: &str) -> EngineError {
    EngineError::KeyMissing { wanted: key.to_owned() }
}

#[cfg(test)]
mod tests;
