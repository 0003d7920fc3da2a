//! Histories of an engine by a seed: facts of every kind, commands, time.

use crate::engine::{Engine, Incoming};
use crate::{Command, Verb};

/// splitmix64, so that a seed gives the whole history.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

pub(super) const SKUS: [&str; 4] = ["A", "B", "K", "4006381333931"];
pub(super) const PLACES: [&str; 3] = ["paris", "lyon", "nice"];
pub(super) const CHANNELS: [&str; 3] = ["web", "shop", "market"];

pub(super) const OPENING: &str = r#"{"kind":"location","location":"paris","type":"store","regions":["FR"],"priority":2},
{"kind":"location","location":"lyon","type":"warehouse","regions":["FR","CH"]},
{"kind":"location","location":"nice","type":"3pl"},
{"kind":"item","sku":"B","base_unit":"piece","units":{"box":6},"aliases":["4006381333931"],"tax_class":"reduced"},
{"kind":"item","sku":"K","kit":[{"sku":"A","quantity":1},{"sku":"B","quantity":2}]},
{"kind":"channel","channel":"web","locations":["paris","lyon"],"supply_horizon_days":5},
{"kind":"channel","channel":"market","locations":"*","draws_shared":false},
{"kind":"freshness","source":"acme","stale_after_ms":60000,"action":"widen","amount":2}"#;

pub(super) fn fact(random: &mut Random, step: u64) -> String {
    let (sku, base) = (random.one(&SKUS), random.one(&["A", "B"]));
    let (place, channel) = (random.one(&PLACES), random.one(&CHANNELS));
    let (n, small) = (random.below(12), random.below(4));
    let as_of = 100 + step - random.below(6);
    let reference = format!("r{}", random.below(9));
    match random.below(15) {
        0..=2 => format!(
            r#"{{"kind":"stock.level","sku":"{base}","location":"{place}","on_hand":{n},"basis":"gross","allocated":{small},"unsellable":{{"damaged":{small}}},"as_of":{as_of}}}"#
        ),
        3 => format!(
            r#"{{"kind":"stock.delta","sku":"{base}","location":"{place}","quantity":{},"reason":"count","ref":"{reference}","as_of":{as_of}}}"#,
            n as i64 - 4
        ),
        4 | 5 => format!(
            r#"{{"kind":"supply","ref":"{reference}","line":"1","sku":"{base}","location":"{place}","quantity":{n},"due":"2026-10-0{}","status":"{}","version":{step}}}"#,
            1 + small,
            random.one(&["open", "open", "received", "cancelled"]),
        ),
        6 => format!(
            r#"{{"kind":"demand","ref":"{reference}","line":"1","sku":"{base}","locations":["{place}"],"quantity":{small},"class":"b2b","order_ref":"o{n}","as_of":{as_of},"version":{step}}}"#
        ),
        7 => format!(
            r#"{{"kind":"order.ack","order_ref":"o{n}","lines":[{{"sku":"{base}","location":"{place}"}}],"as_of":{as_of}}}"#
        ),
        8 => format!(
            r#"{{"kind":"shipment","ref":"{reference}","order_ref":"o{n}","lines":[{{"sku":"{sku}","quantity":1,"location":"{place}"}}],"as_of":{as_of},"version":{step}}}"#
        ),
        9 => format!(
            r#"{{"kind":"return","ref":"{reference}","order_ref":"o{small}","sku":"{base}","location":"{place}","quantity":{},"condition":"damaged","as_of":{as_of}}}"#,
            small + 1
        ),
        10 => format!(
            r#"{{"kind":"allocation","channel":"{channel}","sku":"{base}","quantity":{n},"period":"p{small}"}}"#
        ),
        11 => format!(r#"{{"kind":"cap","channel":"{channel}","sku":"{sku}","quantity":{n}}}"#),
        12 => format!(r#"{{"kind":"safety","sku":"{base}","location":"{place}","absolute":{small},"percent":10}}"#),
        13 => format!(r#"{{"kind":"oversell","channel":"{channel}","policy":"limit","limit":{n}}}"#),
        _ => format!(
            r#"{{"kind":"restriction","sku":"{base}","channel":"{channel}","blocked":{},"reason":"recall"}}"#,
            small == 0
        ),
    }
}

/// What arrives now and then, and, late in a history, who owns a location from then on.
pub(super) fn arrival(number: u64) -> Option<String> {
    let as_of = 100 + number;
    let reference = format!("r{}", number % 9);
    match number % 40 {
        10 => Some(format!(
            r#"{{"kind":"receipt","ref":"{reference}","line":"1","sku":"A","location":"paris","quantity":2,"as_of":{as_of}}}"#
        )),
        20 => Some(format!(
            r#"{{"kind":"transfer","ref":"{reference}","sku":"A","from":"paris","to":"lyon","quantity":1,"status":"shipped","as_of":{as_of}}}"#
        )),
        30 => Some(r#"{"kind":"source.reset","source":"acme","sku":"B"}"#.to_owned()),
        0 if number >= 120 => Some(r#"{"kind":"ownership","location":"nice","source":"wms"}"#.to_owned()),
        _ => None,
    }
}

/// What LOG gets, and what is answered.
pub(super) type Decided = (Option<Vec<u8>>, Vec<(u16, Vec<u8>)>);
pub(super) type Step = (Vec<String>, Vec<(Verb, String, String)>, i64);

pub(super) fn step(random: &mut Random, number: u64) -> Step {
    let mut facts: Vec<String> = (0..random.below(3)).map(|_| fact(random, number)).collect();
    facts.extend(arrival(number));
    let asks = (0..random.below(4)).map(|_| {
        let id = format!("c{}", random.below(30));
        let (sku, quantity) = (random.one(&SKUS), 1 + random.below(3));
        match random.below(9) {
            0..=3 => {
                let channel = random.one(&CHANNELS);
                let owner = random.below(6);
                let body = format!(
                    r#"{{"channel":"{channel}","owner":"own{owner}","ttl_ms":{},"lines":[{{"sku":"{sku}","quantity":{quantity}}}]}}"#,
                    1000 * (1 + random.below(9)),
                );
                (Verb::Put, id, body)
            }
            4 | 5 => (Verb::Confirm, id, format!(r#"{{"order_ref":"o{}"}}"#, random.below(12))),
            6 => (Verb::Release, id, "{}".to_owned()),
            7 => (Verb::Cancel, id, "{}".to_owned()),
            _ => (Verb::Extend, id, r#"{"ttl_ms":5000}"#.to_owned()),
        }
    });
    let asks = asks.collect();
    (facts, asks, [0, 300, 900, 4000][random.below(4) as usize])
}

/// An engine and the last IN sequence that it got, so that two can get the same.
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) in_sequence: u64,
}

impl Process {
    pub(super) fn new() -> Self {
        let mut engine = Engine::new("main", None);
        let rules = r#"{"remember_closed_ms":20000,"identities_max":12,"owner_units_max":40}"#;
        let lead = engine.lead_batch("n1", 1_790_000_000_000, rules).unwrap();
        assert!(engine.apply(1, &lead).unwrap());
        let mut node = Process { engine, in_sequence: 0 };
        node.decide(&(vec![OPENING.replace('\n', "")], vec![], 0), "policy");
        node
    }

    pub(super) fn decide(&mut self, (facts, asks, wait_ms): &Step, source: &str) -> Decided {
        let family = if source == "policy" { "" } else { "erp." };
        let subject = format!("hf.main.in.{family}{source}");
        let payloads: Vec<String> = facts.iter().map(|fact| format!("{{\"facts\":[{fact}]}}")).collect();
        let incoming: Vec<Incoming<'_>> = (self.in_sequence + 1..)
            .zip(&payloads)
            .map(|(sequence, payload)| Incoming {
                sequence,
                subject: &subject,
                payload: payload.as_bytes(),
                sealed: true,
            })
            .collect();
        self.in_sequence += incoming.len() as u64;
        let part_of = |id: &str| format!("p\n{}\n{:032x}", &id[1..], 7);
        let parts: Vec<String> = asks.iter().map(|(_, id, _)| part_of(id)).collect();
        let commands: Vec<Command<'_>> = asks
            .iter()
            .zip(&parts)
            .map(|((verb, id, body), part)| Command {
                verb: *verb,
                id,
                body: body.as_bytes(),
                channels: None,
                by: None,
                trace: None,
                key: match verb {
                    Verb::Extend => Some(id),
                    Verb::Cancel => Some(part),
                    _ => None,
                },
            })
            .collect();
        let (now_ms, lead_ms) = (self.engine.position().now_ms, self.engine.position().lead_ms);
        let decision = self
            .engine
            .decide(now_ms + wait_ms, lead_ms + wait_ms, &commands, &incoming)
            .unwrap();
        if decision.message.is_some() {
            let sequence = self.engine.position().sequence + 1;
            self.engine.commit(sequence).unwrap();
        }
        (decision.message, decision.answers)
    }

    pub(super) fn play(seed: u64, steps: u64) -> Self {
        let (mut node, mut random) = (Process::new(), Random(seed));
        for number in 0..steps {
            let next = step(&mut random, number);
            node.decide(&next, "acme");
        }
        node
    }

    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.engine.snapshot(&mut bytes).unwrap();
        bytes
    }
}
