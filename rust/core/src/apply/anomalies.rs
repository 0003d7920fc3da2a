//! Listing what a fact came to, where it came to nothing or to something unexpected.
//!
//! In: a fact just applied, and its outcome. Out: one entry for each SKU that it names, in memory alone.

use crate::state::State;
use crate::state::anomalies::{Anomaly, Entry};
use crate::state::ids::SourceId;
use crate::wire::facts::{Fact, QuantityLine, Text};

/// What a fact is about, as far as the list shows it.
#[derive(Debug, Default)]
struct About<'a> {
    skus: Vec<&'a str>,
    location: Option<&'a str>,
    channel: Option<&'a str>,
    reference: Option<&'a str>,
}

pub(super) fn list(state: &mut State, source: SourceId, fact: &Fact<'_>, kind: Anomaly) {
    let about = about(fact);
    let catalogue = &state.catalogue;
    let entry = Entry {
        place: (0, 0),
        at_ms: state.position.now_ms,
        kind,
        fact: fact.kind(),
        source,
        sku: None,
        location: about.location.and_then(|name| catalogue.location(name)),
        channel: about.channel.and_then(|name| catalogue.channel(name)),
        reference: about.reference.map(Into::into),
    };
    let sequence = state.position.sequence + 1;
    if about.skus.is_empty() {
        state.listed.list(sequence, entry);
        return;
    }
    for name in about.skus {
        let sku = state.catalogue.sku(name);
        state.listed.list(sequence, Entry { sku, ..entry.clone() });
    }
}

fn about<'a>(fact: &'a Fact<'_>) -> About<'a> {
    let at = |sku: &'a Text<'_>, location: &'a Text<'_>, reference: Option<&'a Text<'_>>| About {
        skus: vec![sku],
        location: Some(location),
        channel: None,
        reference: reference.map(AsRef::as_ref),
    };
    let ruled = |sku: &'a Text<'_>, channel: &'a Text<'_>| About {
        skus: vec![sku],
        channel: Some(channel),
        ..About::default()
    };
    match fact {
        Fact::StockLevel(f) => at(&f.sku, &f.location, None),
        Fact::StockDelta(f) => at(&f.sku, &f.location, Some(&f.reference)),
        Fact::Return(f) => at(&f.sku, &f.location, Some(&f.reference)),
        Fact::Supply(f) => at(&f.sku, &f.location, Some(&f.reference)),
        Fact::Demand(f) => About {
            skus: vec![&f.sku],
            location: f.locations.first().map(AsRef::as_ref),
            channel: None,
            reference: Some(&f.reference),
        },
        Fact::Shipment(f) => of_lines(&f.lines, &f.reference),
        Fact::OrderUpdate(f) => of_lines(&f.lines, &f.reference),
        Fact::Allocation(f) => ruled(&f.sku, &f.channel),
        Fact::Cap(f) => ruled(&f.sku, &f.channel),
        Fact::Item(f) => About {
            skus: vec![&f.sku],
            ..About::default()
        },
        _ => About::default(),
    }
}

fn of_lines<'a>(lines: &'a [QuantityLine<'_>], reference: &'a str) -> About<'a> {
    let mut skus: Vec<&str> = lines.iter().map(|line| line.sku.as_ref()).collect();
    skus.sort_unstable();
    skus.dedup();
    About {
        skus,
        reference: Some(reference),
        ..About::default()
    }
}
