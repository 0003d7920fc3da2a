//! Any sequence of takes, moves, returns and marks keeps the books of nodes, the quotas, the indexes and the digest right.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use crate::audit::invariants;
use crate::engine::Engine;
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId, Slot, SourceId, SupplyId};
use crate::state::policies::QuotaKind;
use crate::state::reservations::{Portion, ReservationState, StockNode};
use crate::testing::World;
use crate::units::ledger::{self, Move, Placement};
use crate::units::{indexes, quotas};
use crate::wire::facts::AsOf;

const NODES: [StockNode; 5] = [
    StockNode::Hand(LocationId(0)),
    StockNode::Hand(LocationId(1)),
    StockNode::Supply(SupplyId(0)),
    StockNode::Supply(SupplyId(1)),
    StockNode::Unsourced,
];
const SKU: SkuId = SkuId(0);
const SUPPLY_UNITS: i64 = 12;

/// What is done to one reservation; a number beyond its portions counts round.
#[derive(Debug, Clone, Copy)]
enum Act {
    Take {
        node: StockNode,
        quantity: i64,
        own: i64,
        line: u16,
    },
    GiveBack {
        at: usize,
        most: i64,
        own_first: bool,
    },
    GiveBackFrom(StockNode),
    GiveBackAll,
    /// Every unit is taken out; those of the second line go back to stock, the others to the reservation.
    Replace,
    Bind {
        line: u16,
        to: StockNode,
        units: i64,
    },
    Shift {
        line: u16,
        from: StockNode,
        to: StockNode,
        units: i64,
    },
    Relocate {
        at: usize,
        most: i64,
        to: LocationId,
        ships: bool,
    },
    Unship {
        at: usize,
    },
    Commit,
    Mark {
        at: usize,
    },
    LineUp,
    NewPeriod {
        allocation: i64,
        cap: Option<i64>,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    let (node, line, units) = (prop::sample::select(&NODES[..]), 0u16..2, 1i64..6);
    let (hand, at) = (prop::sample::select(vec![LocationId(0), LocationId(1)]), 0usize..4);
    let supply = prop::sample::select(&NODES[2..4]);
    prop_oneof![
        6 => (node.clone(), units.clone(), 0i64..4, line.clone())
            .prop_map(|(node, quantity, own, line)| Act::Take { node, quantity, own, line }),
        3 => (at.clone(), units.clone(), any::<bool>())
            .prop_map(|(at, most, own_first)| Act::GiveBack { at, most, own_first }),
        1 => node.clone().prop_map(Act::GiveBackFrom),
        1 => Just(Act::GiveBackAll),
        1 => Just(Act::Replace),
        3 => (line.clone(), prop::sample::select(&NODES[..4]), units.clone())
            .prop_map(|(line, to, units)| Act::Bind { line, to, units }),
        2 => (line, supply, node, units.clone()).prop_map(|(line, from, to, units)| Act::Shift { line, from, to, units }),
        3 => (at.clone(), units, hand, any::<bool>())
            .prop_map(|(at, most, to, ships)| Act::Relocate { at, most, to, ships }),
        1 => at.clone().prop_map(|at| Act::Unship { at }),
        1 => Just(Act::Commit),
        3 => at.prop_map(|at| Act::Mark { at }),
        1 => Just(Act::LineUp),
        1 => (0i64..9, prop::option::of(0i64..20)).prop_map(|(allocation, cap)| Act::NewPeriod { allocation, cap }),
    ]
}

/// Three holds of one unit and two lines each, on a channel with an allocation and a cap.
fn three_holds() -> World {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.level("S", "B", 9);
    world.supply("PO1", "S", "A", SUPPLY_UNITS, 2);
    world.supply("PO2", "S", "B", SUPPLY_UNITS, 3);
    world.allocation("web", "S", 5);
    world.cap("web", "S", 30);
    for id in ["r0", "r1", "r2"] {
        world.hold(id, "web", &[("S", 1), ("S", 1)]);
    }
    assert_eq!((world.sku("S"), world.location_id("B")), (SKU, LocationId(1)));
    world
}

fn is_held(state: &State, slot: Slot) -> bool {
    state.reservations.get(slot).state == ReservationState::Held
}

fn channel(state: &State) -> ChannelId {
    state.catalogue.channel("web").unwrap()
}

fn portions(state: &State, slot: Slot) -> &[Portion] {
    &state.reservations.get(slot).portions
}

/// The index of a portion, counted round; None: there is none.
fn place(state: &State, slot: Slot, at: usize) -> Option<usize> {
    at.checked_rem(portions(state, slot).len())
}

/// How many units a node may still take: supply promises no more than it has.
fn room(state: &State, node: StockNode) -> i64 {
    match node {
        StockNode::Supply(id) => SUPPLY_UNITS - state.documents.supplies.get(id.0).bound,
        StockNode::Hand(_) | StockNode::Unsourced => i64::MAX,
    }
}

fn act(state: &mut State, slot: Slot, act: Act, number: usize) {
    let web = channel(state);
    match act {
        Act::Take {
            node,
            quantity,
            own,
            line,
        } => take(state, slot, node, quantity, own, line),
        Act::GiveBack { at, most, own_first } => {
            if let Some(at) = place(state, slot, at) {
                let loose = ledger::take_out(state, slot, at, most, own_first);
                ledger::give_back(state, slot, web, loose);
            }
        }
        Act::GiveBackFrom(node) => ledger::give_back_where(state, slot, |p| p.node == node),
        Act::GiveBackAll => ledger::give_back_all(state, slot),
        Act::Replace => replace(state, slot),
        Act::Bind { line, to, units } => transfer(state, slot, line, StockNode::Unsourced, to, units, ledger::bind),
        Act::Shift { line, from, to, units } => transfer(state, slot, line, from, to, units, shift_as_is),
        Act::Commit | Act::Relocate { .. } | Act::Unship { .. } | Act::Mark { .. } => act_on_order(state, slot, act),
        Act::LineUp => ledger::line_up(state, slot, |_, p| (p.line, ledger::class(p.node), -p.quantity)),
        Act::NewPeriod { allocation, cap } => {
            let period = format!("p{number}");
            quotas::set(state, SKU, web, QuotaKind::Allocation, Some(allocation), Some(&period));
            quotas::set(state, SKU, web, QuotaKind::Cap, cap, Some(&period));
        }
    }
}

fn take(state: &mut State, slot: Slot, node: StockNode, quantity: i64, own: i64, line: u16) {
    let own = own
        .min(quantity)
        .min(quotas::rest_of_allocation(state, SKU, Some(channel(state)), 0));
    if quantity <= room(state, node) {
        let taken: Vec<_> = ledger::take(state, slot, SKU, &[Placement { node, quantity, own }]).collect();
        for loose in taken {
            ledger::put(state, slot, loose.for_line(line));
        }
        indexes::renew(state, slot, SKU, node);
    }
}

fn replace(state: &mut State, slot: Slot) {
    let web = channel(state);
    let out: Vec<_> = ledger::take_out_all(state, slot).collect();
    for loose in out {
        let node = loose.node;
        if loose.line == 1 {
            ledger::give_back(state, slot, web, loose);
        } else {
            ledger::put(state, slot, loose);
            indexes::renew(state, slot, SKU, node);
        }
    }
}

type Transfer = fn(&mut State, Slot, Move);

fn transfer(state: &mut State, slot: Slot, line: u16, from: StockNode, to: StockNode, units: i64, how: Transfer) {
    let units = units.min(room(state, to));
    if units > 0 && from != to {
        let sku = SKU;
        how(
            state,
            slot,
            Move {
                sku,
                line,
                from,
                to,
                units,
            },
        );
    }
}

/// What is done to orders alone, but for the first, which makes one of a hold.
fn act_on_order(state: &mut State, slot: Slot, act: Act) {
    if let Act::Commit = act {
        if is_held(state, slot) {
            ledger::commit(state, slot);
            indexes::end_hold(state, slot);
            state.name_state(slot, ReservationState::Committed);
        }
        return;
    }
    if is_held(state, slot) {
        return;
    }
    match act {
        Act::Relocate { at, most, to, ships } => {
            if let Some(at) = place(state, slot, at) {
                let loose = ledger::take_out(state, slot, at, most, true);
                ledger::relocate(state, slot, loose, (StockNode::Hand(to), None), |p| {
                    if ships {
                        p.evidence_mut().shipped = Some((SourceId(0), AsOf::Sequence(9)));
                    }
                });
            }
        }
        Act::Unship { at } => {
            if let Some(at) = place(state, slot, at).filter(|&at| portions(state, slot)[at].is_shipped()) {
                let loose = ledger::take_out(state, slot, at, i64::MAX, false);
                ledger::unship(state, slot, loose);
            }
        }
        Act::Mark { at } => {
            let at = place(state, slot, at).filter(|&at| matches!(portions(state, slot)[at].node, StockNode::Hand(_)));
            if let Some(at) = at {
                let is_in = !portions(state, slot)[at].in_erp_level;
                ledger::mark_in_erp_level(state, slot, at, is_in);
            }
        }
        _ => unreachable!("it is done to holds too"),
    }
}

/// What the invariants do not ask for: exact quotas, and indexes that list no reservation without such units.
fn assert_books(state: &mut State) {
    state.settle_digest();
    assert_eq!(invariants::check_thoroughly(state), Vec::<String>::new());
    let web = channel(state);
    let all = || state.reservations.iter().flat_map(|(_, r)| r.portions.iter());
    let in_period = |kind, of: fn(&Portion) -> (i64, u32)| {
        let serial = quotas::serial(state, SKU, web, kind);
        all()
            .map(of)
            .filter(|(_, period)| *period == serial)
            .map(|(units, _)| units)
            .sum::<i64>()
    };
    let detail = state.catalogue.detail(SKU).unwrap();
    let owned = in_period(QuotaKind::Allocation, |p| (p.own, p.own_period));
    assert_eq!(detail.allocations[&web].consumed, owned);
    let capped = in_period(QuotaKind::Cap, |p| (p.quantity, p.cap_period));
    assert_eq!(detail.caps[&web].consumed, capped);
    let with_units_on = |node: StockNode| -> BTreeSet<Slot> {
        let holders = state
            .reservations
            .iter()
            .filter(|(_, r)| r.portions.iter().any(|p| p.node == node));
        holders.map(|(slot, _)| slot).collect()
    };
    let listed: BTreeSet<Slot> = detail.flow.unsourced.ages().map(|age| age.slot).collect();
    assert_eq!(listed, with_units_on(StockNode::Unsourced));
    for id in [SupplyId(0), SupplyId(1)] {
        let holders = state.documents.supplies.get(id.0).holders.iter();
        let holders: BTreeSet<Slot> = holders.map(|age| age.slot).collect();
        assert_eq!(holders, with_units_on(StockNode::Supply(id)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn books_quotas_indexes_and_digest_agree_after_every_act(sequence in prop::collection::vec((0usize..3, acts()), 1..60)) {
        let world = &mut three_holds();
        let slots = ["r0", "r1", "r2"].map(|id| world.slot(id));
        let Engine { state, .. } = &mut world.engine;
        for (number, &(who, what)) in sequence.iter().enumerate() {
            act(state, slots[who], what, number);
            assert_books(state);
        }
        for slot in slots {
            ledger::give_back_all(state, slot);
        }
        assert_books(state);
        prop_assert_eq!(state.reservations.units_open, 0, "everything went back");
        for cell in state.cells(SKU) {
            prop_assert_eq!((cell.held, cell.committed), (0, 0));
        }
    }
}

#[test]
fn a_part_takes_its_share_of_the_own_allocation_first_or_last() {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.allocation("web", "S", 3);
    world.hold("cart", "web", &[("S", 5)]);
    assert_eq!(world.units("cart"), "5 S (3 own) at A");
    let (web, slot) = (world.channel_id("web"), world.slot("cart"));
    let state = &mut world.engine.state;
    let last = ledger::take_out(state, slot, 0, 2, false);
    assert_eq!((last.quantity, last.own), (2, 0));
    ledger::give_back(state, slot, web, last);
    let first = ledger::take_out(state, slot, 0, 2, true);
    assert_eq!((first.quantity, first.own), (2, 2));
    ledger::give_back(state, slot, web, first);
    assert_eq!(world.units("cart"), "1 S (1 own) at A");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 1);
}

#[test]
fn units_that_bind_in_a_later_period_keep_what_they_took_in_the_earlier_one() {
    let mut world = World::new();
    world.level("S", "A", 0);
    world.oversell("web", 9);
    let allocated = |quantity, period| json!({"channel": "web", "sku": "S", "quantity": quantity, "period": period});
    world.fact("allocation", allocated(2, "may"));
    world.hold("cart", "web", &[("S", 5)]);
    world.fact("allocation", allocated(1, "june"));
    world.level("S", "A", 5);
    // Two on the allocation of May, one on that of June; the two of May go back to no allocation.
    assert_eq!(world.units("cart"), "2 S (2 own) at A, 3 S (1 own) at A");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 1);
    world.release("cart");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 0);
}

fn shift_as_is(state: &mut State, slot: Slot, units: Move) {
    ledger::shift(state, slot, units, |_| {});
}
