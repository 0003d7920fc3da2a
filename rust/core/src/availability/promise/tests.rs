//! The first day on which a quantity can be sold (docs/rules.md, "Promise").

use serde_json::json;

use crate::availability::pool::SaleContext;
use crate::availability::promise::day;
use crate::testing::World;

/// In how many days a quantity can be promised on `web`.
fn days(world: &World, sku: &str, quantity: i64) -> Option<i32> {
    let asking = SaleContext::of(world.state().catalogue.channel("web"), None);
    day(world.state(), world.sku(sku), &asking, quantity).map(|day| day - world.state().today())
}

fn two_supplies() -> World {
    let mut world = World::new();
    world.level("S", "A", 2);
    world.supply("PO1", "S", "A", 3, 4);
    world.supply("PO2", "S", "B", 5, 8);
    world
}

#[test]
fn it_is_today_or_the_due_day_of_the_supply_that_completes_the_quantity() {
    let world = two_supplies();
    assert_eq!(days(&world, "S", 2), Some(0));
    assert_eq!(days(&world, "S", 3), Some(4));
    assert_eq!(days(&world, "S", 5), Some(4));
    assert_eq!(days(&world, "S", 10), Some(8));
    assert_eq!(days(&world, "S", 11), None);
}

#[test]
fn supply_beyond_the_promise_horizon_is_not_promised() {
    let mut world = World::empty(r#"{"promise_horizon_days":7}"#);
    world.location("A", json!({}));
    world.supply("PO1", "S", "A", 3, 7);
    world.supply("PO2", "S", "A", 3, 8);
    assert_eq!(days(&world, "S", 3), Some(7));
    assert_eq!(days(&world, "S", 4), None);
}

#[test]
fn what_others_are_owed_is_not_promised() {
    let mut world = two_supplies();
    let due = world.day(5);
    let fields =
        json!({"ref": "d", "line": "1", "sku": "S", "location": "A", "quantity": 4, "class": "b2b", "due": due});
    world.next("demand", fields);
    // Of 2 and 3 at A by day 5 the demand leaves 1.
    assert_eq!(days(&world, "S", 1), Some(0));
    assert_eq!(days(&world, "S", 2), Some(8));
}

#[test]
fn a_kit_waits_for_its_last_component() {
    let mut world = two_supplies();
    world.level("T", "A", 1);
    world.supply("PO3", "T", "A", 1, 6);
    world.kit("K", &[("S", 2), ("T", 1)]);
    assert_eq!(days(&world, "K", 1), Some(0));
    assert_eq!(
        days(&world, "K", 2),
        Some(6),
        "the S are there on day 4, the second T on day 6"
    );
}
