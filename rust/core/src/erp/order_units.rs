//! Units of an order that documents took off, put back, and what they named beyond the open ones.
//!
//! In: documents and the reservations that they mean. Out: units dropped or open again, through the ledger. Always: a
//! document counts what its newest version names, whatever came before it (docs/rules.md, "Documents").

use crate::erp::leaving::{self, Taking};
use crate::state::State;
use crate::state::identities::Moves;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::order_documents::{self, OrderDocument};
use crate::state::reservations::{Dropped, ReservationState};
use crate::units::ledger;
use crate::wire::facts::Statement;

/// A base SKU, perhaps at a location.
pub(crate) type Cell = (SkuId, Option<LocationId>);

/// The names under which documents about these reservations are remembered.
pub(crate) fn names_of(state: &State, slots: &[Slot]) -> Vec<Box<str>> {
    if state.order_documents.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<Box<str>> = Vec::new();
    for &slot in slots {
        let reservation = state.reservations.get(slot);
        let own = order_documents::name_of_reservation(&reservation.id);
        for name in reservation.order_ref.iter().cloned().chain([own.into()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Documents under these names, sorted by what they are called, each with the name that it is under.
pub(crate) fn documents_of(state: &State, names: &[Box<str>]) -> Vec<(Box<str>, OrderDocument)> {
    let mut all: Vec<(Box<str>, OrderDocument)> = Vec::new();
    for name in names {
        let documents = state.order_documents.of(name).iter();
        all.extend(documents.map(|d| (name.clone(), d.clone())));
    }
    all.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    all
}

/// What a document took off a reservation's open units.
pub(crate) fn dropped_by(state: &State, slot: Slot, document: u128) -> impl Iterator<Item = &Dropped> {
    let dropped = state.reservations.get(slot).dropped.iter().flat_map(|all| all.iter());
    dropped.filter(move |d| d.document == document)
}

/// Takes open units off an order, those at the named location first, then the least certain; returns how many there were.
pub(crate) fn drop_open(
    state: &mut State,
    slots: &[Slot],
    (document, is_return): (u128, bool),
    (sku, location): Cell,
    quantity: i64,
) -> i64 {
    let mut left = quantity;
    for &slot in slots {
        while left > 0 {
            let Some(portion) = leaving::take_open(state, slot, sku, location, left, Taking::Update) else {
                break;
            };
            left -= portion.quantity;
            let dropped = Dropped {
                document,
                is_return,
                sku,
                line: portion.line,
                quantity: portion.quantity,
                place: state.location_of(portion.node),
            };
            let channel = state.reservations.get(slot).channel;
            ledger::give_back(state, slot, channel, portion);
            let all = state.edit(slot).dropped.get_or_insert_with(Box::default);
            all.push(dropped);
        }
    }
    quantity - left
}

/// Puts dropped units back on the order, the last dropped first: new ones of their line, unsourced; they bind like any.
pub(crate) fn put_back(
    state: &mut State,
    slots: &[Slot],
    (sku, mut quantity): (SkuId, i64),
    of: impl Fn(&Dropped) -> bool,
) {
    for &slot in slots.iter().rev() {
        while quantity > 0 {
            let dropped = state.reservations.get(slot).dropped.iter().flat_map(|all| all.iter());
            let Some(at) = dropped
                .enumerate()
                .filter(|(_, d)| d.sku == sku && of(d))
                .map(|(n, _)| n)
                .last()
            else {
                break;
            };
            quantity -= put_back_one(state, slot, at, quantity);
        }
    }
}

/// Puts at most `most` units of one entry back; returns how many.
fn put_back_one(state: &mut State, slot: Slot, at: usize, most: i64) -> i64 {
    let reservation = state.edit(slot);
    let all = reservation.dropped.as_mut().expect("an entry was found in it");
    let entry = &mut all[at];
    let (sku, line, some) = (entry.sku, entry.line, entry.quantity.min(most));
    entry.quantity -= some;
    if entry.quantity == 0 {
        all.remove(at);
        if all.is_empty() {
            reservation.dropped = None;
        }
    }
    if reservation.state == ReservationState::Cancelled {
        // It was cancelled only by what was taken off it: a cancellation over HTTP drops nothing.
        state.mark_open(slot);
        state.name_state(slot, ReservationState::Committed);
    }
    ledger::add_unsourced(state, slot, sku, line, some);
    some
}

/// Adds to what a document named beyond the open units of its order (below 0: takes off).
pub(crate) fn add_beyond(beyond: &mut Moves, (sku, location): Cell, quantity: i64) {
    match beyond.iter_mut().find(|(s, l, _)| (*s, *l) == (sku, location)) {
        Some((_, _, q)) => *q += quantity,
        None => beyond.push((sku, location, quantity)),
    }
    beyond.retain(|(_, _, q)| *q != 0);
}

pub(crate) fn beyond_at(beyond: &Moves, cell: Cell) -> i64 {
    let here = beyond.iter().find(|(s, l, _)| (*s, *l) == cell);
    here.map_or(0, |(_, _, quantity)| *quantity)
}

/// What a newer version names more of, and fewer of, by cell: those that the version before named come first.
pub(crate) fn changes(before: &Moves, now: &Moves) -> (Moves, Moves) {
    let mut all: Moves = before.iter().map(|&(sku, at, quantity)| (sku, at, -quantity)).collect();
    for &(sku, at, quantity) in now {
        match all.iter_mut().find(|(s, l, _)| (*s, *l) == (sku, at)) {
            Some((_, _, q)) => *q += quantity,
            None => all.push((sku, at, quantity)),
        }
    }
    let fewer = all
        .iter()
        .filter(|(_, _, q)| *q < 0)
        .map(|&(s, l, q)| (s, l, -q))
        .collect();
    all.retain(|(_, _, q)| *q > 0);
    (fewer, all)
}

/// What a document about an order is called (source, kind, ref, line, and of a return SKU and location).
pub(crate) fn name_of(
    statement: &Statement<'_>,
    reference: &str,
    line: Option<&str>,
    (sku, location): (&str, &str),
) -> [Box<str>; 6] {
    let kind = statement.fact.kind();
    [
        &*statement.source,
        kind,
        reference,
        line.unwrap_or_default(),
        sku,
        location,
    ]
    .map(Into::into)
}
