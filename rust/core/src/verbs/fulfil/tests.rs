//! Units of an order reported over HTTP to have left; they stay deducted until the ERP covers them.

use serde_json::{Value, json};

use crate::testing::{Answer, World};
use crate::verbs::Verb;

fn ordered(lines: &[(&str, i64)]) -> World {
    let mut world = World::new();
    world.level("S", "A", 3);
    world.level("S", "B", 4);
    world.level("T", "A", 5);
    world.kit("K", &[("S", 1), ("T", 2)]);
    world.order("o1", "web", lines);
    world
}

fn fulfil(world: &mut World, lines: &Value) -> Answer {
    world.ask(Verb::Fulfil, "o1", &json!({"lines": lines}))
}

#[test]
fn units_that_left_are_marked_and_deducted_still() {
    let mut world = ordered(&[("S", 3)]);
    let answer = fulfil(&mut world, &json!([{"sku": "S", "quantity": 2}]));
    assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("committed")));
    assert_eq!(world.units("o1"), "1 S at A, 2 S at A fulfilled");
    assert_eq!(world.sellable("S", "web"), 4);
    fulfil(&mut world, &json!([{"sku": "S", "quantity": 1}]));
    assert_eq!((world.stands("o1"), world.sellable("S", "web")), ("fulfilled", 4));
}

#[test]
fn a_shipment_and_a_later_level_end_the_deduction() {
    let mut world = ordered(&[("S", 3)]);
    fulfil(&mut world, &json!([{"sku": "S", "quantity": 3}]));
    let lines = json!([{"sku": "S", "location": "A", "quantity": 3}]);
    world.next("shipment", json!({"ref": "s1", "order_ref": "o1", "lines": lines}));
    assert_eq!(world.units("o1"), "3 S at A shipped fulfilled");
    world.level("S", "A", 0);
    assert_eq!(world.units("o1"), "3 S at A inside shipped fulfilled");
    assert_eq!(world.sellable("S", "web"), 4);
}

#[test]
fn they_leave_from_the_named_location_first_then_by_priority() {
    let mut world = ordered(&[("S", 6)]);
    assert_eq!(world.units("o1"), "3 S at A, 3 S at B");
    fulfil(&mut world, &json!([{"sku": "S", "location": "B", "quantity": 2}]));
    assert_eq!(world.units("o1"), "3 S at A, 1 S at B, 2 S at B fulfilled");
    fulfil(&mut world, &json!([{"sku": "S", "quantity": 1}]));
    assert_eq!(
        world.units("o1"),
        "2 S at A, 1 S at B, 2 S at B fulfilled, 1 S at A fulfilled"
    );
}

#[test]
fn more_than_the_named_location_has_leaves_from_elsewhere() {
    let mut world = ordered(&[("S", 6)]);
    let answer = fulfil(&mut world, &json!([{"sku": "S", "location": "B", "quantity": 5}]));
    assert_eq!(answer.status, 200);
    assert_eq!(
        world.units("o1"),
        "1 S at A, 5 S at B fulfilled",
        "the two from A have left from B"
    );
    assert_eq!(world.sellable("S", "web"), 2, "B owes 5 and has 4; A has 2 left");
}

#[test]
fn no_more_than_is_open_can_leave() {
    let mut world = ordered(&[("S", 3)]);
    let twice = json!([{"sku": "S", "quantity": 2}, {"sku": "S", "quantity": 2}]);
    let refused = fulfil(&mut world, &twice);
    assert_eq!((refused.status, refused.problem()), (422, "invalid"));
    assert_eq!(refused.body["errors"][0]["path"], "lines[1].quantity");
    assert_eq!(world.units("o1"), "3 S at A");
    let lines = json!([{"sku": "S", "location": "A", "quantity": 1}]);
    world.next("shipment", json!({"ref": "s1", "order_ref": "o1", "lines": lines}));
    assert_eq!(
        fulfil(&mut world, &json!([{"sku": "S", "quantity": 3}])).status,
        422,
        "one has been shipped"
    );
    assert_eq!(fulfil(&mut world, &json!([{"sku": "S", "quantity": 2}])).status, 200);
}

#[test]
fn a_line_may_name_a_kit_or_its_component() {
    let mut world = ordered(&[("K", 2)]);
    assert_eq!(world.units("o1"), "2 S at A, 4 T at A");
    fulfil(&mut world, &json!([{"sku": "K", "quantity": 1}]));
    assert_eq!(
        world.units("o1"),
        "1 S at A, 2 T at A, 1 S at A fulfilled, 2 T at A fulfilled"
    );
    fulfil(&mut world, &json!([{"sku": "T", "quantity": 1}]));
    assert_eq!(
        fulfil(&mut world, &json!([{"sku": "K", "quantity": 1}])).status,
        422,
        "one of its T has left"
    );
}

#[test]
fn a_hold_and_what_is_not_known_are_refused() {
    let mut world = ordered(&[("S", 1)]);
    world.hold("cart", "web", &[("S", 1)]);
    let one = json!({"lines": [{"sku": "S", "quantity": 1}]});
    assert_eq!(world.ask(Verb::Fulfil, "cart", &one).problem(), "reservation-closed");
    assert_eq!(world.ask(Verb::Fulfil, "nobody", &one).problem(), "unknown-reservation");
    assert_eq!(
        fulfil(&mut world, &json!([{"sku": "X", "quantity": 1}])).problem(),
        "unknown-sku"
    );
    assert_eq!(
        fulfil(&mut world, &json!([{"sku": "S", "location": "Z", "quantity": 1}])).status,
        422
    );
}
