//! `order.update`: units that the ERP took off an order. Cancelled and refused ones are dropped, short ones count as shipped.
//!
//! In: updates, before or after the order itself. Out: units given back or marked. Always: an update counts what its newest
//! version names (docs/rules.md, "Documents").

use crate::erp::identity::{difference, encoded, is_to_count, of_document};
use crate::erp::leaving::{self, Taking, mark_shipped, take_open};
use crate::erp::order_units::{self, Cell};
use crate::erp::{named_order, pending, reconcile, returns, shipments};
use crate::state::State;
use crate::state::identities::{Known, Moves};
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::order_documents::{About, OrderDocument};
use crate::state::reservations::Dropped;
use crate::units::{kits, ledger};
use crate::wire::facts::bounds::QUANTITY_MAX;
use crate::wire::facts::{AsOf, Fact, OrderUpdate, QuantityLine, Statement, UpdateStatus};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &OrderUpdate<'_>) {
    let key = of_document(&statement.source, "order.update", &fact.reference, fact.line.as_deref());
    let slots = named_order::meant(state, &fact.of);
    let mut moves = leaving::line_moves(state, &slots, &fact.lines, Some(key));
    let second = state.rules.is_second_edition();
    if second && slots.is_empty() {
        // It waits for its order: what it names is worked out then.
        moves.clear();
    }
    let Some(mut before) = is_to_count(state, source, statement, key, fact.version, moves.clone()) else {
        return;
    };
    if let Some(old) = named_order::left_behind(state, key, &fact.of, &slots) {
        // What the version before took there is open again.
        for &slot in &old.slots {
            state.count_change(slot);
        }
        let meant = Meant {
            order: &old.order,
            channel: old.channel.as_deref(),
            slots: &old.slots,
        };
        update(
            state,
            &meant,
            (source, statement, fact),
            key,
            (&before, &Moves::new()),
            true,
        );
        before.clear();
    }
    if slots.is_empty() {
        let waits_for = named_order::waits_for(&fact.of);
        if second {
            pending::replace(state, source, &waits_for, key, encoded(statement));
        } else {
            wait(state, source, statement, fact, (&before, &moves));
        }
        return;
    }
    for &slot in &slots {
        state.count_change(slot);
    }
    if second {
        let order = named_order::waits_for(&fact.of);
        let meant = Meant::by(fact, &order, &slots);
        update(state, &meant, (source, statement, fact), key, (&before, &moves), true);
        return;
    }
    let more = named_more(&moves, &before);
    take_off(state, &slots, source, fact.status, fact.as_of, &more);
}

/// An update that waited for this reservation to be confirmed. What shipments take and returns bring back follows when all
/// that waited is applied, so it makes no difference what of it came first; by earlier editions it followed each.
pub(super) fn catch_up(
    state: &mut State,
    slot: Slot,
    source: SourceId,
    statement: &Statement<'_>,
    fact: &OrderUpdate<'_>,
) {
    let key = of_document(&statement.source, "order.update", &fact.reference, fact.line.as_deref());
    if state.rules.is_second_edition() && is_replaced(state, key, statement, fact) {
        return;
    }
    let moves = leaving::line_moves(state, &[slot], &fact.lines, Some(key));
    if state.rules.is_second_edition() {
        state.identities.name_moves(key, moves.clone());
        let at_once = !state.rules.is_third_edition();
        let order = named_order::waits_for(&fact.of);
        update(
            state,
            &Meant::by(fact, &order, &[slot]),
            (source, statement, fact),
            key,
            (&Moves::new(), &moves),
            at_once,
        );
        return;
    }
    take_off(state, &[slot], source, fact.status, fact.as_of, &moves);
}

/// Whether a newer version of an update came while this one waited, perhaps about another order.
fn is_replaced(state: &State, key: u128, statement: &Statement<'_>, fact: &OrderUpdate<'_>) -> bool {
    let newest = state.identities.ask(key, fact.version, statement.body());
    !matches!(newest, Known::Repeat | Known::New)
}

/// The order that a version of an update means: the name that it is listed under, and its reservations.
struct Meant<'a> {
    order: &'a str,
    channel: Option<&'a str>,
    slots: &'a [Slot],
}

impl<'a> Meant<'a> {
    fn by(fact: &'a OrderUpdate<'_>, order: &'a str, slots: &'a [Slot]) -> Self {
        let channel = fact.of.channel.as_deref();
        Meant { order, channel, slots }
    }
}

/// Cancelled and refused units leave the order, short ones count as shipped, where they are. A newer version that names
/// fewer, or states otherwise, puts back those that it took, the last first. `follows`: what shipments take and returns bring
/// back is worked out again at once, if anything changed.
fn update(
    state: &mut State,
    meant: &Meant<'_>,
    (source, statement, fact): (SourceId, &Statement<'_>, &OrderUpdate<'_>),
    key: u128,
    (before, moves): (&Moves, &Moves),
    follows: bool,
) {
    let slots = meant.slots;
    let kits: Vec<Vec<i64>> = slots.iter().map(|&slot| kits::counted(state, slot)).collect();
    let held = state.order_documents.held(key);
    let was = match held.map(|d| &d.about) {
        Some(About::Update(status)) => *status,
        _ => fact.status,
    };
    let mut document = OrderDocument {
        name: order_units::name_of(statement, &fact.reference, fact.line.as_deref(), ("", "")),
        key,
        channel: meant.channel.map(Into::into),
        source,
        as_of: fact.as_of,
        about: About::Update(fact.status),
        beyond: held.map(|d| d.beyond.clone()).unwrap_or_default(),
    };
    let is_short = |status| status == UpdateStatus::Short;
    let (fewer, more) = if is_short(was) == is_short(fact.status) {
        order_units::changes(before, moves)
    } else {
        (before.clone(), moves.clone())
    };
    let changed = !fewer.is_empty() || !more.is_empty();
    let follows = follows && (changed || !state.rules.is_third_edition());
    for (sku, location, quantity) in fewer {
        let less = quantity.min(order_units::beyond_at(&document.beyond, (sku, location)));
        order_units::add_beyond(&mut document.beyond, (sku, location), -less);
        open_again(
            state,
            slots,
            ((key, source), is_short(was)),
            (sku, location),
            quantity - less,
        );
    }
    for (sku, location, quantity) in more {
        let taken = if is_short(fact.status) {
            fall_short(state, slots, (key, (source, fact.as_of)), (sku, location), quantity)
        } else {
            order_units::drop_open(state, slots, (key, false), (sku, location), quantity)
        };
        order_units::add_beyond(&mut document.beyond, (sku, location), quantity - taken);
    }
    state.put_order_document(meant.order, document);
    if follows {
        shipments::take_up(state, slots);
    }
    for (&slot, kits) in slots.iter().zip(&kits) {
        kits::give_back_gone(state, slot, kits);
    }
    if follows {
        returns::settle(state, slots);
    }
    for &slot in slots {
        reconcile::order_changed(state, slot);
    }
}

/// Units that an update took are open again, those at the named location first.
fn open_again(
    state: &mut State,
    slots: &[Slot],
    ((document, source), is_short): ((u128, SourceId), bool),
    (sku, location): Cell,
    quantity: i64,
) {
    if is_short {
        shipments::take_back(state, slots, (document, source), (sku, location), quantity);
        return;
    }
    let here = |d: &Dropped| d.document == document && location.is_none_or(|l| d.place == Some(l));
    let there: i64 = slots
        .iter()
        .flat_map(|&slot| order_units::dropped_by(state, slot, document))
        .filter(|d| d.sku == sku && here(d))
        .map(|d| d.quantity)
        .sum();
    let first = quantity.min(there);
    order_units::put_back(state, slots, (sku, first), here);
    order_units::put_back(state, slots, (sku, quantity - first), |d| d.document == document);
}

/// Open units that were not there: they count as shipped, where they are. Returns how many there were.
fn fall_short(
    state: &mut State,
    slots: &[Slot],
    by: (u128, (SourceId, AsOf)),
    (sku, location): Cell,
    quantity: i64,
) -> i64 {
    let mut left = quantity;
    for &slot in slots {
        while left > 0 {
            let Some(portion) = take_open(state, slot, sku, location, left, Taking::Update) else {
                break;
            };
            left -= portion.quantity;
            leaving::mark_left(state, slot, portion, (None, None), by);
        }
    }
    quantity - left
}

/// By the first edition units that were taken off do not come back by a newer version; only more can be taken off.
fn named_more(moves: &Moves, before: &Moves) -> Moves {
    let mut more = difference(moves, before);
    more.retain(|(_, _, quantity)| *quantity > 0);
    more
}

/// By the first edition an update whose order is not known waits with what it names beside its version before.
fn wait(
    state: &mut State,
    source: SourceId,
    statement: &Statement<'_>,
    fact: &OrderUpdate<'_>,
    (before, moves): (&Moves, &Moves),
) {
    let waits_for = named_order::waits_for(&fact.of);
    let more = named_more(moves, before);
    if before.is_empty() {
        pending::keep(state, source, &waits_for, encoded(statement));
    } else if !more.is_empty() {
        let kept = encoded(&with_lines(state, statement, fact, &more));
        pending::keep(state, source, &waits_for, kept);
    }
}

/// The same update with other lines: what a newer version takes off beside the version before.
fn with_lines<'a>(state: &'a State, statement: &Statement<'a>, fact: &OrderUpdate<'a>, moves: &Moves) -> Statement<'a> {
    let line = |&(sku, location, quantity): &(SkuId, Option<LocationId>, i64)| QuantityLine {
        sku: state.catalogue.sku_name(sku).into(),
        location: location.map(|l| state.catalogue.location_name(l).into()),
        quantity: quantity.min(QUANTITY_MAX),
        unit: None,
        line: None,
    };
    let lines = moves.iter().map(line).collect();
    Statement {
        fact: Fact::OrderUpdate(OrderUpdate { lines, ..fact.clone() }),
        ..statement.clone()
    }
}

/// Takes units out of an order: cancelled and refused ones are dropped, short ones count as shipped.
pub(super) fn take_off(
    state: &mut State,
    slots: &[Slot],
    source: SourceId,
    status: UpdateStatus,
    as_of: AsOf,
    moves: &[(SkuId, Option<LocationId>, i64)],
) {
    let kits: Vec<Vec<i64>> = slots.iter().map(|&slot| kits::counted(state, slot)).collect();
    for &(sku, location, quantity) in moves {
        let mut left = quantity;
        for &slot in slots {
            while left > 0 {
                let Some(portion) = take_open(state, slot, sku, location, left, Taking::Update) else {
                    break;
                };
                left -= portion.quantity;
                match status {
                    UpdateStatus::Cancelled | UpdateStatus::Refused => {
                        let channel = state.reservations.get(slot).channel;
                        ledger::give_back(state, slot, channel, portion);
                    }
                    UpdateStatus::Short => mark_shipped(state, slot, portion, None, (source, as_of)),
                }
            }
        }
    }
    for (&slot, kits) in slots.iter().zip(&kits) {
        kits::give_back_gone(state, slot, kits);
        reconcile::order_changed(state, slot);
    }
}
