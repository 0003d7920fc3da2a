//! Units of an order leave; what it has not open is a movement (docs/rules.md, section 3).

use serde_json::{Value, json};

use crate::testing::World;

fn ordered() -> World {
    let mut world = World::new();
    world.level("S", "A", 3);
    world.level("S", "B", 4);
    world.order("o1", "web", &[("S", 5)]);
    assert_eq!(
        (world.units("o1"), world.sellable("S", "web")),
        ("3 S at A, 2 S at B".to_owned(), 2)
    );
    world
}

fn ship(world: &mut World, reference: &str, version: i64, lines: &Value) {
    world.next(
        "shipment",
        json!({"ref": reference, "version": version, "order_ref": "o1", "lines": lines}),
    );
}

#[test]
fn it_takes_the_open_units_at_the_named_location_and_changes_nothing_that_can_be_sold() {
    let mut world = ordered();
    ship(
        &mut world,
        "s1",
        1,
        &json!([{"sku": "S", "location": "B", "quantity": 1}]),
    );
    assert_eq!(
        (world.units("o1"), world.sellable("S", "web")),
        ("3 S at A, 1 S at B, 1 S at B shipped".to_owned(), 2)
    );
}

#[test]
fn beyond_the_named_location_it_takes_units_from_elsewhere_and_they_have_left_from_the_named_one() {
    let mut world = ordered();
    ship(
        &mut world,
        "s1",
        1,
        &json!([{"sku": "S", "location": "B", "quantity": 4}]),
    );
    assert_eq!(world.units("o1"), "1 S at A, 4 S at B shipped");
    // A owes 1 of 3, B 4 of 4.
    assert_eq!(world.sellable("S", "web"), 2);
}

#[test]
fn units_beyond_the_open_ones_of_the_order_are_a_movement() {
    let mut world = ordered();
    world.level("S", "B", 9);
    assert_eq!(world.sellable("S", "web"), 7, "9 at B, of which it owes 2");
    ship(
        &mut world,
        "s1",
        1,
        &json!([{"sku": "S", "location": "B", "quantity": 7}]),
    );
    assert_eq!(world.units("o1"), "5 S at B shipped");
    // Two more than the order has left B: 9 - 2 - 5 there, and 3 at A.
    assert_eq!(world.sellable("S", "web"), 5);
    world.level("S", "B", 2);
    assert_eq!(world.sellable("S", "web"), 5);
}

#[test]
fn sent_twice_it_counts_once_and_a_newer_version_corrects_it() {
    let mut world = ordered();
    let two = json!([{"sku": "S", "location": "A", "quantity": 2}]);
    ship(&mut world, "s1", 1, &two);
    assert_eq!(world.units("o1"), "1 S at A, 2 S at B, 2 S at A shipped");
    ship(
        &mut world,
        "s1",
        1,
        &json!([{"sku": "S", "location": "A", "quantity": 3}]),
    );
    assert_eq!(
        world.units("o1"),
        "1 S at A, 2 S at B, 2 S at A shipped",
        "another body of the same version is ignored"
    );
    ship(
        &mut world,
        "s1",
        2,
        &json!([{"sku": "S", "location": "A", "quantity": 1}]),
    );
    assert_eq!(world.units("o1"), "2 S at A, 2 S at B, 1 S at A shipped");
    ship(&mut world, "s1", 1, &two);
    assert_eq!(
        world.units("o1"),
        "2 S at A, 2 S at B, 1 S at A shipped",
        "a lower version is ignored"
    );
}

#[test]
fn units_reported_over_http_to_have_left_leave_first() {
    let mut world = ordered();
    let left = json!({"lines": [{"sku": "S", "location": "B", "quantity": 1}]});
    world.ask(crate::Verb::Fulfil, "o1", &left);
    ship(&mut world, "s1", 1, &json!([{"sku": "S", "quantity": 2}]));
    assert_eq!(
        world.units("o1"),
        "2 S at A, 1 S at B, 1 S at B shipped fulfilled, 1 S at A shipped"
    );
}

#[test]
fn units_bound_to_supply_or_to_no_node_leave_last_and_from_the_named_location() {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.level("S", "A", 1);
    world.supply("PO", "S", "B", 1, 3);
    world.oversell("web", 1);
    world.order("o1", "web", &[("S", 3)]);
    assert_eq!(world.units("o1"), "1 S at A, 1 S on PO, 1 S unsourced");
    ship(
        &mut world,
        "s1",
        1,
        &json!([{"sku": "S", "location": "A", "quantity": 2}]),
    );
    assert_eq!(world.units("o1"), "2 S at A shipped, 1 S on PO");
    assert_eq!(world.stands("o1"), "committed");
}

#[test]
fn units_taken_back_are_where_the_erp_said_meanwhile_that_it_has_them() {
    let mut world = World::new();
    world.fact("item", json!({"sku": "S", "base_unit": "each"}));
    world.oversell("web", 3);
    world.order("o1", "web", &[("S", 3)]);
    let lines = json!([{"sku": "S", "location": "A", "quantity": 3}]);
    ship(&mut world, "s1", 1, &lines);
    let named = json!({"order_ref": "o1", "lines": [{"sku": "S", "location": "A"}]});
    world.next("order.ack", named);
    world.level("S", "A", 5);
    assert_eq!(
        (world.units("o1"), world.sellable("S", "web")),
        ("3 S at A inside shipped".to_owned(), 8)
    );
    ship(&mut world, "s1", 2, &json!([]));
    assert_eq!(
        (world.units("o1"), world.sellable("S", "web")),
        ("3 S at A inside".to_owned(), 8),
        "the level knew of the order, so it counts them already"
    );
}

#[test]
fn of_units_alike_the_earliest_supply_then_the_first_line_then_acknowledged_ones_leave_first() {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.supply("LATE", "S", "A", 1, 5);
    world.supply("SOON", "S", "A", 1, 3);
    world.supply("FAR", "S", "B", 1, 2);
    world.order("o1", "web", &[("S", 3)]);
    assert_eq!(world.units("o1"), "1 S on FAR, 1 S on SOON, 1 S on LATE");
    let left = json!({"lines": [{"sku": "S", "quantity": 1}]});
    for expected in [
        "1 S at A fulfilled, 1 S on FAR, 1 S on LATE",
        "2 S at A fulfilled, 1 S on FAR",
    ] {
        world.ask(crate::Verb::Fulfil, "o1", &left);
        assert_eq!(world.units("o1"), expected);
    }
}
