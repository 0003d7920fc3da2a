//! A hold is made, repeated, replaced or refused (docs/rules.md, "Replacing" and "Repeats").

use serde_json::{Value, json};

use crate::testing::World;
use crate::verbs::Verb;

fn stocked(on_hand: i64) -> World {
    let mut world = World::new();
    world.level("S", "A", on_hand);
    world
}

fn body(quantity: i64) -> Value {
    json!({"channel": "web", "owner": "ann", "lines": [{"sku": "S", "quantity": quantity}]})
}

/// A body with one more field.
fn with(mut body: Value, name: &str, value: &Value) -> Value {
    body[name] = value.clone();
    body
}

#[test]
fn a_new_hold_takes_its_units_for_its_time_to_live() {
    let mut world = stocked(5);
    let made = world.put("cart", body(3));
    assert_eq!((made.status, made.body["state"].as_str()), (201, Some("held")));
    assert_eq!(
        made.body["lines"][0]["allocations"],
        json!([{"location": "A", "quantity": 3}])
    );
    assert_eq!(
        made.body["expires_at"], "2023-11-14T22:14:20Z",
        "a minute after the batch"
    );
    assert_eq!(world.sellable("S", "web"), 2);
}

#[test]
fn one_that_does_not_fit_is_refused_with_what_is_left_and_takes_nothing() {
    let mut world = stocked(5);
    let refused = world.put("cart", body(6));
    assert_eq!((refused.status, refused.problem()), (409, "insufficient-stock"));
    let verdict = json!({"sku": "S", "requested": 6, "sellable": 5, "ok": false, "reason": "insufficient-stock"});
    assert_eq!(refused.body["lines"], json!([verdict]));
    assert_eq!(world.sellable("S", "web"), 5);
    assert!(world.state().reservations.find("cart").is_none());
}

#[test]
fn the_same_body_again_is_answered_with_the_hold_as_it_stands() {
    let mut world = stocked(5);
    let made = world.put("cart", body(3));
    world.wait(10_000);
    let again = world.put("cart", body(3));
    assert_eq!(again.status, 200);
    assert_eq!(again.body, made.body, "not even its time to live starts again");
}

#[test]
fn the_same_body_in_another_unit_is_the_same() {
    let mut world = stocked(9);
    world.fact("item", json!({"sku": "S", "base_unit": "each", "units": {"box": 3}}));
    let made = world.put("cart", body(6));
    let lines = json!([{"sku": "S", "quantity": 2, "unit": "box"}]);
    let again = world.put("cart", with(body(0), "lines", &lines));
    assert_eq!(
        (again.status, again.body["version"].clone()),
        (200, made.body["version"].clone())
    );
}

#[test]
fn a_body_in_a_unit_that_was_never_known_is_another_one() {
    let mut world = stocked(9);
    world.put("cart", body(3));
    let lines = json!([{"sku": "S", "quantity": 3, "unit": "pair"}]);
    let in_pairs = with(body(0), "lines", &lines);
    assert_eq!(world.put("cart", in_pairs.clone()).status, 409);
    assert_eq!(world.units("cart"), "3 S at A");
    world.confirm("cart", "o1");
    assert_eq!(world.put("cart", in_pairs).problem(), "reservation-closed");
    assert_eq!(world.put("cart", body(3)).status, 200);
}

#[test]
fn another_body_replaces_it_and_its_time_to_live_starts_anew() {
    let mut world = stocked(5);
    world.put("cart", body(3));
    world.wait(50_000);
    let replaced = world.put("cart", body(5));
    assert_eq!(replaced.status, 200);
    world.wait(50_000);
    assert_eq!((world.stands("cart"), world.sellable("S", "web")), ("held", 0));
    assert_eq!(world.put("cart", body(6)).status, 409);
    assert_eq!(world.units("cart"), "5 S at A", "what was refused changed nothing");
}

#[test]
fn a_hold_is_renewed_so_often_and_no_more() {
    let mut world = World::empty(r#"{"renewals_max":2}"#);
    world.location("A", json!({}));
    world.level("S", "A", 9);
    world.put("cart", body(1));
    assert_eq!(world.put("cart", body(2)).status, 200);
    assert_eq!(world.ask(Verb::Extend, "cart", &json!({"ttl_ms": 1_000})).status, 200);
    let refused = world.put("cart", body(3));
    assert_eq!(refused.problem(), "renewals-exhausted");
    assert_eq!(world.put("cart", body(2)).status, 200, "a repeat is no renewal");
}

#[test]
fn a_lower_revision_is_stale_and_so_is_an_equal_one_with_another_body() {
    let mut world = stocked(9);
    let revised = |quantity, revision| with(body(quantity), "revision", &json!(revision));
    assert_eq!(world.put("cart", revised(1, 4)).status, 201);
    let stale = world.put("cart", revised(1, 3));
    assert_eq!(
        (stale.problem(), stale.body["revision"].clone()),
        ("stale-revision", json!(4))
    );
    assert_eq!(world.put("cart", revised(2, 4)).problem(), "stale-revision");
    assert_eq!(world.put("cart", revised(1, 4)).status, 200);
    assert_eq!(world.put("cart", revised(2, 5)).status, 200);
    assert_eq!(world.units("cart"), "2 S at A");
}

#[test]
fn a_hold_that_ended_is_not_replaced() {
    let mut world = stocked(9);
    world.put("cart", body(1));
    world.release("cart");
    let refused = world.put("cart", body(2));
    assert_eq!(
        (refused.problem(), refused.body["state"].as_str()),
        ("reservation-closed", Some("released"))
    );
    let repeated = world.put("cart", body(1));
    assert_eq!(
        (repeated.status, repeated.problem()),
        (409, "reservation-closed"),
        "not by its own body either"
    );
}

#[test]
fn the_same_body_is_answered_with_an_order_too() {
    let mut world = stocked(9);
    world.put("cart", body(1));
    world.confirm("cart", "o1");
    let again = world.put("cart", body(1));
    assert_eq!((again.status, again.body["state"].as_str()), (200, Some("committed")));
    assert_eq!(world.put("cart", body(2)).problem(), "reservation-closed");
}

#[test]
fn once_a_channel_is_declared_others_are_refused_unless_the_rules_let_them_sell() {
    for (rules, problem) in [
        ("{}", "unknown-channel"),
        (r#"{"undeclared_channels":"serve"}"#, "no problem"),
    ] {
        let mut world = World::empty(rules);
        world.location("A", json!({}));
        world.level("S", "A", 5);
        assert_eq!(world.put("before", body(1)).status, 201, "none is declared yet");
        world.channel("shop", json!({}));
        assert_eq!(world.put("after", body(1)).problem(), problem);
    }
}

#[test]
fn superseding_releases_the_owners_other_holds_on_the_channel_and_their_units_are_free_for_it() {
    let mut world = stocked(5);
    world.channel("shop", json!({}));
    world.put("old", body(3));
    world.put("elsewhere", with(body(1), "channel", &json!("shop")));
    world.put("stranger", with(body(1), "owner", &json!("bob")));
    assert_eq!(world.put("new", body(3)).status, 409);
    let made = world.put("new", with(body(3), "supersede", &json!(true)));
    assert_eq!(made.status, 201);
    assert_eq!(world.stands("old"), "released");
    assert_eq!((world.stands("elsewhere"), world.stands("stranger")), ("held", "held"));
    let old = world.state().reservations.get(world.slot("old"));
    assert_eq!(old.superseded_by.as_deref(), Some("new"));
}

#[test]
fn a_superseding_hold_that_does_not_fit_leaves_the_others() {
    let mut world = stocked(5);
    world.put("old", body(3));
    assert_eq!(world.put("new", with(body(6), "supersede", &json!(true))).status, 409);
    assert_eq!((world.stands("old"), world.sellable("S", "web")), ("held", 2));
}

#[test]
fn an_owner_has_no_more_holds_than_the_bound_and_others_are_not_counted() {
    let mut world = World::empty(r#"{"owner_holds_max":3}"#);
    world.location("A", json!({}));
    world.level("S", "A", 50);
    for id in ["a", "b", "c"] {
        assert_eq!(world.put(id, body(1)).status, 201);
    }
    let refused = world.put("d", body(1));
    assert_eq!(
        (refused.problem(), refused.body["holds_limit"].clone()),
        ("owner-limit", json!(3))
    );
    assert_eq!(world.put("c", body(2)).status, 200, "one of the three is replaced");
    let other = with(body(1), "owner", &json!("another"));
    assert_eq!(world.put("d", other).status, 201);
    assert_eq!(world.put("e", with(body(1), "supersede", &json!(true))).status, 201);
    assert_eq!(world.put("f", body(1)).status, 201);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn whoever_holds_much_takes_no_place_of_another_owner_or_channel(
        asked in proptest::collection::vec((0..3usize, 0..2usize, proptest::bool::ANY), 1..40),
    ) {
        let mut world = World::empty(r#"{"owner_holds_max":3}"#);
        world.location("A", json!({}));
        world.level("S", "A", 500);
        let mut held = [[0; 2]; 3];
        for (n, (owner, channel, supersede)) in asked.into_iter().enumerate() {
            let body = json!({
                "channel": format!("c{channel}"), "owner": format!("o{owner}"), "supersede": supersede,
                "lines": [{"sku": "S", "quantity": 1}],
            });
            let count = &mut held[owner][channel];
            *count = if supersede { 0 } else { *count };
            let answer = world.put(&format!("r{n}"), body);
            proptest::prop_assert_eq!(answer.status, if *count < 3 { 201 } else { 409 });
            *count = 3.min(*count + 1);
        }
    }
}

#[test]
fn an_owner_holds_no_more_than_the_limit() {
    let mut world = World::empty(r#"{"owner_units_max":5}"#);
    world.location("A", json!({}));
    world.level("S", "A", 50);
    assert_eq!(world.put("first", body(3)).status, 201);
    let refused = world.put("second", body(3));
    assert_eq!(
        (refused.problem(), refused.body["limit"].clone()),
        ("owner-limit", json!(5))
    );
    assert_eq!(world.put("second", body(2)).status, 201);
    assert_eq!(
        world.put("second", with(body(5), "supersede", &json!(true))).status,
        200
    );
    assert_eq!(world.stands("first"), "released");
    let nobody = json!({"channel": "web", "lines": [{"sku": "S", "quantity": 9}]});
    assert_eq!(world.put("third", nobody).status, 201, "the limit is an owner's");
}

#[test]
fn what_is_not_known_is_refused_before_stock_is_asked() {
    let mut world = stocked(5);
    let unknown = world.put("cart", with(body(1), "lines", &json!([{"sku": "X", "quantity": 1}])));
    assert_eq!(
        (unknown.problem(), unknown.body["sku"].as_str()),
        ("unknown-sku", Some("X"))
    );
    let lines = json!([{"sku": "S", "quantity": 1, "location": "Z"}]);
    let nowhere = world.put("cart", with(body(1), "lines", &lines));
    assert_eq!((nowhere.status, nowhere.problem()), (422, "invalid"));
    world.channel("web", json!({"regional": "require"}));
    let regionless = world.put("cart", body(1));
    assert_eq!((regionless.status, regionless.problem()), (422, "invalid"));
}

#[test]
fn a_key_sees_its_channels_alone() {
    let mut world = stocked(5);
    let shop = ["shop".to_owned()];
    let asked = with(body(1), "ttl_ms", &json!(1_000));
    assert_eq!(
        world.ask_as(Some(&shop), Verb::Put, "cart", &asked).problem(),
        "forbidden"
    );
    world.put("cart", body(1));
    let shops = with(asked, "channel", &json!("shop"));
    assert_eq!(
        world.ask_as(Some(&shop), Verb::Put, "cart", &shops).problem(),
        "forbidden",
        "it is on another channel"
    );
    assert_eq!(
        world.ask_as(Some(&shop), Verb::Release, "cart", &json!({})).problem(),
        "unknown-reservation"
    );
}

#[test]
fn a_partial_hold_of_nothing_is_refused() {
    let mut world = stocked(0);
    let refused = world.put("cart", with(body(1), "partial", &json!(true)));
    assert_eq!((refused.status, refused.problem()), (409, "insufficient-stock"));
    world.level("S", "A", 1);
    let made = world.put("cart", with(body(4), "partial", &json!(true)));
    assert_eq!(
        (made.status, made.body["lines"][0]["quantity"].clone()),
        (201, json!(1))
    );
}
