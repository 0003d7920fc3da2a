//! A full table of names refuses what is new, and nothing else.

use serde_json::{Value, json};

use crate::engine::{Engine, Incoming};
use crate::testing::NOW_MS;
use crate::verbs::{Command, Verb};

fn led() -> Engine {
    let mut engine = Engine::new("main", None);
    let lead = engine.lead_batch("n1", NOW_MS, "{}").unwrap();
    assert!(engine.apply(1, &lead).unwrap());
    engine
}

fn take(engine: &mut Engine, facts: &[Value]) -> Vec<(i64, String)> {
    take_from(engine, "hf.main.in.policy", facts)
}

fn take_from(engine: &mut Engine, subject: &str, facts: &[Value]) -> Vec<(i64, String)> {
    let payload = json!({ "facts": facts }).to_string();
    let sequence = engine.position().in_upto + 1;
    let incoming = Incoming {
        sequence,
        subject,
        payload: payload.as_bytes(),
        sealed: true,
    };
    let decision = engine.decide(NOW_MS, 0, &[], &[incoming]).unwrap();
    engine.commit(engine.position().sequence + 1).unwrap();
    decision.received.into_iter().next().unwrap().outcome.rejected
}

fn place(number: usize) -> Value {
    json!({"kind": "location", "location": format!("L{number}"), "priority": 1})
}

#[test]
fn a_full_table_refuses_only_new_names() {
    let mut engine = led();
    for first in (0..60_000).step_by(2_000) {
        assert_eq!(
            take(&mut engine, &(first..first + 2_000).map(place).collect::<Vec<_>>()),
            []
        );
    }
    let rejected = take(
        &mut engine,
        &[
            place(60_000),
            place(7),
            json!({"kind": "channel", "channel": "web", "locations": "*"}),
        ],
    );
    let [(0, reason)] = &rejected[..] else {
        panic!("{rejected:?}")
    };
    assert!(
        reason.starts_with("too-many-names: a scope has at most 60000 locations"),
        "{reason}"
    );
    let levels = json!({"kind": "safety", "location": "L7", "absolute": 2});
    assert_eq!(take(&mut engine, &[levels]), []);
}

#[test]
fn commands_give_few_names_to_channels_and_leave_room_for_declared_ones() {
    let mut engine = led();
    take(
        &mut engine,
        &[place(1), json!({"kind": "item", "sku": "S", "base_unit": "each"})],
    );
    let put = |engine: &mut Engine, channel: String| {
        let body = json!({"channel": channel, "ttl_ms": 60_000, "lines": [{"sku": "S", "quantity": 1}]}).to_string();
        let command = Command {
            verb: Verb::Put,
            id: &channel,
            body: body.as_bytes(),
            channels: None,
            by: None,
            key: None,
            trace: None,
        };
        let decision = engine.decide(NOW_MS, 0, &[command], &[]).unwrap();
        if decision.message.is_some() {
            engine.commit(engine.position().sequence + 1).unwrap();
        }
        decision.answers[0].0
    };
    let known = engine.state.catalogue.channel_names.len();
    let level =
        json!({"kind": "stock.level", "sku": "S", "location": "L1", "on_hand": 5_000, "basis": "net", "as_of": 1});
    assert_eq!(take_from(&mut engine, "hf.main.in.erp.erp", &[level]), []);
    for number in known..1_000 {
        assert_eq!(put(&mut engine, format!("made-up-{number}")), 201);
    }
    assert_eq!(put(&mut engine, "one-more".to_owned()), 422);
    assert_eq!(put(&mut engine, format!("made-up-{known}")), 200, "a known one goes on");
    assert_eq!(
        take(
            &mut engine,
            &[json!({"kind": "channel", "channel": "one-more", "locations": "*"})]
        ),
        []
    );
    assert_eq!(
        put(&mut engine, "one-more".to_owned()),
        201,
        "declared, it has its own place"
    );
}
