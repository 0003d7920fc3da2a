//! A reservation's lines as answers show them: what became of their units, where those come from, what covers them no more.
//!
//! In: the state, a reservation. Out: a JSON list. Always: quantity = open + fulfilled + cancelled; of the open ones some may be
//! unsourced or in deficit, of the fulfilled ones some returned. By the first edition of the rules a line is shown as it was,
//! because answers are remembered byte for byte.

use crate::availability::deficits::{Deficit, Deficits};
use crate::reads::render::{Answer, field, list, problem_with, text_field};
use crate::state::State;
use crate::state::ids::SkuId;
use crate::state::reservations::{Line, Portion, Reservation, StockNode};
use crate::units::recipes::Made;
use crate::wire::errors::Problem;
use crate::wire::facts::time::write_day;
use crate::wire::json::{write_int, write_string};

/// What became of the units of a line, or of one component of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) open: i64,
    pub(crate) fulfilled: i64,
    pub(crate) cancelled: i64,
    pub(crate) returned: i64,
    pub(crate) unsourced: i64,
    pub(crate) deficit: i64,
}

pub(crate) fn write(state: &State, r: &Reservation, out: &mut Vec<u8>) {
    let is_shown = state.rules.is_second_edition();
    let deficits = if is_shown {
        Deficits::new(state).of(r)
    } else {
        Vec::new()
    };
    let mut back: Vec<(SkuId, i64)> = r.returned.as_deref().cloned().unwrap_or_default();
    list(out, r.lines.iter().enumerate(), |out, (n, line)| {
        out.extend_from_slice(b"{\"sku\":");
        write_string(out, state.catalogue.sku_name(line.sku));
        out.extend_from_slice(b",\"quantity\":");
        write_int(out, line.quantity);
        let portions = || r.portions.iter().filter(move |p| p.line as usize == n);
        if is_shown {
            let deficits = deficits.iter().filter(|d| d.line as usize == n);
            let made = Made::line(r, n);
            if made.is_kit(&state.catalogue, line.sku) {
                kit(state, (line, made), portions, (deficits, &mut back), out);
            } else {
                fate_of(line.sku, line.quantity, portions(), (deficits, &mut back)).write(out);
            }
        }
        out.extend_from_slice(b",\"allocations\":");
        let bound = portions().filter(|p| p.node != StockNode::Unsourced);
        list(out, bound, |out, portion| allocation(state, line.sku, portion, out));
        out.push(b'}');
    });
}

/// The refusal to confirm a hold: what of each line is covered.
pub(crate) fn in_deficit(state: &State, r: &Reservation, deficits: &[Deficit]) -> Answer {
    problem_with(Problem::Deficit, None, |out| {
        field(out, "lines");
        list(out, r.lines.iter().enumerate(), |out, (n, line)| {
            let missing = missing_of(
                state,
                (line, Made::line(r, n)),
                &deficits.iter().filter(|d| d.line as usize == n),
            );
            out.extend_from_slice(b"{\"sku\":");
            write_string(out, state.catalogue.sku_name(line.sku));
            field(out, "requested");
            write_int(out, line.quantity);
            field(out, "sellable");
            write_int(out, line.quantity - missing);
            field(out, "ok");
            out.extend_from_slice(if missing == 0 { b"true" } else { b"false" });
            if missing > 0 {
                text_field(out, "reason", Some("insufficient-stock"));
            }
            out.push(b'}');
        });
    })
}

/// How much of a line is in deficit, a kit's in whole kits.
fn missing_of<'a>(
    state: &State,
    (line, made): (&Line, Made<'_>),
    deficits: &(impl Iterator<Item = &'a Deficit> + Clone),
) -> i64 {
    let mut missing = 0;
    made.for_each_part(&state.catalogue, line.sku, |sku, per| {
        let units: i64 = deficits.clone().filter(|d| d.sku == sku).map(|d| d.units).sum();
        missing = missing.max((units + per - 1) / per);
    });
    missing.min(line.quantity)
}

/// What became of `quantity` units of a SKU. `back`: units of the reservation that came back, less those of lines before.
fn fate_of<'a>(
    sku: SkuId,
    quantity: i64,
    portions: impl Iterator<Item = &'a Portion>,
    (deficits, back): (impl Iterator<Item = &'a Deficit>, &mut [(SkuId, i64)]),
) -> Fate {
    let mut fate = Fate::default();
    for portion in portions.filter(|p| p.sku == sku) {
        if portion.fulfilled || portion.is_shipped() {
            fate.fulfilled += portion.quantity;
        } else {
            fate.open += portion.quantity;
            if portion.node == StockNode::Unsourced {
                fate.unsourced += portion.quantity;
            }
        }
    }
    if let Some((_, left)) = back.iter_mut().find(|(s, _)| *s == sku) {
        fate.returned = fate.fulfilled.min(*left);
        *left -= fate.returned;
    }
    fate.cancelled = (quantity - fate.open - fate.fulfilled).max(0);
    fate.deficit = deficits.filter(|d| d.sku == sku).map(|d| d.units).sum();
    fate
}

/// A kit's line in whole kits, then each component in its units. A kit of which any unit is open is open; one of which any has
/// returned, is unsourced or in deficit counts as such; it is fulfilled once all of it has left.
fn kit<'a, P: Iterator<Item = &'a Portion>>(
    state: &State,
    (line, made): (&Line, Made<'_>),
    portions: impl Fn() -> P,
    (deficits, back): (impl Iterator<Item = &'a Deficit> + Clone, &mut [(SkuId, i64)]),
    out: &mut Vec<u8>,
) {
    let mut parts: Vec<(SkuId, i64, Fate)> = Vec::new();
    made.for_each_part(&state.catalogue, line.sku, |sku, per_kit| {
        let units = line.quantity.saturating_mul(per_kit);
        let fate = fate_of(sku, units, portions(), (deficits.clone(), &mut *back));
        parts.push((sku, per_kit, fate));
    });
    let any = |of: fn(&Fate) -> i64| -> i64 {
        let kits = parts.iter().map(|(_, per, fate)| (of(fate) + per - 1) / per);
        kits.max().unwrap_or(0).min(line.quantity)
    };
    let open = any(|f| f.open);
    let left = parts
        .iter()
        .map(|(_, per, fate)| fate.fulfilled / per)
        .min()
        .unwrap_or(0);
    let fulfilled = left.min(line.quantity - open);
    let whole = Fate {
        open,
        fulfilled,
        cancelled: line.quantity - open - fulfilled,
        returned: any(|f| f.returned),
        unsourced: any(|f| f.unsourced),
        deficit: any(|f| f.deficit),
    };
    whole.write(out);
    field(out, "components");
    list(out, parts, |out, (sku, per_kit, fate)| {
        out.extend_from_slice(b"{\"sku\":");
        write_string(out, state.catalogue.sku_name(sku));
        out.extend_from_slice(b",\"per_kit\":");
        write_int(out, per_kit);
        fate.write(out);
        out.push(b'}');
    });
}

impl Fate {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"open\":");
        write_int(out, self.open);
        let rest = [
            self.fulfilled,
            self.cancelled,
            self.returned,
            self.unsourced,
            self.deficit,
        ];
        if rest == [0; 5] {
            // A hold that was just made: by far the most answers.
            const NONE: &[u8] = b",\"fulfilled\":0,\"cancelled\":0,\"returned\":0,\"unsourced\":0,\"deficit\":0";
            out.extend_from_slice(NONE);
            return;
        }
        // A list of names would be checked and copied in parts: each stands as it is written.
        let names: [&[u8]; 5] = [
            b",\"fulfilled\":",
            b",\"cancelled\":",
            b",\"returned\":",
            b",\"unsourced\":",
            b",\"deficit\":",
        ];
        out.reserve(96);
        for (name, units) in names.into_iter().zip(rest) {
            out.extend_from_slice(name);
            if units == 0 {
                out.push(b'0');
            } else {
                write_int(out, units);
            }
        }
    }
}

fn allocation(state: &State, line_sku: SkuId, portion: &Portion, out: &mut Vec<u8>) {
    out.push(b'{');
    if portion.sku != line_sku {
        out.extend_from_slice(b"\"sku\":");
        write_string(out, state.catalogue.sku_name(portion.sku));
        out.push(b',');
    }
    let (location, due) = match portion.node {
        StockNode::Hand(location) => (location, None),
        StockNode::Supply(id) => {
            let supply = state.documents.supplies.get(id.0);
            (supply.location, Some(supply.due))
        }
        StockNode::Unsourced => unreachable!("unsourced units are in no allocation"),
    };
    out.extend_from_slice(b"\"location\":");
    write_string(out, state.catalogue.location_name(location));
    out.extend_from_slice(b",\"quantity\":");
    write_int(out, portion.quantity);
    if let Some(due) = due {
        field(out, "due");
        write_day(out, due);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
