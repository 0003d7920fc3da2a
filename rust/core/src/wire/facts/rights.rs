//! What a fact reaches: whether its kind needs the right to set rules, and which locations it is about.
//!
//! In: a fact, or the word of its kind. Out: what a sender must be allowed. Always: items and locations, the master data of
//! an ERP, need no separate right; every other policy kind does.

use super::parse::kind_of;
use super::{Fact, Text};

/// The kinds that only a sender with the operation `policies` may send.
const OF_RULES: [&str; 9] = [
    "channel",
    "allocation",
    "cap",
    "safety",
    "oversell",
    "freshness",
    "restriction",
    "source.reset",
    "ownership",
];

/// Whether facts of this kind set rules of sale, or say whose statements count.
pub(crate) fn is_kind_of_rules(kind: &str) -> bool {
    OF_RULES.contains(&kind)
}

/// The word of a fact's kind, found as reading the fact finds it; None where there is none.
pub(crate) fn kind_word(raw: &str) -> Option<Text<'_>> {
    kind_of(raw).ok()
}

/// The locations that a fact reaches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach<'f> {
    /// These and no other.
    Locations(Vec<&'f str>),
    /// Perhaps any.
    Any,
}

impl Fact<'_> {
    /// Whether it sets rules of sale, or says whose statements count.
    pub const fn is_rule(&self) -> bool {
        self.is_policy() && !matches!(self, Self::Item(_) | Self::Location(_))
    }

    /// Which locations it says something about.
    pub(crate) fn reach(&self) -> Reach<'_> {
        match self {
            Self::StockLevel(f) => Reach::Locations(vec![&f.location]),
            Self::StockDelta(f) => Reach::Locations(vec![&f.location]),
            Self::Supply(f) => Reach::Locations(vec![&f.location]),
            Self::Receipt(f) => Reach::Locations(vec![&f.location]),
            Self::Transfer(f) => Reach::Locations(vec![&f.from, &f.to]),
            Self::Demand(f) => named(f.locations.iter().map(|location| Some(&**location))),
            Self::OrderAck(f) => named(f.lines.iter().map(|line| Some(&*line.location))),
            Self::OrderUpdate(f) => named(f.lines.iter().map(|line| line.location.as_deref())),
            Self::Shipment(f) => named(f.lines.iter().map(|line| line.location.as_deref())),
            Self::Return(f) => Reach::Locations(vec![&f.location]),
            Self::Location(f) => Reach::Locations(vec![&f.location]),
            _ => Reach::Any,
        }
    }
}

/// Lines that all name their location reach those; no lines at all (the whole order, a withdrawal) reach any.
fn named<'f>(lines: impl Iterator<Item = Option<&'f str>>) -> Reach<'f> {
    match lines.collect::<Option<Vec<_>>>() {
        Some(locations) if !locations.is_empty() => Reach::Locations(locations),
        _ => Reach::Any,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::statement;
    use super::*;

    proptest! {
        #[test]
        fn the_word_of_a_kind_says_what_the_fact_says(statement in statement()) {
            prop_assert_eq!(is_kind_of_rules(statement.fact.kind()), statement.fact.is_rule());
        }
    }
}
