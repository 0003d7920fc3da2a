//! `shipment`: units of an order left. Units beyond its open ones are a movement.
//!
//! In: shipments with an identity, perhaps corrected by a newer version. Out: units with evidence; movements.
//! Always: a shipment alone never changes what can be sold (docs/rules.md, section 3).

use crate::erp::identity::{difference, is_to_count, of_document};
use crate::erp::leaving::{self, Taking};
use crate::erp::order_units::{self, Cell};
use crate::erp::{binding, levels, named_order, reconcile, returns};
use crate::state::State;
use crate::state::identities::Moves;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::order_documents::{About, OrderDocument};
use crate::state::reservations::StockNode;
use crate::state::stock::Movement;
use crate::units::ledger;
use crate::wire::facts::{AsOf, Shipment, Statement};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Shipment<'_>) {
    let key = of_document(&statement.source, "shipment", &fact.reference, fact.line.as_deref());
    for line in &fact.lines {
        state.sku(&line.sku);
    }
    let slots = named_order::meant(state, &fact.of);
    let moves = leaving::line_moves(state, &slots, &fact.lines, Some(key));
    let Some(mut before) = is_to_count(state, source, statement, key, fact.version, moves.clone()) else {
        return;
    };
    if let Some(old) = named_order::left_behind(state, key, &fact.of, &slots) {
        let mut document = remembered(state, source, statement, fact, key);
        document.channel = old.channel;
        withdraw(state, &old.order, document, &old.slots, &before);
        before.clear();
    }
    for &slot in &slots {
        state.count_change(slot);
    }
    if state.rules.is_second_edition() {
        let order = named_order::waits_for(&fact.of).into_owned();
        let document = remembered(state, source, statement, fact, key);
        let mut shipped = Shipped {
            order,
            document,
            slots: &slots,
        };
        shipped.correct(state, &before, &moves);
        returns::settle(state, &slots);
    } else {
        first_edition(state, &slots, source, fact, (&before, &moves));
    }
    for &slot in &slots {
        reconcile::order_changed(state, slot);
    }
}

/// What a version named of an order that the newer one does not mean has not left by it.
fn withdraw(state: &mut State, order: &str, document: OrderDocument, slots: &[Slot], named: &Moves) {
    for &slot in slots {
        state.count_change(slot);
    }
    let order = order.to_owned();
    let key = document.key;
    Shipped { order, document, slots }.correct(state, named, &Moves::new());
    state.identities.let_go(key);
    returns::settle(state, slots);
    for &slot in slots {
        reconcile::order_changed(state, slot);
    }
}

/// The document as it is remembered with its order, beside what its version before named beyond the open units.
fn remembered(
    state: &State,
    source: SourceId,
    statement: &Statement<'_>,
    fact: &Shipment<'_>,
    key: u128,
) -> OrderDocument {
    let before = state.order_documents.held(key);
    OrderDocument {
        name: order_units::name_of(statement, &fact.reference, fact.line.as_deref(), ("", "")),
        key,
        channel: fact.of.channel.as_deref().map(Into::into),
        source,
        as_of: fact.as_of,
        about: About::Shipment,
        beyond: before.map(|d| d.beyond.clone()).unwrap_or_default(),
    }
}

/// A shipment and the reservations that it means.
struct Shipped<'a> {
    order: String,
    document: OrderDocument,
    slots: &'a [Slot],
}

impl Shipped<'_> {
    /// Takes back first what this version names fewer of: a later line may take it elsewhere.
    fn correct(&mut self, state: &mut State, before: &Moves, now: &Moves) {
        let (fewer, more) = order_units::changes(before, now);
        for &(sku, location, quantity) in &fewer {
            let less = quantity.min(order_units::beyond_at(&self.document.beyond, (sku, location)));
            self.surplus(state, (sku, location), -less);
            let document = (self.document.key, self.document.source);
            take_back(state, self.slots, document, (sku, location), quantity - less);
        }
        for (sku, location, quantity) in more {
            let mut left = self.ship(state, (sku, location), quantity);
            let reversed: Vec<Slot> = self.slots.iter().rev().copied().collect();
            let returned = |state: &State| -> i64 {
                let dropped = |&slot: &Slot| state.reservations.get(slot).dropped.iter().flat_map(|all| all.iter());
                let all = self.slots.iter().flat_map(dropped);
                all.filter(|d| d.is_return && d.sku == sku).map(|d| d.quantity).sum()
            };
            let again = left.min(returned(state));
            if again > 0 {
                order_units::put_back(state, &reversed, (sku, again), |d| d.is_return);
                if location.is_none() {
                    // It leaves from where it is bound now.
                    binding::bind_open(state);
                }
                left = self.ship(state, (sku, location), left);
            }
            self.surplus(state, (sku, location), left);
        }
        state.put_order_document(&self.order, self.document.clone());
        if !fewer.is_empty() {
            take_up(state, self.slots);
        }
    }

    fn ship(&self, state: &mut State, (sku, location): Cell, quantity: i64) -> i64 {
        let document = &self.document;
        let by = (document.key, (document.source, document.as_of));
        ship_units(state, self.slots, (sku, location, quantity), by)
    }

    fn surplus(&mut self, state: &mut State, cell: Cell, quantity: i64) {
        order_units::add_beyond(&mut self.document.beyond, cell, quantity);
        move_surplus(state, cell, quantity, (self.document.source, self.document.as_of));
    }
}

/// What a document names beyond the open units (below 0: no longer) is a movement; without a location it can only be counted.
fn move_surplus(state: &mut State, (sku, location): Cell, quantity: i64, (source, as_of): (SourceId, AsOf)) {
    match location {
        Some(_) => excess(state, sku, location, -quantity, source, as_of),
        None if quantity > 0 => state.counters.unlocated += 1,
        None => {}
    }
}

/// Units that are open now are first taken by what shipments named beyond the open ones, before the order was known or since.
pub(crate) fn take_up(state: &mut State, slots: &[Slot]) {
    let names = order_units::names_of(state, slots);
    for (order, document) in order_units::documents_of(state, &names) {
        if document.about != About::Shipment {
            continue;
        }
        let mut document = document;
        let bearers = named_order::bearers(state, &order, document.channel.as_deref());
        if !bearers.iter().any(|bearer| slots.contains(bearer)) {
            continue; // it means another order under that name
        }
        let mut cells = document.beyond.clone();
        cells.sort_by_cached_key(|&(sku, location, _)| {
            let location = location.map(|l| state.catalogue.location_name(l).to_owned());
            (state.catalogue.sku_name(sku).to_owned(), location.is_none(), location)
        });
        let by = (document.source, document.as_of);
        for (sku, location, quantity) in cells {
            let left = ship_units(state, &bearers, (sku, location, quantity), (document.key, by));
            order_units::add_beyond(&mut document.beyond, (sku, location), left - quantity);
            move_surplus(state, (sku, location), left - quantity, by);
        }
        state.put_order_document(&order, document);
        for slot in bearers {
            // Its units are at other cells now: their levels look at it.
            reconcile::order_changed(state, slot);
        }
    }
}

/// Ships open units of an order; returns how many are beyond its open ones.
fn ship_units(
    state: &mut State,
    slots: &[Slot],
    (sku, location, mut left): (SkuId, Option<LocationId>, i64),
    by: (u128, (SourceId, AsOf)),
) -> i64 {
    while left > 0 {
        let Some((slot, portion, home)) = leaving::take_leaving(state, slots, sku, location, left, Taking::Shipment)
        else {
            break;
        };
        if home.is_none() && !matches!(portion.node, StockNode::Hand(_)) {
            ledger::put(state, slot, portion);
            break;
        }
        left -= portion.quantity;
        leaving::mark_left(state, slot, portion, (home, location), by);
    }
    left
}

/// A document names fewer: the last of its units have not left, those at the named location first.
pub(super) fn take_back(
    state: &mut State,
    slots: &[Slot],
    (document, source): (u128, SourceId),
    (sku, location): Cell,
    mut left: i64,
) {
    for named in [true, false] {
        for &slot in slots.iter().rev() {
            while left > 0 {
                let portions = &state.reservations.get(slot).portions;
                let at = portions.iter().rposition(|p| {
                    let is_of = p
                        .evidence
                        .as_ref()
                        .and_then(|e| e.left.as_ref())
                        .is_some_and(|l| l.document == document);
                    let here = location.is_none_or(|l| state.location_of(p.node) == Some(l));
                    p.sku == sku && is_of && here == named
                });
                let Some(at) = at else { break };
                let portion = ledger::take_out(state, slot, at, left, false);
                left -= portion.quantity;
                ledger::come_back(state, slot, portion);
            }
        }
    }
    // What left by the first edition does not know its document.
    unship(state, slots, (sku, location, left), source);
}

/// By the first edition a correction took back first, without remembering what was beyond the open units.
fn first_edition(
    state: &mut State,
    slots: &[Slot],
    source: SourceId,
    fact: &Shipment<'_>,
    (before, moves): (&Moves, &Moves),
) {
    let mut changes = difference(moves, before);
    changes.sort_by_key(|(_, _, quantity)| *quantity > 0);
    for (sku, location, quantity) in changes {
        let left = if quantity > 0 {
            ship(state, slots, (sku, location, quantity), source, fact.as_of)
        } else {
            unship(state, slots, (sku, location, -quantity), source)
        };
        excess(state, sku, location, -left, source, fact.as_of);
    }
}

/// Ships open units of an order; returns how many are beyond its open ones.
fn ship(
    state: &mut State,
    slots: &[Slot],
    what: (SkuId, Option<LocationId>, i64),
    source: SourceId,
    as_of: AsOf,
) -> i64 {
    let (sku, location, mut left) = what;
    while left > 0 {
        let Some((slot, portion, home)) = leaving::take_leaving(state, slots, sku, location, left, Taking::Shipment)
        else {
            break;
        };
        if home.is_none() && !matches!(portion.node, StockNode::Hand(_)) {
            ledger::put(state, slot, portion);
            break;
        }
        left -= portion.quantity;
        leaving::mark_shipped(state, slot, portion, home, (source, as_of));
    }
    left
}

/// A newer version of a shipment shipped less: its latest units are open again. Returns, below 0, how many no unit could be found for.
fn unship(state: &mut State, slots: &[Slot], what: (SkuId, Option<LocationId>, i64), source: SourceId) -> i64 {
    let (sku, location, mut left) = what;
    for &slot in slots.iter().rev() {
        while left > 0 {
            let portions = &state.reservations.get(slot).portions;
            let at = portions.iter().rposition(|p| {
                p.sku == sku
                    && p.shipped().is_some_and(|(s, _)| s == source)
                    && p.evidence.as_ref().is_some_and(|e| e.left.is_none())
                    && location.is_none_or(|l| p.node == StockNode::Hand(l))
            });
            let Some(at) = at else { break };
            let portion = ledger::take_out(state, slot, at, left, false);
            left -= portion.quantity;
            ledger::unship(state, slot, portion);
        }
    }
    -left
}

/// Units beyond the open ones of the order are a movement; without a location they can only be counted.
fn excess(state: &mut State, sku: SkuId, location: Option<LocationId>, on_hand: i64, source: SourceId, as_of: AsOf) {
    match location {
        _ if on_hand == 0 => {}
        Some(location) => levels::movement(
            state,
            sku,
            location,
            Movement {
                on_hand,
                unsellable: 0,
                source,
                as_of,
            },
        ),
        None => state.counters.unlocated += 1,
    }
}

#[cfg(test)]
mod tests;
