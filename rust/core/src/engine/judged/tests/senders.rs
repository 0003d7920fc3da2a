//! Who sent it: what came over NATS by a source's own subject, without a gateway's seal, counts for that source alone.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Talk, code, message};
use crate::engine::{Incoming, Outcome};
use crate::testing::NOW_MS;

impl Talk {
    fn over_nats(&mut self, subject: &str, message: &Value) -> Outcome {
        self.arrives(subject, message, false).0
    }

    /// The outcome, and the batch as text.
    fn arrives(&mut self, subject: &str, message: &Value, sealed: bool) -> (Outcome, String) {
        self.in_sequence += 1;
        let payload = message.to_string();
        let incoming = Incoming {
            sequence: self.in_sequence,
            subject,
            payload: payload.as_bytes(),
            sealed,
        };
        let decision = self.engine.decide(NOW_MS, 0, &[], &[incoming]).unwrap();
        let batch = decision
            .message
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default()
            .into_owned();
        if decision.message.is_some() {
            self.engine.commit(self.engine.position().sequence + 1).unwrap();
        }
        (decision.received.into_iter().next().unwrap().outcome, batch)
    }
}

fn rules_of_sale() -> [Value; 9] {
    [
        json!({"kind": "channel", "channel": "web", "locations": "*"}),
        json!({"kind": "allocation", "channel": "web", "sku": "S", "quantity": 3}),
        json!({"kind": "cap", "channel": "web", "sku": "S", "quantity": 3}),
        json!({"kind": "safety", "sku": "S", "absolute": 1}),
        json!({"kind": "oversell", "policy": "unlimited"}),
        json!({"kind": "freshness", "source": "acme", "stale_after_ms": 1, "action": "serve"}),
        json!({"kind": "restriction", "sku": "S", "blocked": true, "reason": ""}),
        json!({"kind": "source.reset", "source": "acme"}),
        json!({"kind": "ownership", "location": "A", "source": "intruder"}),
    ]
}

#[test]
fn a_sources_own_subject_carries_no_rules_of_sale() {
    for rule in rules_of_sale() {
        let mut talk = Talk::new("{}");
        let level =
            json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": 1, "basis": "net", "as_of": 1});
        talk.take("acme", &json!({"facts": [level]}));
        let digest = talk.engine.digest();
        let outcome = talk.over_nats("hf.main.in.erp.intruder", &json!({"facts": [rule]}));
        let reasons: Vec<_> = outcome.rejected.iter().map(|(_, reason)| code(reason)).collect();
        assert_eq!(reasons, ["not-allowed"], "{rule}");
        assert_eq!(talk.engine.digest(), digest, "{rule}");
        let by_policy = talk.over_nats("hf.main.in.policy", &json!({"facts": [rule]}));
        assert_eq!(by_policy.rejected, vec![], "{rule}");
    }
}

#[test]
fn only_a_gateway_says_who_it_was() {
    let mut talk = Talk::new("{}");
    let level = |as_of| json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": 1, "basis": "net", "as_of": as_of});
    let (_, batch) = talk.arrives(
        "hf.main.in.erp.acme",
        &json!({"by": "admin", "facts": [level(1)]}),
        false,
    );
    assert!(batch.contains("stock.level") && !batch.contains("admin"), "{batch}");
    let (_, batch) = talk.arrives(
        "hf.main.in.policy",
        &json!({"by": "admin", "facts": [rules_of_sale()[0]]}),
        false,
    );
    assert!(batch.contains("channel") && !batch.contains("admin"), "{batch}");
    let (_, batch) = talk.arrives(
        "hf.main.in.erp.acme",
        &json!({"by": "admin", "facts": [level(2)]}),
        true,
    );
    assert!(batch.contains("admin"), "{batch}");
}

#[test]
fn facts_belong_to_the_trace_of_their_request_unless_they_name_one() {
    let mut talk = Talk::new("{}");
    let level = |as_of| json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": 1, "basis": "net", "as_of": as_of});
    let mut own = level(2);
    own["trace"] = json!("its-own");
    let message = json!({"trace": "of-the-request", "facts": [level(1), own, level(3)]});
    let (_, batch) = talk.arrives("hf.main.in.erp.acme", &message, true);
    let traces: Vec<_> = batch
        .split("\"trace\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(traces, ["of-the-request", "its-own", "of-the-request"]);
}

#[test]
fn a_source_cannot_use_up_the_idempotency_keys_of_others() {
    let mut talk = Talk::new("{}");
    let key = json!({"root": "0".repeat(32), "key": "0".repeat(32), "request": "1".repeat(32)});
    let message = |quantity: i64| {
        json!({"idempotency": key, "facts": [{"kind": "stock.delta", "sku": "S", "location": "A", "quantity": quantity,
            "reason": "", "ref": "d", "as_of": 1}]})
    };
    let first = talk.over_nats("hf.main.in.erp.intruder", &message(1));
    let through_gateway = talk.take("acme", &message(2));
    assert_eq!(
        (first.accepted, through_gateway.accepted),
        (1, 1),
        "{through_gateway:?}"
    );
    let again = talk.over_nats("hf.main.in.erp.intruder", &message(1));
    assert_eq!(again, first, "its own key is a key all the same");
    let other = talk.over_nats("hf.main.in.erp.second", &message(3));
    assert_eq!(other.accepted, 1, "{other:?}");
}

proptest! {
    #[test]
    fn whatever_is_said_over_nats_sets_no_rule_and_names_nobody(facts in message(), by in "[a-z]{12}") {
        let mut talk = Talk::new("{}");
        let sent = json!({"by": by, "facts": facts});
        let (outcome, batch) = talk.arrives("hf.main.in.erp.acme", &sent, false);
        prop_assert!(!batch.contains(&by));
        for (at, fact) in facts.iter().enumerate() {
            let is_rule = ["channel", "allocation", "safety", "oversell", "restriction"].contains(&fact["kind"].as_str().unwrap());
            let refused = outcome.rejected.iter().any(|(index, reason)| *index == at as i64 && !reason.is_empty());
            prop_assert!(!is_rule || refused, "{}", fact);
        }
    }
}
