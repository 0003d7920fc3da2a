//! A request under an idempotency key is done once, and answered the same again, on every node and after every replay.

mod support;

use holdfast_core::commands::split_facts;
use holdfast_core::{Command, Verb};
use proptest::prelude::*;
use support::{Node, PLACES, command, level, under};

const CART: &str = r#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":4}]}"#;
const TWO: &str = r#"{"lines":[{"sku":"S","quantity":2}]}"#;

fn stocked(rules: &str) -> Node {
    let mut node = Node::with_rules(rules);
    node.facts(PLACES);
    node.facts(&level("S", "A", 100, 1));
    node
}

fn ordered() -> Node {
    let mut node = stocked("{}");
    assert_eq!(node.ask(Verb::Put, "r1", CART).0, 201);
    assert_eq!(node.ask(Verb::Confirm, "r1", "").0, 200);
    node
}

fn total(node: &Node, name: &str) -> i64 {
    let totals: serde_json::Value = serde_json::from_slice(&node.engine.totals()).unwrap();
    totals[name].as_i64().unwrap()
}

#[test]
fn the_same_request_is_done_once_and_answered_word_by_word() {
    let mut node = ordered();
    let fulfil = under("k", "a", Verb::Fulfil, "r1", TWO);
    let first = node.group(&[fulfil, fulfil]);
    assert_eq!(first[0].0, 200, "{first:?}");
    assert_eq!(first[0], first[1], "together in one group");
    node.wait(5_000);
    assert_eq!(
        node.ask(Verb::Fulfil, "r1", TWO).0,
        200,
        "without a key two more are handed over"
    );
    assert_eq!(
        node.group(&[fulfil])[0],
        first[0],
        "later, and though the reservation went on"
    );
    assert_eq!(node.ask(Verb::Fulfil, "r1", TWO).0, 422, "nothing is left");
    let mut again = node.replay();
    assert_eq!(again.digest(), node.engine.digest());
    let repeated = again.decide(node.now_ms, 5_000, &[fulfil], &[]).unwrap();
    assert!(repeated.message.is_none(), "a repeat changes nothing");
    assert_eq!(
        repeated.answers[0],
        (200, first[0].1.clone().into_bytes()),
        "by a node that followed"
    );
}

#[test]
fn another_request_under_the_key_is_a_conflict_and_another_api_key_has_its_own() {
    let mut node = ordered();
    node.ask(Verb::Put, "r2", CART);
    let extend = |key, by, id, body| under(key, by, Verb::Extend, id, body);
    assert_eq!(node.group(&[extend("k", "a", "r2", r#"{"ttl_ms":9000}"#)])[0].0, 200);
    for other in [
        extend("k", "a", "r2", r#"{"ttl_ms":9001}"#),
        extend("k", "a", "r1", r#"{"ttl_ms":9000}"#),
        under("k", "a", Verb::Release, "r2", r#"{"ttl_ms":9000}"#),
    ] {
        let (status, body) = node.group(&[other]).remove(0);
        assert_eq!(status, 409);
        assert!(body.contains("urn:holdfast:problem:idempotency-conflict"), "{body}");
    }
    let theirs = node.group(&[extend("k", "b", "r2", r#"{"ttl_ms":9001}"#)]).remove(0);
    assert_eq!(theirs.0, 200, "{theirs:?}");
    assert_ne!(
        theirs.1,
        node.group(&[extend("k", "a", "r2", r#"{"ttl_ms":9000}"#)])[0].1
    );
}

#[test]
fn what_the_state_refused_stays_refused_and_what_was_no_request_is_judged_anew() {
    let mut node = stocked("{}");
    node.ask(
        Verb::Put,
        "r1",
        r#"{"channel":"web","ttl_ms":1000,"lines":[{"sku":"S","quantity":60}]}"#,
    );
    node.wait(1_500);
    node.ask(
        Verb::Put,
        "r2",
        r#"{"channel":"web","ttl_ms":90000,"lines":[{"sku":"S","quantity":60}]}"#,
    );
    let confirm = under("k", "a", Verb::Confirm, "r1", "");
    let refused = node.group(&[confirm]).remove(0);
    assert_eq!(refused.0, 409, "{refused:?}");
    assert!(refused.1.contains("oversold"));
    node.ask(Verb::Release, "r2", "");
    assert_eq!(
        node.group(&[confirm])[0],
        refused,
        "a late duplicate does not sell what the shopper was refused"
    );
    assert_eq!(
        node.group(&[under("k2", "a", Verb::Confirm, "r1", "")])[0].0,
        200,
        "a new try has a new key"
    );
    let release = under("k3", "a", Verb::Release, "r9", "");
    assert_eq!(node.group(&[release])[0].0, 404);
    node.ask(
        Verb::Put,
        "r9",
        r#"{"channel":"web","ttl_ms":1000,"lines":[{"sku":"S","quantity":1}]}"#,
    );
    assert_eq!(node.group(&[release])[0].0, 200);
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn a_request_in_parts_is_one_request() {
    let mut node = stocked("{}");
    let whole = "0123456789abcdef0123456789abcdef";
    let other = "1123456789abcdef0123456789abcdef";
    let part = |number: usize, hash: &str| format!("k\n{number}\n{hash}");
    let keys: Vec<String> = (0..3).map(|number| part(number, whole)).collect();
    let batch = [
        under(&keys[0], "a", Verb::Put, "r1", CART),
        under(&keys[1], "a", Verb::Put, "r1", CART),
        under(
            &keys[2],
            "a",
            Verb::Put,
            "r2",
            r#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":99}]}"#,
        ),
    ];
    let first = node.group(&batch);
    assert_eq!(
        first.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
        [201, 200, 409]
    );
    node.ask(
        Verb::Put,
        "r1",
        r#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":1}]}"#,
    );
    assert_eq!(node.group(&batch), first, "nothing is replaced by the repeat");
    let key = part(7, other);
    assert_eq!(node.group(&[under(&key, "a", Verb::Put, "r7", CART)])[0].0, 409);
    assert_eq!(node.group(&[under("k", "a", Verb::Put, "r7", CART)])[0].0, 409);
    assert_eq!(node.ask(Verb::Release, "r7", "").0, 404, "neither was done");
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn an_answer_is_forgotten_on_the_lead_clock_and_the_oldest_when_there_are_too_many() {
    let mut node = stocked(r#"{"answers_kept_ms":10000,"answers_max":2,"renewals_max":1000}"#);
    node.ask(Verb::Put, "r1", CART);
    let extend = |key| under(key, "a", Verb::Extend, "r1", r#"{"ttl_ms":60000}"#);
    let first = node.group(&[extend("k1")]).remove(0);
    node.now_ms += 86_400_000;
    node.wait(9_999);
    assert_eq!(node.group(&[extend("k1")])[0], first);
    node.wait(1);
    assert_eq!(total(&node, "answered_requests"), 0);
    assert_ne!(node.group(&[extend("k1")])[0], first, "a new request");
    node.group(&[extend("k2"), extend("k3")]);
    assert_eq!(
        (total(&node, "answered_requests"), total(&node, "answers_dropped")),
        (2, 1)
    );
    let renewed = node.group(&[extend("k1")]).remove(0);
    assert!(renewed.1.contains(r#""version":6"#), "{}", renewed.1);
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn an_answer_too_long_to_keep_is_told_as_the_reservation_stands() {
    let mut node = stocked("{}");
    let lines: Vec<String> = (0..1_200).map(|_| r#"{"sku":"S","quantity":1}"#.to_owned()).collect();
    node.facts(&level("S", "A", 5_000, 2));
    let cart = format!(r#"{{"channel":"web","ttl_ms":60000,"lines":[{}]}}"#, lines.join(","));
    assert_eq!(node.ask(Verb::Put, "r1", &cart).0, 201);
    let extend = under("k", "a", Verb::Extend, "r1", r#"{"ttl_ms":60000}"#);
    let first = node.group(&[extend]).remove(0);
    assert!(first.1.len() > 64 * 1024);
    assert_eq!(node.group(&[extend])[0], first);
    node.ask(Verb::Release, "r1", "");
    let (status, body) = node.group(&[extend]).remove(0);
    assert!(
        status == 200 && body.contains(r#""state":"released""#),
        "the status of the first time"
    );
    assert!(total(&node, "answered_bytes") < 1_000);
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn facts_under_a_key_are_taken_once_and_their_rejections_told_again() {
    let mut node = stocked("{}");
    let body = format!(
        r#"{{"facts":[{{"kind":"cap","channel":"web","sku":"S","quantity":10}},{}]}}"#,
        level("S", "nowhere", 1, 1)
    );
    let message = |body: &str, by, key| {
        let (_, messages) = split_facts(body.as_bytes(), 4_096, 10_000, Some(by), key, None).unwrap();
        assert_eq!(messages.len(), 1);
        String::from_utf8(messages[0].clone()).unwrap()
    };
    let first = node.message(&message(&body, "a", Some("k")));
    assert_eq!(
        (
            first.received[0].outcome.accepted,
            first.received[0].outcome.rejected.len(),
            first.dead.len()
        ),
        (1, 1, 1)
    );
    node.facts(r#"{"kind":"cap","channel":"web","sku":"S","quantity":20}"#);
    let again = node.message(&message(&body, "a", Some("k")));
    assert_eq!(again.received[0].outcome.rejected, first.received[0].outcome.rejected);
    assert_eq!((again.received[0].outcome.accepted, again.dead.len()), (1, 0));
    assert_eq!(
        node.engine.sellable("S", "web", None),
        Some(20),
        "the cap set meanwhile stays"
    );
    let other = body.replace("10", "11");
    let conflict = node.message(&message(&other, "a", Some("k")));
    assert_eq!((conflict.received[0].outcome.accepted, conflict.dead.len()), (0, 1));
    assert!(
        conflict.received[0].outcome.rejected[0]
            .1
            .starts_with("idempotency-conflict")
    );
    assert_eq!(
        node.message(&message(&other, "b", Some("k"))).received[0]
            .outcome
            .accepted,
        1
    );
    assert_eq!(node.engine.sellable("S", "web", None), Some(11));
    assert_eq!(node.replay().digest(), node.engine.digest());
}

#[test]
fn facts_in_several_messages_are_one_request() {
    let facts: Vec<String> = (0..20).map(|n| level("S", "A", 100, 10 + n)).collect();
    let body = format!(r#"{{"source":"acme","facts":[{}]}}"#, facts.join(","));
    let (_, plain) = split_facts(body.as_bytes(), 600, 10_000, Some("a"), None, None).unwrap();
    let (_, named) = split_facts(body.as_bytes(), 600, 10_000, Some("a"), Some("k"), None).unwrap();
    assert!(named.len() >= plain.len() && named.iter().all(|message| message.len() <= 600));
    let mut node = stocked("{}");
    let all = |node: &mut Node, messages: &[Vec<u8>]| -> Vec<usize> {
        let texts = messages.iter().map(|message| std::str::from_utf8(message).unwrap());
        texts
            .map(|text| node.message(text).received[0].outcome.accepted)
            .collect()
    };
    let first = all(&mut node, &named);
    assert_eq!(first.iter().sum::<usize>(), 20);
    assert_eq!(all(&mut node, &named), first);
    let (_, other) = split_facts(format!("{body} ").as_bytes(), 600, 10_000, Some("a"), Some("k"), None).unwrap();
    assert_eq!(all(&mut node, &other).iter().sum::<usize>(), 0, "another body");
    assert_eq!(total(&node, "answered_requests") as usize, named.len() + 1);
}

/// What a random client may do: (key or none, API key, verb, reservation, body).
fn step() -> impl Strategy<Value = (Option<usize>, usize, usize, usize, usize)> {
    (
        prop::option::weighted(0.8, 0..6_usize),
        0..2_usize,
        0..6_usize,
        0..3_usize,
        0..2_usize,
    )
}

const KEYS: [&str; 6] = [
    "k0",
    "k1",
    "k2",
    "p\n0\n00000000000000000000000000000001",
    "p\n1\n00000000000000000000000000000001",
    "p\n1\n00000000000000000000000000000002",
];
const IDS: [&str; 3] = ["r0", "r1", "r2"];
const VERBS: [Verb; 6] = [
    Verb::Put,
    Verb::Confirm,
    Verb::Release,
    Verb::Cancel,
    Verb::Extend,
    Verb::Fulfil,
];

fn body_of(verb: Verb, which: usize) -> &'static str {
    match verb {
        Verb::Put => [
            CART,
            r#"{"channel":"web","ttl_ms":700,"lines":[{"sku":"S","quantity":70}]}"#,
        ][which],
        Verb::Extend => [r#"{"ttl_ms":9000}"#, r#"{"ttl_ms":0}"#][which],
        Verb::Fulfil => [TWO, r#"{"lines":[{"sku":"S","quantity":1}]}"#][which],
        Verb::Confirm => ["", r#"{"order_ref":"o1"}"#][which],
        Verb::Release | Verb::Cancel => ["", "{}"][which],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prop_every_replay_remembers_the_same_and_no_key_is_answered_twice_differently(
        groups in prop::collection::vec((prop::collection::vec(step(), 1..5), 0..900_i64), 1..25)
    ) {
        let mut node = stocked(r#"{"answers_kept_ms":4000,"answers_max":8,"renewals_max":50}"#);
        let mut remembered: Vec<(Command<'static>, (u16, String))> = Vec::new();
        for (steps, waited_ms) in groups {
            let commands: Vec<Command<'static>> = steps.iter().map(|&(key, by, verb, id, body)| Command {
                key: key.map(|key| KEYS[key]),
                trace: None,
                by: Some(["a", "b"][by]),
                ..command(VERBS[verb], IDS[id], body_of(VERBS[verb], body))
            }).collect();
            let forgetful = total(&node, "answers_dropped");
            let answers = node.group(&commands);
            if total(&node, "answers_dropped") != forgetful {
                remembered.clear();
            }
            for (command, answer) in commands.into_iter().zip(answers) {
                let same = |other: &Command<'_>| (other.key, other.by, other.verb, other.id, other.body)
                    == (command.key, command.by, command.verb, command.id, command.body);
                let whole = command.key.is_some_and(|key| key.starts_with('k'));
                if let Some((_, first)) = remembered.iter().find(|(other, _)| same(other)) {
                    prop_assert_eq!(&answer, first);
                } else if whole && (answer.0 < 300 || (answer.0 == 409 && !answer.1.contains("idempotency"))) {
                    remembered.push((command, answer));
                }
            }
            let full = total(&node, "answered_requests");
            node.wait(waited_ms);
            if total(&node, "answered_requests") < full {
                remembered.clear();
            }
        }
        let mut again = node.replay();
        prop_assert_eq!(again.digest(), node.engine.digest());
        prop_assert_eq!(again.totals(), node.engine.totals());
        prop_assert_eq!(again.check_thoroughly(), Vec::<String>::new());
        // Whatever is asked under any key now, the node that followed gives the same answer.
        let commands: Vec<Command<'_>> = KEYS.iter().flat_map(|key| {
            VERBS.iter().flat_map(move |&verb| IDS.iter().map(move |id| under(key, "a", verb, id, body_of(verb, 0))))
        }).collect();
        let lead_ms = node.engine.position().lead_ms;
        let ours = node.engine.decide(node.now_ms, lead_ms, &commands, &[]).unwrap();
        let theirs = again.decide(node.now_ms, lead_ms, &commands, &[]).unwrap();
        prop_assert_eq!(ours.answers, theirs.answers);
        prop_assert_eq!(ours.message, theirs.message);
    }
}
