//! What demand adds: not what reservations of its order cover, and not what its level counts (docs/rules.md, section 3).

use serde_json::{Value, json};

use crate::testing::World;

fn stocked() -> World {
    let mut world = World::new();
    world.level("S", "A", 10);
    world
}

fn demand(quantity: i64, order_ref: Option<&str>, as_of: i64) -> Value {
    json!({"ref": "d", "line": "1", "sku": "S", "location": "A", "quantity": quantity, "class": "marketplace",
        "order_ref": order_ref, "as_of": as_of})
}

#[test]
fn demand_at_a_location_is_owed_there_until_it_is_closed() {
    let mut world = stocked();
    world.fact("demand", demand(4, None, 2));
    assert_eq!(world.sellable("S", "web"), 6);
    world.fact("demand", demand(1, None, 3));
    assert_eq!(world.sellable("S", "web"), 9);
    world.fact("demand", demand(0, None, 4));
    assert_eq!(world.sellable("S", "web"), 10);
}

#[test]
fn under_an_orders_name_it_adds_what_its_reservations_do_not_cover() {
    let mut world = stocked();
    world.fact("demand", demand(5, Some("o1"), 2));
    assert_eq!(world.sellable("S", "web"), 5);
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.sellable("S", "web"), 2, "a hold covers nothing yet");
    world.confirm("cart", "o1");
    assert_eq!(world.sellable("S", "web"), 5, "three committed, and two more");
    world.cancel("cart");
    assert_eq!(world.sellable("S", "web"), 5, "five by the demand alone");
}

#[test]
fn it_does_not_matter_whether_the_order_or_the_demand_comes_first() {
    let mut world = stocked();
    world.order("o1", "web", &[("S", 3)]);
    world.fact("demand", demand(5, Some("o1"), 2));
    assert_eq!(world.sellable("S", "web"), 5);
    world.fact("demand", demand(2, Some("o1"), 3));
    assert_eq!(world.sellable("S", "web"), 7, "the order covers it all");
}

#[test]
fn two_demands_of_an_order_share_what_covers_them_in_the_order_of_their_names() {
    let mut world = stocked();
    world.level("S", "B", 10);
    world.channel("a", json!({"locations": ["A"]}));
    world.channel("b", json!({"locations": ["B"]}));
    for (reference, location) in [("d2", "A"), ("d1", "B")] {
        let fields = json!({"ref": reference, "line": "1", "sku": "S", "location": location, "quantity": 4,
            "class": "b2b", "order_ref": "o1"});
        world.next("demand", fields);
    }
    world.order("o1", "a", &[("S", 5)]);
    // d1 at B is covered whole, of d2 at A one: 10 - 5 - 3 at A.
    assert_eq!((world.sellable("S", "a"), world.sellable("S", "b")), (2, 10));
}

#[test]
fn a_level_that_is_net_or_says_what_is_allocated_counts_the_demand_of_its_source_from_its_time_on() {
    for counts in [json!({"basis": "net"}), json!({"basis": "gross", "allocated": 0})] {
        let mut world = World::new();
        let mut level = json!({"sku": "S", "location": "A", "on_hand": 10, "as_of": 5});
        level
            .as_object_mut()
            .unwrap()
            .extend(counts.as_object().unwrap().clone());
        world.fact("stock.level", level.clone());
        world.fact("demand", demand(4, None, 6));
        assert_eq!(world.sellable("S", "web"), 6, "the level is older");
        level["as_of"] = json!(6);
        world.fact("stock.level", level);
        assert_eq!(world.sellable("S", "web"), 10, "the level has it");
    }
}

#[test]
fn a_gross_level_that_does_not_say_what_is_allocated_counts_no_demand() {
    let mut world = World::new();
    world.fact("demand", demand(4, None, 1));
    world.fact(
        "stock.level",
        json!({"sku": "S", "location": "A", "on_hand": 10, "basis": "gross", "as_of": 5}),
    );
    assert_eq!(world.sellable("S", "web"), 6);
}

#[test]
fn a_level_does_not_count_the_demand_of_another_source() {
    let mut world = stocked();
    assert_eq!(world.try_fact("marketplace", "demand", demand(4, None, 1)), Ok(()));
    world.level("S", "A", 10);
    assert_eq!(world.sellable("S", "web"), 6);
}
