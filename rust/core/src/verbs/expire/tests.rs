//! What time does to reservations: holds expire on the lead clock, closed ones are forgotten.

use serde_json::json;

use crate::engine::Engine;
use crate::testing::{NOW_MS, TTL_MS, World};

fn stocked(rules: &str) -> World {
    let mut world = World::empty(rules);
    world.location("A", json!({}));
    world.level("S", "A", 9);
    world
}

fn hold_for(world: &mut World, id: &str, ttl_ms: i64) {
    let body = json!({"channel": "web", "ttl_ms": ttl_ms, "lines": [{"sku": "S", "quantity": 1}]});
    assert_eq!(world.put(id, body).status, 201);
}

#[test]
fn a_hold_expires_when_its_time_is_over_and_not_before() {
    let mut world = stocked("{}");
    hold_for(&mut world, "cart", TTL_MS);
    assert_eq!(world.engine.next_due_lead_ms(), Some(TTL_MS));
    world.wait(TTL_MS - 1);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("held", 8));
    world.wait(1);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("expired", 9));
    assert_eq!(world.engine.next_due_lead_ms(), None);
}

#[test]
fn wall_time_alone_expires_nothing() {
    let mut world = stocked("{}");
    hold_for(&mut world, "cart", TTL_MS);
    let (now_ms, lead_ms) = (world.engine.position().now_ms, world.engine.position().lead_ms);
    let decision = world.engine.decide(now_ms + 100 * TTL_MS, lead_ms, &[], &[]).unwrap();
    assert!(decision.message.is_none(), "nothing happened");
    assert_eq!(world.stands("cart"), "held");
}

#[test]
fn a_batch_expires_so_many_and_the_oldest_due_first() {
    let mut world = stocked(r#"{"expire_batch_max":2}"#);
    for (id, ttl_ms) in [("third", 3_000), ("first", 1_000), ("second", 2_000)] {
        hold_for(&mut world, id, ttl_ms);
    }
    world.wait(5_000);
    let stand = |world: &World| ["first", "second", "third"].map(|id| world.stands(id));
    assert_eq!(stand(&world), ["expired", "expired", "held"]);
    assert_eq!(world.engine.next_due_lead_ms(), Some(3_000));
    world.wait(0);
    assert_eq!(stand(&world), ["expired", "expired", "expired"]);
}

#[test]
fn what_expires_is_free_for_a_command_of_the_same_batch() {
    let mut world = stocked("{}");
    world.level("S", "A", 1);
    hold_for(&mut world, "cart", 1_000);
    assert_eq!(world.try_hold("next", "web", &[("S", 1)]).status, 409);
    world.clocks_go_on(1_000);
    assert_eq!(world.try_hold("next", "web", &[("S", 1)]).status, 201);
}

#[test]
fn a_closed_reservation_is_forgotten_after_a_while() {
    let mut world = stocked(r#"{"remember_closed_ms":5000}"#);
    world.clocks_go_on(1_000);
    hold_for(&mut world, "cart", TTL_MS);
    world.release("cart");
    world.wait(4_999);
    assert_eq!(world.stands("cart"), "released");
    world.wait(1);
    assert_eq!(world.confirm("cart", "o1").problem(), "unknown-reservation");
}

#[test]
fn one_that_became_an_order_meanwhile_is_not() {
    let mut world = stocked(r#"{"remember_closed_ms":5000}"#);
    hold_for(&mut world, "cart", TTL_MS);
    world.release("cart");
    world.confirm("cart", "o1");
    world.wait(50_000);
    assert_eq!(world.stands("cart"), "committed");
}

#[test]
fn an_order_is_forgotten_once_all_of_it_left_and_the_level_says_so() {
    let mut world = stocked(r#"{"remember_closed_ms":5000}"#);
    world.order("o1", "web", &[("S", 2)]);
    let lines = json!([{"sku": "S", "location": "A", "quantity": 2}]);
    world.next("shipment", json!({"ref": "s1", "order_ref": "o1", "lines": lines}));
    assert_eq!(world.stands("o1"), "fulfilled");
    world.wait(50_000);
    assert_eq!(
        (world.stands("o1"), world.sellable("S", "web")),
        ("fulfilled", 7),
        "it is deducted here still"
    );
    world.level("S", "A", 7);
    world.wait(5_000);
    assert!(world.state().reservations.find("o1").is_none());
    assert_eq!(world.sellable("S", "web"), 7);
}

fn closed_on(world: &mut World, channel: &str, ids: std::ops::Range<usize>) {
    for id in ids {
        let body = json!({"channel": channel, "ttl_ms": TTL_MS, "lines": [{"sku": "S", "quantity": 1}]});
        let id = format!("{channel}-{id}");
        assert_eq!(world.put(&id, body).status, 201);
        world.release(&id);
    }
}

fn remembered(world: &World, channel: &str, ids: std::ops::Range<usize>) -> Vec<usize> {
    let known = |id: &usize| world.state().reservations.find(&format!("{channel}-{id}")).is_some();
    ids.filter(known).collect()
}

#[test]
fn a_channel_that_fills_the_memory_of_closed_ones_forgets_its_own() {
    let mut world = stocked(r#"{"closed_max":8}"#);
    closed_on(&mut world, "web", 0..3);
    closed_on(&mut world, "pos", 0..20);
    world.level("S", "A", 9);
    assert_eq!(remembered(&world, "web", 0..3), [0, 1, 2]);
    assert_eq!(remembered(&world, "pos", 0..20), [15, 16, 17, 18, 19]);
    assert_eq!(world.sellable("S", "web"), 9);
}

#[test]
fn a_batch_forgets_no_more_than_it_may() {
    let mut world = stocked(r#"{"closed_max":100,"remember_closed_ms":5000,"expire_batch_max":4}"#);
    closed_on(&mut world, "web", 0..10);
    world.wait(5_001);
    assert_eq!(remembered(&world, "web", 0..10).len(), 6);
    world.wait(1);
    assert_eq!(remembered(&world, "web", 0..10).len(), 2);
    world.wait(1);
    assert_eq!(remembered(&world, "web", 0..10).len(), 0);
}

#[test]
fn before_the_third_edition_age_alone_forgets() {
    let rules = r#"{"closed_max":2,"remember_closed_ms":5000,"expire_batch_max":4}"#;
    let lead = String::from_utf8(Engine::new("main", None).lead_batch("n1", NOW_MS, rules).unwrap()).unwrap();
    assert!(lead.contains(r#""edition":3"#));
    let mut world = World::led_by(lead.replace(r#""edition":3"#, r#""edition":2"#).into_bytes());
    world.location("A", json!({}));
    world.level("S", "A", 9);
    closed_on(&mut world, "web", 0..10);
    world.wait(1);
    assert_eq!(remembered(&world, "web", 0..10).len(), 10);
    world.wait(5_000);
    assert_eq!(remembered(&world, "web", 0..10).len(), 0);
}
