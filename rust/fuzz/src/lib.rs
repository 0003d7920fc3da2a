//! Plays bytes from anywhere to the core, and says what must hold whatever they are.
//!
//! In: bytes. Out: nothing, or a panic, which is what the fuzzer looks for. Always: after each step the digest maintained is the
//! recounted one and every invariant holds; at the end a replay of the batches, and an engine restored from a snapshot, have
//! the same digest. So nothing that anybody may send stops a process, and no two processes differ after it.

use holdfast_core::{Command, Engine, Verb, engine::Incoming};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 20_000 * DAY_MS;
/// Tight, so that what a shop forgets after days is forgotten on the way.
const FORGETFUL: &str = r#"{"remember_closed_ms":20000,"identities_max":6,"answers_max":3,"answers_kept_ms":40000,
    "expire_batch_max":2,"renewals_max":2}"#;

/// One batch of a story.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// Both clocks go on by so many milliseconds.
    Wait(i64),
    /// A message of IN: its source and body.
    Message(&'a str, &'a [u8]),
    Command(Verb, &'a str, &'a [u8]),
}

/// A line of a story: `@MS`, `<SOURCE BODY` or `>VERB ID BODY`. Other lines tell nothing.
fn step(line: &[u8]) -> Option<Step<'_>> {
    let (kind, rest) = line.split_first()?;
    let mut words = rest.splitn(if *kind == b'>' { 3 } else { 2 }, |byte| *byte == b' ');
    let first = std::str::from_utf8(words.next()?).ok()?;
    match kind {
        b'@' => first.parse().ok().map(|ms: i64| Step::Wait(ms.clamp(0, 400 * DAY_MS))),
        b'<' => Some(Step::Message(first, words.next()?)),
        b'>' => {
            let id = std::str::from_utf8(words.next()?).ok()?;
            Some(Step::Command(Verb::parse(first)?, id, words.next().unwrap_or_default()))
        }
        _ => None,
    }
}

fn leader(rules: &str) -> (Engine, Vec<Vec<u8>>) {
    let mut engine = Engine::new("main", None);
    let lead = engine.lead_batch("n1", NOW_MS, rules).expect("these are rules");
    assert!(engine.apply(1, &lead).expect("nothing is pending"));
    (engine, vec![lead])
}

/// Plays a story; a first line `forgetful` has it played under tight bounds.
pub fn play_story(story: &[u8]) {
    let rules = if story.starts_with(b"forgetful\n") {
        FORGETFUL
    } else {
        "{}"
    };
    let (mut engine, mut batches) = leader(rules);
    let (mut now_ms, mut lead_ms, mut sequence) = (NOW_MS, 0, 0);
    for step in story.split(|byte| *byte == b'\n').filter_map(step).take(200) {
        let (mut commands, mut incoming, mut subject) = (Vec::new(), Vec::new(), String::new());
        match step {
            Step::Wait(ms) => {
                now_ms += ms;
                lead_ms += ms;
            }
            Step::Message(source, payload) => {
                sequence += 1;
                subject.push_str("hf.main.in.erp.");
                subject.push_str(source);
                let sealed = true;
                incoming.push((sequence, payload, sealed));
            }
            Step::Command(verb, id, body) => commands.push(Command {
                verb,
                id,
                body,
                channels: None,
                by: None,
                key: None,
                trace: None,
            }),
        }
        let incoming: Vec<Incoming<'_>> = incoming
            .into_iter()
            .map(|(sequence, payload, sealed)| Incoming {
                sequence,
                subject: &subject,
                payload,
                sealed,
            })
            .collect();
        let decision = engine
            .decide(now_ms, lead_ms, &commands, &incoming)
            .expect("nothing is pending");
        if let Some(message) = decision.message {
            engine.commit(engine.position().sequence + 1).expect("it is pending");
            batches.push(message);
        }
        must_hold(&mut engine);
    }
    assert_eq!(engine.check_thoroughly(), Vec::<String>::new());
    let mut follower = Engine::new("main", None);
    for (at, batch) in (1..).zip(&batches) {
        assert!(
            follower
                .apply(at, batch)
                .expect("a batch that was decided can be applied")
        );
    }
    assert_eq!(follower.digest(), engine.digest(), "a replay differs");
    let mut written = Vec::new();
    engine.snapshot(&mut written).expect("nothing is pending");
    let restored = Engine::restore("main", None, &mut &written[..]).expect("what was written can be read");
    assert_eq!(restored.recount(), engine.digest(), "a restored engine differs");
}

/// Applies bytes as message 2 of LOG: they fit or are void, and either way all processes agree.
pub fn play_batch(message: &[u8]) {
    let (mut engine, _) = leader("{}");
    let before = engine.digest();
    match engine.apply(2, message) {
        Ok(true) => must_hold(&mut engine),
        Ok(false) => assert_eq!(engine.recount(), engine.digest()),
        Err(_) => assert_eq!(engine.digest(), before, "what could not be applied changed the state"),
    }
}

/// Restores bytes as a snapshot: an error, or a state that proves its digest.
pub fn play_snapshot(mut bytes: &[u8]) {
    if let Ok(mut engine) = Engine::restore("main", None, &mut bytes) {
        must_hold(&mut engine);
    }
}

fn must_hold(engine: &mut Engine) {
    assert_eq!(engine.digest(), engine.recount(), "the digest drifted");
    assert_eq!(engine.check(), Vec::<String>::new());
}
