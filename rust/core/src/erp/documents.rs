//! Facts about stock on the move: supply, demand, and movements that count on top of a level.
//!
//! In: facts already checked. Out: changed documents, cells and bindings.
//! Always: a movement counts on top of a level that it is newer than, until a newer level absorbs it.

use crate::state::State;
use crate::state::anomalies::Anomaly;
use crate::state::ids::{SkuId, SourceId};
use crate::state::supply::DocumentKey;

/// What a newer statement about a document is to the one held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Newness {
    Repeat,
    /// A lower version.
    Stale,
    /// An older `as_of`.
    Older,
    Anomaly,
    /// It would open a closed line again, and nothing shows that it is newer.
    ClosedSupply,
    Replaces,
}

pub(crate) fn newness(old: Option<i64>, new: Option<i64>, same_body: bool) -> Newness {
    match (old, new) {
        _ if same_body && old == new => Newness::Repeat,
        (Some(held), Some(stated)) if stated < held => Newness::Stale,
        (Some(held), Some(stated)) if stated == held => Newness::Anomaly,
        (Some(_), None) => Newness::Anomaly,
        _ => Newness::Replaces,
    }
}

/// Counts a statement without effect; true where it is to be applied.
pub(crate) fn is_to_apply(state: &mut State, newness: &Newness) -> bool {
    match newness {
        Newness::Repeat => state.note(Anomaly::Repeat),
        Newness::Stale => state.note(Anomaly::LowerVersion),
        Newness::Older => state.note(Anomaly::Stale),
        Newness::Anomaly => state.note(Anomaly::ConflictingBody),
        Newness::ClosedSupply => state.note(Anomaly::ClosedSupply),
        Newness::Replaces => return true,
    }
    false
}

pub(crate) fn key_of(source: SourceId, reference: &str, line: &str) -> DocumentKey {
    (source, reference.into(), line.into())
}

/// Base units of a quantity that may name a unit.
pub(crate) fn in_base(state: &State, sku: SkuId, quantity: i64, unit: Option<&str>) -> i64 {
    quantity * unit.and_then(|u| state.catalogue.unit_factor(sku, u)).unwrap_or(1)
}
