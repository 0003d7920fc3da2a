//! Late binding: unsourced units are bound, oldest first, as soon as a node can take them.
//!
//! In: a SKU whose stock may have changed. Out: its unsourced units, bound as a sale binds them.
//! Always: by the same two rounds as a sale; what cannot bind is passed over (docs/rules.md, "Binding"). Buyers of whom
//! nobody can have a unit are passed over together, so a long queue costs nothing while there is nothing to give out.

mod standing;

use std::collections::BTreeMap;

use crate::availability::claims::Claim;
use crate::availability::pool::{self, ClaimOwner, Claimed, Pool, SaleContext};
use crate::placement::sourcing::{PlacementRequest, tried_in_order, two_rounds};
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::AgeKey;
use crate::state::reservations::{Portion, StockNode};
use crate::state::unsourced::{Buyers, Unsourced, Waiting};
use crate::state::{State, looked};
use crate::units::ledger::{self, Move, class};
use crate::units::quotas::rest_of_allocation;
pub(crate) use standing::note as note_standing;

/// One pass over a SKU's unsourced units, oldest first.
///
/// A unit that the level of its new cell counts already takes no stock, so another may bind after it: `apply`
/// reconciles the order after each step, and repeats passes until one binds nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    sku: SkuId,
    /// Buyers of whom somebody may bind.
    open: Vec<Buyers>,
    /// The reservation that was looked at last.
    reached: Option<AgeKey>,
    /// What older reservations wait for.
    older: BTreeMap<Buyers, Waiting>,
    /// Lines of the current reservation that have unsourced units.
    lines: std::vec::IntoIter<(AgeKey, u16)>,
    has_bound: bool,
}

impl Pass {
    pub(crate) fn begin(state: &mut State, sku: SkuId) -> Self {
        for age in state.take_unordered(sku) {
            looked::at(1);
            line_up(state, age, sku);
        }
        Pass {
            sku,
            open: who_may_bind(state, sku),
            reached: None,
            older: BTreeMap::new(),
            lines: Vec::new().into_iter(),
            has_bound: false,
        }
    }

    /// Binds what it can of the next line; the reservation that has it. None: the pass is over.
    pub(crate) fn step(&mut self, state: &mut State) -> Option<Slot> {
        loop {
            let (age, line) = self.next(state)?;
            if bind_portion(state, self.sku, age, line, &self.older) {
                self.has_bound = true;
                self.open = who_may_bind(state, self.sku);
                return Some(age.slot);
            }
        }
    }

    /// The next line with units that may bind.
    fn next(&mut self, state: &State) -> Option<(AgeKey, u16)> {
        if let Some(next) = self.lines.next() {
            return Some(next);
        }
        if self.open.is_empty() {
            return None;
        }
        let queue = queue(state, self.sku)?;
        if let Some(passed) = self.reached {
            self.pass_over(state, queue.of(passed));
        }
        for (age, buyers, units) in queue.after(self.reached) {
            looked::at(1);
            self.reached = Some(age);
            if self.open.contains(&pool::nodes_alike(state, buyers)) {
                let portions = unsourced_portions(state, age.slot, self.sku);
                let lines: Vec<(AgeKey, u16)> = portions.map(|p| (age, p.line)).collect();
                self.lines = lines.into_iter();
                return self.lines.next();
            }
            self.pass_over(state, Some((buyers, units)));
        }
        None
    }

    /// Younger ones come after what a reservation still waits for.
    fn pass_over(&mut self, state: &State, waits: Option<(Buyers, Waiting)>) {
        if let Some((buyers, units)) = waits {
            self.older
                .entry(pool::nodes_alike(state, buyers))
                .or_default()
                .add(units);
        }
    }

    /// Whether any unit was bound so far.
    pub(crate) fn has_bound(&self) -> bool {
        self.has_bound
    }
}

fn queue(state: &State, sku: SkuId) -> Option<&Unsourced> {
    state.catalogue.detail(sku).map(|detail| &detail.flow.unsourced)
}

/// The buyers of whom the oldest, with the fewest claims before it, could have a unit: of the others none can.
fn who_may_bind(state: &State, sku: SkuId) -> Vec<Buyers> {
    let Some(queue) = queue(state, sku).filter(|queue| !queue.is_empty() && standing::is_stocked(state, sku)) else {
        return Vec::new();
    };
    let pool = pool::of(state, sku, None);
    if pool.stock.iter().all(|&q| q == 0) {
        return Vec::new();
    }
    let waiting = pool::waiting(state, queue);
    let fixed: Vec<Claimed> = pool::rests(state, sku, &pool, None)
        .chain(pool::demands(state, sku, &pool))
        .collect();
    let may = |&(&buyers, units): &(&Buyers, &Waiting)| {
        let (channel, region) = buyers;
        looked::at(1);
        let nodes = pool::nodes_of(state, &pool, &SaleContext::of(Some(channel), region));
        let most = |claims: &[Claim]| {
            let most = crate::availability::claims::reachable(&pool.stock, &nodes, claims);
            most.expect("quantities of the state are bounded") > 0
        };
        if most(&[]) {
            let has_own = units.own > 0 || rest_of_allocation(state, sku, Some(channel), 0) > 0;
            let draws = state.catalogue.channels[channel.at()].draws_shared;
            let (others, before) = claims_before(state, &pool, &fixed, channel, &waiting, &BTreeMap::new());
            (draws || has_own) && most(&others) || has_own && most(&before)
        } else {
            false
        }
    };
    waiting.iter().filter(may).map(|(buyers, _)| *buyers).collect()
}

/// Orders a line's unsourced units: those that have not left first, then by the source that reported it, and when.
fn line_up(state: &mut State, age: AgeKey, sku: SkuId) {
    let slot = age.slot;
    let listed = queue(state, sku).is_some_and(|queue| queue.contains(age));
    if !listed || unsourced_portions(state, slot, sku).nth(1).is_none() {
        return;
    }
    ledger::line_up(state, slot, |state, portion| {
        let reported = (portion.node == StockNode::Unsourced).then(|| {
            let by = portion.shipped().map(|(source, as_of)| {
                let name = state.catalogue.source_names.name(source.0.into());
                (name.to_owned(), as_of)
            });
            let has_left = portion.fulfilled || portion.is_shipped();
            (portion.sku.0, has_left, by, portion.fulfilled)
        });
        (portion.line, class(portion.node), reported)
    });
}

fn unsourced_portions(state: &State, slot: Slot, sku: SkuId) -> impl Iterator<Item = &Portion> {
    state
        .reservations
        .get(slot)
        .portions
        .iter()
        .filter(move |p| p.sku == sku && p.node == StockNode::Unsourced)
}

/// What counts while units of a channel bind: everything but its own allocation and its younger units; younger units of
/// other channels only where they were sold on their own allocation. And of this what comes before the own allocation.
fn claims_before(
    state: &State,
    pool: &Pool,
    fixed: &[Claimed],
    channel: ChannelId,
    waiting: &BTreeMap<Buyers, Waiting>,
    older: &BTreeMap<Buyers, Waiting>,
) -> (Vec<Claim>, Vec<Claim>) {
    let of = |&(channel, region): &Buyers, quantity: i64| Claim {
        quantity,
        nodes: pool::nodes_of(state, pool, &SaleContext::of(Some(channel), region)),
    };
    let mut others = pool::counting(fixed, |whose| !matches!(whose, ClaimOwner::Rest(k) if *k == channel));
    let mut before = pool::counting(fixed, |whose| matches!(whose, ClaimOwner::Demand(_)));
    for (buyers, units) in older {
        let claim = of(buyers, pool::claimed(state, buyers.0, *units));
        if buyers.0 == channel {
            before.push(claim.clone());
        }
        others.push(claim);
    }
    for (buyers, units) in waiting.iter().filter(|(buyers, _)| buyers.0 != channel) {
        let younger = units.less(older.get(buyers).copied().unwrap_or_default());
        others.push(of(buyers, younger.own));
    }
    looked::at(others.len());
    (others, before)
}

/// Whether any unit of the portion was bound. `older`: what older reservations wait for.
fn bind_portion(state: &mut State, sku: SkuId, age: AgeKey, line: u16, older: &BTreeMap<Buyers, Waiting>) -> bool {
    let Some(portion) = unsourced_portions(state, age.slot, sku).find(|p| p.line == line) else {
        return false;
    };
    let (quantity, own) = (portion.quantity, portion.own);
    let reservation = state.reservations.get(age.slot);
    let (channel, region) = (reservation.channel, reservation.region);
    let only = reservation.lines.get(line as usize).and_then(|l| l.location);
    let mut pool = pool::of(state, sku, None);
    if pool.stock.iter().all(|&q| q == 0) {
        return false;
    }
    let mut older = older.clone();
    for earlier in unsourced_portions(state, age.slot, sku).filter(|p| p.line < line) {
        let sum = older.entry(pool::nodes_alike(state, (channel, region))).or_default();
        sum.add(crate::units::indexes::waiting(earlier));
    }
    let fixed: Vec<Claimed> = pool::rests(state, sku, &pool, None)
        .chain(pool::demands(state, sku, &pool))
        .collect();
    let waiting = queue(state, sku)
        .map(|queue| pool::waiting(state, queue))
        .unwrap_or_default();
    let (others, before) = claims_before(state, &pool, &fixed, channel, &waiting, &older);
    let nodes = pool::nodes_of(state, &pool, &SaleContext::of(Some(channel), region).at(only));
    let request = PlacementRequest {
        sku,
        channel,
        region,
        only,
        quantity,
    };
    let tried = tried_in_order(state, &pool, &request, &nodes);
    let rest = rest_of_allocation(state, sku, Some(channel), 0);
    let entitled = own + rest.min(quantity - own);
    let draws = state.catalogue.channel_record(Some(channel)).draws_shared;
    let limits = (if draws { quantity } else { entitled }, entitled);
    let placed = two_rounds(&mut pool, &tried, limits, (&others, &before), quantity);
    let bound = !placed.is_empty();
    for (node, units) in placed {
        let from = StockNode::Unsourced;
        let to = node;
        ledger::bind(
            state,
            age.slot,
            Move {
                sku,
                line,
                from,
                to,
                units,
            },
        );
    }
    bound
}

#[cfg(test)]
mod tests;
