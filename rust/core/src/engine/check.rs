//! Whether an incoming fact can be taken into LOG. Facts are never refused for business reasons, only because they cannot
//! be understood or could never be absorbed (docs/facts.md, "Order").
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

/// `now_ms`: the time of the batch that would take it.
pub(super) fn statement(state: &State, now_ms: i64, statement: &Statement<'_>) -> Checked {
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
    clocks(state, now_ms, &statement.source, &statement.fact)?;
    one_channel(state, &statement.fact)?;
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
            Some(location) => moves(state, &line.sku, location, -line.quantity, line.unit.as_deref()),
            None => in_unit(state, &line.sku, line.quantity, line.unit.as_deref()),
        }),
        Fact::OrderUpdate(f) => {
            let mut lines = f.lines.iter();
            lines.try_for_each(|line| in_unit(state, &line.sku, line.quantity, line.unit.as_deref()))
        }
        Fact::Item(f) => item(state, f),
        Fact::Safety(_) | Fact::Allocation(_) | Fact::Oversell(_) => takes_effect(state, &statement.fact),
        _ => Ok(()),
    }
}

/// Two shops may give their orders one number: a fact that could mean either would be taken for both.
fn one_channel(state: &State, fact: &Fact<'_>) -> Checked {
    let Some(of) = fact.order_name() else { return Ok(()) };
    let (Some(order), None, None) = (&of.order_ref, &of.reservation, &of.channel) else {
        return Ok(());
    };
    let slots = state.reservations.of_order(order);
    let mut channels: Vec<&str> = slots
        .iter()
        .map(|&slot| state.catalogue.channel_name(state.reservations.get(slot).channel))
        .collect();
    channels.sort_unstable();
    channels.dedup();
    if channels.len() < 2 {
        return Ok(());
    }
    Err(format!(
        "ambiguous-order: reservations of the channels {} have this order_ref; name the channel or the reservation",
        channels.join(", ")
    ))
}

fn known_location(state: &State, name: &str) -> Checked {
    if state.rules.create_unknown_locations || state.catalogue.location(name).is_some() {
        return Ok(());
    }
    reject("unknown-location")
}

/// A time to come would hide every later fact about the same cell until it is reached.
fn not_from_the_future(state: &State, now_ms: i64, as_of: AsOf) -> Checked {
    let latest_us = now_ms.saturating_add(state.rules.clock_skew_ms).saturating_mul(1_000);
    match as_of {
        AsOf::Time(at_us) if at_us > latest_us => reject(
            "from-the-future: as_of is later than now; send the time at which it was true, and check the sender's clock",
        ),
        _ => Ok(()),
    }
}

/// A rule that could never apply is refused; a fact that ends one is always taken.
fn takes_effect(state: &State, fact: &Fact<'_>) -> Checked {
    match fact {
        Fact::Safety(f) if f.absolute.is_some() || f.percent_hundredths.is_some() => f
            .sku
            .as_deref()
            .map_or(Ok(()), |sku| not_a_kit(state, sku, "safety stock")),
        Fact::Allocation(f) if f.quantity > 0 => {
            not_a_kit(state, &f.sku, "an allocation")?;
            declared_channel(state, &f.channel, "an allocation")
        }
        Fact::Oversell(f) if f.policy.is_some() => {
            f.sku
                .as_deref()
                .map_or(Ok(()), |sku| not_a_kit(state, sku, "an oversell policy"))?;
            let channel = f.channel.as_deref();
            channel.map_or(Ok(()), |channel| declared_channel(state, channel, "an oversell policy"))
        }
        _ => Ok(()),
    }
}

/// What a kit has of these follows from its components: its own rule would never apply.
fn not_a_kit(state: &State, sku: &str, what: &str) -> Checked {
    match state.catalogue.sku(sku) {
        Some(sku) if state.catalogue.is_kit(sku) => Err(format!(
            "no-effect: {what} of a kit never applies; give it to the kit's components, or cap the kit"
        )),
        _ => Ok(()),
    }
}

/// Only declared channels have such rules; while none is declared, one may be about to be.
fn declared_channel(state: &State, name: &str, what: &str) -> Checked {
    let channel = state.catalogue.channel(name);
    if state.catalogue.channels_declared == 0 || state.catalogue.channel_record(channel).declared {
        return Ok(());
    }
    Err(format!(
        "no-effect: {what} of a channel that is not declared never applies; declare the channel first, or check its name"
    ))
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
            // A line of an order that is not stock (shipping, say) must not have the other lines rejected.
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

/// A source sends times or running numbers, never both; levels and acknowledgements of a location come from its owner, and
/// movements of other sources count only where both clocks are time.
fn clocks(state: &State, now_ms: i64, source: &str, fact: &Fact<'_>) -> Checked {
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
    not_from_the_future(state, now_ms, as_of)?;
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
