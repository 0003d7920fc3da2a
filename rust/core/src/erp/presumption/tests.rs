//! Levels and supply lines in any order of arrival: never more than both together say, exact once both are there.

use serde_json::{Value, json};

use crate::testing::World;

/// A world whose channel looks a month ahead.
fn ahead() -> World {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 30}));
    world
}

fn level(on_hand: i64, as_of: i64) -> (&'static str, Value) {
    let fields = json!({"sku": "S", "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of});
    ("stock.level", fields)
}

fn supply(world: &World, reference: &str, quantity: i64, mut more: Value) -> (&'static str, Value) {
    let fixed = json!({"ref": reference, "line": "1", "sku": "S", "location": "A", "quantity": quantity});
    for (name, value) in fixed.as_object().unwrap() {
        more[name] = value.clone();
    }
    if more["due"].is_null() {
        more["due"] = world.day(7);
    }
    ("supply", more)
}

fn stated(world: &mut World, facts: &[(&'static str, Value)]) -> Vec<i64> {
    let sellable = |(kind, fields): &(&'static str, Value)| {
        world.fact(kind, fields.clone());
        world.sellable("S", "web")
    };
    facts.iter().map(sellable).collect()
}

#[test]
fn a_level_that_shows_the_receipt_first_counts_it_once() {
    for more in [json!({}), json!({"version": 2}), json!({"as_of": 3})] {
        let mut world = ahead();
        let first = if more["as_of"].is_null() {
            json!({"version": more["version"].as_i64().map(|v| v - 1)})
        } else {
            json!({"as_of": 1})
        };
        let facts = [
            supply(&world, "PO", 100, first),
            level(30, 2),
            supply(&world, "PO", 70, more),
        ];
        assert_eq!(stated(&mut world, &facts), [100, 100, 100]);
    }
}

#[test]
fn a_supply_line_that_is_lowered_first_explains_the_next_level() {
    for opening in [vec![], vec![level(5, 0)]] {
        let mut world = ahead();
        let start = opening.len() as i64 * 5;
        stated(&mut world, &opening);
        let facts = [
            supply(&world, "PO", 100, json!({"version": 1})),
            supply(&world, "PO", 70, json!({"version": 2})),
            level(30 + start, 4),
        ];
        assert_eq!(stated(&mut world, &facts), [100 + start, 70 + start, 100 + start]);
    }
}

#[test]
fn stock_that_was_found_hides_supply_until_it_is_told_again() {
    let mut world = ahead();
    let facts = [
        level(10, 1),
        supply(&world, "PO", 50, json!({"version": 1, "as_of": 2})),
        level(15, 3),
        supply(&world, "PO", 50, json!({"version": 1, "as_of": 4})),
    ];
    assert_eq!(stated(&mut world, &facts), [10, 60, 60, 65]);
}

#[test]
fn a_movement_explains_a_rise_before_the_level_and_after_it() {
    let delta = (
        "stock.delta",
        json!({"ref": "d", "sku": "S", "location": "A", "quantity": 5, "reason": "found", "as_of": 2}),
    );
    let mut world = ahead();
    let opening = [level(10, 1), supply(&world, "PO", 50, json!({}))];
    let mut facts = opening.to_vec();
    facts.extend([delta.clone(), level(15, 3)]);
    assert_eq!(stated(&mut world, &facts), [10, 60, 65, 65]);
    let mut world = ahead();
    let mut facts = opening.to_vec();
    facts.extend([level(15, 3), delta]);
    assert_eq!(stated(&mut world, &facts), [10, 60, 60, 65]);
}

#[test]
fn orders_that_a_level_counts_do_not_hide_what_arrived() {
    for shipment_first in [true, false] {
        let mut world = ahead();
        stated(&mut world, &[level(10, 1)]);
        world.order("o1", "web", &[("S", 5)]);
        let line = json!([{"sku": "S", "location": "A", "quantity": 5}]);
        let shipment = (
            "shipment",
            json!({"ref": "x", "order_ref": "o1", "lines": line, "as_of": 3}),
        );
        let mut facts = vec![supply(&world, "PO", 100, json!({})), shipment, level(35, 4)];
        if !shipment_first {
            facts.swap(1, 2);
        }
        facts.push(supply(&world, "PO", 70, json!({})));
        assert_eq!(stated(&mut world, &facts), [105, 105, 105, 105], "{shipment_first}");
    }
}

#[test]
fn bound_units_move_to_the_shelf_with_what_is_presumed_to_have_come() {
    let mut world = ahead();
    let opening = supply(&world, "PO", 100, json!({}));
    stated(&mut world, &[opening]);
    world.order("o1", "web", &[("S", 20)]);
    world.hold("h1", "web", &[("S", 30)]);
    stated(&mut world, &[level(30, 2)]);
    assert_eq!(
        (world.units("o1"), world.units("h1")),
        ("20 S at A".to_owned(), "10 S at A, 20 S on PO".to_owned())
    );
    assert_eq!(world.sellable("S", "web"), 50);
    let again = supply(&world, "PO", 70, json!({}));
    assert_eq!(stated(&mut world, &[again]), [50]);
}

#[test]
fn the_earliest_line_of_the_owner_is_presumed_to_have_come_first() {
    let mut world = ahead();
    let (soon, late) = (world.day(2), world.day(9));
    let facts = [
        supply(&world, "P2", 40, json!({"due": late})),
        supply(&world, "P1", 40, json!({"due": soon})),
        level(50, 2),
        supply(&world, "P1", 0, json!({"due": soon, "status": "received"})),
        supply(&world, "P2", 30, json!({"due": late})),
    ];
    assert_eq!(stated(&mut world, &facts), [40, 80, 80, 80, 80]);
}

#[test]
fn a_closed_line_opens_again_only_for_what_is_newer() {
    for (closing, again, opens) in [
        (json!({}), json!({}), false),
        (json!({"as_of": 5}), json!({"as_of": 4}), false),
        (json!({"as_of": 5}), json!({"as_of": 5}), false),
        (json!({"as_of": 5}), json!({"as_of": 6}), true),
        (json!({"version": 2}), json!({"version": 1}), false),
        (json!({"version": 2}), json!({"version": 3}), true),
        (
            json!({"version": 2, "as_of": 5}),
            json!({"version": 2, "as_of": 6}),
            true,
        ),
        (
            json!({"version": 2, "as_of": 5}),
            json!({"version": 1, "as_of": 6}),
            false,
        ),
    ] {
        let mut world = ahead();
        let mut closed = closing.clone();
        closed["status"] = json!("cancelled");
        let facts = [
            supply(&world, "PO", 10, json!({})),
            supply(&world, "PO", 10, closed),
            supply(&world, "PO", 10, again.clone()),
        ];
        assert_eq!(
            stated(&mut world, &facts),
            [10, 0, if opens { 10 } else { 0 }],
            "{closing} then {again}"
        );
    }
}

#[test]
fn an_older_statement_changes_nothing() {
    let mut world = ahead();
    let facts = [
        supply(&world, "PO", 10, json!({"as_of": 5})),
        supply(&world, "PO", 20, json!({"as_of": 4})),
        supply(&world, "PO", 7, json!({"as_of": 5})),
    ];
    assert_eq!(stated(&mut world, &facts), [10, 10, 7]);
}

#[test]
fn what_a_return_brought_is_not_what_a_line_is_lowered_for() {
    for order in [json!({}), json!({"order_ref": "o1"})] {
        let mut world = ahead();
        stated(&mut world, &[level(10, 1)]);
        world.order("o1", "web", &[("S", 2)]);
        let line = json!([{"sku": "S", "location": "A", "quantity": 2}]);
        let shipment = json!({"ref": "x", "order_ref": "o1", "lines": line, "as_of": 2});
        let mut back =
            json!({"ref": "b", "sku": "S", "location": "A", "quantity": 2, "condition": "sellable", "as_of": 3});
        back.as_object_mut().unwrap().extend(order.as_object().unwrap().clone());
        let facts = [
            ("shipment", shipment),
            supply(&world, "PO", 20, json!({})),
            ("return", back),
            supply(&world, "PO", 18, json!({})),
            level(14, 4),
        ];
        assert_eq!(stated(&mut world, &facts), [8, 28, 30, 28, 28], "{order}");
    }
}

#[test]
fn the_same_where_nobody_stated_a_level_yet() {
    let back = json!({"ref": "b", "sku": "S", "location": "A", "quantity": 2, "condition": "sellable", "as_of": 3});
    for opening in [vec![], vec![level(0, 0)]] {
        let mut world = ahead();
        stated(&mut world, &opening);
        let facts = [
            supply(&world, "PO", 6, json!({})),
            supply(&world, "PO", 4, json!({})),
            ("return", back.clone()),
            level(4, 4),
        ];
        assert_eq!(stated(&mut world, &facts), [6, 4, 6, 6], "{opening:?}");
    }
}

#[test]
fn a_line_stated_again_without_a_moment_keeps_the_one_that_it_had() {
    let mut world = ahead();
    let facts = [
        level(3, 20),
        supply(&world, "PO", 3, json!({"as_of": 20})),
        supply(&world, "PO", 2, json!({})),
        level(4, 20),
    ];
    assert_eq!(stated(&mut world, &facts), [3, 6, 5, 6]);
}

#[test]
fn after_a_reset_the_next_level_is_newer_than_a_line_without_a_moment() {
    let mut world = ahead();
    let before = [level(2, 14), supply(&world, "OLD", 1, json!({}))];
    assert_eq!(stated(&mut world, &before), [2, 3]);
    assert_eq!(
        world.try_fact("policy", "source.reset", json!({"source": "acme"})),
        Ok(())
    );
    let after = [supply(&world, "NEW", 1, json!({})), level(8, 14)];
    assert_eq!(stated(&mut world, &after), [4, 8]);
}

#[test]
fn a_line_without_a_moment_that_moves_is_first_stated_where_it_comes_now() {
    let mut world = ahead();
    let there = json!({"sku": "S", "location": "B", "on_hand": 5, "basis": "net", "as_of": 18});
    let mut moved = supply(&world, "PO", 3, json!({}));
    moved.1["location"] = json!("B");
    let mut risen = there.clone();
    (risen["on_hand"], risen["as_of"]) = (json!(7), json!(19));
    let facts = [
        level(0, 14),
        supply(&world, "PO", 3, json!({})),
        ("stock.level", there),
        moved,
        ("stock.level", risen),
    ];
    assert_eq!(stated(&mut world, &facts), [0, 3, 8, 8, 8]);
}
