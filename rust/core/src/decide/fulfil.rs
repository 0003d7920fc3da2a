//! `POST .../fulfil`: units of an order told to have left.

use crate::commands;
use crate::decide::{Command, Outcome, Sink, closed, commit, existing, refused, shown, unknown_sku};
use crate::errors::RequestError;
use crate::facts::{Fact, QuantityLine, ReservationFulfilled, Text};
use crate::ids::{SkuId, Slot};
use crate::render::Answer;
use crate::state::State;

pub(crate) fn fulfil(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_fulfil(command.body).map_err(refused)?;
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
        lines: body.lines.clone(),
    };
    commit(state, command, Fact::ReservationFulfilled(fact), sink);
    Ok(shown(state, slot, 200))
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
        return Err(refused(RequestError::invalid(
            format!("lines[{n}].location"),
            "is not a declared location",
        )));
    }
    let mut fits = true;
    state.catalogue.for_each_component(sku, |part, per| {
        let portions = state.reservations.get(slot).portions.iter();
        let left: i64 = portions
            .filter(|p| p.sku == part && !p.fulfilled && !p.is_shipped())
            .map(|p| p.quantity)
            .sum();
        let units = line.quantity.saturating_mul(per);
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
    Err(refused(RequestError::invalid(
        format!("lines[{n}].quantity"),
        "is more than is left to fulfil",
    )))
}
