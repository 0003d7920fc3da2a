//! A shop of any size for benches and the gate, and figures printed beside their targets.
//!
//! Everything is made from fixed seeds: the same numbers on every machine and every run.
#![allow(dead_code, reason = "each bench uses a part of it")]
#![allow(clippy::print_stdout, reason = "a bench reports to people")]

use std::fmt::Write as _;
use std::time::Instant;

use holdfast_core::engine::{Decision, Incoming};
use holdfast_core::{Command, Engine, Verb};

pub(crate) const NOW_MS: i64 = 1_790_000_000_000;
pub(crate) const LOCATIONS: [&str; 5] = ["lyon", "paris", "lille", "nantes", "depot-3pl"];
/// Enough that no bench sells a SKU out.
const ON_HAND: i64 = 100_000;
const LEVELS_PER_MESSAGE: u32 = 2_000;
const TTL_MS: i64 = 900_000;

/// How many SKUs the big benches have; fewer for a quick look.
pub(crate) fn skus() -> u32 {
    std::env::var("HOLDFAST_BENCH_SKUS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000)
}

/// splitmix64: a few lines, no dependency, always the same numbers.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(bound)) >> 64) as u32
    }
}

pub(crate) fn sku_name(number: u32) -> String {
    format!("SKU-{number:07}")
}

/// An engine that leads, and (where asked for) the LOG that it wrote.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) engine: Engine,
    pub(crate) log: Option<Vec<Vec<u8>>>,
    sequence: u64,
    in_sequence: u64,
    lead_ms: i64,
}

impl Shop {
    pub(crate) fn new(keep_log: bool) -> Self {
        let engine = Engine::new("main", Some([7; 32]));
        let mut shop = Shop {
            engine,
            log: keep_log.then(Vec::new),
            sequence: 1,
            in_sequence: 0,
            lead_ms: 0,
        };
        let lead = shop
            .engine
            .lead_batch("bench", NOW_MS, "{}")
            .expect("nothing is pending");
        assert_eq!(shop.engine.apply(1, &lead), Ok(true));
        shop.log.iter_mut().for_each(|log| log.push(lead.clone()));
        shop
    }

    /// Declares the locations and a channel, and counts `skus` SKUs at each location.
    pub(crate) fn stocked(skus: u32, keep_log: bool) -> Self {
        let mut shop = Shop::new(keep_log);
        shop.declare();
        for message in level_messages(skus, 1) {
            shop.take_in("hf.main.in.erp.acme", &message);
        }
        shop
    }

    fn declare(&mut self) {
        let mut facts = String::from(r#"{"facts":[{"kind":"channel","channel":"web","locations":"*"}"#);
        for location in LOCATIONS {
            write!(
                facts,
                r#",{{"kind":"location","location":"{location}","type":"warehouse"}}"#
            )
            .expect("a string");
        }
        facts.push_str("]}");
        self.take_in("hf.main.in.policy", facts.as_bytes());
    }

    /// One message of IN becomes one batch of LOG.
    pub(crate) fn take_in(&mut self, subject: &str, payload: &[u8]) {
        self.in_sequence += 1;
        let decision = self.decide(
            &[],
            &[Incoming {
                sequence: self.in_sequence,
                subject,
                payload,
                sealed: true,
            }],
        );
        assert!(
            decision.dead.is_empty(),
            "the bench's own facts are well-formed: {:?}",
            decision.dead.first()
        );
    }

    /// Decides one group and commits it, as a leader does whose every append is acknowledged.
    pub(crate) fn decide(&mut self, commands: &[Command<'_>], incoming: &[Incoming<'_>]) -> Decision {
        self.lead_ms += 1;
        let mut decision = self
            .engine
            .decide(NOW_MS + self.lead_ms, self.lead_ms, commands, incoming)
            .expect("nothing is pending");
        assert_eq!(
            (decision.commands_taken, decision.incoming_taken),
            (commands.len(), incoming.len()),
            "one batch"
        );
        if decision.message.is_some() {
            self.sequence += 1;
            self.engine.commit(self.sequence).expect("in order");
        }
        if let (Some(log), Some(message)) = (&mut self.log, &mut decision.message) {
            log.push(std::mem::take(message));
        }
        decision
    }

    /// Decides a group of requests; each must succeed.
    pub(crate) fn decide_all(&mut self, verb: Verb, requests: &[Request]) -> Decision {
        let commands: Vec<Command<'_>> = requests.iter().map(|r| r.command(verb)).collect();
        let decision = self.decide(&commands, &[]);
        debug_assert!(
            decision.answers.iter().all(|(status, _)| *status < 300),
            "{:?}",
            decision.answers.first()
        );
        decision
    }
}

/// A request as the gateway hands it over.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn command(&self, verb: Verb) -> Command<'_> {
        Command {
            verb,
            id: &self.id,
            body: &self.body,
            channels: None,
            key: None,
            trace: None,
            by: Some("k1"),
        }
    }
}

/// IN messages that count `skus` SKUs at each location, as of `as_of`.
pub(crate) fn level_messages(skus: u32, as_of: u32) -> impl Iterator<Item = Vec<u8>> {
    let per_message = LEVELS_PER_MESSAGE / LOCATIONS.len() as u32;
    (0..skus.div_ceil(per_message)).map(move |message| {
        let mut facts = String::from("{\"facts\":[");
        for sku in message * per_message..((message + 1) * per_message).min(skus) {
            for location in LOCATIONS {
                let separator = if facts.ends_with('[') { "" } else { "," };
                write!(
                    facts,
                    r#"{separator}{{"kind":"stock.level","sku":"SKU-{sku:07}","location":"{location}","#,
                )
                .and_then(|()| write!(facts, r#""on_hand":{ON_HAND},"basis":"net","as_of":{as_of}}}"#))
                .expect("a string");
            }
        }
        facts.push_str("]}");
        facts.into_bytes()
    })
}

/// PUT bodies of two-line carts over `skus` SKUs, evenly at random: no line finds its SKU in the processor's cache.
pub(crate) fn carts(random: &mut Random, skus: u32, first: usize, count: usize) -> Vec<Request> {
    let cart = |number: usize| {
        let first = random.below(skus);
        let second = (first + 1 + random.below(skus - 1)) % skus;
        let line = |sku: u32, quantity: u32| format!(r#"{{"sku":"SKU-{sku:07}","quantity":{quantity}}}"#);
        let lines = [line(first, 1), line(second, 1 + random.below(3))].join(",");
        let owner = format!("shopper-{number:08}");
        let body = format!(r#"{{"channel":"web","owner":"{owner}","ttl_ms":{TTL_MS},"lines":[{lines}]}}"#);
        Request {
            id: format!("cart-{number:08}"),
            body: body.into_bytes(),
        }
    };
    (first..first + count).map(cart).collect()
}

/// Seconds that this thread had a processor: other work on the machine does not count. Wall time where /proc is missing.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    on_cpu_ns: Option<u64>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch {
            on_cpu_ns: on_cpu_ns(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        match (self.on_cpu_ns, on_cpu_ns()) {
            (Some(begun), Some(now)) => std::time::Duration::from_nanos(now - begun).as_secs_f64(),
            _ => self.begun.elapsed().as_secs_f64(),
        }
    }
}

fn on_cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// A measured figure beside what issue and README promise.
#[derive(Debug)]
struct Figure {
    what: String,
    measured: f64,
    target: Option<(f64, &'static str)>,
    at_most: bool,
}

/// The report at a bench's end.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// A rate; `target`: the least that is wanted, and a note on it.
    pub(crate) fn rate(&mut self, what: &str, measured: f64, target: Option<(f64, &'static str)>) {
        self.0.push(Figure {
            what: what.to_owned(),
            measured,
            target,
            at_most: false,
        });
    }

    /// A size; `target`: the most that is allowed.
    pub(crate) fn size(&mut self, what: &str, measured: f64, target: Option<(f64, &'static str)>) {
        self.0.push(Figure {
            what: what.to_owned(),
            measured,
            target,
            at_most: true,
        });
    }

    pub(crate) fn print(&self, title: &str) {
        if self.0.is_empty() {
            return;
        }
        println!("\n{title}\n{:<58} {:>14} {:>16}", "", "measured", "target");
        for Figure {
            what,
            measured,
            target,
            at_most,
        } in &self.0
        {
            let measured_text = grouped(*measured);
            let Some((target, aim)) = target else {
                println!("{what:<58} {measured_text:>14} {:>16}", "-");
                continue;
            };
            let met = if *at_most {
                measured <= target
            } else {
                measured >= target
            };
            let sign = if *at_most { "<=" } else { ">=" };
            let verdict = if met { "met" } else { "MISSED" };
            println!(
                "{what:<58} {measured_text:>14} {:>16}  {verdict}{aim}",
                format!("{sign} {}", grouped(*target))
            );
        }
        println!();
    }
}

/// 1234567.8 -> "1,234,568"; small numbers keep one decimal.
pub(crate) fn grouped(number: f64) -> String {
    if number < 1000.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The middle one: a single disturbed slice does not move it.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
