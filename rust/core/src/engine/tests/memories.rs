//! What is remembered so that it counts once is bounded, and who fills such a memory forgets its own (ADR 13).

use serde_json::{Value, json};

use crate::engine::Incoming;
use crate::testing::World;
use crate::verbs::{Command, Verb};
use crate::wire::keys;

const MOST: usize = 8;

fn world() -> World {
    let mut world = World::empty(&json!({"identities_max": MOST, "answers_max": MOST}).to_string());
    world.location("A", json!({}));
    world.channel("web", json!({"supply_horizon_days": 30}));
    world.location("B", json!({}));
    world.level("S", "A", 100);
    let of_flood = json!({"sku": "S", "location": "B", "on_hand": 0, "basis": "net", "as_of": 1});
    say(&mut world, "flood", "stock.level", of_flood);
    world
}

/// Each source has a place.
fn place_of(source: &str) -> &'static str {
    if source == "flood" { "B" } else { "A" }
}

fn say(world: &mut World, source: &str, kind: &str, fields: Value) {
    let said = world.try_fact(source, kind, fields);
    assert!(
        said.is_ok() || said == Err("no-effect".to_owned()),
        "{source} {kind} {said:?}"
    );
}

/// A movement of a source at its own place.
fn found(world: &mut World, source: &str, number: usize) {
    let fields = json!({"ref": format!("m{number}"), "sku": "S", "location": place_of(source), "quantity": 1, "reason": "found", "as_of": 10});
    say(world, source, "stock.delta", fields);
}

fn supply(world: &mut World, source: &str, number: usize, status: &str, as_of: i64) {
    let due = world.day(3);
    let fields = json!({"ref": format!("p{number}"), "line": "1", "sku": "S", "location": "A", "quantity": 5, "due": due,
        "status": status, "as_of": as_of});
    say(world, source, "supply", fields);
}

fn acknowledged(world: &mut World, source: &str, order: &str) {
    say(world, source, "order.ack", json!({"order_ref": order, "as_of": 10}));
}

fn returned(world: &mut World, source: &str, number: usize, order: &str) {
    let fields = json!({"ref": format!("r{number}"), "order_ref": order, "sku": "S", "location": place_of(source), "quantity": 1,
        "condition": "sellable", "as_of": 10});
    say(world, source, "return", fields);
}

fn released(world: &mut World, by: &str, key: &str) -> u16 {
    let command = Command {
        verb: Verb::Release,
        id: "cart",
        body: b"{}",
        channels: None,
        by: Some(by),
        key: Some(key),
        trace: None,
    };
    world.decide(&[command], &[]).answers.remove(0).0
}

#[test]
fn a_movement_counts_once_however_many_another_source_sends() {
    let mut world = world();
    found(&mut world, "acme", 1);
    for number in 0..3 * MOST {
        found(&mut world, "flood", number);
    }
    let before = world.sellable("S", "web");
    found(&mut world, "acme", 1);
    assert_eq!(world.sellable("S", "web"), before);
}

#[test]
fn a_closed_supply_stays_closed_however_many_another_source_closes() {
    let mut world = world();
    supply(&mut world, "acme", 1, "open", 1);
    supply(&mut world, "acme", 1, "cancelled", 5);
    for number in 0..3 * MOST {
        supply(&mut world, "flood", number, "open", 1);
        supply(&mut world, "flood", number, "cancelled", 5);
    }
    let before = world.sellable("S", "web");
    supply(&mut world, "acme", 1, "open", 1);
    assert_eq!(world.sellable("S", "web"), before);
}

#[test]
fn what_waits_for_its_order_goes_on_waiting_however_much_of_another_source_does() {
    let mut world = world();
    acknowledged(&mut world, "acme", "o1");
    for number in 0..3 * MOST {
        acknowledged(&mut world, "flood", &format!("f{number}"));
    }
    let pending = &world.state().reservations.pending_order_facts;
    assert!(pending.contains_key("o1"));
    assert_eq!(pending.len(), MOST);
}

#[test]
fn a_return_is_remembered_however_many_another_source_reports() {
    let mut world = world();
    returned(&mut world, "acme", 1, "o1");
    for number in 0..3 * MOST {
        returned(&mut world, "flood", number, &format!("f{number}"));
    }
    let documents = &world.state().order_documents;
    assert_eq!((documents.of("o1").len(), documents.len()), (1, MOST));
}

#[test]
fn an_answer_is_given_again_however_many_another_key_asks_for() {
    let mut world = world();
    world.hold("cart", "web", &[("S", 1)]);
    assert_eq!(released(&mut world, "shop", "mine"), 200);
    for number in 0..3 * MOST {
        assert_eq!(released(&mut world, "flood", &format!("k{number}")), 200);
    }
    let of = |by| {
        world
            .state()
            .answered
            .iter()
            .filter(|(_, entry)| entry.whose == keys::whose(by))
            .count()
    };
    assert_eq!((of("shop"), of("flood")), (1, MOST - 1));
}

/// A message of a source's own user, under a key of that source; what became of it.
fn under_a_key(world: &mut World, sequence: u64, source: &str, key: usize) -> String {
    let key = format!("{key:032x}");
    let item = json!({"kind": "item", "sku": "S", "base_unit": "each"});
    let message = json!({"idempotency": {"root": key, "key": key, "request": key}, "facts": [item]}).to_string();
    let subject = format!("hf.main.in.erp.{source}");
    let incoming = Incoming {
        sequence,
        subject: &subject,
        payload: message.as_bytes(),
        sealed: false,
    };
    let decision = world.decide(&[], &[incoming]);
    format!("{:?}", decision.received[0].outcome)
}

#[test]
fn an_outcome_is_given_again_however_many_messages_another_source_sends_over_nats() {
    let mut world = world();
    let first = under_a_key(&mut world, 1_000, "acme", 1);
    for number in 0..3 * MOST {
        under_a_key(&mut world, 1_001 + number as u64, "flood", number);
    }
    let kept = world
        .state()
        .answered
        .iter()
        .filter(|(_, entry)| entry.whose == keys::whose("source:acme"))
        .count();
    assert_eq!((kept, world.state().answered.len()), (1, MOST));
    assert_eq!(under_a_key(&mut world, 2_000, "acme", 1), first);
}

#[test]
fn a_subject_whose_source_is_no_name_is_a_dead_letter_and_leaves_a_log_that_can_be_read() {
    let mut world = world();
    let long = "x".repeat(129);
    for (sequence, source) in [(1_000, long.as_str()), (1_001, "\u{7}"), (1_002, "a\u{9b}b")] {
        assert!(under_a_key(&mut world, sequence, source, 1).contains("unknown-subject"));
    }
    for (sequence, source) in [(1_003, &long[1..]), (1_004, "\u{e9}t\u{e9}"), (1_005, "a\u{202e}b")] {
        let outcome = under_a_key(&mut world, sequence, source, 1); // a follower reads each batch
        assert!(outcome.contains("accepted: 1"), "{outcome}");
    }
}
