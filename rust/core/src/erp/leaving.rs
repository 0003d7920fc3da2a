//! Which units of an order leave it, and from where: shipped, fulfilled, or taken off by an update.
//!
//! In: an order's reservations, a SKU, perhaps a location. Out: units in the order of `rank`, taken through the ledger.
//! Always: a shipment takes open units first at the location that it names, else elsewhere (docs/rules.md, section 3).

use crate::state::State;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::reservations::{Portion, StockNode};
use crate::units::ledger::{self, Loose};
use crate::units::recipes;
use crate::wire::facts::{AsOf, Day, QuantityLine};

/// Units by base SKU and location that a document names; kits are taken apart as the order's were sold.
pub(crate) type LineMoves = Vec<(SkuId, Option<LocationId>, i64)>;

/// `document`: the identity of the document, whose earlier version counts for what it named before.
pub(crate) fn line_moves(
    state: &State,
    slots: &[Slot],
    lines: &[QuantityLine<'_>],
    document: Option<u128>,
) -> LineMoves {
    let mut moves: LineMoves = Vec::new();
    for line in lines {
        let Some(sku) = state.catalogue.sku(&line.sku) else {
            continue;
        };
        let location = line.location.as_deref().and_then(|l| state.catalogue.location(l));
        let quantity = (line.quantity, line.unit.as_deref());
        recipes::parts_for(
            state,
            slots,
            sku,
            quantity,
            (document, None),
            |component, units| match moves.iter_mut().find(|(s, l, _)| *s == component && *l == location) {
                Some((_, _, quantity)) => *quantity += units,
                None => moves.push((component, location, units)),
            },
        );
    }
    moves
}

/// Why units are taken out of an order, which decides where from first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    /// What was reported over HTTP to have left, then the named location, then elsewhere, supply, unsourced.
    Shipment,
    /// The named location, then what is least certain: unsourced, supply, then the last cell first.
    Update,
    /// Over HTTP: units not reported before, the named location first.
    Fulfil,
}

/// Whether reported to have left, how far from the named location, the cell's (priority, name), among those of one place
/// ([`Among`]), the index in the list.
type Turn = (u8, u8, u64, Among, usize);

/// When supply comes, the line, whether nobody acknowledged it.
type Among = (Day, u16, bool);

fn rank(state: &State, taking: Taking, portion: &Portion, location: Option<LocationId>, at: usize) -> Option<Turn> {
    if portion.is_shipped() || (taking != Taking::Shipment && portion.fulfilled) {
        return None;
    }
    let second = state.rules.is_second_edition();
    let here = location.is_some_and(|l| portion.node == StockNode::Hand(l));
    let there = location.is_some() && state.location_of(portion.node) == location;
    let (class, place) = match portion.node {
        StockNode::Hand(cell) => (0, state.catalogue.locations[cell.at()].rank),
        StockNode::Supply(_) => (1, 0),
        StockNode::Unsourced => (2, 0),
    };
    // The shelf of the named location, supply that comes there, other shelves, other supply, units beyond any node.
    let distance = match class {
        2 => 4,
        bound => bound + if there { 0 } else { 2 },
    };
    // Before the third edition those of one place, and supply, left in the order of the list.
    let (from, among) = if state.rules.is_third_edition() {
        among(state, portion, place)
    } else {
        (place, Among::default())
    };
    Some(match taking {
        Taking::Shipment if second => (u8::from(!portion.fulfilled), distance, from, among, at),
        Taking::Fulfil if second => (0, distance, from, among, at),
        Taking::Shipment => (
            u8::from(!portion.fulfilled),
            if here { 0 } else { 1 + class },
            place,
            among,
            at,
        ),
        Taking::Fulfil => (0, if here { 0 } else { 1 + class }, place, among, at),
        Taking::Update => (
            u8::from(portion.fulfilled),
            if here { 0 } else { 3 - class },
            u64::MAX - place,
            Among::default(),
            usize::MAX - at,
        ),
    })
}

/// Where a portion is or comes, as (priority, name), and its turn among those there.
fn among(state: &State, portion: &Portion, place: u64) -> (u64, Among) {
    let is_acknowledged = portion.evidence.as_ref().is_some_and(|e| e.is_acknowledged());
    let (place, due) = match portion.node {
        StockNode::Supply(id) => {
            let supply = state.documents.supplies.get(id.0);
            (state.catalogue.locations[supply.location.at()].rank, supply.due)
        }
        _ => (place, 0),
    };
    (place, (due, portion.line, !is_acknowledged))
}

/// Takes at most `most` open units of a SKU out of a reservation.
pub(crate) fn take_open(
    state: &mut State,
    slot: Slot,
    sku: SkuId,
    location: Option<LocationId>,
    most: i64,
    taking: Taking,
) -> Option<Loose> {
    let candidates = state
        .reservations
        .get(slot)
        .portions
        .iter()
        .enumerate()
        .filter(|(_, p)| p.sku == sku);
    let (_, at) = candidates
        .filter_map(|(at, p)| rank(state, taking, p, location, at).map(|r| (r, at)))
        .min()?;
    Some(ledger::take_out(state, slot, at, most, taking != Taking::Update))
}

/// Takes at most `most` units that leave an order: over all its reservations by rank, then the oldest. Also
/// returns where they leave from; units without a shelf leave from the order's first cell. None: nothing is left that can leave.
pub(crate) fn take_leaving(
    state: &mut State,
    slots: &[Slot],
    sku: SkuId,
    location: Option<LocationId>,
    most: i64,
    taking: Taking,
) -> Option<(Slot, Loose, Option<LocationId>)> {
    let best = |&slot: &Slot| {
        let portions = state.reservations.get(slot).portions.iter().enumerate();
        let ranked = portions
            .filter(|(_, p)| p.sku == sku)
            .filter_map(|(at, p)| rank(state, taking, p, location, at));
        ranked.min().map(|(reported, distance, ..)| (reported, distance))
    };
    let ranked = slots
        .iter()
        .enumerate()
        .filter_map(|(age, slot)| best(slot).map(|rank| (rank, age)));
    let (_, age) = ranked.min()?;
    let portion = take_open(state, slots[age], sku, location, most, taking)?;
    let home = match portion.node {
        StockNode::Hand(_) => location,
        StockNode::Supply(_) if state.rules.is_second_edition() => location.or_else(|| state.location_of(portion.node)),
        _ => location.or_else(|| first_cell(state, slots, sku)),
    };
    Some((slots[age], portion, home))
}

/// Of the cells that serve an order's SKU the first by (priority, name).
fn first_cell(state: &State, slots: &[Slot], sku: SkuId) -> Option<LocationId> {
    let portions = slots.iter().flat_map(|&slot| &state.reservations.get(slot).portions);
    let cells = portions.filter(|p| p.sku == sku).filter_map(|p| match p.node {
        StockNode::Hand(location) => Some(location),
        _ => None,
    });
    cells.min_by_key(|l| state.catalogue.locations[l.at()].rank)
}

/// Puts a portion back as shipped by the first edition, at the location that was named.
pub(crate) fn mark_shipped(
    state: &mut State,
    slot: Slot,
    portion: Loose,
    location: Option<LocationId>,
    (source, as_of): (SourceId, AsOf),
) {
    let node = location.map_or(portion.node, StockNode::Hand);
    ledger::relocate(state, slot, portion, (node, None), |p| {
        p.evidence_mut().shipped = Some((source, as_of));
    });
}

/// Puts a portion back as having left by a document from a shelf (None: where it is), which the document named or not.
pub(crate) fn mark_left(
    state: &mut State,
    slot: Slot,
    portion: Loose,
    (shelf, named): (Option<LocationId>, Option<LocationId>),
    (document, by): (u128, (SourceId, AsOf)),
) {
    state.identities.take_of(document, slot);
    let (from, at) = (portion.node, state.location_of(portion.node));
    let node = shelf.map_or(portion.node, StockNode::Hand);
    let portion = portion.reported(|evidence| {
        evidence.leave(from, document, by);
        if let Some(place) = named {
            evidence.leave_from(at, by, place);
        }
    });
    ledger::relocate(state, slot, portion, (node, Some(by.0)), |_| {});
}

/// Puts a portion back as reported over HTTP to have left.
pub(crate) fn mark_fulfilled(state: &mut State, slot: Slot, portion: Loose, location: Option<LocationId>) {
    let node = location.map_or(portion.node, StockNode::Hand);
    ledger::relocate(state, slot, portion, (node, None), |p| p.fulfilled = true);
}
