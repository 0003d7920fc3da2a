//! A hold becomes an order; one that ended takes its lines again, or is oversold (docs/rules.md, "Repeats").

use serde_json::json;

use crate::state::policies::QuotaKind;
use crate::testing::{TTL_MS, World};
use crate::verbs::Verb;

fn held(quantity: i64, on_hand: i64) -> World {
    let mut world = World::new();
    world.level("S", "A", on_hand);
    world.hold("cart", "web", &[("S", quantity)]);
    world
}

#[test]
fn a_hold_becomes_an_order_on_the_same_units_and_ends_no_more() {
    let mut world = held(3, 5);
    let answer = world.confirm("cart", "o1");
    assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("committed")));
    assert_eq!(
        (answer.body["order_ref"].as_str(), &answer.body["expires_at"]),
        (Some("o1"), &json!(null))
    );
    world.wait(10 * TTL_MS);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("committed", 2));
    assert_eq!(world.units("cart"), "3 S at A");
}

#[test]
fn again_it_is_answered_as_it_stands_but_not_under_another_order() {
    let mut world = held(3, 5);
    world.confirm("cart", "o1");
    let again = world.confirm("cart", "o1");
    assert_eq!((again.status, again.body["version"].clone()), (200, json!(2)));
    let nameless = world.ask(Verb::Confirm, "cart", &json!({}));
    assert_eq!(
        (nameless.status, nameless.body["order_ref"].as_str()),
        (200, Some("o1"))
    );
    let other = world.confirm("cart", "o2");
    assert_eq!((other.status, other.problem()), (409, "reservation-closed"));
}

#[test]
fn an_order_may_get_its_name_later() {
    let mut world = held(3, 5);
    assert_eq!(world.ask(Verb::Confirm, "cart", &json!({})).status, 200);
    let named = world.confirm("cart", "o1");
    assert_eq!((named.status, named.body["order_ref"].as_str()), (200, Some("o1")));
}

#[test]
fn a_hold_that_expired_or_was_released_takes_its_lines_anew() {
    let mut world = held(3, 5);
    world.wait(TTL_MS);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("expired", 5));
    assert_eq!(world.confirm("cart", "o1").status, 200);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("committed", 2));
    world.hold("other", "web", &[("S", 2)]);
    world.release("other");
    assert_eq!(world.confirm("other", "o2").status, 200);
    assert_eq!(
        (world.units("other"), world.sellable("S", "web")),
        ("2 S at A".to_owned(), 0)
    );
}

#[test]
fn what_is_taken_anew_counts_in_the_quotas_again() {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.allocation("web", "S", 2);
    world.kit("K", &[("S", 2)]);
    world.cap("web", "K", 2);
    world.hold("cart", "web", &[("K", 2)]);
    world.release("cart");
    assert_eq!(
        (
            world.consumed("S", "web", QuotaKind::Allocation),
            world.consumed("K", "web", QuotaKind::Cap)
        ),
        (0, 0)
    );
    world.confirm("cart", "o1");
    assert_eq!(
        (
            world.consumed("S", "web", QuotaKind::Allocation),
            world.consumed("K", "web", QuotaKind::Cap)
        ),
        (2, 2)
    );
    assert_eq!(world.units("cart"), "4 S (2 own) at A");
}

#[test]
fn a_late_one_that_does_not_fit_is_oversold_and_holds_nothing() {
    let mut world = held(3, 5);
    world.wait(TTL_MS);
    world.hold("faster", "web", &[("S", 4)]);
    let late = world.confirm("cart", "o1");
    assert_eq!((late.status, late.problem()), (409, "oversold"));
    assert_eq!(late.body["lines"][0]["sellable"], 1);
    assert_eq!((world.stands("cart"), world.units("cart")), ("oversold", String::new()));
    assert_eq!(world.sellable("S", "web"), 1);
}

#[test]
fn one_that_was_oversold_is_an_order_as_soon_as_it_fits() {
    let mut world = held(3, 5);
    world.wait(TTL_MS);
    world.hold("faster", "web", &[("S", 4)]);
    assert_eq!(world.confirm("cart", "o1").status, 409);
    assert_eq!(world.confirm("cart", "o1").status, 409);
    world.release("faster");
    let answer = world.confirm("cart", "o1");
    assert_eq!((answer.status, world.stands("cart")), (200, "committed"));
}

#[test]
fn a_superseded_one_is_confirmed_late_too() {
    let mut world = World::new();
    world.level("S", "A", 5);
    let body = |quantity| json!({"channel": "web", "owner": "ann", "supersede": true, "lines": [{"sku": "S", "quantity": quantity}]});
    world.put("first", body(2));
    world.put("second", body(3));
    assert_eq!(world.stands("first"), "released");
    let late = world.confirm("first", "o1");
    assert_eq!((late.status, late.body.get("superseded_by")), (200, None));
    assert_eq!(world.sellable("S", "web"), 0);
}

#[test]
fn a_late_one_may_be_sold_beyond_stock_where_the_policy_allows_it() {
    let mut world = held(3, 3);
    world.wait(TTL_MS);
    world.hold("faster", "web", &[("S", 3)]);
    world.oversell("web", 3);
    assert_eq!(world.confirm("cart", "o1").status, 200);
    assert_eq!(world.units("cart"), "3 S unsourced");
}

#[test]
fn one_that_was_cancelled_while_held_is_confirmed_late_like_one_that_was_released() {
    let mut world = held(3, 5);
    world.cancel("cart");
    world.confirm("cart", "o1");
    assert_eq!(
        (world.stands("cart"), world.units("cart")),
        ("committed", "3 S at A".to_owned())
    );
}

#[test]
fn a_cancelled_order_and_an_unknown_one_are_refused() {
    let mut world = held(3, 5);
    world.confirm("cart", "o1");
    world.cancel("cart");
    assert_eq!(world.confirm("cart", "o1").problem(), "reservation-closed");
    assert_eq!(world.confirm("nobody", "o1").problem(), "unknown-reservation");
}

#[test]
fn facts_about_the_order_that_came_before_it_count_from_here_on() {
    let mut world = held(3, 5);
    world.next("order.ack", json!({"order_ref": "o1"}));
    world.level("S", "A", 2);
    assert_eq!(
        world.sellable("S", "web"),
        0,
        "the level is net of the order, and the hold is deducted still"
    );
    world.confirm("cart", "o1");
    assert_eq!(
        (world.stands("cart"), world.units("cart")),
        ("in_erp", "3 S at A inside".to_owned())
    );
    assert_eq!(world.sellable("S", "web"), 2);
}

#[test]
fn a_hold_in_deficit_is_refused_where_the_rules_say_so() {
    for (rules, status, stands) in [
        ("{}", 200, "committed"),
        (r#"{"confirm_deficit":"refuse"}"#, 409, "held"),
    ] {
        let mut world = World::empty(rules);
        world.location("A", json!({}));
        world.channel("web", json!({}));
        world.level("S", "A", 8);
        world.hold("h", "web", &[("S", 8)]);
        world.level("S", "A", 3);
        let answer = world.confirm("h", "order");
        assert_eq!((answer.status, world.stands("h")), (status, stands));
        if status == 409 {
            assert_eq!(answer.problem(), "deficit");
            assert_eq!(answer.body["lines"][0]["sellable"], 3);
            world.level("S", "A", 8);
            assert_eq!(world.confirm("h", "order").status, 200);
        }
    }
}
