//! Deficits: units of a live reservation that no stock, supply or policy covers any more (docs/rules.md, "Deficits").
//!
//! In: the state, a reservation. Out: its units that are not covered, portion by portion. Always: computed from the numbers of
//! now, so nothing has to be kept in step; where stock is not short the answer costs one look at each cell.
//!
//! What a cell has covers in this order: what the ERP owes beside our orders, demand, units that have left, orders inside the
//! level, other orders, each oldest first. A hold is covered as if it were confirmed next. Usable supply to the place counts, as
//! it fills the hole there. Units without a place are covered oldest first up to the limit of their oversell rule.

use hashbrown::HashMap;

use crate::availability::pool;
use crate::availability::sellable::{oversell_rule, unsourced_under};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId};
use crate::state::policies::Scope;
use crate::state::reservations::{AtCell, Portion, Reservation, ReservationState, StockNode};
use crate::state::unsourced::Waiting;
use crate::wire::facts::OversellPolicy;

/// Units of one portion that are not covered; `location`: where they should come from, None for unsourced ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deficit {
    pub(crate) line: u16,
    pub(crate) sku: SkuId,
    pub(crate) location: Option<LocationId>,
    pub(crate) units: i64,
}

/// The units of one order that lie somewhere, and how many of younger orders lie there.
#[derive(Debug, Clone, Copy)]
struct Turn {
    serial: u64,
    younger: i64,
    younger_inside: i64,
}

/// The orders of a short cell, youngest first.
#[derive(Debug, Default)]
struct Queue {
    turns: Vec<Turn>,
    outside: i64,
}

/// Those that wait under a rule, oldest first, and how many units of older ones there are.
type Older = Vec<(u64, i64)>;

/// Finds deficits; what it looked up for one reservation serves the next.
#[derive(Debug)]
pub(crate) struct Deficits<'s> {
    state: &'s State,
    cells: HashMap<(SkuId, LocationId), Queue>,
    queues: HashMap<(SkuId, Scope<SkuId, ChannelId>), Older>,
    /// Orders and others that wait which were looked at so far.
    looked: usize,
}

fn is_open(p: &Portion) -> bool {
    !p.fulfilled && !p.is_shipped()
}

/// Whether a reservation still claims units.
pub(crate) fn is_live(r: &Reservation) -> bool {
    matches!(
        r.state,
        ReservationState::Held | ReservationState::Committed | ReservationState::InErp
    )
}

/// How many units are missing at a cell after usable supply to it; 0 or below: none.
fn shortage(state: &State, sku: SkuId, location: LocationId) -> i64 {
    let Some(cell) = state.cell(sku, location) else {
        return 0;
    };
    let hole = cell.hole_with(0);
    if hole == 0 {
        return 0;
    }
    let supplies = state.catalogue.detail(sku).map_or(&[][..], |d| &d.flow.supplies);
    let usable: i64 = supplies
        .iter()
        .map(|id| state.documents.supplies.get(id.0))
        .filter(|s| s.location == location && pool::effective_due(state, s).is_some())
        .map(|s| (s.quantity - s.bound).max(0))
        .sum();
    hole - usable
}

/// Open units of a reservation at a cell, outside and inside of its level.
fn units_at(r: &Reservation, sku: SkuId, location: LocationId) -> (i64, i64) {
    let here = r
        .portions
        .iter()
        .filter(|p| p.sku == sku && p.node == StockNode::Hand(location) && is_open(p));
    here.fold((0, 0), |(outside, inside), p| {
        if p.in_erp_level {
            (outside, inside + p.quantity)
        } else {
            (outside + p.quantity, inside)
        }
    })
}

impl<'s> Deficits<'s> {
    pub(crate) fn new(state: &'s State) -> Self {
        Deficits {
            state,
            cells: HashMap::new(),
            queues: HashMap::new(),
            looked: 0,
        }
    }

    pub(crate) fn looked(&self) -> usize {
        self.looked
    }

    /// The uncovered units of a reservation, in the order of its portions; none where it is not live.
    pub(crate) fn of(&mut self, r: &Reservation) -> Vec<Deficit> {
        let mut found = Vec::new();
        if !is_live(r) {
            return found;
        }
        // The last portions of a reservation bear what it lacks at a place.
        for (at, p) in r.portions.iter().enumerate().rev().filter(|(_, p)| is_open(p)) {
            let missing = match p.node {
                StockNode::Supply(_) => 0,
                StockNode::Hand(location) => self.at_hand(r, p, location),
                StockNode::Unsourced => self.unsourced(r, p.sku),
            };
            if missing == 0 {
                continue;
            }
            let alike =
                |q: &&Portion| is_open(q) && q.sku == p.sku && q.node == p.node && q.in_erp_level == p.in_erp_level;
            let after: i64 = r.portions[at + 1..].iter().filter(alike).map(|q| q.quantity).sum();
            let units = (missing - after).clamp(0, p.quantity);
            if units > 0 {
                found.push(Deficit {
                    line: p.line,
                    sku: p.sku,
                    location: self.state.location_of(p.node),
                    units,
                });
            }
        }
        found.reverse();
        found
    }

    /// What the reservation lacks at a cell, of its units inside or outside of the level as `p` is.
    fn at_hand(&mut self, r: &Reservation, p: &Portion, location: LocationId) -> i64 {
        let short = shortage(self.state, p.sku, location);
        if short <= 0 {
            return 0;
        }
        let held = self.state.cell(p.sku, location).map_or(0, |cell| cell.held);
        let (outside, inside) = units_at(r, p.sku, location);
        let of_orders = short - held;
        if r.state == ReservationState::Held {
            return (outside + of_orders).clamp(0, outside);
        }
        if of_orders <= 0 {
            return 0;
        }
        let queue = self.queue(p.sku, location);
        let at = queue.turns.partition_point(|turn| turn.serial > r.serial);
        let (younger, younger_inside) = queue
            .turns
            .get(at)
            .map_or((queue.outside, 0), |turn| (turn.younger, turn.younger_inside));
        if p.in_erp_level {
            (of_orders - queue.outside - younger_inside).clamp(0, inside)
        } else {
            (of_orders - younger).clamp(0, outside)
        }
    }

    fn queue(&mut self, sku: SkuId, location: LocationId) -> &Queue {
        let state = self.state;
        let looked = &mut self.looked;
        self.cells.entry((sku, location)).or_insert_with(|| {
            let slots = state.reservations.at_cell.get(&(sku, location));
            let mut orders: Vec<(u64, i64, i64)> = slots
                .into_iter()
                .flat_map(AtCell::iter)
                .filter_map(|slot| state.reservations.get_taken(slot))
                .filter(|r| is_live(r))
                .map(|r| {
                    let (outside, inside) = units_at(r, sku, location);
                    (r.serial, outside, inside)
                })
                .collect();
            *looked += orders.len();
            orders.sort_unstable_by_key(|&(serial, ..)| std::cmp::Reverse(serial));
            let mut queue = Queue::default();
            let mut younger_inside = 0;
            for (serial, outside, inside) in orders {
                queue.turns.push(Turn {
                    serial,
                    younger: queue.outside,
                    younger_inside,
                });
                queue.outside += outside;
                younger_inside += inside;
            }
            queue
        })
    }

    /// What no oversell rule covers of a reservation's unsourced units of a SKU.
    fn unsourced(&mut self, r: &Reservation, sku: SkuId) -> i64 {
        let mut waits = Waiting::default();
        let mut own = 0;
        for p in r
            .portions
            .iter()
            .filter(|p| p.sku == sku && p.node == StockNode::Unsourced)
        {
            waits.quantity += p.quantity;
            own += if is_open(p) { p.quantity } else { 0 };
        }
        let (scope, limit) = match oversell_rule(self.state, sku, Some(r.channel)) {
            Some((_, OversellPolicy::Unlimited)) => return 0,
            Some((scope, OversellPolicy::Limit(limit))) => (scope, limit),
            None | Some((_, OversellPolicy::None)) => return own,
        };
        // Only a limit that was lowered since leaves some uncovered.
        if unsourced_under(self.state, sku, scope, None) <= limit {
            return 0;
        }
        let waiting = self.waiting(sku, scope);
        let at = waiting.partition_point(|&(serial, _)| serial < r.serial);
        let older = waiting.get(at).map_or(0, |&(_, older)| older);
        (older + waits.quantity - limit).clamp(0, own)
    }

    /// Reservations with unsourced units under a rule, oldest first, and how many units of older ones there are.
    fn waiting(&mut self, sku: SkuId, scope: Scope<SkuId, ChannelId>) -> &[(u64, i64)] {
        let (state, looked) = (self.state, &mut self.looked);
        self.queues.entry((sku, scope)).or_insert_with(|| {
            let queue = state.catalogue.detail(sku).map(|d| &d.flow.unsourced);
            let (mut under, mut older) = (Vec::new(), 0);
            for (age, (channel, _), units) in queue.into_iter().flat_map(|queue| queue.after(None)) {
                *looked += 1;
                if oversell_rule(state, sku, Some(channel)).is_some_and(|(s, _)| s == scope) {
                    under.push((age.serial, older));
                    older += units.quantity;
                }
            }
            under
        })
    }
}

#[cfg(test)]
mod tests;
