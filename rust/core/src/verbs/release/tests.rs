//! A hold ends, and everything goes back.

use crate::state::policies::QuotaKind;
use crate::testing::{TTL_MS, World};

fn held() -> World {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.hold("cart", "web", &[("S", 3)]);
    world
}

#[test]
fn its_units_can_be_sold_again() {
    let mut world = held();
    let answer = world.release("cart");
    assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("released")));
    assert_eq!((world.units("cart"), world.sellable("S", "web")), (String::new(), 5));
}

#[test]
fn its_quotas_and_its_kits_caps_get_back_what_it_took() {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.allocation("web", "S", 3);
    world.cap("web", "S", 8);
    world.kit("K", &[("S", 2)]);
    world.cap("web", "K", 4);
    world.hold("cart", "web", &[("K", 2), ("S", 1)]);
    let consumed = |world: &World| {
        let of = |sku, kind| world.consumed(sku, "web", kind);
        (
            of("S", QuotaKind::Allocation),
            of("S", QuotaKind::Cap),
            of("K", QuotaKind::Cap),
        )
    };
    assert_eq!(consumed(&world), (3, 5, 2));
    world.release("cart");
    assert_eq!(consumed(&world), (0, 0, 0));
}

#[test]
fn what_was_taken_in_an_earlier_period_does_not_go_back_into_this_one() {
    let mut world = World::new();
    world.level("S", "A", 9);
    let cap = |period| serde_json::json!({"channel": "web", "sku": "S", "quantity": 5, "period": period});
    world.fact("cap", cap("may"));
    world.hold("may", "web", &[("S", 4)]);
    world.fact("cap", cap("june"));
    world.hold("june", "web", &[("S", 3)]);
    world.release("may");
    assert_eq!(world.consumed("S", "web", QuotaKind::Cap), 3);
    assert_eq!(world.sellable("S", "web"), 2);
}

#[test]
fn again_it_is_answered_as_it_stands_and_so_is_one_that_expired() {
    let mut world = held();
    let first = world.release("cart");
    assert_eq!(world.release("cart"), first);
    world.hold("late", "web", &[("S", 3)]);
    world.wait(TTL_MS);
    let expired = world.release("late");
    assert_eq!((expired.status, expired.body["state"].as_str()), (200, Some("expired")));
}

#[test]
fn an_order_is_not_released() {
    let mut world = held();
    world.confirm("cart", "o1");
    let refused = world.release("cart");
    assert_eq!((refused.status, refused.problem()), (409, "reservation-closed"));
    assert_eq!(world.sellable("S", "web"), 2);
    assert_eq!(world.release("nobody").problem(), "unknown-reservation");
}
