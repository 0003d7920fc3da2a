//! A digest that has drifted is found, recorded in a batch, and recounted by every process that applies it.

mod costs;
mod memories;

use super::*;

fn led() -> (Engine, Vec<u8>) {
    let mut engine = Engine::new("main", None);
    let lead = engine.lead_batch("n1", 1_000, "{}").unwrap();
    assert!(engine.apply(1, &lead).unwrap());
    (engine, lead)
}

#[test]
fn a_sound_digest_is_proven_and_asks_for_no_batch() {
    let (mut engine, _) = led();
    assert!(engine.prove());
    assert!(!engine.wants_tick(1_000));
    assert!(engine.decide(1_000, 0, &[], &[]).unwrap().message.is_none());
}

#[test]
fn a_drifted_digest_heals_by_a_batch_on_every_process() {
    let (mut leader, lead) = led();
    let mut follower = Engine::new("main", None);
    assert!(follower.apply(1, &lead).unwrap());
    let sound = leader.digest();
    for engine in [&mut leader, &mut follower] {
        engine.state.spoil_digest();
    }
    assert!(!leader.prove());
    assert_ne!(leader.digest(), sound);
    assert!(leader.wants_tick(1_000), "a batch is due without any command");

    let message = leader.decide(1_000, 0, &[], &[]).unwrap().message.unwrap();
    let text = String::from_utf8(message.clone()).unwrap();
    assert!(
        text.contains(&format!(r#""kind":"digest.recounted","digest":"{sound}""#)),
        "{text}"
    );
    leader.commit(2).unwrap();
    assert!(follower.apply(2, &message).unwrap());
    for engine in [&mut leader, &mut follower] {
        assert_eq!(engine.digest(), sound);
        assert_eq!(engine.check_thoroughly(), Vec::<String>::new());
        assert!(engine.prove());
        assert!(!engine.wants_tick(1_000));
    }
}

mod turns;

#[test]
fn a_lead_batch_of_an_edition_that_is_not_known_is_refused_with_a_word_what_to_do() {
    let (mut engine, lead) = led();
    let newest = engine.lead_batch("n2", 1_000, "{}").unwrap();
    let text = String::from_utf8(newest).unwrap();
    let newer = text.replace(r#""edition":3"#, r#""edition":4"#);
    assert_ne!(newer, text);
    let digest = engine.digest();
    let refused = engine.apply(2, newer.as_bytes()).unwrap_err().to_string();
    assert!(
        refused.contains("edition 4 of the rules, this version knows 3: upgrade it"),
        "{refused}"
    );
    assert_eq!(engine.digest(), digest);
    assert!(Engine::new("main", None).apply(1, &lead).unwrap());
}
