//! Facts that had no effect, or an unexpected one: how the newest came out, and a bounded list of the late ones by SKU.
//!
//! In: what applying a fact came to. Out: the reason that its sender gets, and entries in the order of LOG.
//! Always: in memory only, the same on every node that applied the same batches; neither in the digest nor in snapshots, so
//! a process that starts from one begins with an empty list. Repeats cannot crowd out the others: each kind has its own bound.

use std::collections::VecDeque;

use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};

/// Entries of each kind; the oldest is forgotten first.
pub(crate) const ENTRIES_MAX: usize = 2_000;
const KINDS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Anomaly {
    /// The same again.
    Repeat,
    /// Older than what is known: a level's `as_of`, a period that was left.
    Stale,
    LowerVersion,
    /// The same identity and version, and another body.
    ConflictingBody,
    /// A movement that the level counts already.
    Covered,
    /// An `open` that is not newer than what closed the line.
    ClosedSupply,
    /// Two levels of one `as_of` that differ: the later one counts.
    LevelConflict,
    /// The levels of a SKU whose name became an alias.
    LevelsDropped,
}

impl Anomaly {
    pub(crate) const ALL: [Anomaly; KINDS] = [
        Self::Repeat,
        Self::Stale,
        Self::LowerVersion,
        Self::ConflictingBody,
        Self::Covered,
        Self::ClosedSupply,
        Self::LevelConflict,
        Self::LevelsDropped,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Stale => "stale",
            Self::LowerVersion => "lower-version",
            Self::ConflictingBody => "conflicting-body",
            Self::Covered => "covered",
            Self::ClosedSupply => "closed-supply",
            Self::LevelConflict => "level-conflict",
            Self::LevelsDropped => "levels-dropped",
        }
    }

    /// Whether the fact came to nothing.
    pub(crate) fn is_ignored(self) -> bool {
        !matches!(self, Self::LevelConflict | Self::LevelsDropped)
    }
}

/// Where in LOG an entry stands: the batch's sequence, and its place among the entries of that batch.
pub(crate) type Place = (u64, u32);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) at_ms: i64,
    pub(crate) kind: Anomaly,
    /// The `kind` of the fact.
    pub(crate) fact: &'static str,
    pub(crate) source: SourceId,
    pub(crate) sku: Option<SkuId>,
    pub(crate) location: Option<LocationId>,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) reference: Option<Box<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Anomalies {
    by_kind: [VecDeque<Entry>; KINDS],
    newest: Place,
}

impl Anomalies {
    /// Lists an entry of the batch that `sequence` will be; its own place is given here.
    pub(crate) fn list(&mut self, sequence: u64, mut entry: Entry) {
        let next = if self.newest.0 == sequence {
            self.newest.1 + 1
        } else {
            0
        };
        self.newest = (sequence, next);
        entry.place = self.newest;
        let entries = &mut self.by_kind[entry.kind as usize];
        if entries.len() == ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// Entries of one kind, or of all, after a place, in the order of LOG.
    pub(crate) fn after(&self, place: Option<Place>, kind: Option<Anomaly>) -> Vec<&Entry> {
        let kinds = Anomaly::ALL.iter().filter(|&&one| kind.is_none_or(|kind| kind == one));
        let mut found: Vec<&Entry> = Vec::new();
        for one in kinds {
            let entries = &self.by_kind[*one as usize];
            let from = entries.partition_point(|entry| place.is_some_and(|place| entry.place <= place));
            found.extend(entries.range(from..));
        }
        found.sort_unstable_by_key(|entry| entry.place);
        found
    }
}

impl State {
    /// Counts what the fact that is applied came to; `outcome` has it until the next.
    pub(crate) fn note(&mut self, anomaly: Anomaly) {
        let counters = &mut self.counters;
        match anomaly {
            Anomaly::Repeat => counters.repeats += 1,
            Anomaly::Stale => counters.stale_levels += 1,
            Anomaly::LowerVersion => counters.stale_versions += 1,
            Anomaly::ConflictingBody => counters.anomalies += 1,
            Anomaly::LevelConflict => counters.level_conflicts += 1,
            Anomaly::Covered | Anomaly::ClosedSupply | Anomaly::LevelsDropped => {}
        }
        self.outcome = Some(anomaly);
    }
}
