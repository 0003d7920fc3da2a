//! A leader with its log, as the integration tests drive it.
#![allow(dead_code)] // Each test crate uses a part of it.

use holdfast_core::engine::{Decision, Incoming};
use holdfast_core::{Command, Engine, Verb};

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) log: Vec<Vec<u8>>,
    in_sequence: u64,
    pub(crate) now_ms: i64,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with_rules("{}")
    }

    pub(crate) fn with_rules(rules: &str) -> Self {
        let mut engine = Engine::new("main", None);
        let lead = engine.lead_batch("n1", 1_700_000_000_000, rules).unwrap();
        assert!(engine.apply(1, &lead).unwrap());
        Node {
            engine,
            log: vec![lead],
            in_sequence: 0,
            now_ms: 1_700_000_000_000,
        }
    }

    pub(crate) fn finish(&mut self, mut decision: Decision) -> Decision {
        if let Some(message) = decision.message.take() {
            self.log.push(message);
            self.engine.commit(self.log.len() as u64).unwrap();
        }
        self.assert_digest();
        decision
    }

    /// The maintained digest, the recounted one, and that of an engine restored from a snapshot are the same.
    pub(crate) fn assert_digest(&mut self) {
        assert_eq!(self.engine.check_thoroughly(), Vec::<String>::new());
        let digest = self.engine.digest();
        assert_eq!(self.engine.recount(), digest);
        let mut bytes = Vec::new();
        self.engine.snapshot(&mut bytes).unwrap();
        let mut restored = Engine::restore("main", None, &mut bytes.as_slice()).unwrap();
        assert_eq!(restored.digest(), digest);
        assert_eq!(restored.recount(), digest);
    }

    pub(crate) fn facts(&mut self, facts: &str) -> Decision {
        self.message(&format!("{{\"facts\":[{facts}]}}"))
    }

    pub(crate) fn message(&mut self, payload: &str) -> Decision {
        self.in_sequence += 1;
        let message = Incoming {
            sequence: self.in_sequence,
            subject: "hf.main.in.erp.acme",
            payload: payload.as_bytes(),
            sealed: true,
        };
        let lead = self.engine.position().lead_ms;
        let decision = self.engine.decide(self.now_ms, lead, &[], &[message]).unwrap();
        self.finish(decision)
    }

    pub(crate) fn ask(&mut self, verb: Verb, id: &str, body: &str) -> (u16, String) {
        self.group(&[command(verb, id, body)]).remove(0)
    }

    pub(crate) fn group(&mut self, commands: &[Command<'_>]) -> Vec<(u16, String)> {
        let lead = self.engine.position().lead_ms;
        let decision = self.engine.decide(self.now_ms, lead, commands, &[]).unwrap();
        assert_eq!(decision.commands_taken, commands.len());
        let answers = self.finish(decision).answers;
        let read = |(status, body)| (status, String::from_utf8(body).unwrap());
        answers.into_iter().map(read).collect()
    }

    pub(crate) fn wait(&mut self, ms: i64) {
        let lead = self.engine.position().lead_ms + ms;
        self.now_ms += ms;
        let decision = self.engine.decide(self.now_ms, lead, &[], &[]).unwrap();
        self.finish(decision);
    }

    pub(crate) fn replay(&self) -> Engine {
        let mut engine = Engine::new("main", None);
        for (n, message) in self.log.iter().enumerate() {
            assert!(engine.apply(n as u64 + 1, message).unwrap());
        }
        engine
    }
}

pub(crate) fn command<'a>(verb: Verb, id: &'a str, body: &'a str) -> Command<'a> {
    Command {
        verb,
        id,
        body: body.as_bytes(),
        channels: None,
        by: None,
        key: None,
        trace: None,
    }
}

/// A command under an idempotency key.
pub(crate) fn under<'a>(key: &'a str, by: &'a str, verb: Verb, id: &'a str, body: &'a str) -> Command<'a> {
    Command {
        by: Some(by),
        key: Some(key),
        trace: None,
        ..command(verb, id, body)
    }
}

pub(crate) const PLACES: &str = r#"{"kind":"location","location":"A","type":"warehouse","priority":1},{"kind":"location","location":"B","type":"store","priority":2}"#;

pub(crate) fn level(sku: &str, location: &str, on_hand: i64, as_of: i64) -> String {
    format!(
        r#"{{"kind":"stock.level","sku":"{sku}","location":"{location}","on_hand":{on_hand},"basis":"net","as_of":{as_of}}}"#
    )
}
