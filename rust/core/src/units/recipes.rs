//! How a line was sold: a kit with the components of that day, a plain item as one, a unit by the conversion of that day.
//!
//! In: lines as they are held, later names of their SKUs. Out: base components and base units. Always: declaring an item
//! again changes what can be sold, never what was sold (docs/rules.md, "A sale keeps its recipe").

use crate::state::State;
use crate::state::catalogue::Catalogue;
use crate::state::identities::Moves;
use crate::state::ids::{SkuId, Slot};
use crate::state::reservations::{Line, Portion, Recipe, Reservation};

/// What one of a line is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Made<'a> {
    /// As the catalogue has it now.
    Now,
    /// Of itself.
    Plain,
    /// Of the components that it was sold with.
    Of(&'a Recipe),
}

impl<'a> Made<'a> {
    /// How a line of a reservation was sold; those that the first edition held follow the catalogue.
    pub(crate) fn line(reservation: &'a Reservation, line: usize) -> Self {
        if !reservation.keeps_recipes {
            return Made::Now;
        }
        match reservation.recipe(line) {
            Some(recipe) if !recipe.parts.is_empty() => Made::Of(recipe),
            _ => Made::Plain,
        }
    }

    /// Whether it has components.
    pub(crate) fn is_kit(self, catalogue: &Catalogue, sku: SkuId) -> bool {
        match self {
            Made::Now => catalogue.is_kit(sku),
            Made::Plain => false,
            Made::Of(_) => true,
        }
    }

    /// What one takes from stock: base SKUs and units of each.
    pub(crate) fn for_each_part(self, catalogue: &Catalogue, sku: SkuId, mut each: impl FnMut(SkuId, i64)) {
        match self {
            Made::Now => catalogue.for_each_component(sku, each),
            Made::Plain => each(sku, 1),
            Made::Of(recipe) => recipe.parts.iter().for_each(|&(part, per)| each(part, per)),
        }
    }

    /// The kits whose caps one counts in, and how often: itself, and those inside it.
    pub(crate) fn for_each_kit(self, catalogue: &Catalogue, sku: SkuId, mut each: impl FnMut(SkuId, i64)) {
        match self {
            Made::Now => catalogue.for_each_kit(sku, each),
            Made::Plain => {}
            Made::Of(recipe) => {
                each(sku, 1);
                recipe.inner.iter().for_each(|&(kit, per, _)| each(kit, per));
            }
        }
    }
}

/// The recipes of lines that are about to be held: of kits, and of lines that name a unit (with base units in one).
pub(crate) fn of_lines(state: &State, lines: &[Line], units: &[Option<(&str, i64)>]) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for (n, (line, unit)) in lines.iter().zip(units).enumerate() {
        let is_kit = state.catalogue.is_kit(line.sku);
        if !is_kit && unit.is_none() {
            continue;
        }
        let mut recipe = Recipe {
            line: n as u16,
            unit: unit.map(|(name, factor)| (name.into(), factor)),
            parts: Vec::new(),
            inner: Vec::new(),
        };
        if is_kit {
            state
                .catalogue
                .for_each_component(line.sku, |part, per| recipe.parts.push((part, per)));
            state.catalogue.for_each_kit(line.sku, |kit, per| {
                if kit != line.sku {
                    recipe.inner.push((kit, per, 0));
                }
            });
        }
        recipes.push(recipe);
    }
    recipes
}

/// Base units of a quantity of a SKU that names a unit, as the reservations were sold it, else as the catalogue has it.
pub(crate) fn in_base(state: &State, slots: &[Slot], sku: SkuId, quantity: i64, unit: Option<&str>) -> Option<i64> {
    let Some(unit) = unit else { return Some(quantity) };
    let factor = sold_in(state, slots, sku, unit).or_else(|| state.catalogue.unit_factor(sku, unit))?;
    quantity.checked_mul(factor)
}

/// Base units in one of a unit that a reservation was sold in.
pub(crate) fn sold_in(state: &State, slots: &[Slot], sku: SkuId, unit: &str) -> Option<i64> {
    slots.iter().find_map(|&slot| {
        let reservation = state.reservations.get(slot);
        let recipes = reservation.recipes.iter().flat_map(|all| all.iter());
        let of_sku = recipes.filter(|r| reservation.lines[usize::from(r.line)].sku == sku);
        of_sku
            .filter_map(|r| r.unit.as_ref())
            .find(|(name, _)| &**name == unit)
            .map(|(_, factor)| *factor)
    })
}

/// What a document named, by what its SKU was declared to be when it came: kept with it, so that a later declaration does
/// not change what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Base units in one of its unit.
    factor: i64,
    parts: Vec<(SkuId, i64)>,
}

impl Declared {
    pub(crate) fn now(state: &State, sku: SkuId, unit: Option<&str>) -> Self {
        let factor = in_base(state, &[], sku, 1, unit).unwrap_or(1);
        let mut parts = Vec::new();
        state
            .catalogue
            .for_each_component(sku, |part, per| parts.push((part, per)));
        Declared { factor, parts }
    }

    /// As a document keeps it: the unit first, then the components. A plain SKU in base units needs nothing.
    pub(crate) fn kept(self, sku: SkuId) -> Moves {
        if self.factor == 1 && self.parts == [(sku, 1)] {
            return Moves::new();
        }
        let parts = self.parts.into_iter().map(|(part, per)| (part, None, per));
        std::iter::once((sku, None, self.factor)).chain(parts).collect()
    }

    pub(crate) fn from_kept(kept: &Moves, sku: SkuId) -> Self {
        let (factor, parts) = kept.split_first().map_or((1, &[][..]), |((_, _, n), rest)| (*n, rest));
        let parts = match parts {
            [] => vec![(sku, 1)],
            parts => parts.iter().map(|(part, _, per)| (*part, *per)).collect(),
        };
        Declared { factor, parts }
    }
}

/// What one of a SKU is to a reservation: base SKUs and units of each, by what it was sold as; a component means itself, any
/// other name what it was `declared` to be, else what it is now.
fn meaning(
    state: &State,
    slot: Slot,
    (sku, unit): (SkuId, Option<&str>),
    declared: Option<&Declared>,
) -> Vec<(SkuId, i64)> {
    let reservation = state.reservations.get(slot);
    let line = reservation.lines.iter().position(|line| line.sku == sku);
    let made = match line {
        Some(line) => Made::line(reservation, line),
        None if reservation.keeps_recipes && is_component(state, reservation, sku) => Made::Plain,
        None => Made::Now,
    };
    let sold = unit.and_then(|unit| sold_in(state, &[slot], sku, unit));
    let factor = match (sold, declared) {
        (Some(factor), _) => factor,
        (None, Some(declared)) => declared.factor,
        (None, None) => in_base(state, &[], sku, 1, unit).unwrap_or(1),
    };
    let mut parts = Vec::new();
    match (made, declared) {
        (Made::Now, Some(declared)) => parts.extend(declared.parts.iter().map(|(part, per)| (*part, per * factor))),
        _ => made.for_each_part(&state.catalogue, sku, |part, per| parts.push((part, per * factor))),
    }
    parts
}

fn is_component(state: &State, reservation: &Reservation, sku: SkuId) -> bool {
    let mut is = false;
    for (n, line) in reservation.lines.iter().enumerate() {
        Made::line(reservation, n).for_each_part(&state.catalogue, line.sku, |part, _| is |= part == sku);
    }
    is
}

/// How many by this meaning have not left a reservation by another document than this one.
fn still_there(state: &State, slot: Slot, parts: &[(SkuId, i64)], document: Option<u128>) -> i64 {
    let reservation = state.reservations.get(slot);
    let left_by_other = |p: &Portion| {
        let left = p.evidence.as_ref().and_then(|e| e.left.as_ref());
        p.is_shipped() && left.map(|l| l.document) != document
    };
    let count = |part: SkuId| -> i64 {
        let here = reservation
            .portions
            .iter()
            .filter(|p| p.sku == part && !left_by_other(p));
        let dropped = reservation.dropped.iter().flat_map(|all| all.iter());
        let dropped = dropped.filter(|d| d.sku == part && Some(d.document) == document);
        here.map(|p| p.quantity).chain(dropped.map(|d| d.quantity)).sum()
    };
    parts
        .iter()
        .map(|&(part, per)| (count(part) + per - 1) / per)
        .max()
        .unwrap_or(0)
}

/// What so many of a SKU (in a unit, if one is named) mean for an order, by base SKU. Where its reservations were sold by
/// different recipes, each has as many as have not left by another document, the oldest first; the last has the rest.
/// `declared`: what the document keeps of what its SKU was when it came.
pub(crate) fn parts_for(
    state: &State,
    slots: &[Slot],
    sku: SkuId,
    (mut quantity, unit): (i64, Option<&str>),
    (document, declared): (Option<u128>, Option<&Declared>),
    mut each: impl FnMut(SkuId, i64),
) {
    let mut groups: Vec<(Vec<(SkuId, i64)>, i64)> = Vec::new();
    for &slot in slots {
        let parts = meaning(state, slot, (sku, unit), declared);
        let there = still_there(state, slot, &parts, document);
        match groups.last_mut() {
            Some((last, count)) if *last == parts => *count += there,
            _ => groups.push((parts, there)),
        }
    }
    if groups.is_empty() {
        let now = || Declared::now(state, sku, unit);
        let Declared { factor, parts } = declared.cloned().unwrap_or_else(now);
        for (part, per) in parts {
            each(part, quantity * factor * per);
        }
        return;
    }
    let last = groups.len() - 1;
    for (n, (parts, there)) in groups.iter().enumerate() {
        let count = if n == last { quantity } else { quantity.min(*there) };
        quantity -= count;
        for &(part, per) in parts.iter().filter(|_| count > 0) {
            each(part, count * per);
        }
    }
}
