//! What became of a line's units, as answers show it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::World;

/// The first line of a reservation.
fn line(world: &World, id: &str) -> Value {
    let (_, body) = world.engine.reservation(id, None, b"");
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    body["lines"][0].take()
}

/// Open, fulfilled, cancelled, returned, unsourced, in deficit.
fn fate(line: &Value) -> [i64; 6] {
    ["open", "fulfilled", "cancelled", "returned", "unsourced", "deficit"].map(|name| line[name].as_i64().unwrap())
}

#[test]
fn a_line_shows_what_became_of_its_units() {
    let mut world = World::new();
    world.level("S", "A", 6);
    world.oversell("web", 2);
    world.order("o", "web", &[("S", 8)]);
    assert_eq!(fate(&line(&world, "o")), [8, 0, 0, 0, 2, 0]);
    let three = json!({"lines": [{"sku": "S", "quantity": 3}]});
    assert_eq!(world.ask(crate::verbs::Verb::Fulfil, "o", &three).status, 200);
    assert_eq!(fate(&line(&world, "o")), [5, 3, 0, 0, 2, 0]);
    world.fact("oversell", json!({"channel": "web", "policy": "none"}));
    assert_eq!(fate(&line(&world, "o")), [5, 3, 0, 0, 2, 2]);
    world.cancel("o");
    assert_eq!(fate(&line(&world, "o")), [0, 3, 5, 0, 0, 0]);
}

#[test]
fn a_kit_shows_its_components() {
    let mut world = World::new();
    world.level("CUP", "A", 20);
    world.level("SAUCER", "A", 20);
    world.kit("SET", &[("CUP", 2), ("SAUCER", 1)]);
    world.order("o", "web", &[("SET", 3)]);
    let cups = json!({"lines": [{"sku": "CUP", "quantity": 4}]});
    assert_eq!(world.ask(crate::verbs::Verb::Fulfil, "o", &cups).status, 200);
    let shown = line(&world, "o");
    assert_eq!(fate(&shown), [3, 0, 0, 0, 0, 0], "no set has left as a whole");
    assert_eq!(shown["components"][0]["sku"], "CUP");
    assert_eq!(shown["components"][0]["per_kit"], 2);
    assert_eq!(fate(&shown["components"][0]), [2, 4, 0, 0, 0, 0]);
    assert_eq!(fate(&shown["components"][1]), [3, 0, 0, 0, 0, 0]);
    let saucers = json!({"lines": [{"sku": "SAUCER", "quantity": 2}]});
    world.ask(crate::verbs::Verb::Fulfil, "o", &saucers);
    assert_eq!(fate(&line(&world, "o")), [1, 2, 0, 0, 0, 0]);
    world.level("SAUCER", "A", 0);
    assert_eq!(fate(&line(&world, "o"))[5], 1);
}

#[test]
fn an_ended_hold_has_given_its_units_back() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.hold("h", "web", &[("S", 2)]);
    world.release("h");
    assert_eq!(fate(&line(&world, "h")), [0, 0, 2, 0, 0, 0]);
}

/// The version and the sequence that a reservation shows.
fn shown(world: &World, id: &str) -> (u64, u64) {
    let (_, body) = world.engine.reservation(id, None, b"");
    let body: Value = serde_json::from_slice(&body).unwrap();
    (body["version"].as_u64().unwrap(), body["sequence"].as_u64().unwrap())
}

#[test]
fn version_and_sequence_move_with_what_is_shown() {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 90}));
    world.oversell("web", 9);
    world.supply("PO", "S", "A", 2, 10);
    world.order("o", "web", &[("S", 4)]);
    let mut before = shown(&world, "o");
    assert_eq!(before.0, 2, "made, then confirmed");
    let mut moves = |world: &World, what: &str| {
        let now = shown(world, "o");
        assert!(now.0 == before.0 + 1 && now.1 > before.1, "{what}: {before:?} {now:?}");
        before = now;
    };
    world.supply("PO", "S", "A", 2, 40);
    moves(&world, "the due day of its supply");
    world.level("S", "B", 1);
    moves(&world, "a unit is bound");
    world.supply_as("received", "PO", "S", "A", 2, 40);
    moves(&world, "its units are at hand");
    world.next(
        "order.ack",
        json!({"order_ref": "o", "lines": [{"sku": "S", "location": "B"}]}),
    );
    moves(&world, "a location");
    world.next(
        "shipment",
        json!({"ref": "d", "order_ref": "o", "lines": [{"sku": "S", "quantity": 1, "location": "B"}]}),
    );
    moves(&world, "units leave");
    world.fact("item", json!({"sku": "T", "base_unit": "each"}));
    assert_eq!(shown(&world, "o"), before, "a fact about something else");
    world.hold("h", "web", &[("S", 1)]);
    let held = shown(&world, "h");
    world.wait(crate::testing::TTL_MS + 1);
    assert_eq!(shown(&world, "h").0, held.0 + 1, "it expires");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// As long as version and sequence are the same, so is everything that a reservation shows but what follows from stock.
    #[test]
    fn the_same_version_shows_the_same(steps in prop::collection::vec((0_u8..7, 1_i64..6), 1..14)) {
        let mut world = World::new();
        world.channel("web", json!({"supply_horizon_days": 90}));
        world.oversell("web", 20);
        world.supply("PO", "S", "A", 3, 10);
        world.order("o", "web", &[("S", 6)]);
        let view = |world: &World| {
            let (_, body) = world.engine.reservation("o", None, b"");
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            for line in body["lines"].as_array_mut().unwrap() {
                line.as_object_mut().unwrap().remove("deficit");
            }
            body
        };
        let mut before = view(&world);
        for (n, (step, units)) in steps.into_iter().enumerate() {
            let place = if units % 2 == 0 { "A" } else { "B" };
            match step {
                0 => world.supply("PO", "S", "A", units, 10 + n as i32),
                1 => world.level("S", place, units),
                2 => world.next("order.ack", json!({"order_ref": "o", "lines": [{"sku": "S", "location": place}]})),
                3 => world.next(
                    "shipment",
                    json!({"ref": format!("d{n}"), "order_ref": "o",
                        "lines": [{"sku": "S", "quantity": units, "location": place}]}),
                ),
                4 => world.supply(&format!("PO{n}"), "S", place, units, 5),
                5 => world.supply_as("cancelled", "PO", "S", "A", units, 10),
                _ => world.next(
                    "order.update",
                    json!({"ref": format!("u{n}"), "order_ref": "o", "status": "short",
                        "lines": [{"sku": "S", "quantity": 1}]}),
                ),
            }
            let now = view(&world);
            let is_same = (&before["version"], &before["sequence"]) == (&now["version"], &now["sequence"]);
            prop_assert!(!is_same || before == now, "{} {}", before, now);
            prop_assert!(before == now || before["version"] != now["version"], "{} {}", before, now);
            before = now;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens to an order, its units are somewhere.
    #[test]
    fn a_line_accounts_for_every_unit(
        quantity in 1_i64..9,
        steps in prop::collection::vec((0_u8..5, 1_i64..5), 0..8),
    ) {
        let mut world = World::new();
        world.level("S", "A", 6);
        world.oversell("web", 4);
        world.order("o", "web", &[("S", quantity)]);
        for (n, (step, units)) in steps.into_iter().enumerate() {
            let lines = json!([{"sku": "S", "quantity": units, "location": "A"}]);
            match step {
                0 => { world.ask(crate::verbs::Verb::Fulfil, "o", &json!({"lines": lines})); }
                1 => world.next("shipment", json!({"ref": format!("d{n}"), "order_ref": "o", "lines": lines})),
                2 => world.level("S", "A", units),
                3 => world.supply(&format!("PO{n}"), "S", "B", units, 3),
                _ => { world.cancel("o"); }
            }
            let shown = line(&world, "o");
            let [open, fulfilled, cancelled, returned, unsourced, deficit] = fate(&shown);
            prop_assert_eq!(open + fulfilled + cancelled, quantity, "{}", shown);
            prop_assert!(returned <= fulfilled && unsourced <= open && deficit <= open, "{}", shown);
            let placed: i64 = shown["allocations"].as_array().unwrap().iter().map(|a| a["quantity"].as_i64().unwrap()).sum();
            prop_assert!(placed + unsourced >= open, "{}", shown);
        }
    }
}
