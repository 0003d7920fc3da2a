//! The ledger: the only writer of portions, and of what they take from nodes and quotas.
//!
//! In: units to take, move, give back or mark. Out: portions, the totals of their nodes, quotas and indexes, in step.
//! Always: a portion that left its reservation is a [`Loose`] one, and goes back by a method of this file; what goes back
//! gives exactly back what it took (docs/rules.md, section 2).

use std::ops::Deref;

use smallvec::SmallVec;

use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::QuotaKind;
use crate::state::reservations::{Portion, Portions, ReservationState, StockNode};
use crate::units::indexes;
use crate::units::quotas;

/// Units from one node, `own` of them on the channel's own allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) node: StockNode,
    pub(crate) quantity: i64,
    pub(crate) own: i64,
}

/// A portion that was taken out of its reservation while its units still count at their node and quotas.
#[derive(Debug)]
#[must_use = "units that left a reservation go back to it, elsewhere, or to stock"]
pub(crate) struct Loose(Portion);

impl Deref for Loose {
    type Target = Portion;

    fn deref(&self) -> &Portion {
        &self.0
    }
}

impl Loose {
    /// Takes `quantity` of the units out, those on the own allocation first.
    pub(crate) fn split(&mut self, quantity: i64) -> Loose {
        Loose(self.0.split(quantity, true))
    }

    /// Has the portion serve a line.
    pub(crate) fn for_line(mut self, line: u16) -> Loose {
        self.0.line = line;
        self
    }
}

/// Stock at hand first, then supply, unsourced last.
pub(crate) fn class(node: StockNode) -> u8 {
    match node {
        StockNode::Hand(_) => 0,
        StockNode::Supply(_) => 1,
        StockNode::Unsourced => 2,
    }
}

/// Adds units to a node's totals, or takes them off: confirmed ones count as committed, held ones as held.
fn occupy(state: &mut State, sku: SkuId, node: StockNode, quantity: i64, confirmed: bool) {
    if quantity == 0 {
        return;
    }
    match node {
        StockNode::Hand(location) => state.change_cell(sku, location, |cell| {
            if confirmed {
                cell.committed += quantity;
            } else {
                cell.held += quantity;
            }
        }),
        StockNode::Supply(id) => {
            state.documents.supplies.bind(id, quantity);
            state.units_on_supply += quantity;
            state.note_change(sku);
        }
        StockNode::Unsourced => {
            state.units_unsourced += quantity;
            state.note_change(sku);
        }
    }
    state.reservations.units_open += quantity;
}

fn is_confirmed(state: &State, slot: Slot) -> bool {
    state.reservations.get(slot).state != ReservationState::Held
}

/// Takes units from their nodes and quotas for a reservation, which gets them by [`put`].
pub(crate) fn take(state: &mut State, slot: Slot, sku: SkuId, placements: &[Placement]) -> impl Iterator<Item = Loose> {
    let (channel, confirmed) = (state.reservations.get(slot).channel, is_confirmed(state, slot));
    let own_period = quotas::period_for_sale(state, sku, channel, QuotaKind::Allocation);
    let cap_period = quotas::period_for_sale(state, sku, channel, QuotaKind::Cap);
    for taken in placements {
        occupy(state, sku, taken.node, taken.quantity, confirmed);
        quotas::consume(state, sku, channel, QuotaKind::Allocation, taken.own, own_period);
        quotas::consume(state, sku, channel, QuotaKind::Cap, taken.quantity, cap_period);
    }
    placements.iter().map(move |taken| {
        Loose(Portion {
            sku,
            line: 0,
            fulfilled: false,
            in_erp_level: false,
            node: taken.node,
            quantity: taken.quantity,
            own: taken.own,
            own_period,
            cap_period,
            evidence: None,
        })
    })
}

/// Puts a portion among its like: the same node, line and history are one. Indexes are the caller's.
pub(crate) fn put(state: &mut State, slot: Slot, Loose(portion): Loose) {
    let portions = &mut state.edit(slot).portions;
    let like = |p: &Portion| {
        p.sku == portion.sku
            && p.line == portion.line
            && p.node == portion.node
            && p.fulfilled == portion.fulfilled
            && p.in_erp_level == portion.in_erp_level
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

/// Takes every unit out of a hold that is replaced. Its own unsourced units then do not claim what the new ones may take.
pub(crate) fn take_out_all(state: &mut State, slot: Slot) -> impl Iterator<Item = Loose> + use<> {
    let portions = std::mem::take(&mut state.edit(slot).portions);
    for portion in portions.iter().filter(|p| p.node == StockNode::Unsourced) {
        indexes::renew(state, slot, portion.sku, StockNode::Unsourced);
    }
    portions.into_iter().map(Loose)
}

/// Takes at most `most` units of a portion out; of a part those on the own allocation go first when `own_first`, else last.
pub(crate) fn take_out(state: &mut State, slot: Slot, at: usize, most: i64, own_first: bool) -> Loose {
    let portions = &mut state.edit(slot).portions;
    if portions[at].quantity <= most {
        Loose(portions.remove(at))
    } else {
        Loose(portions[at].split(most, own_first))
    }
}

/// Gives one portion's units back to its node and its quotas, those of `channel`. What the ERP counts, only a level gives back.
pub(crate) fn give_back(state: &mut State, slot: Slot, channel: ChannelId, Loose(portion): Loose) {
    let (sku, confirmed) = (portion.sku, is_confirmed(state, slot));
    if !portion.in_erp_level {
        occupy(state, sku, portion.node, -portion.quantity, confirmed);
    }
    let (own, quantity) = (-portion.own, -portion.quantity);
    quotas::consume(state, sku, channel, QuotaKind::Allocation, own, portion.own_period);
    quotas::consume(state, sku, channel, QuotaKind::Cap, quantity, portion.cap_period);
    indexes::renew(state, slot, sku, portion.node);
}

/// Gives back every unit of a hold.
pub(crate) fn give_back_all(state: &mut State, slot: Slot) {
    let reservation = state.edit(slot);
    let channel = reservation.channel;
    for portion in std::mem::take(&mut reservation.portions) {
        give_back(state, slot, channel, Loose(portion));
    }
}

/// Gives back the units of every portion that `goes`.
pub(crate) fn give_back_where(state: &mut State, slot: Slot, goes: impl Fn(&Portion) -> bool) {
    let reservation = state.edit(slot);
    let channel = reservation.channel;
    let (gone, left): (Portions, Portions) = std::mem::take(&mut reservation.portions).into_iter().partition(goes);
    reservation.portions = left;
    for portion in gone {
        give_back(state, slot, channel, Loose(portion));
    }
}

/// Moves a portion of an order to a node, changes it, and puts it back.
pub(crate) fn relocate(
    state: &mut State,
    slot: Slot,
    Loose(mut portion): Loose,
    node: StockNode,
    change: impl FnOnce(&mut Portion),
) {
    let (sku, from, quantity) = (portion.sku, portion.node, portion.quantity);
    if from != node {
        if !portion.in_erp_level {
            occupy(state, sku, from, -quantity, true);
        }
        portion.in_erp_level = false;
        portion.node = node;
        occupy(state, sku, node, quantity, true);
        // An acknowledgement of a unit elsewhere does not count at this location.
        let elsewhere = state.location_of(from) != state.location_of(node);
        if let (true, Some(evidence)) = (elsewhere, portion.evidence.as_deref_mut()) {
            evidence.ack = None;
        }
    }
    change(&mut portion);
    put(state, slot, Loose(portion));
    if from != node {
        indexes::renew(state, slot, sku, from);
        indexes::renew(state, slot, sku, node);
    }
}

/// Takes each portion of an order out in turn and moves it to where `target` says (None: it stays), changed by `change`.
pub(crate) fn relocate_each(
    state: &mut State,
    slot: Slot,
    target: impl Fn(&State, &Portion) -> Option<StockNode>,
    change: impl Fn(&mut Portion),
) {
    let portions = std::mem::take(&mut state.edit(slot).portions);
    let before: Vec<(SkuId, StockNode)> = portions.iter().map(|p| (p.sku, p.node)).collect();
    for portion in portions {
        match target(state, &portion) {
            Some(node) => relocate(state, slot, Loose(portion), node, &change),
            None => put(state, slot, Loose(portion)),
        }
    }
    for (sku, node) in before {
        indexes::renew(state, slot, sku, node);
    }
}

/// Units of one line on their way from one node to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) sku: SkuId,
    pub(crate) line: u16,
    pub(crate) from: StockNode,
    pub(crate) to: StockNode,
    pub(crate) units: i64,
}

/// Binds units to a node that can take them now; they take what is left of the own allocation.
pub(crate) fn bind(state: &mut State, slot: Slot, units: Move) {
    transfer(state, slot, units, true);
}

/// Moves units as they are.
pub(crate) fn shift(state: &mut State, slot: Slot, units: Move) {
    transfer(state, slot, units, false);
}

fn transfer(state: &mut State, slot: Slot, units: Move, binds: bool) {
    let Move {
        sku,
        line,
        from,
        to,
        units,
    } = units;
    let reservation = state.edit(slot);
    let (channel, confirmed) = (reservation.channel, reservation.state != ReservationState::Held);
    let is_meant = |p: &Portion| p.sku == sku && p.line == line && p.node == from;
    let Some(at) = reservation.portions.iter().position(is_meant) else {
        return;
    };
    let Loose(mut moved) = take_out(state, slot, at, units, true);
    let quantity = moved.quantity;
    moved.node = to;
    if let (StockNode::Unsourced, Some(evidence)) = (to, moved.evidence.as_deref_mut()) {
        evidence.ack = None;
    }
    occupy(state, sku, from, -quantity, confirmed);
    if binds {
        take_own(state, slot, channel, &mut moved);
    }
    occupy(state, sku, to, quantity, confirmed);
    put(state, slot, Loose(moved));
    indexes::renew(state, slot, sku, from);
    indexes::renew(state, slot, sku, to);
}

/// Has units that bind take what is left of the own allocation.
fn take_own(state: &mut State, slot: Slot, channel: ChannelId, moved: &mut Portion) {
    let sku = moved.sku;
    let extra = quotas::rest_of_allocation(state, sku, Some(channel), 0).min(moved.quantity - moved.own);
    if extra <= 0 {
        return;
    }
    let period = quotas::serial(state, sku, channel, QuotaKind::Allocation);
    quotas::consume(state, sku, channel, QuotaKind::Allocation, extra, period);
    if moved.own > 0 && moved.own_period != period {
        // What was sold on an earlier period's allocation keeps to that one.
        let earlier = moved.split(moved.own, true);
        put(state, slot, Loose(earlier));
    }
    moved.own += extra;
    moved.own_period = period;
}

/// A hold becomes an order: its units at hand count as committed.
pub(crate) fn commit(state: &mut State, slot: Slot) {
    let hands = state
        .reservations
        .get(slot)
        .portions
        .iter()
        .filter_map(|p| match p.node {
            StockNode::Hand(location) => Some((p.sku, location, p.quantity)),
            _ => None,
        });
    let hands: SmallVec<[_; 2]> = hands.collect();
    for (sku, location, quantity) in hands {
        state.change_cell(sku, location, |cell| {
            cell.held -= quantity;
            cell.committed += quantity;
        });
    }
}

/// Marks a portion of an order as counted in its cell's level, or no longer: only what no level counts is deducted here.
pub(crate) fn mark_in_erp_level(state: &mut State, slot: Slot, at: usize, is_in: bool) {
    let portion = &mut state.edit(slot).portions[at];
    portion.in_erp_level = is_in;
    let (sku, node) = (portion.sku, portion.node);
    let quantity = if is_in { -portion.quantity } else { portion.quantity };
    occupy(state, sku, node, quantity, true);
}

/// Takes back that units were shipped: they are open again, where they are.
pub(crate) fn unship(state: &mut State, slot: Slot, Loose(mut portion): Loose) {
    portion.evidence_mut().shipped = None;
    put(state, slot, Loose(portion));
}

/// Puts a reservation's portions in the order of their keys.
pub(crate) fn line_up<K: Ord>(state: &mut State, slot: Slot, key: impl Fn(&State, &Portion) -> K) {
    let mut portions = state.reservations.get(slot).portions.clone();
    portions.sort_by_cached_key(|portion| key(state, portion));
    if state.reservations.get(slot).portions != portions {
        state.edit(slot).portions = portions;
    }
}

#[cfg(test)]
mod tests;
