//! `stock.delta` and `return`: movements on top of a level, each counted once.

use crate::erp::documents::in_base;
use crate::erp::identity::{is_to_count, of_movement};
use crate::erp::{levels, presumption};
use crate::state::State;
use crate::state::ids::SourceId;
use crate::state::stock::Movement;
use crate::wire::facts::{Return, Statement, StockDelta};

pub(crate) fn delta(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &StockDelta<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let key = of_movement(
        &statement.source,
        "stock.delta",
        &fact.reference,
        fact.line.as_deref(),
        (&name, &fact.location),
    );
    let quantity = in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let Some(before) = is_to_count(
        state,
        source,
        statement,
        key,
        fact.version,
        vec![(sku, Some(location), quantity)],
    ) else {
        return;
    };
    let on_hand = quantity - before.iter().map(|(_, _, q)| q).sum::<i64>();
    presumption::brought(state, (sku, location), on_hand);
    levels::own_movement(
        state,
        sku,
        location,
        Movement {
            on_hand,
            unsellable: 0,
            source,
            as_of: fact.as_of,
        },
    );
}

pub(crate) fn apply_return(state: &mut State, source: SourceId, statement: &Statement<'_>, fact: &Return<'_>) {
    let sku = state.sku(&fact.sku);
    let location = state.location(&fact.location);
    let name = state.catalogue.sku_name(sku).to_owned();
    let key = of_movement(
        &statement.source,
        "return",
        &fact.reference,
        fact.line.as_deref(),
        (&name, &fact.location),
    );
    let quantity = in_base(state, sku, fact.quantity, fact.unit.as_deref());
    let (on_hand, unsellable) = levels::returned(fact.condition, quantity);
    // Two moves: on hand, then unsellable, so that a newer version can take both back.
    let moves = vec![(sku, Some(location), on_hand), (sku, Some(location), unsellable)];
    let Some(before) = is_to_count(state, source, statement, key, fact.version, moves) else {
        return;
    };
    let was = |n: usize| before.get(n).map_or(0, |(_, _, q)| *q);
    let change = Movement {
        on_hand: on_hand - was(0),
        unsellable: unsellable - was(1),
        source,
        as_of: fact.as_of,
    };
    presumption::brought(state, (sku, location), change.on_hand);
    levels::own_movement(state, sku, location, change);
}
