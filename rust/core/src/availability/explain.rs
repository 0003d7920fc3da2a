//! The explanation of sellable: the waterfall from on hand down, each term with the rule that gave it and the fact that last changed it.
//!
//! In: the state, a SKU, the channel and region. Out: signed terms that add up to `sellable`; a bound is a term that takes off what it cuts.

use crate::availability::claims::reachable;
pub(crate) use crate::availability::pool::Claimant;
use crate::availability::pool::{self, SaleContext};
use crate::availability::sellable::{self, OversellAllowance, Sellable};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId};
use crate::state::policies::{Quotas, Scope};
use crate::state::quantity::floor_to;
use crate::state::read_only::ReadOnly;
use crate::state::reservations::StockNode;
use crate::state::stock::Cell;
use crate::state::supply::Supply;
use crate::wire::facts::OversellPolicy;

/// Claims that are explained one by one; further ones are one term.
const CLAIMS_MAX: usize = 50;
/// Terms after which demand at a location is one term.
const TERMS_MAX: usize = 500;

/// One step of the waterfall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) name: &'static str,
    pub(crate) quantity: i64,
    pub(crate) location: Option<LocationId>,
    pub(crate) rule: Option<String>,
    /// LOG sequence of the fact behind it.
    pub(crate) sequence: Option<u64>,
    /// Of a kit: the component that the term belongs to.
    pub(crate) component: Option<SkuId>,
    /// Whose claim it is.
    pub(crate) claimant: Option<Claimant>,
}

#[derive(Debug, Default)]
struct Waterfall {
    terms: Vec<Term>,
    sum: i64,
    component: Option<SkuId>,
}

impl Waterfall {
    fn add(
        &mut self,
        name: &'static str,
        quantity: i64,
        location: Option<LocationId>,
        rule: Option<String>,
        sequence: Option<u64>,
    ) {
        if quantity != 0 || name == "on_hand" {
            self.sum += quantity;
            self.terms.push(Term {
                name,
                quantity,
                location,
                rule,
                sequence,
                component: self.component,
                claimant: None,
            });
        }
    }

    /// A term that is a claim of somebody.
    fn claim(
        &mut self,
        name: &'static str,
        quantity: i64,
        location: Option<LocationId>,
        claimant: Claimant,
        sequence: Option<u64>,
    ) {
        let before = self.terms.len();
        self.add(name, quantity, location, None, sequence);
        if self.terms.len() > before
            && let Some(term) = self.terms.last_mut()
        {
            term.claimant = Some(claimant);
        }
    }

    fn rule(&mut self, name: &'static str, quantity: i64, rule: impl Into<String>, sequence: Option<u64>) {
        self.add(name, quantity, None, Some(rule.into()), sequence);
    }
}

/// The terms of a SKU or kit; a kit is explained by the component that bounds it.
pub(crate) fn terms(state: &State, sku: SkuId, asking: &SaleContext) -> (Sellable, Vec<Term>) {
    let result = sellable::sellable(state, sku, asking);
    let mut fall = Waterfall::default();
    if state.catalogue.is_kit(sku) {
        kit(state, sku, asking, &mut fall);
    } else {
        base(state, sku, asking, &mut fall);
    }
    let multiple = state.catalogue.sell_multiple(sku);
    let floored = floor_to(fall.sum, multiple);
    fall.rule(
        "sell_multiple",
        floored - fall.sum,
        format!("multiple of {multiple}"),
        None,
    );
    if let Some(why) = result.blocked {
        let (rule, sequence) = state
            .policies
            .restriction(sku, asking.channel)
            .map_or((why.name().to_owned(), None), |(scope, r)| {
                (format!("{} {}", scope_name(state, scope), r.reason), Some(r.sequence))
            });
        fall.rule(why.name(), -fall.sum, rule, sequence);
    }
    (result, fall.terms)
}

fn scope_name(state: &State, scope: Scope<SkuId, ChannelId>) -> String {
    let sku = scope.0.map_or("*", |s| state.catalogue.sku_name(s));
    let channel = scope.1.map_or("*", |c| state.catalogue.channel_name(c));
    format!("sku {sku}, channel {channel}:")
}

fn base(state: &State, sku: SkuId, asking: &SaleContext, fall: &mut Waterfall) {
    let pool = pool::of(state, sku, asking.away);
    let nodes = pool::nodes_of(state, &pool, asking);
    for n in &nodes {
        match pool.places[n].node {
            StockNode::Hand(location) => hand(state, sku, location, fall),
            StockNode::Supply(id) => {
                let supply = state.documents.supplies.get(id.0);
                let (at, document) = (Some(supply.location), document_of(supply));
                let sequence = Some(supply.sequence);
                let presumed = supply.presumed;
                fall.add(
                    "supply",
                    supply.quantity + presumed,
                    at,
                    Some(document.clone()),
                    sequence,
                );
                fall.add("presumed_received", -presumed, at, Some(document.clone()), sequence);
                fall.add("bound_to_supply", -supply.bound, at, Some(document.clone()), sequence);
                fall.add(
                    "hole_filled",
                    pool.stock[n] - (supply.quantity - supply.bound),
                    at,
                    Some(document),
                    sequence,
                );
            }
            StockNode::Unsourced => {}
        }
    }
    claims_and_bounds(state, sku, asking, fall);
}

fn document_of(supply: &Supply) -> String {
    let kind = if supply.transfer.is_some() {
        "transfer"
    } else {
        "supply"
    };
    format!("{kind} {} {}", supply.key.1, supply.line())
        .trim_end()
        .to_owned()
}

fn hand(state: &State, sku: SkuId, location: LocationId, fall: &mut Waterfall) {
    let Some(cell) = state.cell(sku, location) else { return };
    let (at, sequence) = (Some(location), Some(cell.stock_sequence));
    let owed_sequence = Some(cell.owed_sequence);
    let before = fall.sum;
    let owner = cell
        .level()
        .map(|l| format!("level of {}", state.catalogue.source_names.name(u32::from(l.source.0))));
    let moved: (i64, i64) = state
        .movements(sku, location)
        .iter()
        .fold((0, 0), |(h, u), m| (h + m.on_hand, u + m.unsellable));
    fall.add("on_hand", cell.on_hand - moved.0, at, owner, sequence);
    fall.add("movements", moved.0, at, None, sequence);
    let parts = state.conditions(sku, location);
    fall.add("quality_control", -parts.quality_control, at, None, sequence);
    fall.add("damaged", -parts.damaged, at, None, sequence);
    fall.add("quarantined", -parts.quarantined, at, None, sequence);
    fall.add("in_transfer", -parts.in_transfer, at, None, sequence);
    fall.add("unsellable_movements", -moved.1, at, None, sequence);
    fall.add("allocated_in_erp", -cell.allocated, at, None, sequence);
    demand_at(state, sku, location, cell, fall);
    fall.add("committed", -cell.committed, at, None, owed_sequence);
    fall.add("held", -cell.held, at, None, owed_sequence);
    if let Some(((rule_sku, rule_location), rule)) = state.policies.safety(sku, location) {
        let name = format!(
            "sku {}, location {}",
            rule_sku.map_or("*", |s| state.catalogue.sku_name(s)),
            rule_location.map_or("*", |l| state.catalogue.location_name(l))
        );
        let safety = state.safety_in(sku, cell);
        fall.add("safety_stock", -safety, at, Some(name), Some(rule.sequence));
    }
    // Never below zero: a location's shortage does not reduce other locations.
    fall.add(
        "shortage_stays_here",
        state.in_cell(sku, cell, 0) - (fall.sum - before),
        at,
        None,
        sequence,
    );
}

/// What documents owe from here, each by itself as long as there are few.
fn demand_at(state: &State, sku: SkuId, location: LocationId, cell: &Cell, fall: &mut Waterfall) {
    let before = fall.sum;
    let demands = state.catalogue.detail(sku).map_or(&[][..], |d| &d.flow.demands);
    for &id in demands {
        let demand = state.documents.demands.get(id.0);
        let counts = pool::counts_in_cell(demand)
            && demand.single_location() == Some(location)
            && !pool::demand_inside(state, demand);
        if counts && fall.terms.len() < TERMS_MAX {
            let claimant = Claimant::Demand(id);
            fall.claim(
                "demand",
                -demand.open(),
                Some(location),
                claimant,
                Some(demand.sequence),
            );
        }
    }
    let rest = before - cell.demand - fall.sum;
    fall.add("demand", rest, Some(location), None, Some(cell.owed_sequence));
}

/// What others have claims on, claim by claim: each takes off what it makes unreachable after those before it.
fn kept_for_others(state: &State, sku: SkuId, asking: &SaleContext, free: i64, fall: &mut Waterfall) {
    if !sellable::is_plain(state, sku) {
        let pool = pool::of(state, sku, asking.away);
        let nodes = pool::nodes_of(state, &pool, asking);
        let own = asking.channel.map(Claimant::Allocation);
        let others = pool::claims_of_each(state, sku, &pool).filter(|(claimant, _)| Some(*claimant) != own);
        let mut counted = Vec::new();
        for (claimant, claim) in others.take(CLAIMS_MAX) {
            counted.push(claim);
            let left = reachable(&pool.stock, &nodes, &counted).unwrap_or(fall.sum);
            let sequence = sequence_of(state, sku, claimant);
            fall.claim("kept_for_others", left - fall.sum, None, claimant, sequence);
        }
    }
    let rest = free - fall.sum;
    fall.rule("kept_for_others", rest, "claims of other channels and demand", None);
}

/// The fact that last changed a claim.
fn sequence_of(state: &State, sku: SkuId, claimant: Claimant) -> Option<u64> {
    match claimant {
        Claimant::Allocation(channel) => {
            let quota = state.catalogue.detail(sku).and_then(|d| d.allocations.get(&channel));
            quota.map(|q| q.sequence)
        }
        Claimant::Reservation(slot) => Some(state.reservations.get(slot).sequence),
        Claimant::Demand(id) => Some(state.documents.demands.get(id.0).sequence),
    }
}

fn claims_and_bounds(state: &State, sku: SkuId, asking: &SaleContext, fall: &mut Waterfall) {
    let base = sellable::base(state, sku, asking);
    let quota = |kind: fn(&crate::state::catalogue::Detail) -> &ReadOnly<Quotas>| {
        let channel = asking.channel?;
        state
            .catalogue
            .detail(sku)
            .and_then(|d| kind(d).get(&channel))
            .map(|r| r.sequence)
    };
    if base.draws_shared {
        kept_for_others(state, sku, asking, base.free, fall);
        fall.rule(
            "own_allocation",
            (base.own - base.free).max(0),
            "allocation of this channel",
            quota(|d| &d.allocations),
        );
    } else {
        fall.rule(
            "own_allocation_only",
            base.own - fall.sum,
            "draws_shared is off",
            quota(|d| &d.allocations),
        );
    }
    let units = sellable::units(state, sku, asking);
    fall.rule(
        "cap",
        units.capped - fall.sum,
        "cap of this channel",
        quota(|d| &d.caps),
    );
    if let OversellAllowance::Units(n) = units.beyond
        && let Some((scope, OversellPolicy::Limit(limit))) = sellable::oversell_rule(state, sku, asking.channel)
    {
        let sequence = state.policies.oversell.get(&scope).map(|r| r.sequence);
        fall.rule(
            "oversell",
            n,
            format!("{} limit {limit}", scope_name(state, scope)),
            sequence,
        );
    }
    let total = units.total().unwrap_or(match units.cap_rest {
        Some(cap) => cap.max(0),
        None => units.capped,
    });
    fall.rule(
        "cap_on_oversell",
        total - fall.sum,
        "cap of this channel",
        quota(|d| &d.caps),
    );
}

fn kit(state: &State, sku: SkuId, asking: &SaleContext, fall: &mut Waterfall) {
    let mut least: Option<(i64, SkuId, i64)> = None;
    let mut unlimited = true;
    state.catalogue.for_each_component(sku, |part, per| {
        let units = sellable::units(state, part, asking);
        let kits = units.total().unwrap_or(units.capped.max(0)) / per;
        unlimited &= units.total().is_none();
        // A component without bound bounds nothing while another one has one.
        let key = if units.total().is_none() {
            kits.saturating_add(i64::MAX / 2)
        } else {
            kits
        };
        if least.is_none_or(|(so_far, _, _)| key < so_far) {
            least = Some((key, part, per));
        }
    });
    if let Some((_, part, per)) = least {
        fall.component = Some(part);
        base(state, part, asking, fall);
        fall.component = None;
        let rule = format!(
            "component {} bounds the kit, {per} in each",
            state.catalogue.sku_name(part)
        );
        fall.rule("kit", fall.sum.max(0) / per - fall.sum, rule, None);
    }
    let mut least_cap: Option<(i64, SkuId)> = None;
    state.catalogue.for_each_kit(sku, |kit, per| {
        if let Some(rest) = sellable::cap_rest(state, kit, asking).map(|rest| rest.max(0) / per)
            && least_cap.is_none_or(|(so_far, _)| rest < so_far)
        {
            least_cap = Some((rest, kit));
        }
    });
    if let Some((cap, kit)) = least_cap {
        if unlimited {
            let beyond = (cap - fall.sum).max(0);
            fall.rule("oversell", beyond, "unlimited, within the cap of the kit", None);
        }
        let rule = format!("cap of the kit {} on this channel", state.catalogue.sku_name(kit));
        fall.rule("kit_cap", (cap - fall.sum).min(0), rule, None);
    }
}
