//! What a cart check says is what a hold can take (docs/rules.md, "A cart").

use proptest::prelude::*;
use serde_json::json;

use crate::availability::pool::SaleContext;
use crate::availability::sellable::sellable;
use crate::testing::World;
use crate::testing::history::{CHANNELS, SKUS, lived, steps};

fn reasons(world: &mut World, lines: &serde_json::Value) -> Vec<String> {
    let answer = world.put("cart", json!({"channel": "web", "lines": lines}));
    let verdicts = answer.body["lines"].as_array().expect("it is refused").clone();
    let reason = |v: &serde_json::Value| v["reason"].as_str().unwrap_or("ok").to_owned();
    verdicts.iter().map(reason).collect()
}

#[test]
fn each_line_that_does_not_fit_says_why() {
    let mut world = World::new();
    world.level("S", "A", 6);
    world.level("T", "A", 6);
    world.level("U", "A", 6);
    world.fact(
        "item",
        json!({"sku": "S", "base_unit": "each", "units": {"box": 4}, "sell_multiple": 2}),
    );
    world.fact(
        "item",
        json!({"sku": "T", "base_unit": "each", "status": "discontinued"}),
    );
    world.fact("restriction", json!({"sku": "U", "blocked": true, "reason": "recall"}));
    let lines = json!([{"sku": "S", "quantity": 1, "unit": "box"}, {"sku": "S", "quantity": 1}, {"sku": "S", "quantity": 4},
        {"sku": "S", "quantity": 1, "unit": "pallet"}, {"sku": "T", "quantity": 1}, {"sku": "U", "quantity": 1}]);
    let expected = [
        "ok",
        "not-a-multiple",
        "insufficient-stock",
        "unknown-unit",
        "inactive",
        "restricted",
    ];
    assert_eq!(reasons(&mut world, &lines), expected);
}

#[test]
fn a_line_that_does_not_fit_takes_nothing_from_those_after_it() {
    let mut world = World::new();
    world.level("S", "A", 5);
    let lines = json!([{"sku": "S", "quantity": 6}, {"sku": "S", "quantity": 5}]);
    assert_eq!(reasons(&mut world, &lines), ["insufficient-stock", "ok"]);
}

#[test]
fn a_loose_line_and_a_kit_share_their_component() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.kit("K", &[("S", 2)]);
    let lines = |loose: i64| json!([{"sku": "K", "quantity": 2}, {"sku": "S", "quantity": loose}]);
    assert_eq!(reasons(&mut world, &lines(2)), ["ok", "insufficient-stock"]);
    assert_eq!(
        world.put("cart", json!({"channel": "web", "lines": lines(1)})).status,
        201
    );
}

#[test]
fn a_partial_hold_takes_what_each_line_in_turn_can_have() {
    let mut world = World::new();
    world.level("S", "A", 5);
    let lines = json!([{"sku": "S", "quantity": 4}, {"sku": "S", "quantity": 4}]);
    let answer = world.put("cart", json!({"channel": "web", "partial": true, "lines": lines}));
    assert_eq!(answer.status, 201);
    let held: Vec<_> = answer.body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["quantity"].clone())
        .collect();
    assert_eq!(held, [json!(4), json!(1)]);
}

#[test]
fn two_named_locations_with_enough_each_may_have_too_little_together() {
    let mut world = World::new();
    world.level("S", "A", 3);
    world.level("S", "B", 3);
    let fields = json!({"ref": "d", "line": "1", "sku": "S", "locations": ["A", "B"], "quantity": 2, "class": "b2b"});
    world.next("demand", fields);
    // Either may give 3 while the other serves the demand; together they give 4.
    let lines = |second: i64| json!([{"sku": "S", "quantity": 3, "location": "A"}, {"sku": "S", "quantity": second, "location": "B"}]);
    assert_eq!(reasons(&mut world, &lines(2)), ["ok", "insufficient-stock"]);
    assert_eq!(
        world.put("cart", json!({"channel": "web", "lines": lines(1)})).status,
        201
    );
    assert_eq!(world.units("cart"), "3 S at A, 1 S at B");
}

/// What is sellable, and whether anything bounds it.
fn bound(world: &World, sku: &str, channel: &str) -> Option<i64> {
    let asking = SaleContext::of(world.state().catalogue.channel(channel), None);
    let all = sellable(world.state(), world.sku(sku), &asking);
    (!all.unlimited && all.blocked.is_none()).then_some(all.quantity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn exactly_what_is_sellable_can_be_held(
        history in steps(40),
        sku in prop::sample::select(&SKUS[..]),
        channel in prop::sample::select(&CHANNELS[..]),
    ) {
        let mut world = lived(&history);
        world.level("S", "A", 3);
        world.level("T", "A", 5);
        let Some(most) = bound(&world, sku, channel) else { return Ok(()) };
        prop_assert_eq!(world.try_hold("new", channel, &[(sku, most + 1)]).status, 409);
        if most > 0 {
            prop_assert_eq!(world.try_hold("new", channel, &[(sku, most)]).status, 201);
            let left = bound(&world, sku, channel).expect("it stays bounded");
            prop_assert_eq!(left, 0);
        }
    }
}
