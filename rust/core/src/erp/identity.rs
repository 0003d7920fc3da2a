//! Documents that move stock or units: each counts once, however often and in whatever version it comes.
//!
//! In: a statement with an identity, its version and what it moves. Out: what its earlier version moved, or nothing where it
//! has no effect, which is counted. Always: a repeat changes nothing, a lower version nothing, a higher one replaces.

use crate::state::State;
use crate::state::anomalies::Anomaly;
use crate::state::identities::{self, Known, Moves, Remembered};
use crate::state::ids::SourceId;
use crate::wire::facts::Statement;

pub(crate) fn encoded(statement: &Statement<'_>) -> String {
    let mut bytes = Vec::new();
    statement.encode(&mut bytes);
    String::from_utf8(bytes).expect("an encoding is JSON")
}

/// The identity of a document that is one whole; a line that is named is part of it.
pub(crate) fn of_document(source: &str, kind: &str, reference: &str, line: Option<&str>) -> u128 {
    match line {
        None => identities::key(&[source, kind, reference]),
        Some(line) => identities::key(&[source, kind, reference, "line", line]),
    }
}

/// The identity of a movement of one SKU at one location; a line that is named is part of it.
pub(crate) fn of_movement(
    source: &str,
    kind: &str,
    reference: &str,
    line: Option<&str>,
    (sku, location): (&str, &str),
) -> u128 {
    match line {
        None => identities::key(&[source, kind, reference, sku, location]),
        Some(line) => identities::key(&[source, kind, reference, "line", line, sku, location]),
    }
}

/// Asks the memory of identities; None where the document has no effect. Else what its earlier version moved.
pub(super) fn is_to_count(
    state: &mut State,
    source: SourceId,
    statement: &Statement<'_>,
    key: u128,
    version: Option<i64>,
    moves: Moves,
) -> Option<Moves> {
    let body = statement.body();
    let before = match state.identities.ask(key, version, body) {
        Known::New => Vec::new(),
        Known::Newer(before) => before,
        Known::Repeat => {
            state.note(Anomaly::Repeat);
            return None;
        }
        Known::Stale => {
            state.note(Anomaly::LowerVersion);
            return None;
        }
        Known::Anomaly => {
            state.note(Anomaly::ConflictingBody);
            return None;
        }
    };
    let whose = state.whose(source);
    let what = Remembered {
        version,
        body,
        moves,
        whose,
        taken_of: None,
    };
    state.remember_identity(key, what);
    Some(before)
}

/// What a newer body adds to an older one, by SKU and location.
pub(super) fn difference(new: &Moves, old: &Moves) -> Moves {
    let mut all: Moves = new.clone();
    for &(sku, location, quantity) in old {
        match all.iter_mut().find(|(s, l, _)| *s == sku && *l == location) {
            Some((_, _, q)) => *q -= quantity,
            None => all.push((sku, location, -quantity)),
        }
    }
    all.retain(|(_, _, q)| *q != 0);
    all
}
