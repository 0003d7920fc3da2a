//! A hold ends; of an order goes back what has not left and is deducted here (docs/rules.md, "Counted once").

use serde_json::json;

use crate::state::policies::QuotaKind;
use crate::testing::World;
use crate::verbs::Verb;

fn ordered() -> World {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.order("o1", "web", &[("S", 3)]);
    world
}

#[test]
fn a_hold_gives_everything_back() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.hold("cart", "web", &[("S", 3)]);
    let answer = world.cancel("cart");
    assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("cancelled")));
    assert_eq!(world.sellable("S", "web"), 5);
    assert_eq!(world.cancel("cart"), answer, "again it is answered alike");
}

#[test]
fn an_order_that_no_level_counts_gives_its_units_back_at_once() {
    let mut world = ordered();
    assert_eq!(world.cancel("o1").status, 200);
    assert_eq!(
        (world.stands("o1"), world.units("o1"), world.sellable("S", "web")),
        ("cancelled", String::new(), 5)
    );
}

#[test]
fn what_the_erp_counts_comes_back_with_its_next_level() {
    let mut world = ordered();
    world.next("order.ack", json!({"order_ref": "o1"}));
    world.level("S", "A", 2);
    assert_eq!((world.stands("o1"), world.sellable("S", "web")), ("in_erp", 2));
    world.cancel("o1");
    assert_eq!(
        world.sellable("S", "web"),
        2,
        "the level of 2 is net of the order still"
    );
    world.level("S", "A", 5);
    assert_eq!(world.sellable("S", "web"), 5);
}

#[test]
fn units_that_have_left_stay_with_the_order() {
    let mut world = ordered();
    let lines = json!([{"sku": "S", "location": "A", "quantity": 1}]);
    world.next("shipment", json!({"ref": "s1", "order_ref": "o1", "lines": lines}));
    world.cancel("o1");
    assert_eq!(
        (world.stands("o1"), world.units("o1")),
        ("cancelled", "1 S at A shipped".to_owned())
    );
    assert_eq!(world.sellable("S", "web"), 4, "5 by the level, of which one has left");
    world.level("S", "A", 4);
    assert_eq!(world.sellable("S", "web"), 4);
}

#[test]
fn units_reported_over_http_to_have_left_stay_too() {
    let mut world = ordered();
    let left = json!({"lines": [{"sku": "S", "quantity": 2}]});
    assert_eq!(world.ask(Verb::Fulfil, "o1", &left).status, 200);
    world.cancel("o1");
    assert_eq!(
        (world.units("o1"), world.sellable("S", "web")),
        ("2 S at A fulfilled".to_owned(), 3)
    );
}

#[test]
fn quotas_and_kits_caps_get_back_what_goes() {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.allocation("web", "S", 3);
    world.kit("K", &[("S", 2)]);
    world.cap("web", "K", 4);
    world.order("o1", "web", &[("K", 3)]);
    let left = json!({"lines": [{"sku": "S", "quantity": 3}]});
    assert_eq!(world.ask(Verb::Fulfil, "o1", &left).status, 200);
    world.cancel("o1");
    // The 3 that left took the own allocation; they are a part of two kits.
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 3);
    assert_eq!(world.consumed("K", "web", QuotaKind::Cap), 2);
}

#[test]
fn what_has_left_altogether_or_was_released_is_refused() {
    let mut world = ordered();
    let left = json!({"lines": [{"sku": "S", "quantity": 3}]});
    world.ask(Verb::Fulfil, "o1", &left);
    assert_eq!(
        (world.stands("o1"), world.cancel("o1").problem().to_owned()),
        ("fulfilled", "reservation-closed".into())
    );
    world.hold("cart", "web", &[("S", 1)]);
    world.release("cart");
    assert_eq!(world.cancel("cart").problem(), "reservation-closed");
}
