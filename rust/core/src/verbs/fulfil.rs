//! `POST .../fulfil`: units of an order reported to have left.

use crate::erp::leaving::{self, Taking};
use crate::erp::{reconcile, returns};
use crate::reads::refusals::{closed, invalid, unknown_sku};
use crate::reads::render::Answer;
use crate::state::State;
use crate::state::ids::{SkuId, Slot};
use crate::state::quantity::QUANTITY_MAX;
use crate::units::recipes;
use crate::verbs::{Command, Decided, Decision, existing};
use crate::wire::commands;
use crate::wire::errors::RequestError;
use crate::wire::facts::{Fact, QuantityLine, ReservationFulfilled, Text};

pub(super) fn decide<'b>(state: &State, command: &Command<'b>) -> Decision<'b> {
    let body = commands::parse_fulfil(command.body).map_err(|error| invalid(&error))?;
    let slot = existing(state, command)?;
    if !state.reservations.get(slot).state.is_confirmed() {
        return Err(closed(state, slot));
    }
    let mut asked: Vec<(SkuId, i64)> = Vec::new();
    for (n, line) in body.lines.iter().enumerate() {
        fulfil_line(state, slot, n, line, &mut asked)?;
    }
    let fact = ReservationFulfilled {
        id: Text::Borrowed(command.id),
        lines: body.lines,
    };
    Ok(Decided::done(slot, Fact::ReservationFulfilled(fact)))
}

/// Checks one line of a fulfilment together with the lines before it.
fn fulfil_line(
    state: &State,
    slot: Slot,
    n: usize,
    line: &QuantityLine<'_>,
    asked: &mut Vec<(SkuId, i64)>,
) -> Result<(), Answer> {
    let Some(sku) = state.catalogue.sku(&line.sku) else {
        return Err(unknown_sku(&line.sku));
    };
    if line
        .location
        .as_deref()
        .is_some_and(|l| state.catalogue.location(l).is_none())
    {
        return Err(invalid(&RequestError::invalid(
            format!("lines[{n}].location"),
            "is not a declared location",
        )));
    }
    let quantity = recipes::in_base(state, &[slot], sku, line.quantity, line.unit.as_deref());
    let Some(quantity) = quantity.filter(|quantity| *quantity <= QUANTITY_MAX) else {
        return Err(invalid(&RequestError::invalid(
            format!("lines[{n}].unit"),
            "is no unit of this SKU",
        )));
    };
    let mut fits = true;
    recipes::parts_for(state, &[slot], sku, (quantity, None), (None, None), |part, units| {
        let portions = state.reservations.get(slot).portions.iter();
        let left: i64 = portions
            .filter(|p| p.sku == part && !p.fulfilled && !p.is_shipped())
            .map(|p| p.quantity)
            .sum();
        let before: i64 = asked
            .iter()
            .filter(|(s, _)| *s == part)
            .fold(0, |sum, (_, q)| sum.saturating_add(*q));
        asked.push((part, units));
        fits &= before.saturating_add(units) <= left;
    });
    if fits {
        return Ok(());
    }
    Err(invalid(&RequestError::invalid(
        format!("lines[{n}].quantity"),
        "is more than is left to fulfil",
    )))
}

/// Units that left; they stay deducted until an acknowledgement or a shipment covers them.
pub(crate) fn apply(state: &mut State, slot: Slot, lines: &[QuantityLine<'_>]) {
    state.count_change(slot);
    for (sku, location, quantity) in leaving::line_moves(state, &[slot], lines, None) {
        let mut left = quantity;
        while left > 0 {
            let taken = leaving::take_leaving(state, &[slot], sku, location, left, Taking::Fulfil);
            let Some((_, portion, home)) = taken else { break };
            left -= portion.quantity;
            leaving::mark_fulfilled(state, slot, portion, home);
        }
    }
    returns::settle(state, &[slot]);
    reconcile::order_changed(state, slot);
}

#[cfg(test)]
mod tests;
