//! Presumed receipts: what a level rose by and nothing explains is taken to be supply that arrived (docs/rules.md, section 3).
//!
//! In: levels, and whatever explains what they rose by, in any order of arrival. Out: supply lines without the units that a
//! level is presumed to count already; units bound to those are on the shelf. Always: what a level and the supply of its
//! source say together is never counted twice.

use hashbrown::HashSet;

use crate::erp::supplies;
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId, SupplyId};
use crate::state::reservations::StockNode;
use crate::state::rises::{CellRises, Lowered, RISES_MAX, Rise};
use crate::state::stock::{Cell, LevelStamp};
use crate::state::supply::{Arrival, Supply};
use crate::wire::facts::AsOf;

type Place = (SkuId, LocationId);

fn is_on(state: &State) -> bool {
    state.rules.is_second_edition() && state.rules.presume_receipts
}

/// What a cell's level and movements come to, less what is owed and not inside: levels change it by what nothing explains.
pub(super) fn counted(state: &State, sku: SkuId, location: LocationId) -> i64 {
    let of = |cell: &Cell| cell.on_hand - cell.allocated - cell.demand - cell.committed;
    state.cell(sku, location).map_or(0, of)
}

/// The lines of a level's own source that may have arrived at its cell, earliest due first. A transfer may be another source's,
/// or come where nobody states levels yet.
fn lines(state: &State, (sku, location): Place, owner: Option<SourceId>) -> Vec<SupplyId> {
    let Some(detail) = state.catalogue.detail(sku) else {
        return Vec::new();
    };
    let record = |id: &SupplyId| state.documents.supplies.get(id.0);
    let may = |s: &Supply| {
        let by_time = s.transfer.is_some() && matches!(s.since, Some(AsOf::Time(_)));
        s.location == location && (Some(s.key.0) == owner || by_time)
    };
    let all = detail.flow.supplies.iter().copied();
    let mut found: Vec<SupplyId> = all.filter(|id| may(record(id))).collect();
    found.sort_by_key(|id| {
        let s = record(id);
        (s.due, s.key.1.clone(), s.key.2.clone())
    });
    found
}

/// The moments of a cell's levels are forgotten: what they are presumed to count counts as receipts from now on, until its
/// line is stated again; what lines are lowered for, the next level shows.
pub(super) fn keep_as_received(state: &mut State, place: Place, owner: SourceId) {
    let mut received: Vec<(SupplyId, Arrival)> = Vec::new();
    share_out(state, place, owner, |line, as_of, units| {
        let sku = place.0;
        received.push((line, Arrival { sku, units, as_of }));
    });
    for (id, arrival) in received {
        state.change_supply(id.0, |line| {
            line.arrivals.push(arrival);
            line.presumed -= arrival.units;
        });
    }
    let mut known = known(state, place);
    known.rises.clear();
    for lowered in &mut known.lowered {
        lowered.as_of = None;
    }
    state.set_rises(place.0, place.1, known);
}

/// A level comes again under the `as_of` of the one before, with other figures: what it rises by may be of a line that was
/// stated without an `as_of` since that one came.
pub(super) fn restated(state: &mut State, place: Place, as_of: AsOf) {
    if !is_on(state) {
        return;
    }
    let Some(detail) = state.catalogue.detail(place.0) else {
        return;
    };
    let stated_since = |id: &&SupplyId| {
        let line = state.documents.supplies.get(id.0);
        line.location == place.1 && line.as_of.is_none() && !line.keeps_moment && line.since == Some(as_of)
    };
    let ids: Vec<SupplyId> = detail.flow.supplies.iter().filter(stated_since).copied().collect();
    for id in ids {
        state.change_supply(id.0, |line| line.since = None);
    }
}

/// Any level that comes from now on may show more of the lines of these cells that were stated without an `as_of`.
pub(super) fn forget_since(state: &mut State, places: &HashSet<Place>) {
    let supplies = state.documents.supplies.iter();
    let untimed = |s: &Supply| s.as_of.is_none() && s.since.is_some();
    let here = supplies.filter(|(_, s)| untimed(s) && places.contains(&(s.sku, s.location)));
    let ids: Vec<u32> = here.map(|(id, _)| id).collect();
    for id in ids {
        state.change_supply(id, |line| (line.since, line.keeps_moment) = (None, false));
    }
}

fn has_lines(state: &State, place: Place, owner: Option<SourceId>) -> bool {
    state
        .catalogue
        .detail(place.0)
        .is_some_and(|d| !d.flow.supplies.is_empty())
        && !lines(state, place, owner).is_empty()
}

fn known(state: &State, (sku, location): Place) -> CellRises {
    state.stock.rises.get((sku, location)).cloned().unwrap_or_default()
}

fn keep(state: &mut State, (sku, location): Place, mut rises: CellRises) {
    if rises.rises.len() > RISES_MAX {
        let oldest = rises.rises.remove(0);
        let next = &mut rises.rises[0];
        next.after = oldest.after;
        next.units = next.units.max(0) + oldest.units.max(0);
    }
    state.set_rises(sku, location, rises);
    state.to_presume.insert((sku, location));
    // Where supply is open, forgetting would have it counted twice: such cells stay.
    for _ in 0..4 {
        let Some((sku, location)) = state.stock.rises.first_too_many() else {
            return;
        };
        let owner = state.location_owner[location.at()];
        if owner.is_some() && has_lines(state, (sku, location), owner) {
            state.keep_rises(sku, location);
        } else {
            state.set_rises(sku, location, CellRises::default());
        }
    }
}

/// A level came. What it adds beyond `counted_before` nothing explains: it rose by that.
pub(super) fn level_came(
    state: &mut State,
    place: Place,
    level: LevelStamp,
    before: Option<LevelStamp>,
    counted_before: i64,
) {
    if !is_on(state) {
        return;
    }
    let mut units = counted(state, place.0, place.1) - counted_before;
    let is_open = has_lines(state, place, Some(level.source));
    // Orders that this level does not count may turn out to be inside it: then it rose by more than it seems now.
    let is_waiting = state.cell(place.0, place.1).is_some_and(|cell| cell.committed > 0);
    let mut rises = known(state, place);
    if rises.is_empty() && units <= 0 && !is_open && !is_waiting {
        return;
    }
    for lowered in &mut rises.lowered {
        let explained = lowered.units.min(units.max(0));
        lowered.units -= explained;
        units -= explained;
    }
    // A line was lowered for what the first level after it shows, or for something else.
    rises
        .lowered
        .retain(|l| l.units > 0 && l.as_of.is_some_and(|t| t.is_by(level.as_of) == Some(false)));
    rises.brought = 0;
    match rises.rises.last_mut() {
        Some(last) if last.upto == level.as_of => last.units += units,
        _ if units > 0 || is_open || is_waiting => rises.rises.push(Rise {
            after: before
                .filter(|b| b.source == level.source && b.as_of.is_by(level.as_of) == Some(true))
                .map(|b| b.as_of),
            upto: level.as_of,
            units,
        }),
        _ => {}
    }
    if !is_open {
        rises
            .rises
            .retain(|r| r.units > 0 || is_waiting && r.upto == level.as_of);
    }
    keep(state, place, rises);
}

/// A movement came after a level that counts it already: that level rose by so much less than it seemed.
pub(super) fn moved_before_level(state: &mut State, place: Place, as_of: AsOf, units: i64) {
    let mut rises = known(state, place);
    if let Some(rise) = rises.rises.iter_mut().find(|r| covers(r, as_of)) {
        rise.units -= units;
        keep(state, place, rises);
    }
}

/// The newest level turns out to count units of an order already: it rose by so much more than it seemed.
pub(super) fn counted_late(state: &mut State, place: Place, units: i64) {
    if state.stock.rises.get(place).is_none() {
        return;
    }
    let level = state.cell(place.0, place.1).and_then(Cell::level);
    let mut rises = known(state, place);
    if let Some(rise) = rises.rises.last_mut()
        && level.is_some_and(|l| l.as_of == rise.upto)
    {
        rise.units += units;
        keep(state, place, rises);
    }
}

/// A delta or a return brought units: it may be what a supply line is lowered for.
pub(super) fn brought(state: &mut State, place: Place, units: i64) {
    let owner = state.location_owner[place.1.at()];
    // Before the third edition only where somebody states levels already.
    let may_be = is_on(state) && units > 0 && (owner.is_some() || state.rules.is_third_edition());
    if !may_be {
        return;
    }
    let mut rises = known(state, place);
    if rises.lowered.is_empty() && !has_lines(state, place, owner) {
        return;
    }
    let used = take_lowered(&mut rises, units);
    rises.brought += units - used;
    keep(state, place, rises);
}

/// A receipt tells why its line was lowered by so many units: the movement explains what a level rose by, not the line.
pub(super) fn lowered_by_receipt(state: &mut State, place: Place, units: i64, as_of: AsOf) {
    let mut rises = known(state, place);
    let left = units - take_lowered(&mut rises, units);
    let at = rises.rises.iter().position(|r| covers(r, as_of));
    if let Some(at) = at.or(rises.rises.len().checked_sub(1)) {
        rises.rises[at].units += left;
    }
    keep(state, place, rises);
}

/// Whether a moment lies between a rise's levels.
fn covers(rise: &Rise, as_of: AsOf) -> bool {
    as_of.is_by(rise.upto) == Some(true) && rise.after.is_none_or(|after| as_of.is_by(after) == Some(false))
}

fn take_lowered(rises: &mut CellRises, units: i64) -> i64 {
    let mut left = units;
    for lowered in &mut rises.lowered {
        let used = lowered.units.min(left.max(0));
        lowered.units -= used;
        left -= used;
    }
    rises.lowered.retain(|l| l.units > 0);
    units - left
}

/// A line of the location's owner was lowered by `units`: that explains what a level rose by since the line was stated
/// before, and else what the next one will.
pub(super) fn lowered(state: &mut State, place: Place, units: i64, since_before: Option<AsOf>, as_of: Option<AsOf>) {
    if !is_on(state) {
        return;
    }
    let mut rises = known(state, place);
    let by_movement = rises.brought.min(units);
    rises.brought -= by_movement;
    let mut left = units - by_movement;
    for rise in &mut rises.rises {
        if rise.units > 0 && is_after(rise, since_before) {
            let explained = rise.units.min(left);
            rise.units -= explained;
            left -= explained;
        }
    }
    if left > 0 {
        rises.lowered.push(Lowered { as_of, units: left });
    }
    keep(state, place, rises);
}

/// Whether the level of a rise is newer than what its source stated of a line.
fn is_after(rise: &Rise, since: Option<AsOf>) -> bool {
    since.is_none_or(|since| rise.upto.is_by(since) == Some(false))
}

/// Works out again what is presumed to have arrived, wherever something changed.
pub(crate) fn settle(state: &mut State) {
    while let Some(place) = state.to_presume.pop_first() {
        let Some(owner) = state.location_owner[place.1.at()] else {
            continue;
        };
        for (id, presumed) in shares(state, place, owner) {
            presume(state, id, presumed);
        }
    }
}

/// Of each line, how many units are presumed to have arrived.
fn shares(state: &State, place: Place, owner: SourceId) -> Vec<(SupplyId, i64)> {
    share_out(state, place, owner, |_, _, _| {})
}

/// The same; `each` gets the line, the moment of the level and the units of every part of it.
fn share_out(
    state: &State,
    place: Place,
    owner: SourceId,
    mut each: impl FnMut(SupplyId, AsOf, i64),
) -> Vec<(SupplyId, i64)> {
    let mut shares: Vec<(SupplyId, i64)> = lines(state, place, Some(owner)).into_iter().map(|id| (id, 0)).collect();
    let known = state.stock.rises.get(place).filter(|_| is_on(state));
    for rise in known.iter().flat_map(|r| &r.rises) {
        let mut left = rise.units;
        for (id, presumed) in &mut shares {
            let line = state.documents.supplies.get(id.0);
            if left > 0 && is_after(rise, line.since) {
                let taken = left.min(line.room() - *presumed);
                if taken > 0 {
                    *presumed += taken;
                    left -= taken;
                    each(*id, rise.upto, taken);
                }
            }
        }
    }
    shares
}

/// Units bound to what is presumed to have arrived move to the shelf, oldest first.
fn presume(state: &mut State, id: SupplyId, presumed: i64) {
    let line = state.documents.supplies.get(id.0);
    let quantity = (line.room() - presumed).max(0);
    if line.presumed == presumed && line.quantity == quantity {
        return;
    }
    let (sku, shelf) = (line.sku, StockNode::Hand(line.location));
    let arrived = (presumed - line.presumed).max(0).min(line.bound);
    let leave = arrived.max(line.bound - quantity);
    let sequence = state.position.sequence + 1;
    state.change_supply(id.0, |line| {
        line.presumed = presumed;
        line.quantity = quantity;
        line.sequence = sequence;
    });
    supplies::unbind(state, id.0, sku, leave, shelf, None);
    state.note_change(sku);
}

#[cfg(test)]
mod tests;
