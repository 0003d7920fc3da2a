//! Small random histories: what an ERP and shoppers may do to two SKUs and a kit of both, at two locations, on three channels.
//!
//! In: proptest's choices. Out: a world that went through them. Always: numbers are small, so that things run short.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::World;
use crate::state::reservations::StockNode;
use crate::verbs::Verb;

pub(crate) const BASE_SKUS: [&str; 2] = ["S", "T"];
/// With the kit K: one S and two T.
pub(crate) const SKUS: [&str; 3] = ["S", "T", "K"];
pub(crate) const LOCATIONS: [&str; 2] = ["A", "B"];
/// `web` looks ten days ahead; `shop` sells from A; `market` draws nothing shared.
pub(crate) const CHANNELS: [&str; 3] = ["web", "shop", "market"];
pub(crate) const RESERVATIONS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

type Name = &'static str;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Level(Name, Name, i64),
    Supply(Name, Name, Name, i64, i32, Name),
    Demand(Name, Name, Option<Name>, i64),
    Quota(Name, Name, Name, i64, Name),
    Oversell(Name, Option<i64>),
    Safety(Name, i64),
    Put(Name, Name, Vec<(Name, i64, Option<Name>)>),
    Ask(Verb, Name),
    Ack(Name),
    Shipment(Name, Name, Name, i64),
    Update(Name, Name, i64),
    Wait(i64),
}

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = Name> + Clone {
    prop::sample::select(names)
}

fn facts() -> impl Strategy<Value = Step> {
    let (sku, base) = (one_of(&SKUS), one_of(&BASE_SKUS));
    let (location, channel) = (one_of(&LOCATIONS), one_of(&CHANNELS));
    let document = one_of(&["d0", "d1"]);
    let status = one_of(&["open", "open", "open", "open", "received", "cancelled"]);
    prop_oneof![
        3 => (base.clone(), location.clone(), 0i64..12).prop_map(|(s, l, n)| Step::Level(s, l, n)),
        4 => (document.clone(), base.clone(), location.clone(), 0i64..8, 0i32..14, status)
            .prop_map(|(d, s, l, n, days, status)| Step::Supply(d, s, l, n, days, status)),
        1 => (document, base.clone(), prop::option::of(location), 0i64..4)
            .prop_map(|(d, s, l, n)| Step::Demand(d, s, l, n)),
        1 => (channel.clone(), base.clone(), 0i64..6, one_of(&["may", "june"]))
            .prop_map(|(c, s, n, p)| Step::Quota("allocation", c, s, n, p)),
        1 => (channel.clone(), sku, 0i64..9, one_of(&["may", "june"]))
            .prop_map(|(c, s, n, p)| Step::Quota("cap", c, s, n, p)),
        1 => (channel, prop::option::of(0i64..5)).prop_map(|(c, n)| Step::Oversell(c, n)),
        1 => (base, 0i64..3).prop_map(|(s, n)| Step::Safety(s, n)),
    ]
}

fn commands() -> impl Strategy<Value = Step> {
    let id = one_of(&RESERVATIONS);
    let line = (one_of(&SKUS), 1i64..5, prop::option::weighted(0.2, one_of(&LOCATIONS)));
    let verb = prop::sample::select(vec![Verb::Confirm, Verb::Confirm, Verb::Release, Verb::Cancel]);
    prop_oneof![
        6 => (id.clone(), one_of(&CHANNELS), prop::collection::vec(line, 1..3))
            .prop_map(|(id, c, lines)| Step::Put(id, c, lines)),
        5 => (verb, id.clone()).prop_map(|(verb, id)| Step::Ask(verb, id)),
        2 => id.clone().prop_map(Step::Ack),
        4 => (id.clone(), one_of(&BASE_SKUS), one_of(&LOCATIONS), 1i64..9)
            .prop_map(|(id, s, l, n)| Step::Shipment(id, s, l, n)),
        1 => (id, one_of(&BASE_SKUS), 1i64..4).prop_map(|(id, s, n)| Step::Update(id, s, n)),
        2 => (0i64..40_000).prop_map(Step::Wait),
    ]
}

/// Up to `most` steps: stock and rules, holds and orders, in any order.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![2 => facts(), 3 => commands()], 0..most)
}

/// A world with the channels and the kit of these histories, after some steps.
pub(crate) fn lived(steps: &[Step]) -> World {
    lived_under(None, steps)
}

/// The same, with a trace for each command.
pub(crate) fn lived_under(trace: Option<&'static str>, steps: &[Step]) -> World {
    let mut world = World::new();
    world.trace = trace;
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.channel("shop", json!({"locations": ["A"]}));
    world.channel("market", json!({"draws_shared": false}));
    world.kit("K", &[("S", 1), ("T", 2)]);
    for (sku, location, on_hand) in [("S", "A", 6), ("S", "B", 4), ("T", "A", 9)] {
        world.level(sku, location, on_hand);
    }
    for (n, step) in steps.iter().enumerate() {
        take(&mut world, n, step);
    }
    world
}

fn lines_of(lines: &[(Name, i64, Option<Name>)]) -> Value {
    lines
        .iter()
        .map(|(sku, quantity, location)| json!({"sku": sku, "quantity": quantity, "location": location}))
        .collect()
}

/// Commands may be refused, and facts may come to nothing.
fn take(world: &mut World, number: usize, step: &Step) {
    let reference = format!("step{number}");
    match *step {
        Step::Level(sku, location, on_hand) => world.level(sku, location, on_hand),
        Step::Supply(document, sku, location, quantity, days, status) => {
            let due = world.day(days);
            let fields = json!({"ref": document, "line": "1", "sku": sku, "location": location,
                "quantity": quantity, "due": due, "status": status});
            world.next("supply", fields);
        }
        Step::Demand(document, sku, location, quantity) => {
            let fields = json!({"ref": document, "line": "1", "sku": sku, "location": location,
                "quantity": quantity, "class": "b2b"});
            world.next("demand", fields);
        }
        Step::Quota(kind, channel, sku, quantity, period) => {
            let fields = json!({"channel": channel, "sku": sku, "quantity": quantity, "period": period});
            world.fact(kind, fields);
        }
        Step::Oversell(channel, Some(limit)) => world.oversell(channel, limit),
        Step::Oversell(channel, None) => world.fact("oversell", json!({"channel": channel, "policy": "unlimited"})),
        Step::Safety(sku, absolute) => world.fact("safety", json!({"sku": sku, "absolute": absolute})),
        Step::Put(id, channel, ref lines) => {
            world.put(
                id,
                json!({"channel": channel, "owner": "ann", "lines": lines_of(lines)}),
            );
        }
        Step::Ask(Verb::Confirm, id) => {
            world.confirm(id, id);
        }
        Step::Ask(verb, id) => {
            world.ask(verb, id, &json!({}));
        }
        Step::Ack(id) => world.next("order.ack", json!({"order_ref": id})),
        Step::Shipment(id, sku, location, quantity) => {
            let lines = json!([{"sku": sku, "location": location, "quantity": quantity}]);
            world.next("shipment", json!({"order_ref": id, "ref": reference, "lines": lines}));
        }
        Step::Update(id, sku, quantity) => {
            let lines = json!([{"sku": sku, "quantity": quantity}]);
            let fields = json!({"order_ref": id, "ref": reference, "status": "cancelled", "lines": lines});
            world.next("order.update", fields);
        }
        Step::Wait(ms) => world.wait(ms),
    }
}

/// What of the rules a world's reservations show.
fn seen_in(world: &World, seen: &mut std::collections::BTreeMap<&'static str, usize>) {
    for (_, reservation) in world.state().reservations.iter() {
        *seen.entry(reservation.state.name()).or_default() += 1;
        for portion in &reservation.portions {
            let node = match portion.node {
                StockNode::Hand(_) => "at hand",
                StockNode::Supply(_) => "on supply",
                StockNode::Unsourced => "unsourced",
            };
            *seen.entry(node).or_default() += 1;
            *seen.entry("on the own allocation").or_default() += usize::from(portion.own > 0);
            *seen.entry("under a cap").or_default() += usize::from(portion.cap_period > 0);
        }
    }
}

#[test]
fn histories_come_to_every_state_and_node_often() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let (mut runner, mut seen) = (TestRunner::deterministic(), std::collections::BTreeMap::new());
    for _ in 0..400 {
        let history = steps(60).new_tree(&mut runner).unwrap().current();
        seen_in(&lived(&history), &mut seen);
    }
    for what in [
        "held",
        "committed",
        "in_erp",
        "fulfilled",
        "released",
        "expired",
        "cancelled",
        "oversold",
        "at hand",
        "on supply",
        "unsourced",
        "on the own allocation",
        "under a cap",
    ] {
        let count = seen.get(what).copied().unwrap_or(0);
        assert!(count >= 5, "{what} only {count} times: {seen:?}");
    }
}
