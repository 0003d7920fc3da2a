//! Whether the tables of names have room for those that a fact brings.
//!
//! In: a statement and what it would meet. Out: nothing, or the reason that the sender gets. Always: a full table refuses only
//! what is new; facts about known names are taken for ever.

use hashbrown::HashSet;

use super::Checked;
use crate::engine::foreseen::Foreseen;
use crate::state::names::Kind;
use crate::wire::facts::{Fact, Statement};

/// No fact names so many of one kind (`wire/facts/bounds.rs`).
const OF_ONE_FACT: usize = 5_000;

pub(super) fn room(ahead: &Foreseen<'_, '_>, statement: &Statement<'_>) -> Checked {
    for kind in Kind::ALL {
        let (known, most) = (ahead.names(kind), kind.most());
        if known + OF_ONE_FACT <= most {
            continue;
        }
        let named: HashSet<&str> = named(kind, statement).into_iter().collect();
        let new = named.into_iter().filter(|name| !ahead.knows(kind, name)).count();
        if new > 0 && known + new > most {
            let plural = kind.plural();
            return Err(format!(
                "too-many-names: a scope has at most {most} {plural}, and {known} are known"
            ));
        }
    }
    Ok(())
}

/// The names of one kind that applying a fact gives numbers to, where they have none.
fn named<'s>(kind: Kind, statement: &'s Statement<'_>) -> Vec<&'s str> {
    match kind {
        Kind::Sku => skus(&statement.fact),
        Kind::Location => locations(&statement.fact),
        Kind::Channel => channel(&statement.fact).into_iter().collect(),
        Kind::Source => {
            let other = match &statement.fact {
                Fact::Freshness(f) => Some(&*f.source),
                Fact::Ownership(f) => Some(&*f.source),
                _ => None,
            };
            other.into_iter().chain([&*statement.source]).collect()
        }
        Kind::Region => match &statement.fact {
            Fact::Location(f) => f.regions.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        },
    }
}

fn skus<'s>(fact: &'s Fact<'_>) -> Vec<&'s str> {
    match fact {
        Fact::StockLevel(f) => vec![&f.sku],
        Fact::StockDelta(f) => vec![&f.sku],
        Fact::Return(f) => vec![&f.sku],
        Fact::Receipt(f) => vec![&f.sku],
        Fact::Supply(f) => vec![&f.sku],
        Fact::Transfer(f) => vec![&f.sku],
        Fact::Demand(f) => vec![&f.sku],
        Fact::Item(f) => {
            let components = f.kit.iter().map(|component| &*component.sku);
            components.chain([&*f.sku]).collect()
        }
        Fact::Allocation(f) => vec![&f.sku],
        Fact::Cap(f) => vec![&f.sku],
        Fact::Safety(f) => f.sku.as_deref().into_iter().collect(),
        Fact::Oversell(f) => f.sku.as_deref().into_iter().collect(),
        Fact::Restriction(f) => f.sku.as_deref().into_iter().collect(),
        Fact::SourceReset(f) => f.sku.as_deref().into_iter().collect(),
        Fact::OrderUpdate(f) => f.lines.iter().map(|line| &*line.sku).collect(),
        Fact::Shipment(f) => f.lines.iter().map(|line| &*line.sku).collect(),
        _ => Vec::new(),
    }
}

fn locations<'s>(fact: &'s Fact<'_>) -> Vec<&'s str> {
    match fact {
        Fact::StockLevel(f) => vec![&f.location],
        Fact::StockDelta(f) => vec![&f.location],
        Fact::Return(f) => vec![&f.location],
        Fact::Receipt(f) => vec![&f.location],
        Fact::Supply(f) => vec![&f.location],
        Fact::Location(f) => vec![&f.location],
        Fact::Ownership(f) => vec![&f.location],
        Fact::Transfer(f) => vec![&f.from, &f.to],
        Fact::Demand(f) => f.locations.iter().map(AsRef::as_ref).collect(),
        Fact::Channel(f) => f.locations.iter().flatten().map(AsRef::as_ref).collect(),
        Fact::Safety(f) => f.location.iter().map(AsRef::as_ref).collect(),
        Fact::SourceReset(f) => f.location.iter().map(AsRef::as_ref).collect(),
        Fact::OrderAck(f) => f.lines.iter().map(|line| &*line.location).collect(),
        Fact::OrderUpdate(f) => f.lines.iter().filter_map(|line| line.location.as_deref()).collect(),
        Fact::Shipment(f) => f.lines.iter().filter_map(|line| line.location.as_deref()).collect(),
        _ => Vec::new(),
    }
}

fn channel<'s>(fact: &'s Fact<'_>) -> Option<&'s str> {
    match fact {
        Fact::Channel(f) => Some(&f.channel),
        Fact::Allocation(f) => Some(&f.channel),
        Fact::Cap(f) => Some(&f.channel),
        Fact::Oversell(f) => f.channel.as_deref(),
        Fact::Restriction(f) => f.channel.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
