//! Units sold beyond any node, bound oldest first as soon as a node can take them; and how portions move.

use crate::claims::Claim;
use crate::ids::{ChannelId, SkuId, Slot};
use crate::netting;
use crate::policies::Oversold;
use crate::pool::{self, Asking, Claimed, Whose};
use crate::reservations::{Node, Portion, ReservationState};
use crate::sellable::rest_of_allocation;
use crate::sourcing::{Order, occupy, tried_in_order, two_rounds};
use crate::state::State;

/// Notes in the indexes by age that a reservation has, or no longer has, units on a supply or beyond any node.
pub(crate) fn reindex(state: &mut State, slot: Slot, sku: SkuId, node: Node) {
    let reservation = state.reservations.get(slot);
    let age: Oversold = reservation.age(slot);
    let present = reservation.portions.iter().any(|p| p.sku == sku && p.node == node);
    match node {
        Node::Hand(_) => {}
        Node::Supply(id) => {
            let holders = &mut state.documents.supplies.get_mut(id.0).holders;
            if present {
                holders.insert(age)
            } else {
                holders.remove(&age)
            };
        }
        Node::Unsourced => {
            let unsourced = &mut state.catalogue.detail_mut(sku).flow.unsourced;
            if present {
                unsourced.insert(age)
            } else {
                unsourced.remove(&age)
            };
            if unsourced.is_empty() {
                state.unsourced_skus.remove(&sku);
            } else if state.unsourced_skus.insert(sku) || !state.to_bind.contains(&sku) {
                state.to_bind.push(sku);
            }
        }
    }
}

/// Takes units of the own allocation (or gives them back, below 0) in the period they belong to.
pub(crate) fn consume_own(state: &mut State, sku: SkuId, channel: ChannelId, own: i64, period: u32) {
    crate::rations::consume(state, sku, channel, crate::rations::Kind::Allocation, own, period);
}

/// Binds a SKU's unsourced units, oldest first, as a sale does; what cannot bind is passed over.
///
/// A unit that the level of its new cell counts already takes no stock, so another may bind after it: until none does.
pub(crate) fn bind(state: &mut State, sku: SkuId) {
    while bind_once(state, sku) {}
}

fn bind_once(state: &mut State, sku: SkuId) -> bool {
    let Some(detail) = state.catalogue.detail(sku) else {
        return false;
    };
    let mut bound = false;
    let ages: Vec<Oversold> = detail.flow.unsourced.iter().copied().collect();
    for age in ages {
        line_up(state, age.slot, sku);
        let lines: Vec<u16> = unsourced_portions(state, age.slot, sku).map(|p| p.line).collect();
        for line in lines {
            bound |= bind_portion(state, sku, age, line);
            // What the ERP said of these units before they had a cell counts for that cell now.
            if state.reservations.get(age.slot).state != ReservationState::Held {
                netting::enter_indexes(state, age.slot);
                netting::renew(state, age.slot);
            }
        }
    }
    bound
}

/// Stock at hand first, then supply, unsourced last.
fn class(node: Node) -> u8 {
    match node {
        Node::Hand(_) => 0,
        Node::Supply(_) => 1,
        Node::Unsourced => 2,
    }
}

/// Orders a line's units beyond any node: those that have not left first, then by who told that they have, and when.
fn line_up(state: &mut State, slot: Slot, sku: SkuId) {
    if unsourced_portions(state, slot, sku).nth(1).is_none() {
        return;
    }
    state.touch_reservation(slot);
    let State {
        reservations,
        catalogue,
        ..
    } = state;
    reservations.get_mut(slot).portions.sort_by_cached_key(|p| {
        let told = (p.node == Node::Unsourced).then(|| {
            let shipped = p.evidence().shipped;
            let by = shipped.map(|(source, as_of)| (catalogue.source_names.name(source.0.into()).to_owned(), as_of));
            (p.sku.0, p.fulfilled || p.is_shipped(), by, p.fulfilled)
        });
        (p.line, class(p.node), told)
    });
}

fn unsourced_portions(state: &State, slot: Slot, sku: SkuId) -> impl Iterator<Item = &Portion> {
    state
        .reservations
        .get(slot)
        .portions
        .iter()
        .filter(move |p| p.sku == sku && p.node == Node::Unsourced)
}

/// What counts while a portion of this age binds: everything but the own allocation, younger units of other channels only
/// where they were sold on an allocation of their own.
fn claims_while_binding(all: &[Claimed], channel: ChannelId, age: Oversold, line: u16) -> (Vec<Claim>, Vec<Claim>) {
    let others = pool::counting(all, |whose| match whose {
        Whose::Rest(k) => (*k != channel).then_some(None),
        Whose::Demand => Some(None),
        Whose::Unsourced {
            channel: k,
            age: a,
            line: l,
            own,
        } => {
            if (*a, *l) < (age, line) {
                Some(None)
            } else if *k == channel {
                None
            } else {
                Some(Some(*own))
            }
        }
    });
    let before = pool::counting(all, |whose| match whose {
        Whose::Demand => Some(None),
        Whose::Unsourced {
            channel: k,
            age: a,
            line: l,
            ..
        } if *k == channel && (*a, *l) < (age, line) => Some(None),
        _ => None,
    });
    (others, before)
}

/// Whether any unit of the portion was bound.
fn bind_portion(state: &mut State, sku: SkuId, age: Oversold, line: u16) -> bool {
    let Some(portion) = unsourced_portions(state, age.slot, sku).find(|p| p.line == line) else {
        return false;
    };
    let (quantity, own) = (portion.quantity, portion.own);
    let reservation = state.reservations.get(age.slot);
    let (channel, region) = (reservation.channel, reservation.region);
    let only = reservation.lines.get(line as usize).and_then(|l| l.location);
    let mut pool = pool::of(state, sku);
    if pool.stock.iter().all(|&q| q == 0) {
        return false;
    }
    let asking = Asking::of(Some(channel), region).at(only);
    let all = pool::claims(state, sku, &pool, asking);
    let nodes = pool::nodes_of(state, &pool, asking);
    let order = Order {
        sku,
        channel,
        region,
        only,
        quantity,
    };
    let tried = tried_in_order(state, &pool, &order, &nodes);
    let rest = rest_of_allocation(state, sku, Some(channel));
    let entitled = own + rest.min(quantity - own);
    let draws = state.catalogue.channel_record(Some(channel)).draws_shared;
    let (others, before) = claims_while_binding(&all, channel, age, line);
    let limits = (if draws { quantity } else { entitled }, entitled);
    let placed = two_rounds(&mut pool, &tried, limits, (&others, &before), quantity);
    let bound = !placed.is_empty();
    for (node, units) in placed {
        move_units(state, age.slot, sku, line, Node::Unsourced, node, units, true);
    }
    bound
}

/// Moves units of a reservation from one node to another; where they bind, they take what is left of the own allocation.
#[allow(clippy::too_many_arguments)] // One move has that many sides; a struct would only rename them.
pub(crate) fn move_units(
    state: &mut State,
    slot: Slot,
    sku: SkuId,
    line: u16,
    from: Node,
    to: Node,
    units: i64,
    binds: bool,
) {
    state.touch_reservation(slot);
    let reservation = state.reservations.get_mut(slot);
    let (channel, confirmed) = (reservation.channel, reservation.state != ReservationState::Held);
    let Some(at) = reservation
        .portions
        .iter()
        .position(|p| p.sku == sku && p.line == line && p.node == from)
    else {
        return;
    };
    let whole = reservation.portions[at].quantity <= units;
    let mut moved = if whole {
        reservation.portions.remove(at)
    } else {
        reservation.portions[at].split(units, true)
    };
    let quantity = moved.quantity;
    moved.node = to;
    if let (Node::Unsourced, Some(evidence)) = (to, moved.evidence.as_deref_mut()) {
        evidence.ack = None;
    }
    occupy(state, sku, from, -quantity, confirmed);
    if binds {
        let extra = rest_of_allocation(state, sku, Some(channel)).min(moved.quantity - moved.own);
        if extra > 0 {
            let period = state.catalogue.detail_mut(sku).allocations[&channel].serial;
            consume_own(state, sku, channel, extra, period);
            if moved.own > 0 && moved.own_period != period {
                // What was sold on an earlier period's allocation keeps to that one.
                let earlier = moved.split(moved.own, true);
                add_portion(state, slot, earlier);
            }
            moved.own += extra;
            moved.own_period = period;
        }
    }
    occupy(state, sku, to, quantity, confirmed);
    add_portion(state, slot, moved);
    reindex(state, slot, sku, from);
    reindex(state, slot, sku, to);
}

/// Puts a portion among its like: the same node, line and history are one.
pub(crate) fn add_portion(state: &mut State, slot: Slot, portion: Portion) {
    let portions = &mut state.reservations.get_mut(slot).portions;
    let like = |p: &Portion| {
        p.sku == portion.sku
            && p.line == portion.line
            && p.node == portion.node
            && p.fulfilled == portion.fulfilled
            && p.inside == portion.inside
            && p.cap_period == portion.cap_period
            && (p.own == 0 || portion.own == 0 || p.own_period == portion.own_period)
            && p.evidence() == portion.evidence()
    };
    if let Some(twin) = portions.iter_mut().find(|p| like(p)) {
        if portion.own > 0 {
            twin.own_period = portion.own_period;
        }
        twin.quantity += portion.quantity;
        twin.own += portion.own;
        return;
    }
    // Stock at hand first, then supply, unsourced last; within these in the order they were placed.
    let key = (portion.line, class(portion.node));
    let at = portions.partition_point(|p| (p.line, class(p.node)) <= key);
    portions.insert(at, portion);
}
