//! Batches of gateways count, all others are void, on the process that leads as on one that follows.

use std::sync::Arc;

use proptest::prelude::*;

use crate::Engine;
use crate::engine::{EngineError, Incoming};
use crate::wire::mac::{Purpose, ScopeKeys};

fn keys(secrets: &[&str]) -> Option<Arc<ScopeKeys>> {
    ScopeKeys::new(secrets.iter().map(|secret| secret.as_bytes())).map(Arc::new)
}

fn engine(secrets: &[&str]) -> Engine {
    Engine::new("main", None).with_keys(keys(secrets))
}

/// Leads, and returns the lead batch.
fn lead(engine: &mut Engine, node: &str) -> Vec<u8> {
    let message = engine.lead_batch(node, 1_790_000_000_000, "{}").unwrap();
    let next = engine.position().sequence + 1;
    assert!(engine.apply(next, &message).unwrap());
    message
}

/// A batch that has no facts but a later day.
fn tick(engine: &mut Engine, day: i64) -> Vec<u8> {
    let decision = engine
        .decide(1_790_000_000_000 + day * 86_400_000, day, &[], &[])
        .unwrap();
    decision.message.unwrap()
}

#[test]
fn a_follower_with_the_key_takes_what_is_signed_and_skips_what_is_not() {
    let mut leader = engine(&["secret"]);
    let mut follower = engine(&["secret"]);
    let first = lead(&mut leader, "n1");
    assert!(follower.apply(1, &first).unwrap());
    let mut stranger = engine(&[]);
    assert!(matches!(stranger.apply(1, &first), Err(EngineError::KeyMissing { .. })));
    let message = tick(&mut leader, 1);
    let mut forged = message.clone();
    let at = forged.windows(5).position(|bytes| bytes == b"lead_").unwrap();
    forged[at + 9] = b'9';
    let mut other = message.clone();
    ScopeKeys::new([&b"guessed"[..]])
        .unwrap()
        .sign_json(None, Purpose::Batch, b"", &mut other);
    for (sequence, void) in (2..).zip([&forged[..], &other, b"{}", b"", &message[..message.len() - 1]]) {
        assert!(!follower.apply(sequence, void).unwrap());
        assert!(leader.skip_unsigned(sequence, void).unwrap());
    }
    assert!(follower.apply(7, &message).unwrap());
    leader.commit(7).unwrap();
    assert_eq!(leader.state.stored_at(2), 7);
    assert_eq!(
        (leader.digest(), leader.position(), leader.void_total()),
        (follower.digest(), follower.position(), 5)
    );
}

#[test]
fn a_batch_of_the_scope_is_not_skipped() {
    let mut leader = engine(&["secret"]);
    let mut rival = engine(&["secret"]);
    let first = lead(&mut leader, "n1");
    assert!(rival.apply(1, &first).unwrap());
    tick(&mut leader, 1);
    let usurps = rival.lead_batch("n2", 1_790_000_000_000, "{}").unwrap();
    assert!(!leader.skip_unsigned(2, &usurps).unwrap());
    assert!(
        !leader.skip_unsigned(2, &first).unwrap(),
        "an older one: another history, perhaps"
    );
    assert_eq!(leader.position().sequence, 1);
    assert!(matches!(leader.skip_unsigned(3, b"{}"), Err(EngineError::Gap { .. })));
}

#[test]
fn a_log_that_began_without_codes_goes_on_and_asks_for_them_from_the_first_declaration() {
    let mut old = engine(&[]);
    let mut new = engine(&["secret"]);
    for message in [lead(&mut old, "n1"), tick(&mut old, 1)] {
        let next = new.position().sequence + 1;
        assert!(new.apply(next, &message).unwrap());
    }
    old.commit(2).unwrap();
    let unsigned = old.lead_batch("n1", 1_790_000_000_000, "{}").unwrap();
    let declares = lead(&mut new, "n2");
    assert!(String::from_utf8_lossy(&declares).contains("\"mac_keys\":[\""));
    assert!(!new.apply(4, &unsigned).unwrap(), "an old leader's batch is void now");
    // What only claims to declare keys is void too.
    let mut third = engine(&["secret"]);
    let mut fourth = engine(&["other"]);
    let lies = fourth.lead_batch("n9", 1_790_000_000_000, "{}").unwrap();
    assert!(matches!(third.apply(1, &lies), Err(EngineError::KeyMissing { .. })));
    let cut = String::from_utf8_lossy(&lies);
    let cut = format!("{}}}", &cut[..cut.find(",\"mac\":").unwrap()]);
    assert!(!third.apply(1, cut.as_bytes()).unwrap());
    assert!(fourth.apply(1, &lies).unwrap());
}

#[test]
fn keys_are_rotated_by_adding_the_new_one_everywhere_first() {
    let mut first = engine(&["old"]);
    let mut second = engine(&["old", "new"]);
    let mut third = engine(&["new", "old"]);
    let history = [lead(&mut first, "n1"), tick(&mut first, 1)];
    first.commit(2).unwrap();
    assert!(matches!(
        engine(&["new"]).apply(1, &history[0]),
        Err(EngineError::KeyMissing { .. })
    ));
    for (at, message) in (1..).zip(&history) {
        assert!(second.apply(at, message).unwrap() && third.apply(at, message).unwrap());
    }
    let declares_both = lead(&mut second, "n2");
    assert!(first.apply(3, &declares_both).unwrap() && third.apply(3, &declares_both).unwrap());
    let signs_new = lead(&mut third, "n3");
    assert!(second.apply(4, &signs_new).unwrap());
    let mut file = Vec::new();
    second.snapshot(&mut file).unwrap();
    let mut fourth = Engine::restore("main", None, &mut file.as_slice())
        .unwrap()
        .with_keys(keys(&["new"]));
    let only_new = lead(&mut fourth, "n4");
    assert!(third.apply(5, &only_new).unwrap());
    assert_eq!(third.digest(), fourth.digest());
}

#[test]
fn only_what_a_gateway_signed_for_its_subject_says_who_sent_it() {
    let body = br#"{"by":"admin","facts":[{"kind":"channel","channel":"web","locations":"*"}]}"#;
    let scope = keys(&["secret"]).unwrap();
    let signed = |scope: &ScopeKeys, subject: &str| {
        let mut message = body.to_vec();
        scope.sign_json(None, Purpose::Incoming, subject.as_bytes(), &mut message);
        message
    };
    let stranger = ScopeKeys::new([&b"guessed"[..]]).unwrap();
    let subject = "hf.main.in.erp.acme";
    for (payload, by) in [
        (signed(&scope, subject), true),
        (signed(&scope, "hf.main.in.erp.other"), false),
        (signed(&stranger, subject), false),
        (body.to_vec(), false),
    ] {
        let mut leader = engine(&["secret"]);
        lead(&mut leader, "n1");
        let incoming = Incoming {
            sequence: 1,
            subject,
            payload: &payload,
            sealed: true,
        };
        let decision = leader.decide(1_790_000_000_000, 0, &[], &[incoming]).unwrap();
        let batch = String::from_utf8(decision.message.unwrap()).unwrap();
        assert_eq!((batch.contains("admin"), decision.dead.is_empty()), (by, by));
    }
}

proptest! {
    #[test]
    fn whatever_stands_in_log_between_signed_batches_changes_nothing(
        noise in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0_u8..3, any::<usize>()), 1..12),
    ) {
        let mut leader = engine(&["secret"]);
        let mut follower = engine(&["secret"]);
        let mut plain = engine(&["secret"]);
        let first = lead(&mut leader, "n1");
        prop_assert!(follower.apply(1, &first).unwrap());
        prop_assert!(plain.apply(1, &first).unwrap());
        let mut sequence = 1;
        for (day, (bytes, how, at)) in (1..).zip(noise) {
            let message = tick(&mut leader, day);
            let mut void = match how {
                0 => bytes,
                _ => message.clone(),
            };
            if how == 1 {
                let at = at % void.len();
                void[at] ^= 1;
            } else if how == 2 {
                void.truncate(at % void.len());
            }
            sequence += 1;
            prop_assert!(leader.skip_unsigned(sequence, &void).unwrap());
            prop_assert!(!follower.apply(sequence, &void).unwrap());
            sequence += 1;
            leader.commit(sequence).unwrap();
            prop_assert!(follower.apply(sequence, &message).unwrap());
            prop_assert!(plain.apply(1 + day as u64, &message).unwrap());
        }
        prop_assert_eq!(leader.digest(), follower.digest());
        prop_assert_eq!(leader.digest(), plain.digest());
        prop_assert_eq!(leader.position(), follower.position());
    }
}
