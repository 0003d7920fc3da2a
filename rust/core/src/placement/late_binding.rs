//! Late binding: unsourced units are bound, oldest first, as soon as a node can take them.
//!
//! In: a SKU whose stock may have changed. Out: its unsourced units, bound as a sale binds them.
//! Always: by the same two rounds as a sale; what cannot bind is passed over (docs/rules.md, "Binding").

use crate::availability::claims::Claim;
use crate::availability::pool::{self, ClaimOwner, Claimed, SaleContext};
use crate::placement::sourcing::{PlacementRequest, tried_in_order, two_rounds};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::AgeKey;
use crate::state::reservations::{Portion, StockNode};
use crate::units::ledger::{self, Move, class};
use crate::units::quotas::rest_of_allocation;

/// One pass over a SKU's unsourced units, oldest first.
///
/// A unit that the level of its new cell counts already takes no stock, so another may bind after it: `apply`
/// reconciles the order after each step, and repeats passes until one binds nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    sku: SkuId,
    ages: std::vec::IntoIter<AgeKey>,
    /// Lines of the current reservation that have unsourced units.
    lines: std::vec::IntoIter<(AgeKey, u16)>,
    has_bound: bool,
}

impl Pass {
    pub(crate) fn begin(state: &State, sku: SkuId) -> Self {
        let ages: Vec<AgeKey> = state
            .catalogue
            .detail(sku)
            .map(|detail| detail.flow.unsourced.iter().copied().collect())
            .unwrap_or_default();
        Pass {
            sku,
            ages: ages.into_iter(),
            lines: Vec::new().into_iter(),
            has_bound: false,
        }
    }

    /// Binds what it can of the next line; the reservation that has it. None: the pass is over.
    pub(crate) fn step(&mut self, state: &mut State) -> Option<Slot> {
        let (age, line) = loop {
            if let Some(next) = self.lines.next() {
                break next;
            }
            let age = self.ages.next()?;
            line_up(state, age.slot, self.sku);
            let portions = unsourced_portions(state, age.slot, self.sku);
            let lines: Vec<(AgeKey, u16)> = portions.map(|p| (age, p.line)).collect();
            self.lines = lines.into_iter();
        };
        self.has_bound |= bind_portion(state, self.sku, age, line);
        Some(age.slot)
    }

    /// Whether any unit was bound so far.
    pub(crate) fn has_bound(&self) -> bool {
        self.has_bound
    }
}

/// Orders a line's unsourced units: those that have not left first, then by the source that reported it, and when.
fn line_up(state: &mut State, slot: Slot, sku: SkuId) {
    if unsourced_portions(state, slot, sku).nth(1).is_none() {
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

/// What counts while a portion of this age binds: everything but the own allocation, younger units of other channels only
/// where they were sold on their own allocation.
fn claims_while_binding(all: &[Claimed], channel: ChannelId, age: AgeKey, line: u16) -> (Vec<Claim>, Vec<Claim>) {
    let others = pool::counting(all, |whose| match whose {
        ClaimOwner::Rest(k) => (*k != channel).then_some(None),
        ClaimOwner::Demand(_) => Some(None),
        ClaimOwner::Unsourced {
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
        ClaimOwner::Demand(_) => Some(None),
        ClaimOwner::Unsourced {
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
fn bind_portion(state: &mut State, sku: SkuId, age: AgeKey, line: u16) -> bool {
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
    let asking = SaleContext::of(Some(channel), region).at(only);
    let all = pool::claims(state, sku, &pool, &asking);
    let nodes = pool::nodes_of(state, &pool, &asking);
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
    let (others, before) = claims_while_binding(&all, channel, age, line);
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
