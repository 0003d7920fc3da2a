//! A hold ends later.

use serde_json::json;

use crate::testing::{Answer, TTL_MS, World};
use crate::verbs::Verb;

fn held() -> World {
    let mut world = World::empty(r#"{"renewals_max":2}"#);
    world.location("A", json!({}));
    world.level("S", "A", 5);
    world.hold("cart", "web", &[("S", 3)]);
    world
}

fn extend(world: &mut World, ttl_ms: i64) -> Answer {
    world.ask(Verb::Extend, "cart", &json!({"ttl_ms": ttl_ms}))
}

#[test]
fn its_time_to_live_starts_anew_from_now() {
    let mut world = held();
    world.wait(TTL_MS - 1_000);
    assert_eq!(extend(&mut world, 5_000).status, 200);
    world.wait(4_999);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("held", 2));
    world.wait(1);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("expired", 5));
}

#[test]
fn it_may_end_sooner_too() {
    let mut world = held();
    assert_eq!(extend(&mut world, 1_000).status, 200);
    world.wait(1_000);
    assert_eq!(world.stands("cart"), "expired");
}

#[test]
fn it_is_renewed_so_often_and_no_more() {
    let mut world = held();
    assert_eq!(extend(&mut world, 5_000).status, 200);
    assert_eq!(extend(&mut world, 5_000).status, 200);
    let refused = extend(&mut world, 5_000);
    assert_eq!((refused.status, refused.problem()), (409, "renewals-exhausted"));
}

#[test]
fn only_a_hold_can_be_extended() {
    let mut world = held();
    world.confirm("cart", "o1");
    assert_eq!(extend(&mut world, 5_000).problem(), "reservation-closed");
    world.hold("other", "web", &[("S", 1)]);
    world.wait(TTL_MS);
    let late = world.ask(Verb::Extend, "other", &json!({"ttl_ms": 5_000}));
    assert_eq!(
        (late.problem(), late.body["state"].as_str()),
        ("reservation-closed", Some("expired"))
    );
    assert_eq!(
        world.ask(Verb::Extend, "nobody", &json!({"ttl_ms": 5_000})).problem(),
        "unknown-reservation"
    );
}
