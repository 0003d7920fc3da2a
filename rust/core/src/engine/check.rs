//! Whether an incoming fact can be taken into LOG. Facts are never refused for business reasons, only because they cannot
//! be understood or could never be absorbed (api.md, "Order").
//!
//! In: a parsed statement and the state it would meet. Out: nothing, or the reason that the sender and the dead letter get.

use crate::state::State;
use crate::state::ids::{LocationId, SkuId};
use crate::state::quantity::{QUANTITY_MAX, scaled};
use crate::wire::facts::{AsOf, Fact, Statement};

/// Names of one kind that a scope may have: ids are 16 bits wide.
const NAMES_MAX: usize = 60_000;

type Checked = Result<(), String>;

fn reject(reason: &str) -> Checked {
    Err(reason.to_owned())
}

pub(crate) fn statement(state: &State, statement: &Statement<'_>) -> Checked {
    let names = &state.catalogue;
    let full = [
        &names.location_names,
        &names.channel_names,
        &names.source_names,
        &names.region_names,
    ];
    if full.iter().any(|table| table.len() >= NAMES_MAX) {
        return reject("too-many-names: locations, channels, sources and regions are bounded to 60,000 each");
    }
    names_known(state, &statement.fact)?;
    clocks(state, &statement.source, &statement.fact)?;
    match &statement.fact {
        Fact::StockLevel(f) => {
            let u = &f.unsellable;
            let parts = [u.quality_control, u.damaged, u.quarantined, u.in_transfer];
            for quantity in [f.on_hand, f.allocated.unwrap_or(0)].into_iter().chain(parts) {
                in_unit(state, &f.sku, quantity, f.unit.as_deref())?;
            }
            Ok(())
        }
        Fact::StockDelta(f) => moves(state, &f.sku, &f.location, f.quantity, f.unit.as_deref()),
        Fact::Return(f) => moves(state, &f.sku, &f.location, f.quantity, f.unit.as_deref()),
        Fact::Supply(f) => in_unit(state, &f.sku, f.quantity, f.unit.as_deref()),
        Fact::Demand(f) => in_unit(state, &f.sku, f.quantity, f.unit.as_deref()),
        Fact::Shipment(f) => f.lines.iter().try_for_each(|line| match line.location.as_deref() {
            Some(location) => moves(state, &line.sku, location, -line.quantity, None),
            None => Ok(()),
        }),
        Fact::Item(f) => item(state, f),
        _ => Ok(()),
    }
}

fn known_location(state: &State, name: &str) -> Checked {
    if state.rules.create_unknown_locations || state.catalogue.location(name).is_some() {
        return Ok(());
    }
    reject("unknown-location")
}

fn known_sku(state: &State, name: &str) -> Checked {
    if state.rules.create_unknown_skus || state.catalogue.sku(name).is_some() {
        return Ok(());
    }
    reject("unknown-sku")
}

fn stock_of_its_own(state: &State, sku: &str) -> Checked {
    match state.catalogue.sku(sku) {
        Some(sku) if state.catalogue.is_kit(sku) => reject("kit-has-no-stock"),
        _ => Ok(()),
    }
}

fn names_known(state: &State, fact: &Fact<'_>) -> Checked {
    let base = |sku: &str, locations: &[&str]| {
        for location in locations {
            known_location(state, location)?;
        }
        known_sku(state, sku)?;
        stock_of_its_own(state, sku)
    };
    match fact {
        Fact::StockLevel(f) => base(&f.sku, &[&f.location]),
        Fact::StockDelta(f) => base(&f.sku, &[&f.location]),
        Fact::Supply(f) => base(&f.sku, &[&f.location]),
        Fact::Return(f) => base(&f.sku, &[&f.location]),
        Fact::Demand(f) => base(&f.sku, &f.locations.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        Fact::OrderAck(f) => f.lines.iter().try_for_each(|line| {
            // A line of an order that is no stock of ours (shipping, say) must not keep the others from being heard.
            known_location(state, &line.location)
        }),
        Fact::OrderUpdate(f) => lines_known(state, &f.lines),
        Fact::Shipment(f) => {
            lines_known(state, &f.lines)?;
            f.lines.iter().try_for_each(|line| known_sku(state, &line.sku))
        }
        Fact::Channel(f) => f.locations.iter().flatten().try_for_each(|l| known_location(state, l)),
        Fact::Safety(f) => f.location.as_deref().map_or(Ok(()), |l| known_location(state, l)),
        _ => Ok(()),
    }
}

fn lines_known(state: &State, lines: &[crate::wire::facts::QuantityLine<'_>]) -> Checked {
    lines
        .iter()
        .try_for_each(|line| line.location.as_deref().map_or(Ok(()), |l| known_location(state, l)))
}

/// A source tells time or counts, never both; a location's levels and acknowledgements are its owner's, and movements of
/// others count only where both clocks are time.
fn clocks(state: &State, source: &str, fact: &Fact<'_>) -> Checked {
    let Some(as_of) = fact.as_of() else { return Ok(()) };
    let tells_time = matches!(as_of, AsOf::Time(_));
    let known = state
        .catalogue
        .source_names
        .get(source)
        .map(|n| crate::state::ids::SourceId(n as u16));
    if known
        .and_then(|s| state.source_clock[s.at()])
        .is_some_and(|time| time != tells_time)
    {
        return reject("mixed-clock");
    }
    let owner = |name: &str| {
        state
            .catalogue
            .location(name)
            .and_then(|l| state.location_owner[l.at()])
    };
    let owns = |name: &str| owner(name).is_none_or(|o| Some(o) == known);
    let comparable = |name: &str| {
        owns(name) || (tells_time && owner(name).is_some_and(|o| state.source_clock[o.at()] == Some(true)))
    };
    let fits = match fact {
        Fact::StockLevel(f) => owns(&f.location),
        Fact::OrderAck(f) => f.lines.iter().all(|line| owns(&line.location)),
        Fact::StockDelta(f) => comparable(&f.location),
        Fact::Return(f) => comparable(&f.location),
        Fact::Shipment(f) => f
            .lines
            .iter()
            .all(|line| line.location.as_deref().is_none_or(comparable)),
        _ => true,
    };
    if fits { Ok(()) } else { reject("foreign-clock") }
}

fn in_unit(state: &State, sku: &str, quantity: i64, unit: Option<&str>) -> Result<(), String> {
    let Some(unit) = unit else { return Ok(()) };
    let factor = state
        .catalogue
        .sku(sku)
        .and_then(|s| state.catalogue.unit_factor(s, unit));
    match factor.map(|f| scaled(quantity, f)) {
        None => reject("unknown-unit"),
        Some(None) => reject("malformed: quantity: is too large in base units"),
        Some(Some(_)) => Ok(()),
    }
}

/// A movement that keeps its cell within bounds.
fn moves(state: &State, sku: &str, location: &str, quantity: i64, unit: Option<&str>) -> Checked {
    in_unit(state, sku, quantity, unit)?;
    let known = state.catalogue.sku(sku);
    let factor = known
        .zip(unit)
        .and_then(|(s, u)| state.catalogue.unit_factor(s, u))
        .unwrap_or(1);
    let there = known
        .zip(state.catalogue.location(location))
        .and_then(|(s, l): (SkuId, LocationId)| state.cell(s, l));
    let after = there
        .map_or(0, |cell| cell.on_hand)
        .saturating_add(quantity.saturating_mul(factor));
    if after.abs() > QUANTITY_MAX {
        return reject("malformed: quantity: the stock there would leave its bounds");
    }
    Ok(())
}

fn item(state: &State, fact: &crate::wire::facts::Item<'_>) -> Checked {
    let own = state.catalogue.sku_names.get(&fact.sku).map(SkuId);
    if state.catalogue.aliases.contains_key(&*fact.sku) {
        return reject("alias-taken");
    }
    for alias in &fact.aliases {
        let taken = state.catalogue.aliases.get(&**alias).is_some_and(|&of| Some(of) != own);
        if taken || state.catalogue.sku_names.get(alias).is_some() || *alias == fact.sku {
            return reject("alias-taken");
        }
    }
    for component in &fact.kit {
        let Some(part) = state.catalogue.sku(&component.sku) else {
            if component.sku == fact.sku || fact.aliases.contains(&component.sku) {
                return reject("circular-kit");
            }
            known_sku(state, &component.sku)?;
            continue;
        };
        if own.is_some_and(|own| part == own || contains(state, part, own)) {
            return reject("circular-kit");
        }
        let mut fits = true;
        state.catalogue.for_each_component(part, |_, units| {
            fits &= scaled(units, component.quantity).is_some_and(|q| q <= 1_000_000_000);
        });
        if !fits {
            return reject("malformed: kit: takes more than 1,000,000,000 of a component");
        }
    }
    Ok(())
}

/// Whether a kit takes a SKU at any depth.
fn contains(state: &State, kit: SkuId, sku: SkuId) -> bool {
    let parts = state.catalogue.item(kit).map_or(&[][..], |i| &i.kit[..]);
    parts.iter().any(|&(part, _)| part == sku || contains(state, part, sku))
}
