//! The thread from a level to a confirmed order, and back from LOG alone.

mod support;

use holdfast_core::Verb;
use support::{Node, PLACES, level};

#[test]
fn a_level_is_held_confirmed_and_rebuilt_from_the_log() {
    let mut node = Node::new();
    assert_eq!(node.facts(PLACES).received[0].outcome.accepted, 2);
    let levels = format!("{},{}", level("S", "A", 3, 1), level("S", "B", 4, 1));
    assert_eq!(node.facts(&levels).received[0].outcome.accepted, 2);
    assert_eq!(node.engine.sellable("S", "web", None), Some(7));
    let (status, body) = node.ask(
        Verb::Put,
        "r1",
        r#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":5}]}"#,
    );
    assert_eq!(status, 201, "{body}");
    assert!(
        body.contains(r#""allocations":[{"location":"A","quantity":3},{"location":"B","quantity":2}]"#),
        "{body}"
    );
    assert_eq!(node.engine.sellable("S", "web", None), Some(2));
    let (status, body) = node.ask(
        Verb::Put,
        "r2",
        r#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":3}]}"#,
    );
    assert_eq!(status, 409, "{body}");
    assert_eq!(node.ask(Verb::Confirm, "r1", r#"{"order_ref":"o1"}"#).0, 200);
    node.facts(r#"{"kind":"order.ack","order_ref":"o1","as_of":2}"#);
    node.facts(&level("S", "A", 0, 3));
    assert_eq!(node.engine.sellable("S", "web", None), Some(2));
    node.facts(&level("S", "B", 2, 3));
    let (_, body) = node.ask(Verb::Confirm, "r1", "");
    assert!(body.contains(r#""state":"in_erp""#), "{body}");
    assert_eq!(node.engine.sellable("S", "web", None), Some(2));
    let mut again = node.replay();
    assert_eq!(again.digest(), node.engine.digest());
    assert_eq!(again.check_thoroughly(), Vec::<String>::new());
}

#[test]
fn a_hold_expires_and_a_late_confirm_takes_it_again_or_says_oversold() {
    let mut node = Node::new();
    node.facts(PLACES);
    node.facts(&level("S", "A", 2, 1));
    let body = r#"{"channel":"web","ttl_ms":1000,"lines":[{"sku":"S","quantity":2}]}"#;
    assert_eq!(node.ask(Verb::Put, "r1", body).0, 201);
    node.wait(1_500);
    assert_eq!(node.engine.sellable("S", "web", None), Some(2));
    assert_eq!(node.ask(Verb::Put, "r2", body).0, 201);
    let (status, answer) = node.ask(Verb::Confirm, "r1", "");
    assert_eq!(status, 409, "{answer}");
    assert!(answer.contains("urn:holdfast:problem:oversold"));
    assert_eq!(node.ask(Verb::Release, "r2", "").0, 200);
    assert_eq!(node.ask(Verb::Confirm, "r1", "").0, 200);
    assert_eq!(node.engine.sellable("S", "web", None), Some(0));
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn kits_share_their_components_with_loose_sales() {
    let mut node = Node::new();
    node.facts(PLACES);
    node.facts(&format!(
        r#"{{"kind":"item","sku":"KIT","base_unit":"each","kit":[{{"sku":"S","quantity":2}},{{"sku":"T","quantity":1}}]}},{},{}"#,
        level("S", "A", 5, 1),
        level("T", "A", 9, 1)
    ));
    assert_eq!(node.engine.sellable("KIT", "web", None), Some(2));
    let cart = r#"{"channel":"web","ttl_ms":1000,"lines":[{"sku":"KIT","quantity":2},{"sku":"S","quantity":2}]}"#;
    assert_eq!(node.ask(Verb::Put, "r1", cart).0, 409);
    let cart = r#"{"channel":"web","ttl_ms":1000,"lines":[{"sku":"KIT","quantity":2},{"sku":"S","quantity":1}]}"#;
    assert_eq!(node.ask(Verb::Put, "r1", cart).0, 201);
    assert_eq!(node.engine.sellable("S", "web", None), Some(0));
    assert_eq!(node.replay().digest(), node.engine.digest());
}
