//! How a reservation comes to hold what it holds: needs, what a replacement keeps, placement, shares of lines.
//!
//! In: a reservation's lines, already decided to fit. Out: units taken through the ledger and shared among the lines.
//! Always: a replacement keeps, per SKU, as many of its old units as it needs, with what they took.

use smallvec::{SmallVec, smallvec};

use crate::placement::sourcing::{self, PlacementRequest};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId, Slot};
use crate::state::reservations::{Line, Portion, Reservation, StockNode};
use crate::units::ledger::{self, Loose, class};
use crate::units::recipes::Made;
use crate::units::{indexes, kits};

/// Units of one base SKU that some lines need together.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) sku: SkuId,
    pub(crate) only: Option<LocationId>,
    pub(crate) quantity: i64,
    shares: SmallVec<[(u16, i64); 2]>,
}

/// What is needed, and the portions that serve it already.
type Wanted = SmallVec<[(Need, Parts); 2]>;

/// Portions on their way into a reservation.
type Parts = SmallVec<[Loose; 2]>;

/// What lines need from stock: kits taken apart, equal SKUs summed; in order of first mention, those at a named location first.
/// `made`: how each line is made up.
pub(crate) fn needs<'a>(state: &State, lines: &[Line], made: impl Fn(usize) -> Made<'a>) -> Wanted {
    let mut needs = Wanted::new();
    for (n, line) in lines.iter().enumerate() {
        if line.quantity == 0 {
            continue;
        }
        made(n).for_each_part(&state.catalogue, line.sku, |sku, per_unit| {
            let units = line.quantity * per_unit;
            let share = (n as u16, units);
            let same = |need: &&mut Need| need.sku == sku && need.only == line.location;
            if let Some(need) = needs.iter_mut().map(|(need, _)| need).find(same) {
                need.quantity += units;
                need.shares.push(share);
                return;
            }
            let need = Need {
                sku,
                only: line.location,
                quantity: units,
                shares: smallvec![share],
            };
            needs.push((need, Parts::new()));
        });
    }
    // Lines that name a location go first: the others can still go elsewhere.
    if needs.iter().any(|(need, _)| need.only.is_some()) {
        needs.sort_by_key(|(need, _)| need.only.is_none());
    }
    needs
}

/// Gives back what a replacement does not need and returns what it keeps, oldest-placed first.
pub(crate) fn clear_for(
    state: &mut State,
    slot: Slot,
    lines: &[Line],
    channel: ChannelId,
    region: Option<RegionId>,
) -> Wanted {
    let mut wanted = needs(state, lines, |_| Made::Now);
    let old = state.reservations.get(slot);
    if old.lines.is_empty() {
        // It was made just now.
        return wanted;
    }
    let (old_channel, old_lines, old_recipes) = (old.channel, old.lines.clone(), old.recipes.clone());
    let starts_again = old_channel != channel || old.region != region;
    let places: SmallVec<[Option<LocationId>; 2]> = old.portions.iter().map(|p| stands_at(state, old, p)).collect();
    let mut left: Vec<(Option<LocationId>, Loose)> =
        places.into_iter().zip(ledger::take_out_all(state, slot)).collect();
    left.sort_by_key(|(_, part)| class(part.node));
    for (need, kept) in wanted.iter_mut().filter(|_| !starts_again) {
        let mut open = need.quantity;
        for (at, part) in std::mem::take(&mut left) {
            let fits = need.sku == part.sku && (need.only.is_none() || need.only == at);
            left.extend(keep(&mut open, kept, part, fits).map(|rest| (at, rest)));
        }
    }
    for (_, part) in left {
        ledger::give_back(state, slot, old_channel, part);
    }
    let old_recipes = old_recipes.as_deref().map_or(&[][..], |all| all);
    kits::give_back_lines(state, old_channel, &old_lines, old_recipes);
    wanted
}

/// Keeps of a portion what is still open, and returns the rest of it.
fn keep(open: &mut i64, kept: &mut Parts, mut part: Loose, fits: bool) -> Option<Loose> {
    if !fits || *open == 0 {
        return Some(part);
    }
    if *open >= part.quantity {
        *open -= part.quantity;
        kept.push(part);
        return None;
    }
    kept.push(part.split(*open));
    *open = 0;
    Some(part)
}

/// Where units are, or, of unsourced ones, the location that their line names.
pub(crate) fn stands_at(state: &State, reservation: &Reservation, portion: &Portion) -> Option<LocationId> {
    match portion.node {
        StockNode::Hand(location) => Some(location),
        StockNode::Supply(id) => Some(state.documents.supplies.get(id.0).location),
        StockNode::Unsourced => reservation.lines[portion.line as usize].location,
    }
}

/// Places what is needed beyond what was kept, and shares all of it among the lines.
pub(crate) fn place(state: &mut State, slot: Slot, wanted: Wanted) {
    let reservation = state.reservations.get(slot);
    let (channel, region) = (reservation.channel, reservation.region);
    let mut special: Vec<(SkuId, StockNode)> = Vec::new();
    for (need, mut parts) in wanted {
        let kept: i64 = parts.iter().map(|p| p.quantity).sum();
        if need.quantity > kept {
            let request = PlacementRequest {
                sku: need.sku,
                channel,
                region,
                only: need.only,
                quantity: need.quantity - kept,
            };
            let placements = sourcing::choose(state, &request);
            parts.extend(ledger::take(state, slot, need.sku, &placements));
        }
        let beyond_the_shelf = parts.iter().filter(|p| !matches!(p.node, StockNode::Hand(_)));
        special.extend(beyond_the_shelf.map(|p| (need.sku, p.node)));
        match need.shares[..] {
            [(line, _)] => parts
                .into_iter()
                .for_each(|part| ledger::put(state, slot, part.for_line(line))),
            _ => share(state, slot, &need, parts),
        }
    }
    for (sku, node) in special {
        indexes::renew(state, slot, sku, node);
    }
}

fn share(state: &mut State, slot: Slot, need: &Need, parts: Parts) {
    let mut shares = need.shares.iter().copied();
    let (mut line, mut open) = shares.next().unwrap_or((0, 0));
    for mut part in parts {
        loop {
            if open == 0 {
                match shares.next() {
                    Some(next) => (line, open) = next,
                    None => break,
                }
                continue;
            }
            if part.quantity <= open {
                open -= part.quantity;
                ledger::put(state, slot, part.for_line(line));
                break;
            }
            let some = part.split(open);
            open = 0;
            ledger::put(state, slot, some.for_line(line));
        }
    }
}

#[cfg(test)]
mod tests;
