//! What one turn takes, whatever comes in: commands before facts, and never more than it can bear.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::work::{BATCH_ROOM_BYTES, COMMAND_FACT_BYTES_MAX, Work};
use crate::engine::{Decision, Engine, Incoming};
use crate::state::looked;
use crate::testing::NOW_MS;
use crate::verbs::{Command, Verb};
use crate::wire::batch::HEADER_BYTES_MAX;
use crate::wire::commands::{MESSAGE_BYTES_MAX, MESSAGE_FACTS_MAX};

const SUBJECT: &str = "hf.main.in.erp.acme";
const LOG_BYTES_MAX: usize = 1024 * 1024;

fn led() -> Engine {
    let mut engine = Engine::new("main", None);
    let lead = engine
        .lead_batch("n1", NOW_MS, r#"{"create_unknown_locations":true}"#)
        .unwrap();
    assert!(engine.apply(1, &lead).unwrap());
    engine
}

fn decide(engine: &mut Engine, commands: &[Command<'_>], payloads: &[Vec<u8>], after: u64) -> Decision {
    let incoming: Vec<_> = (after + 1..)
        .zip(payloads)
        .map(|(sequence, payload)| Incoming {
            sequence,
            subject: SUBJECT,
            payload,
            sealed: true,
        })
        .collect();
    let decision = engine.decide(NOW_MS, 0, commands, &incoming).unwrap();
    if decision.message.is_some() {
        engine.commit(engine.position().sequence + 1).unwrap();
    }
    decision
}

fn put<'a>(id: &'a str, body: &'a [u8]) -> Command<'a> {
    Command {
        verb: Verb::Put,
        id,
        body,
        channels: None,
        by: None,
        key: None,
        trace: None,
    }
}

fn level(sku: &str, on_hand: i64) -> Value {
    json!({"kind": "stock.level", "sku": sku, "location": "A", "on_hand": on_hand, "basis": "net", "as_of": 1})
}

fn message(facts: &[Value]) -> Vec<u8> {
    json!({ "facts": facts }).to_string().into_bytes()
}

fn reset(source: &str) -> Value {
    json!({"kind": "source.reset", "source": source})
}

/// A message of IN as some publisher may write it: facts, rubbish, or both, few or very many.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let entry = prop_oneof![
        (0..50u32, 0..9i64).prop_map(|(sku, on_hand)| level(&format!("S{sku}"), on_hand).to_string()),
        Just("1".to_owned()),
        Just(reset("acme").to_string()),
        (0..2_000usize).prop_map(|length| format!("\"{}\"", "x".repeat(length))),
    ];
    let by = prop_oneof![Just(0usize), Just(128)];
    let many = (entry, prop_oneof![0..4usize, 90..300usize, 1_990..2_010usize], by);
    many.prop_map(|(entry, count, by)| {
        let by = if by == 0 {
            String::new()
        } else {
            format!(r#""by":"{}","#, "\u{1F600}".repeat(by))
        };
        let mut out = format!("{{{by}\"facts\":[{}]}}", vec![entry; count].join(",")).into_bytes();
        out.truncate(MESSAGE_BYTES_MAX);
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_input_costs_a_bounded_turn_and_is_taken_at_last(
        mut payloads in prop::collection::vec(payload(), 1..12),
        with_commands in any::<bool>(),
    ) {
        let (mut engine, mut after) = (led(), 0);
        let body = br#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S1","quantity":1}]}"#;
        // What finds no room beside commands comes alone the next time (python/holdfast/protocol/queues.py).
        let mut alone = !with_commands;
        while !payloads.is_empty() {
            let commands = if alone { Vec::new() } else { vec![put("r", body)] };
            let decision = decide(&mut engine, &commands, &payloads, after);
            prop_assert_eq!(decision.commands_taken, commands.len());
            prop_assert!(decision.incoming_taken > 0 || !alone, "alone a message is always affordable");
            alone = !with_commands || decision.incoming_taken == 0;
            let work: usize = decision.work.0;
            prop_assert!(Work(work) <= Work(Work::MOST.0 + 2_000), "{}", work);
            prop_assert!(decision.message.map_or(0, |message| message.len()) <= LOG_BYTES_MAX);
            for received in &decision.received {
                let letters = decision.dead.iter().filter(|dead| dead.sequence == received.sequence).count();
                prop_assert!(letters <= 100 && (letters == 0) == received.outcome.rejected.is_empty());
            }
            payloads.drain(..decision.incoming_taken);
            after += decision.incoming_taken as u64;
        }
    }
}

#[test]
fn commands_are_decided_before_the_facts_that_came_with_them() {
    let mut engine = led();
    let body = br#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":1}]}"#;
    let facts = [message(&[level("S", 5)])];
    let decision = decide(&mut engine, &[put("r1", body)], &facts, 0);
    assert_eq!(decision.answers[0].0, 404, "the SKU comes with the facts");
    assert_eq!(decide(&mut engine, &[put("r1", body)], &[], 1).answers[0].0, 201);
}

#[test]
fn facts_beside_commands_take_a_fraction_of_what_they_take_alone() {
    let payloads: Vec<_> = (0..30)
        .map(|n| {
            message(
                &(0..100)
                    .map(|k| level(&format!("S{}", n * 100 + k), 1))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let body = br#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":1}]}"#;
    let beside = decide(&mut led(), &[put("r", body)], &payloads, 0).incoming_taken;
    let alone = decide(&mut led(), &[], &payloads, 0).incoming_taken;
    assert!(beside >= 1 && alone >= 4 * beside, "{beside} and {alone}");
}

#[test]
fn a_message_of_too_many_facts_is_one_dead_letter() {
    for count in [MESSAGE_FACTS_MAX + 1, 200_000] {
        let payload = message(&vec![json!(1); count]);
        let decision = decide(&mut led(), &[], &[payload], 0);
        let [dead] = &decision.dead[..] else {
            panic!("{} letters", decision.dead.len())
        };
        assert_eq!(
            (dead.index, &*dead.reason),
            (-1, "malformed: facts: must have at most 2,000 entries")
        );
    }
}

#[test]
fn a_message_has_few_facts_that_look_at_every_reservation() {
    let mut engine = led();
    let held = br#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":1}]}"#;
    decide(&mut engine, &[], &[message(&[level("S", 1_000)])], 0);
    let ids: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    let puts: Vec<_> = ids.iter().map(|id| put(id, held)).collect();
    decide(&mut engine, &puts, &[], 1);
    let facts: Vec<_> = (0..MESSAGE_FACTS_MAX).map(|_| reset("acme")).collect();
    let (looked, decision) = looked::while_doing(|| decide(&mut engine, &[], &[message(&facts)], 1));
    let outcome = &decision.received[0].outcome;
    assert_eq!((outcome.accepted, outcome.rejected.len()), (2, MESSAGE_FACTS_MAX - 2));
    assert!(
        outcome.rejected[0].1.starts_with("too-costly: "),
        "{:?}",
        outcome.rejected[0]
    );
    assert!(looked < 2 * 2 * 201 + 1_000, "{looked}");
    // Beside a command one such message is taken, and the others later.
    let few = vec![message(&[reset("acme")]); 5];
    assert_eq!(decide(&mut engine, &[put("r0", held)], &few, 2).incoming_taken, 1);
    let atomic = json!({"atomic": true, "facts": vec![reset("acme"); 3]})
        .to_string()
        .into_bytes();
    let refused = decide(&mut engine, &[], &[atomic], 3);
    assert_eq!(refused.received[0].outcome.accepted, 0);
}

#[test]
fn a_message_of_rubbish_is_one_dead_letter() {
    let mut facts = vec![json!(1); 1_000];
    facts.push(level("S", 1));
    let decision = decide(&mut led(), &[], &[message(&facts)], 0);
    assert_eq!(decision.received[0].outcome.accepted, 1);
    assert_eq!(decision.received[0].outcome.rejected.len(), 1_000);
    let [dead] = &decision.dead[..] else {
        panic!("{} letters", decision.dead.len())
    };
    assert_eq!(dead.index, -1);
    assert!(
        dead.reason.ends_with("(facts[0]; of 1001 facts 1000 were rejected)"),
        "{}",
        dead.reason
    );
}

#[test]
fn facts_that_no_batch_can_hold_are_refused_and_the_leader_goes_on() {
    let mut engine = led();
    let facts: Vec<_> = (0..MESSAGE_FACTS_MAX).map(|n| level(&format!("S{n}"), 1)).collect();
    let large = json!({"by": "\u{1F600}".repeat(128), "facts": facts})
        .to_string()
        .into_bytes();
    assert!(large.len() < MESSAGE_BYTES_MAX);
    let digest = engine.digest();
    let decision = decide(&mut engine, &[], &[large], 0);
    assert!(decision.received[0].outcome.rejected[0].1.starts_with("too-large"));
    assert!(decision.message.unwrap().len() < BATCH_ROOM_BYTES + HEADER_BYTES_MAX);
    assert_eq!(engine.digest(), digest);
    let next = decide(&mut engine, &[], &[message(&[level("S", 1)])], 1);
    assert_eq!(next.received[0].outcome.accepted, 1);
}

#[test]
fn facts_that_find_no_room_beside_a_command_are_taken_or_refused_alone() {
    let mut engine = led();
    decide(&mut engine, &[], &[message(&[level("S", 9)])], 0);
    let facts: Vec<_> = (0..MESSAGE_FACTS_MAX).map(|n| level(&format!("S{n}"), 1)).collect();
    let large = json!({"by": "\u{1F600}".repeat(128), "facts": facts})
        .to_string()
        .into_bytes();
    let body = br#"{"channel":"web","ttl_ms":60000,"lines":[{"sku":"S","quantity":1}]}"#;
    let beside = decide(&mut engine, &[put("r", body)], std::slice::from_ref(&large), 1);
    assert_eq!((beside.commands_taken, beside.incoming_taken), (1, 0));
    let alone = decide(&mut engine, &[], &[large], 1);
    assert_eq!(alone.incoming_taken, 1);
    assert!(alone.received[0].outcome.rejected[0].1.starts_with("too-large"));
}

#[test]
fn a_command_that_no_batch_can_hold_is_refused() {
    let mut engine = led();
    let names: Vec<_> = (0..1_900).map(|n| format!("{}{n}", "\u{1F600}".repeat(100))).collect();
    for (group, sequence) in names.chunks(600).zip(0..) {
        let facts: Vec<_> = group.iter().map(|name| level(name, 5)).collect();
        let decision = decide(&mut engine, &[], &[message(&facts)], sequence);
        assert_eq!(decision.received[0].outcome.accepted, group.len());
    }
    let lines: Vec<_> = names.iter().map(|name| json!({"sku": name, "quantity": 1})).collect();
    let body = json!({"channel": "web", "ttl_ms": 60_000, "lines": lines}).to_string();
    let digest = engine.digest();
    let decision = decide(&mut engine, &[put("r", body.as_bytes())], &[], 1);
    assert!(body.len() > COMMAND_FACT_BYTES_MAX);
    assert_eq!(decision.answers[0].0, 413);
    assert_eq!(engine.digest(), digest);
    let smaller = json!({"channel": "web", "ttl_ms": 60_000, "lines": &lines[..1_000]}).to_string();
    let decision = decide(&mut engine, &[put("r", smaller.as_bytes())], &[], 1);
    assert_eq!(decision.answers[0].0, 201);
}
