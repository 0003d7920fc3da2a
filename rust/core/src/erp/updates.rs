//! `order.update`: units that the ERP took off an order. Cancelled and refused ones are dropped, short ones count as shipped.
//!
//! In: updates, before or after the order itself. Out: units given back or marked. Always: units that were taken off do not
//! come back by a newer version.

use crate::erp::identity::{difference, encoded, is_to_count, of_document};
use crate::erp::leaving::{self, Taking, mark_shipped, take_open};
use crate::erp::{named_order, pending, reconcile};
use crate::state::State;
use crate::state::identities::Moves;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::units::{kits, ledger};
use crate::wire::facts::bounds::QUANTITY_MAX;
use crate::wire::facts::{AsOf, Fact, OrderUpdate, QuantityLine, Statement, UpdateStatus};

pub(crate) fn apply(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &OrderUpdate<'_>) {
    let key = of_document(&statement.source, "order.update", &fact.reference, fact.line.as_deref());
    let moves = leaving::line_moves(state, &fact.lines);
    let Some(before) = is_to_count(state, statement, key, fact.version, moves.clone()) else {
        return;
    };
    // Units that were taken off do not come back by a newer version; only more can be taken off.
    let more: Moves = difference(&moves, &before)
        .into_iter()
        .filter(|(_, _, q)| *q > 0)
        .collect();
    let slots = named_order::meant(state, &fact.of);
    if slots.is_empty() {
        if before.is_empty() {
            pending::keep(state, &named_order::waits_for(&fact.of), encoded(statement));
        } else if !more.is_empty() {
            let kept = encoded(&with_lines(state, statement, fact, &more));
            pending::keep(state, &named_order::waits_for(&fact.of), kept);
        }
        return;
    }
    for &slot in &slots {
        state.count_change(slot);
    }
    take_off(state, &slots, source, fact.status, fact.as_of, &more);
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
                    UpdateStatus::Short => mark_shipped(state, slot, portion, None, source, as_of),
                }
            }
        }
    }
    for (&slot, kits) in slots.iter().zip(&kits) {
        kits::give_back_gone(state, slot, kits);
        reconcile::order_changed(state, slot);
    }
}
