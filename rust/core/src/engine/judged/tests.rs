//! A message judged as a whole is judged as if its facts came one by one; trial, atomic and plain messages agree.

mod kits;
mod names;
mod senders;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::{Engine, Incoming, Outcome};
use crate::testing::NOW_MS;

/// An engine that led, and what is said to it.
struct Talk {
    engine: Engine,
    in_sequence: u64,
}

impl Talk {
    fn new(rules: &str) -> Self {
        let mut engine = Engine::new("main", None);
        let lead = engine.lead_batch("n1", NOW_MS, rules).unwrap();
        assert!(engine.apply(1, &lead).unwrap());
        let mut talk = Talk { engine, in_sequence: 0 };
        let place = |name: &str| json!({"kind": "location", "location": name});
        talk.take("acme", &json!({"facts": [place("A"), place("B")]}));
        talk
    }

    fn take(&mut self, source: &str, message: &Value) -> Outcome {
        self.in_sequence += 1;
        let (subject, payload) = (format!("hf.main.in.erp.{source}"), message.to_string());
        let incoming = Incoming {
            sequence: self.in_sequence,
            subject: &subject,
            payload: payload.as_bytes(),
            sealed: true,
        };
        let decision = self.engine.decide(NOW_MS, 0, &[], &[incoming]).unwrap();
        if decision.message.is_some() {
            self.engine.commit(self.engine.position().sequence + 1).unwrap();
        }
        assert_eq!(self.engine.check_thoroughly(), Vec::<String>::new());
        decision.received.into_iter().next().unwrap().outcome
    }

    fn try_out(&self, source: &str, message: &Value) -> Outcome {
        self.engine
            .dry_run(NOW_MS, source, false, &[message.to_string().as_bytes()])
    }
}

fn code(reason: &str) -> &str {
    reason.split(':').next().unwrap_or(reason)
}

fn codes(outcome: &Outcome) -> Vec<(i64, &str)> {
    outcome
        .rejected
        .iter()
        .map(|(at, reason)| (*at, code(reason)))
        .collect()
}

const NAMES: [&str; 6] = ["S", "T", "U", "K", "s1", "k2"];
const PLACES: [&str; 3] = ["A", "B", "C"];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&PLACES[..])
}

fn as_of() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (1i64..5).prop_map(|n| json!(n)),
        1 => Just(json!("2023-11-14T10:00:00Z")),
        1 => Just(json!("2030-01-01T00:00:00Z")),
    ]
}

fn quantity() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -9i64..9, 1 => Just(1_000_000_000_000), 1 => Just(-1_000_000_000_000)]
}

fn unit() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::weighted(0.3, prop::sample::select(vec!["each", "case", "pallet"]))
}

fn movement() -> impl Strategy<Value = Value> {
    let cell = (name(), place(), quantity(), unit(), as_of());
    let document = (prop::sample::select(vec!["d1", "d2"]), prop::option::of(1i64..3));
    (cell, document, 0..3u8).prop_map(|((sku, location, quantity, unit, as_of), (reference, version), kind)| {
        let mut fact = match kind {
            0 => json!({"kind": "stock.delta", "sku": sku, "location": location, "quantity": quantity, "reason": "",
                "ref": reference, "as_of": as_of, "unit": unit}),
            1 => {
                json!({"kind": "return", "sku": sku, "location": location, "quantity": quantity.abs().max(1) % 100 + 1,
                "condition": "sellable", "ref": reference, "as_of": as_of, "unit": unit})
            }
            _ => json!({"kind": "shipment", "ref": reference, "order_ref": "o1", "as_of": as_of, "lines": [{"sku": sku,
                "location": location, "quantity": quantity.abs() % 100 + 1}]}),
        };
        if let Some(version) = version {
            fact["version"] = json!(version);
        }
        fact
    })
}

fn stock() -> impl Strategy<Value = Value> {
    (name(), place(), quantity(), unit(), as_of(), 0..3u8).prop_map(|(sku, location, quantity, unit, as_of, kind)| {
        match kind {
            0 => json!({"kind": "supply", "ref": "p", "line": "1", "sku": sku, "location": location, "unit": unit,
                "quantity": quantity.abs(), "due": "2023-12-01"}),
            1 => json!({"kind": "demand", "ref": "p", "line": 1, "sku": sku, "location": location, "unit": unit,
                "quantity": quantity.abs(), "as_of": as_of}),
            _ => json!({"kind": "stock.level", "sku": sku, "location": location, "on_hand": quantity, "basis": "net",
                "as_of": as_of, "unit": unit}),
        }
    })
}

fn item() -> impl Strategy<Value = Value> {
    let parts = prop::collection::vec((name(), prop::sample::select(vec![1i64, 2, 1_000_000])), 0..3);
    let aliases = prop::collection::vec(name(), 0..2);
    (name(), parts, aliases, any::<bool>()).prop_map(|(sku, parts, aliases, cases)| {
        let kit: Vec<Value> = parts
            .iter()
            .map(|(sku, n)| json!({"sku": sku, "quantity": n}))
            .collect();
        let units = if cases { json!({"case": 1_000}) } else { json!({}) };
        json!({"kind": "item", "sku": sku, "base_unit": "each", "units": units, "kit": kit, "aliases": aliases})
    })
}

fn rule() -> impl Strategy<Value = Value> {
    (name(), place(), prop::sample::select(vec!["web", "pos"]), 0..6u8).prop_map(|(sku, location, channel, kind)| {
        match kind {
            0 => json!({"kind": "location", "location": location}),
            1 => json!({"kind": "channel", "channel": channel, "locations": [location]}),
            2 => json!({"kind": "allocation", "channel": channel, "sku": sku, "quantity": 3}),
            3 => json!({"kind": "safety", "sku": sku, "location": location, "absolute": 1}),
            4 => json!({"kind": "oversell", "channel": channel, "sku": sku, "policy": "unlimited"}),
            _ => json!({"kind": "restriction", "sku": sku, "blocked": true}),
        }
    })
}

fn message() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(
        prop_oneof![2 => stock(), 3 => movement(), 2 => item(), 2 => rule()],
        1..9,
    )
}

fn rules() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        r#"{"create_unknown_skus": false}"#,
        r#"{"create_unknown_locations": true}"#,
    ])
}

fn senders() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["acme", "wms"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_message_is_judged_as_its_facts_would_be_one_by_one(
        rules in rules(),
        before in prop::collection::vec((senders(), message()), 0..3),
        source in senders(),
        facts in message(),
    ) {
        let (mut whole, mut single) = (Talk::new(rules), Talk::new(rules));
        for (source, facts) in &before {
            for talk in [&mut whole, &mut single] {
                talk.take(source, &json!({"facts": facts}));
            }
        }
        let outcome = whole.take(source, &json!({"facts": &facts}));
        for (at, fact) in facts.iter().enumerate() {
            let reason = outcome.rejected.iter().find(|(index, _)| *index == at as i64);
            let is_of_a_message = |reason: &str| {
                // One by one there is no contradiction; a supply that a message closes keeps a name only in it; and stock may be
                // anywhere between what the movements before it in the message could leave, so its bounds are judged safely.
                code(reason) == "same-identity"
                    || reason.contains("can become an alias only while")
                    || reason.contains("would leave its bounds")
            };
            if reason.is_some_and(|(_, reason)| is_of_a_message(reason)) {
                continue;
            }
            let alone = single.take(source, &json!({"facts": [fact]}));
            let alone = alone.rejected.first().map(|(_, reason)| code(reason).to_owned());
            prop_assert_eq!(reason.map(|(_, reason)| code(reason).to_owned()), alone, "{}: {}", at, fact);
        }
        prop_assert_eq!(whole.engine.digest(), single.engine.digest());
    }

    #[test]
    fn a_trial_says_what_taking_says_and_an_atomic_message_is_taken_whole_or_not_at_all(
        rules in rules(),
        before in prop::collection::vec((senders(), message()), 0..3),
        source in senders(),
        facts in message(),
    ) {
        let (mut plain, mut atomic) = (Talk::new(rules), Talk::new(rules));
        for (source, facts) in &before {
            for talk in [&mut plain, &mut atomic] {
                talk.take(source, &json!({"facts": facts}));
            }
        }
        let untouched = atomic.engine.digest();
        let (message, bound) = (json!({"facts": &facts}), json!({"atomic": true, "facts": &facts}));
        let (tried, tried_bound) = (plain.try_out(source, &message), atomic.try_out(source, &bound));
        prop_assert_eq!(plain.engine.digest(), untouched.clone());
        let taken = plain.take(source, &message);
        prop_assert_eq!((tried.accepted, &tried.rejected, &tried.created), (taken.accepted, &taken.rejected, &taken.created));
        let taken_bound = atomic.take(source, &bound);
        prop_assert_eq!((tried_bound.accepted, &tried_bound.rejected), (taken_bound.accepted, &taken_bound.rejected));
        if tried.rejected.is_empty() {
            prop_assert_eq!(taken_bound.accepted, facts.len());
            prop_assert_eq!(atomic.engine.digest(), plain.engine.digest());
        } else {
            prop_assert_eq!(taken_bound.accepted, 0);
            prop_assert_eq!(taken_bound.rejected.len(), facts.len());
            prop_assert_eq!(atomic.engine.digest(), untouched);
            let reasons: Vec<_> = codes(&taken_bound).into_iter().filter(|(_, reason)| *reason != "atomic").collect();
            prop_assert_eq!(reasons, codes(&tried));
        }
    }
}

fn delta(quantity: i64, extra: &Value) -> Value {
    let mut fact = json!({"kind": "stock.delta", "sku": "S", "location": "A", "quantity": quantity, "reason": "count",
        "ref": "D1", "as_of": 2});
    for (name, value) in extra.as_object().unwrap() {
        fact[name] = value.clone();
    }
    fact
}

#[test]
fn two_bodies_under_one_identity_are_one_too_many() {
    let mut talk = Talk::new("{}");
    let outcome = talk.take("acme", &json!({"facts": [delta(5, &json!({})), delta(-4, &json!({}))]}));
    assert_eq!((outcome.accepted, codes(&outcome)), (1, vec![(1, "same-identity")]));
    assert!(outcome.rejected[0].1.contains("facts[0]"), "{:?}", outcome.rejected);
    assert_eq!(talk.engine.sellable("S", "web", None), Some(5));

    let newer = [delta(5, &json!({"version": 2})), delta(7, &json!({"version": 3}))];
    assert_eq!(talk.take("acme", &json!({"facts": newer})).rejected, []);
    assert_eq!(talk.engine.sellable("S", "web", None), Some(7));

    let twice = [delta(7, &json!({"version": 3})), delta(7, &json!({"version": 3}))];
    let outcome = talk.take("acme", &json!({"facts": twice}));
    assert_eq!(
        (outcome.accepted, outcome.ignored_count),
        (2, 2),
        "a repeat is no contradiction"
    );
}

#[test]
fn one_sku_counted_under_two_names_is_one_count_too_many() {
    let mut talk = Talk::new("{}");
    let item = json!({"kind": "item", "sku": "S", "base_unit": "each", "units": {"case": 12}, "aliases": ["x", "y"]});
    talk.take("acme", &json!({"facts": [item]}));
    let level = |sku: &str, on_hand: i64, unit: &str| {
        json!({"kind": "stock.level", "sku": sku, "location": "A", "on_hand": on_hand, "basis": "net", "as_of": 1,
            "unit": unit})
    };
    for (first, second) in [("x", "y"), ("S", "y"), ("x", "S")] {
        let facts = [level(first, 3, "each"), level(second, 4, "each")];
        let outcome = talk.try_out("acme", &json!({"facts": facts}));
        assert_eq!(codes(&outcome), [(1, "same-identity")], "{first} {second}");
        let same = [level(first, 24, "each"), level(second, 2, "case")];
        assert_eq!(talk.try_out("acme", &json!({"facts": same})).rejected, []);
    }
    let corrected = [level("S", 3, "each"), level("S", 4, "each")];
    assert_eq!(talk.take("acme", &json!({"facts": corrected})).rejected, []);
    assert_eq!(
        talk.engine.sellable("S", "web", None),
        Some(4),
        "under one name the later corrects the earlier"
    );
}

#[test]
fn what_came_to_nothing_and_what_is_new_is_told() {
    let mut talk = Talk::new("{}");
    let level = |on_hand: i64, as_of: i64| json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of});
    let facts = [
        level(5, 4),
        level(4, 3),
        level(5, 4),
        delta(1, &json!({})),
        delta(2, &json!({"ref": "D2", "as_of": 9})),
    ];
    let outcome = talk.take("acme", &json!({"facts": facts}));
    let ignored: Vec<_> = outcome
        .ignored
        .iter()
        .map(|one| (one.index, one.reason.as_ref()))
        .collect();
    assert_eq!(ignored, [(1, "stale"), (2, "repeat"), (3, "covered")]);
    assert_eq!(
        (outcome.accepted, outcome.ignored_count, outcome.created_count),
        (5, 3, 1)
    );
    assert_eq!(outcome.created[0].sku, "S");
    assert_eq!(talk.take("acme", &json!({"facts": [level(5, 4)]})).created_count, 0);
}

#[test]
fn an_atomic_message_is_bounded() {
    let mut talk = Talk::new("{}");
    let facts: Vec<Value> = (0..2_001).map(|n| delta(1, &json!({"ref": format!("D{n}")}))).collect();
    let outcome = talk.take("acme", &json!({"atomic": true, "facts": facts}));
    assert_eq!((outcome.accepted, codes(&outcome)), (0, vec![(-1, "malformed")]));
    let outcome = talk.take("acme", &json!({"atomic": true, "facts": &facts[..2_000]}));
    assert_eq!(outcome.accepted, 2_000);
}

#[test]
fn a_message_on_a_subject_of_no_family_is_dead_and_says_why() {
    let mut talk = Talk::new("{}");
    let message = json!({"facts": [{"kind": "location", "location": "C"}]}).to_string();
    for subject in [
        "hf.main.in.shop.acme",
        "hf.main.in.erp",
        "hf.main.in.erp.acme.more",
        "hf.main.in.policy.acme",
        "hf.main.in.ERP.acme",
        "hf.main.in.",
        "hf.main.in",
    ] {
        talk.in_sequence += 1;
        let incoming = Incoming {
            sequence: talk.in_sequence,
            subject,
            payload: message.as_bytes(),
            sealed: true,
        };
        let decision = talk.engine.decide(NOW_MS, 0, &[], &[incoming]).unwrap();
        assert_eq!(decision.dead.len(), 1, "{subject}");
        assert_eq!(
            decision.dead[0].reason,
            format!("unknown-subject: nothing is read from {subject}")
        );
        assert_eq!(
            (decision.dead[0].index, decision.dead[0].raw.as_slice()),
            (-1, message.as_bytes())
        );
        if decision.message.is_some() {
            talk.engine.commit(talk.engine.position().sequence + 1).unwrap();
        }
    }
    assert_eq!(
        talk.take("acme", &json!({"facts": [{"kind": "location", "location": "C"}]}))
            .accepted,
        1
    );
}
