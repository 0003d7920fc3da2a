//! Kits' caps: what the lines of a reservation consume of them, and give back; a kit counts in its own cap, and in that of
//! each kit inside it.
//!
//! In: a reservation whose lines begin, change or end. Out: caps consumed and given back in the period they belong to.
//! Always: a kit counts in its cap as long as there is any part of it.

use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::QuotaKind;
use crate::state::reservations::{Line, Recipe};
use crate::units::quotas;
use crate::units::recipes::Made;

/// What a line counts in: the kit, how many of it are in one of the line, and the cap's period (0: there was no cap).
pub(crate) fn caps_of<'a>(
    line: &'a Line,
    recipe: Option<&'a Recipe>,
) -> impl Iterator<Item = (SkuId, i64, u32)> + use<'a> {
    let inner = recipe.into_iter().flat_map(|recipe| recipe.inner.iter().copied());
    std::iter::once((line.sku, 1, line.cap_period))
        .chain(inner)
        .filter(|(_, _, period)| *period != 0)
}

fn recipe_of(recipes: &[Recipe], line: usize) -> Option<&Recipe> {
    recipes.iter().find(|recipe| usize::from(recipe.line) == line)
}

/// Consumes the caps of the kits among lines that are about to be held.
pub(crate) fn consume_caps(state: &mut State, channel: ChannelId, lines: &mut [Line], recipes: &mut [Recipe]) {
    let period = |state: &State, kit| quotas::period_for_sale(state, kit, channel, QuotaKind::Cap);
    for recipe in recipes.iter_mut() {
        for (kit, _, of_kit) in &mut recipe.inner {
            *of_kit = period(state, *kit);
        }
    }
    for (n, line) in lines.iter_mut().enumerate() {
        let recipe = recipe_of(recipes, n);
        let is_kit = match recipe {
            Some(recipe) => !recipe.parts.is_empty(),
            None => state.catalogue.is_kit(line.sku) && !state.rules.is_second_edition(),
        };
        if is_kit {
            line.cap_period = period(state, line.sku);
        }
        consume(state, channel, line, recipe, line.quantity);
    }
}

/// Counts so many of a line in all its caps; below 0: gives them back.
fn consume(state: &mut State, channel: ChannelId, line: &Line, recipe: Option<&Recipe>, quantity: i64) {
    for (kit, per, period) in caps_of(line, recipe) {
        quotas::consume(state, kit, channel, QuotaKind::Cap, quantity * per, period);
    }
}

/// Gives back what lines that are held no longer had consumed.
pub(crate) fn give_back_lines(state: &mut State, channel: ChannelId, lines: &[Line], recipes: &[Recipe]) {
    for (n, line) in lines.iter().enumerate() {
        consume(state, channel, line, recipe_of(recipes, n), -line.quantity);
    }
}

/// Gives back what a reservation's lines consumed; none of them counts in a cap any more.
pub(crate) fn give_back_caps(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let counts = |n: usize| caps_of(&reservation.lines[n], reservation.recipe(n)).next().is_some();
    if !(0..reservation.lines.len()).any(counts) {
        return;
    }
    let reservation = state.edit(slot);
    let (channel, lines, recipes) = (
        reservation.channel,
        reservation.lines.clone(),
        reservation.recipes.clone(),
    );
    for line in &mut reservation.lines {
        line.cap_period = 0;
    }
    for (_, _, period) in reservation
        .recipes
        .iter_mut()
        .flat_map(|all| all.iter_mut())
        .flat_map(|r| &mut r.inner)
    {
        *period = 0;
    }
    give_back_lines(state, channel, &lines, recipes.as_deref().map_or(&[], |all| all));
}

/// How many kits of each line there still are, whole or in part; 0 where no cap counts them.
pub(crate) fn counted(state: &State, slot: Slot) -> Vec<i64> {
    let reservation = state.reservations.get(slot);
    let kits_of = |(n, line): (usize, &Line)| {
        let mut kits = 0;
        if caps_of(line, reservation.recipe(n)).next().is_some() {
            Made::line(reservation, n).for_each_part(&state.catalogue, line.sku, |sku, per_kit| {
                let here = reservation
                    .portions
                    .iter()
                    .filter(|p| p.sku == sku && usize::from(p.line) == n);
                let units: i64 = here.map(|p| p.quantity).sum();
                kits = kits.max((units + per_kit - 1) / per_kit);
            });
        }
        kits.min(line.quantity)
    };
    reservation.lines.iter().enumerate().map(kits_of).collect()
}

/// Gives the kits that have left since `before` was counted back to their caps; those that came back count again.
pub(crate) fn give_back_gone(state: &mut State, slot: Slot, before: &[i64]) {
    let after = counted(state, slot);
    if after == before {
        return;
    }
    let reservation = state.reservations.get(slot);
    let (channel, lines, recipes) = (
        reservation.channel,
        reservation.lines.clone(),
        reservation.recipes.clone(),
    );
    let recipes: &[Recipe] = recipes.as_deref().map_or(&[], |all| all);
    for (n, line) in lines.iter().enumerate() {
        consume(state, channel, line, recipe_of(recipes, n), after[n] - before[n]);
    }
}
