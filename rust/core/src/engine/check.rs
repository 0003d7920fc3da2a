//! Whether an incoming fact can be taken into LOG. Facts are never refused for business reasons, only because they cannot
//! be understood or could never be absorbed (docs/facts.md, "Order").
//!
//! In: a parsed statement and what it would meet: the state as the facts before it in its message will leave it.
//! Out: nothing, or the reason that the sender and the dead letter get.

mod items;
mod names;

use super::foreseen::Foreseen;
use crate::erp::named_order;
use crate::state::State;
use crate::state::quantity::{QUANTITY_MAX, scaled};
use crate::units::recipes;
use crate::wire::facts::{AsOf, Fact, OrderName, QuantityLine, Statement};

type Checked = Result<(), String>;

fn reject(reason: &str) -> Checked {
    Err(reason.to_owned())
}

pub(super) fn statement<'m>(ahead: &mut Foreseen<'_, 'm>, statement: &Statement<'m>) -> Checked {
    names::room(ahead, statement)?;
    if !matches!(statement.fact, Fact::StockLevel(_)) {
        ahead.settle_levels();
    }
    names_known(ahead, &statement.fact)?;
    clocks(ahead, &statement.source, &statement.fact)?;
    one_channel(ahead.state, &statement.fact)?;
    match &statement.fact {
        Fact::StockLevel(f) => {
            let u = &f.unsellable;
            let parts = [u.quality_control, u.damaged, u.quarantined, u.in_transfer];
            for quantity in [f.on_hand, f.allocated.unwrap_or(0)].into_iter().chain(parts) {
                in_unit(ahead, &f.sku, quantity, f.unit.as_deref())?;
            }
            Ok(())
        }
        Fact::StockDelta(f) => moves(ahead, &f.sku, &f.location, f.quantity, f.unit.as_deref()),
        Fact::Return(f) => {
            let line = QuantityLine {
                sku: f.sku.clone(),
                location: None,
                quantity: f.quantity,
                unit: f.unit.clone(),
                line: None,
            };
            let quantity = line_in_base(ahead, &f.of, &line)?;
            moves(ahead, &f.sku, &f.location, quantity, None)
        }
        Fact::Supply(f) => in_unit(ahead, &f.sku, f.quantity, f.unit.as_deref()),
        Fact::Receipt(f) => moves(ahead, &f.sku, &f.location, f.quantity, f.unit.as_deref()),
        Fact::Transfer(f) => {
            let unit = f.unit.as_deref();
            moves(ahead, &f.sku, &f.from, -f.quantity, unit)?;
            moves(ahead, &f.sku, &f.to, f.quantity, unit)
        }
        Fact::Demand(f) => in_unit(ahead, &f.sku, f.quantity, f.unit.as_deref()),
        Fact::Shipment(f) => f.lines.iter().try_for_each(|line| match line.location.as_deref() {
            Some(location) => {
                let quantity = line_in_base(ahead, &f.of, line)?;
                moves(ahead, &line.sku, location, -quantity, None)
            }
            None => line_in_base(ahead, &f.of, line).map(drop),
        }),
        Fact::OrderUpdate(f) => {
            let mut lines = f.lines.iter();
            lines.try_for_each(|line| line_in_base(ahead, &f.of, line).map(drop))
        }
        Fact::Item(f) => items::item(ahead, f),
        Fact::Safety(_) | Fact::Allocation(_) | Fact::Oversell(_) => takes_effect(ahead, &statement.fact),
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

fn known_location(ahead: &Foreseen<'_, '_>, name: &str) -> Checked {
    if ahead.state.rules.create_unknown_locations || ahead.knows_location(name) {
        return Ok(());
    }
    reject("unknown-location")
}

/// A time to come would hide every later fact about the same cell until it is reached.
fn not_from_the_future(ahead: &Foreseen<'_, '_>, as_of: AsOf) -> Checked {
    let latest_us = ahead
        .now_ms
        .saturating_add(ahead.state.rules.clock_skew_ms)
        .saturating_mul(1_000);
    match as_of {
        AsOf::Time(at_us) if at_us > latest_us => reject(
            "from-the-future: as_of is later than now; send the time at which it was true, and check the sender's clock",
        ),
        _ => Ok(()),
    }
}

/// A rule that could never apply is refused; a fact that ends one is always taken.
fn takes_effect(ahead: &Foreseen<'_, '_>, fact: &Fact<'_>) -> Checked {
    match fact {
        Fact::Safety(f) if f.absolute.is_some() || f.percent_hundredths.is_some() => f
            .sku
            .as_deref()
            .map_or(Ok(()), |sku| not_a_kit(ahead, sku, "safety stock")),
        Fact::Allocation(f) if f.quantity > 0 => {
            not_a_kit(ahead, &f.sku, "an allocation")?;
            declared_channel(ahead, &f.channel, "an allocation")
        }
        Fact::Oversell(f) if f.policy.is_some() => {
            f.sku
                .as_deref()
                .map_or(Ok(()), |sku| not_a_kit(ahead, sku, "an oversell policy"))?;
            let channel = f.channel.as_deref();
            channel.map_or(Ok(()), |channel| declared_channel(ahead, channel, "an oversell policy"))
        }
        _ => Ok(()),
    }
}

/// What a kit has of these follows from its components: its own rule would never apply.
fn not_a_kit(ahead: &Foreseen<'_, '_>, sku: &str, what: &str) -> Checked {
    match ahead.sku(sku) {
        Some(sku) if ahead.is_kit(sku) => Err(format!(
            "no-effect: {what} of a kit never applies; give it to the kit's components, or cap the kit"
        )),
        _ => Ok(()),
    }
}

/// Only declared channels have such rules; while none is declared, one may be about to be.
fn declared_channel(ahead: &Foreseen<'_, '_>, name: &str, what: &str) -> Checked {
    if !ahead.has_channels() || ahead.is_declared(name) {
        return Ok(());
    }
    Err(format!(
        "no-effect: {what} of a channel that is not declared never applies; declare the channel first, or check its name"
    ))
}

fn known_sku(ahead: &Foreseen<'_, '_>, name: &str) -> Checked {
    if ahead.state.rules.create_unknown_skus || ahead.sku(name).is_some() {
        return Ok(());
    }
    reject("unknown-sku")
}

fn stock_of_its_own(ahead: &Foreseen<'_, '_>, sku: &str) -> Checked {
    match ahead.sku(sku) {
        Some(sku) if ahead.is_kit(sku) => reject("kit-has-no-stock"),
        _ => Ok(()),
    }
}

fn names_known(ahead: &Foreseen<'_, '_>, fact: &Fact<'_>) -> Checked {
    let base = |sku: &str, locations: &[&str]| {
        for location in locations {
            known_location(ahead, location)?;
        }
        known_sku(ahead, sku)?;
        stock_of_its_own(ahead, sku)
    };
    match fact {
        Fact::StockLevel(f) => base(&f.sku, &[&f.location]),
        Fact::StockDelta(f) => base(&f.sku, &[&f.location]),
        Fact::Supply(f) => base(&f.sku, &[&f.location]),
        Fact::Receipt(f) => base(&f.sku, &[&f.location]),
        Fact::Transfer(f) => base(&f.sku, &[&f.from, &f.to]),
        Fact::Return(f) => {
            known_location(ahead, &f.location)?;
            known_sku(ahead, &f.sku)
        }
        Fact::Demand(f) => base(&f.sku, &f.locations.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        Fact::OrderAck(f) => f.lines.iter().try_for_each(|line| {
            // A line of an order that is not stock (shipping, say) must not have the other lines rejected.
            known_location(ahead, &line.location)
        }),
        Fact::OrderUpdate(f) => lines_known(ahead, &f.lines),
        Fact::Shipment(f) => {
            lines_known(ahead, &f.lines)?;
            f.lines.iter().try_for_each(|line| known_sku(ahead, &line.sku))
        }
        Fact::Channel(f) => f.locations.iter().flatten().try_for_each(|l| known_location(ahead, l)),
        Fact::Safety(f) => f.location.as_deref().map_or(Ok(()), |l| known_location(ahead, l)),
        Fact::SourceReset(f) => f.location.as_deref().map_or(Ok(()), |l| known_location(ahead, l)),
        Fact::Ownership(f) => known_location(ahead, &f.location),
        _ => Ok(()),
    }
}

fn lines_known(ahead: &Foreseen<'_, '_>, lines: &[QuantityLine<'_>]) -> Checked {
    lines
        .iter()
        .try_for_each(|line| line.location.as_deref().map_or(Ok(()), |l| known_location(ahead, l)))
}

/// A source sends times or running numbers, never both; levels and acknowledgements of a location come from its owner, and
/// movements of other sources count only where both clocks are time.
fn clocks(ahead: &Foreseen<'_, '_>, source: &str, fact: &Fact<'_>) -> Checked {
    let Some(as_of) = fact.as_of() else { return Ok(()) };
    let tells_time = matches!(as_of, AsOf::Time(_));
    if ahead.clock_of(source).is_some_and(|time| time != tells_time) {
        return reject("mixed-clock");
    }
    not_from_the_future(ahead, as_of)?;
    let owns = |name: &str| match ahead.owner(name) {
        Some(owner) if owner != source => Err(format!("foreign-clock: levels of {name} come from source {owner}")),
        _ => Ok(()),
    };
    let comparable = |name: &str| match ahead.owner(name) {
        // What a source that handed the levels over tells later is in the new owner's levels already.
        Some(owner) if tells_time && ahead.clock_of(owner) == Some(true) && !ahead.is_former_owner(name, source) => {
            Ok(())
        }
        _ => owns(name),
    };
    match fact {
        Fact::StockLevel(f) => owns(&f.location),
        Fact::OrderAck(f) => f.lines.iter().try_for_each(|line| owns(&line.location)),
        Fact::StockDelta(f) => comparable(&f.location),
        Fact::Receipt(f) => comparable(&f.location),
        Fact::Transfer(f) => comparable(&f.from).and_then(|()| comparable(&f.to)),
        Fact::Return(f) => comparable(&f.location),
        Fact::Shipment(f) => f
            .lines
            .iter()
            .try_for_each(|line| line.location.as_deref().map_or(Ok(()), comparable)),
        _ => Ok(()),
    }
}

fn in_unit(ahead: &Foreseen<'_, '_>, sku: &str, quantity: i64, unit: Option<&str>) -> Checked {
    let Some(unit) = unit else { return Ok(()) };
    let factor = ahead.sku(sku).and_then(|s| ahead.unit_factor(s, unit));
    match factor.map(|f| scaled(quantity, f)) {
        None => Err(unknown_unit(ahead, sku, unit)),
        Some(None) => reject("malformed: quantity: is too large in base units"),
        Some(Some(_)) => Ok(()),
    }
}

fn unknown_unit(ahead: &Foreseen<'_, '_>, sku: &str, unit: &str) -> String {
    let units = ahead.sku(sku).map(|sku| ahead.units(sku)).unwrap_or_default();
    if units.is_empty() {
        return format!("unknown-unit: {sku} is not declared with units, so none is named {unit}");
    }
    format!("unknown-unit: {sku} has no unit {unit}, but {}", units.join(", "))
}

/// Base units of a line of an order, by the conversion that the order was sold with, else as the item has it.
fn line_in_base(ahead: &Foreseen<'_, '_>, of: &OrderName<'_>, line: &QuantityLine<'_>) -> Result<i64, String> {
    let state = ahead.state;
    let sold = state
        .catalogue
        .sku(&line.sku)
        .zip(line.unit.as_deref())
        .and_then(|(sku, unit)| {
            let slots = named_order::meant(state, of);
            recipes::sold_in(state, &slots, sku, unit)
        });
    match sold.map(|factor| scaled(line.quantity, factor)) {
        Some(Some(quantity)) => Ok(quantity),
        Some(None) => Err("malformed: quantity: is too large in base units".to_owned()),
        None => {
            in_unit(ahead, &line.sku, line.quantity, line.unit.as_deref())?;
            let known = ahead.sku(&line.sku);
            Ok(known.map_or(line.quantity, |sku| {
                ahead.in_base(sku, line.quantity, line.unit.as_deref())
            }))
        }
    }
}

/// A movement that keeps its cell within bounds.
fn moves(ahead: &Foreseen<'_, '_>, sku: &str, location: &str, quantity: i64, unit: Option<&str>) -> Checked {
    in_unit(ahead, sku, quantity, unit)?;
    let known = ahead.sku(sku);
    let quantity = known.map_or(quantity, |sku| ahead.in_base(sku, quantity, unit));
    let (least, most) = ahead.span(known, location);
    let after = if quantity < 0 { least } else { most }.saturating_add(quantity);
    if after.abs() > QUANTITY_MAX {
        return reject("malformed: quantity: the stock there would leave its bounds");
    }
    Ok(())
}
