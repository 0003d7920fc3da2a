//! The ledger: the only writer of portions, and of what they take from nodes and quotas.
//!
//! In: units to take, move, give back or mark. Out: portions, the totals of their nodes, quotas and indexes, in step.
//! Always: a portion that left its reservation is a [`Loose`] one, and goes back by a method of this file; what goes back
//! gives exactly back what it took (docs/rules.md, section 2).

mod of_orders;

use std::ops::Deref;

use smallvec::SmallVec;

use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::QuotaKind;
use crate::state::reservations::{Evidence, Portion, Portions, ReservationState, StockNode};
use crate::units::indexes;
use crate::units::quotas;
pub(crate) use of_orders::{come_back, commit, mark_in_erp_level, relocate, relocate_each, report_each, unship};

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

    /// Has a statement of a source change what is known of the units.
    pub(crate) fn reported(mut self, report: impl FnOnce(&mut Evidence)) -> Loose {
        report(self.0.evidence_mut());
        self
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

/// Adds open units to a line that are beyond any node; they take what is left of the own allocation.
pub(crate) fn add_unsourced(state: &mut State, slot: Slot, sku: SkuId, line: u16, quantity: i64) {
    let channel = state.reservations.get(slot).channel;
    let placement = Placement {
        node: StockNode::Unsourced,
        quantity,
        own: quotas::rest_of_allocation(state, sku, Some(channel), 0).min(quantity),
    };
    let added: Vec<Loose> = take(state, slot, sku, &[placement]).collect();
    for portion in added {
        put(state, slot, portion.for_line(line));
    }
    indexes::renew(state, slot, sku, StockNode::Unsourced);
}

/// No source reported anything of it.
fn is_bare(portion: &Portion) -> bool {
    portion.evidence.as_deref().is_none_or(|e| *e == Evidence::default())
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
            && (p.evidence == portion.evidence || is_bare(p) && is_bare(&portion))
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
    let node = portion.node;
    portions.insert(at, portion);
    if node == StockNode::Unsourced {
        note_unordered(state, slot);
    }
}

/// Unsourced portions came among others: before any of a SKU that has several binds, all are put in order.
fn note_unordered(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get(slot);
    let unsourced = reservation.portions.iter().filter(|p| p.node == StockNode::Unsourced);
    let mut skus: SmallVec<[SkuId; 4]> = unsourced.map(|p| p.sku).collect();
    let age = reservation.age(slot);
    skus.sort_unstable();
    for pair in skus.windows(2).filter(|pair| pair[0] == pair[1]) {
        state.note_unordered(pair[0], age);
    }
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
    transfer(state, slot, units, true, |_| {});
}

/// Moves units as they are, but for what `change` makes of them.
pub(crate) fn shift(state: &mut State, slot: Slot, units: Move, change: impl FnOnce(&mut Portion)) {
    transfer(state, slot, units, false, change);
}

fn transfer(state: &mut State, slot: Slot, units: Move, binds: bool, change: impl FnOnce(&mut Portion)) {
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
    let place = state.location_of(to);
    if let (true, Some(evidence)) = (place != state.location_of(from), moved.evidence.as_deref_mut()) {
        let ack = evidence.ack;
        evidence.moved(None, place);
        // By the first edition an acknowledgement stays with units that bind.
        evidence.ack = ack.filter(|_| to != StockNode::Unsourced);
    }
    occupy(state, sku, from, -quantity, confirmed);
    if binds {
        take_own(state, slot, channel, &mut moved);
    }
    change(&mut moved);
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
