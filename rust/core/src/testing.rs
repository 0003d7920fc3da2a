//! A small world for the tests of the rules: a leader and a follower, spoken to in facts and commands.
//!
//! In: facts of the ERP `acme` and commands, in the order of a story. Out: answers, what can be sold, who holds what.
//! Always: after every step the invariants hold, the maintained digest equals the recounted one and the follower's.

pub(crate) mod history;

use serde_json::{Value, json};

use crate::availability::pool::SaleContext;
use crate::availability::sellable::sellable;
use crate::engine::{Decision, Engine, Incoming};
use crate::state::ids::{ChannelId, LocationId, SkuId, Slot};
use crate::state::reservations::{Portion, StockNode};
use crate::state::{State, policies::QuotaKind};
use crate::verbs::{Command, Verb};
use crate::wire::facts::time::write_day;

/// 14 November 2023, 22:13:20 UTC.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// How long a hold lasts where a test does not say.
pub(crate) const TTL_MS: i64 = 60_000;

/// An answer, read: its HTTP status and its body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The last part of a problem's type.
    pub(crate) fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or("no problem");
        kind.rsplit(':').next().unwrap_or(kind)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.status, 200 | 201)
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) follower: Engine,
    /// LOG from sequence 1 on.
    pub(crate) messages: Vec<Vec<u8>>,
    in_sequence: u64,
    /// The clocks go on though nothing comes to LOG.
    now_ms: i64,
    lead_ms: i64,
    /// The ERP's running number.
    as_of: i64,
    pub(crate) trace: Option<&'static str>,
}

impl World {
    /// Locations A and B, in this order, and a channel `web` that sells from both.
    pub(crate) fn new() -> Self {
        let mut world = World::empty("{}");
        world.location("A", json!({"priority": 1}));
        world.location("B", json!({"priority": 2}));
        world.channel("web", json!({}));
        world
    }

    pub(crate) fn empty(rules: &str) -> Self {
        Self::led_by(Engine::new("main", None).lead_batch("n1", NOW_MS, rules).unwrap())
    }

    pub(crate) fn led_by(lead: Vec<u8>) -> Self {
        let mut engine = Engine::new("main", None);
        let mut follower = Engine::new("main", None);
        assert!(engine.apply(1, &lead).unwrap());
        follower.begin_publishing();
        assert!(follower.apply(1, &lead).unwrap());
        World {
            engine,
            follower,
            messages: vec![lead],
            in_sequence: 0,
            now_ms: NOW_MS,
            lead_ms: 0,
            as_of: 0,
            trace: None,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.engine.state
    }

    /// Decides a group, has the follower apply what it came to, and proves both.
    pub(crate) fn decide(&mut self, commands: &[Command<'_>], incoming: &[Incoming<'_>]) -> Decision {
        let decision = self
            .engine
            .decide(self.now_ms, self.lead_ms, commands, incoming)
            .unwrap();
        if let Some(message) = &decision.message {
            self.finish(message);
        }
        decision
    }

    fn finish(&mut self, message: &[u8]) {
        let sequence = self.engine.position().sequence + 1;
        self.engine.commit(sequence).unwrap();
        assert!(self.follower.apply(sequence, message).unwrap());
        assert_eq!(
            self.follower.stale_figures(),
            Vec::<String>::new(),
            "what is published is what can be sold"
        );
        self.messages.push(message.to_vec());
        assert_eq!(self.engine.check_thoroughly(), Vec::<String>::new());
        let digest = self.engine.digest();
        assert_eq!(
            self.engine.recount(),
            digest,
            "the maintained digest is the recounted one"
        );
        assert_eq!(self.follower.digest(), digest, "the follower has the same state");
    }

    /// Facts that are bound to be accepted.
    pub(crate) fn fact(&mut self, kind: &str, fields: Value) {
        assert_eq!(self.try_fact("acme", kind, fields), Ok(()));
    }

    /// A fact of some source; why it was rejected.
    pub(crate) fn try_fact(&mut self, source: &str, kind: &str, mut fields: Value) -> Result<(), String> {
        fields["kind"] = json!(kind);
        self.in_sequence += 1;
        let (subject, payload) = (
            format!("hf.main.in.erp.{source}"),
            json!({"facts": [fields]}).to_string(),
        );
        let message = Incoming {
            sequence: self.in_sequence,
            subject: &subject,
            payload: payload.as_bytes(),
            sealed: true,
        };
        let mut decision = self.decide(&[], &[message]);
        match decision.received.remove(0).outcome.rejected.pop() {
            None => Ok(()),
            Some((_, reason)) => Err(reason),
        }
    }

    /// The next running number of the ERP.
    pub(crate) fn tick(&mut self) -> i64 {
        self.as_of += 1;
        self.as_of
    }

    /// The next fact of the ERP that carries a running number.
    pub(crate) fn next(&mut self, kind: &str, mut fields: Value) {
        fields["as_of"] = json!(self.tick());
        self.fact(kind, fields);
    }

    pub(crate) fn location(&mut self, name: &str, mut fields: Value) {
        fields["location"] = json!(name);
        fields["type"] = json!("warehouse");
        self.fact("location", fields);
    }

    /// A channel that sells from every location where `fields` does not say otherwise, and publishes.
    pub(crate) fn channel(&mut self, name: &str, mut fields: Value) {
        fields["channel"] = json!(name);
        if fields["locations"].is_null() {
            fields["locations"] = json!("*");
        }
        if fields["buffer"].is_null() {
            fields["buffer"] = json!(1);
        }
        self.fact("channel", fields);
    }

    pub(crate) fn kit(&mut self, name: &str, components: &[(&str, i64)]) {
        let kit: Vec<Value> = components
            .iter()
            .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
            .collect();
        self.fact("item", json!({"sku": name, "base_unit": "each", "kit": kit}));
    }

    /// A level, net of open orders, newer than all before.
    pub(crate) fn level(&mut self, sku: &str, location: &str, on_hand: i64) {
        let fields = json!({"sku": sku, "location": location, "on_hand": on_hand, "basis": "net"});
        self.next("stock.level", fields);
    }

    /// An open supply, due so many days from today.
    pub(crate) fn supply(&mut self, reference: &str, sku: &str, location: &str, quantity: i64, days: i32) {
        self.supply_as("open", reference, sku, location, quantity, days);
    }

    pub(crate) fn supply_as(
        &mut self,
        status: &str,
        reference: &str,
        sku: &str,
        location: &str,
        quantity: i64,
        days: i32,
    ) {
        let due = self.day(days);
        self.fact(
            "supply",
            json!({"ref": reference, "line": "1", "sku": sku, "location": location, "quantity": quantity,
                "due": due, "status": status}),
        );
    }

    pub(crate) fn oversell(&mut self, channel: &str, limit: i64) {
        self.fact(
            "oversell",
            json!({"channel": channel, "policy": "limit", "limit": limit}),
        );
    }

    pub(crate) fn allocation(&mut self, channel: &str, sku: &str, quantity: i64) {
        self.fact(
            "allocation",
            json!({"channel": channel, "sku": sku, "quantity": quantity}),
        );
    }

    pub(crate) fn cap(&mut self, channel: &str, sku: &str, quantity: i64) {
        self.fact("cap", json!({"channel": channel, "sku": sku, "quantity": quantity}));
    }

    /// The date so many days from today.
    pub(crate) fn day(&self, days: i32) -> Value {
        let mut out = Vec::new();
        write_day(&mut out, self.state().today() + days);
        serde_json::from_slice(&out).unwrap()
    }

    pub(crate) fn ask(&mut self, verb: Verb, id: &str, body: &Value) -> Answer {
        self.ask_as(None, verb, id, body)
    }

    /// A command under a key that sees only some channels.
    pub(crate) fn ask_as(&mut self, channels: Option<&[String]>, verb: Verb, id: &str, body: &Value) -> Answer {
        let bytes = body.to_string();
        let command = Command {
            verb,
            id,
            body: bytes.as_bytes(),
            channels,
            by: None,
            key: None,
            trace: self.trace,
        };
        let mut decision = self.decide(&[command], &[]);
        let (status, body) = decision.answers.remove(0);
        Answer {
            status,
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    /// `PUT`; the time to live is filled in where it is missing.
    pub(crate) fn put(&mut self, id: &str, mut body: Value) -> Answer {
        if body["ttl_ms"].is_null() {
            body["ttl_ms"] = json!(TTL_MS);
        }
        self.ask(Verb::Put, id, &body)
    }

    /// Asks for a hold on lines of (SKU, quantity).
    pub(crate) fn try_hold(&mut self, id: &str, channel: &str, lines: &[(&str, i64)]) -> Answer {
        let lines: Vec<Value> = lines
            .iter()
            .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}))
            .collect();
        self.put(id, json!({"channel": channel, "lines": lines}))
    }

    /// A hold that is bound to be accepted.
    pub(crate) fn hold(&mut self, id: &str, channel: &str, lines: &[(&str, i64)]) {
        let answer = self.try_hold(id, channel, lines);
        assert!(answer.is_done(), "{answer:?}");
    }

    pub(crate) fn confirm(&mut self, id: &str, order_ref: &str) -> Answer {
        self.ask(Verb::Confirm, id, &json!({"order_ref": order_ref}))
    }

    /// A hold that becomes an order, named as the reservation is.
    pub(crate) fn order(&mut self, id: &str, channel: &str, lines: &[(&str, i64)]) {
        self.hold(id, channel, lines);
        assert_eq!(self.confirm(id, id).status, 200);
    }

    pub(crate) fn release(&mut self, id: &str) -> Answer {
        self.ask(Verb::Release, id, &json!({}))
    }

    pub(crate) fn cancel(&mut self, id: &str) -> Answer {
        self.ask(Verb::Cancel, id, &json!({}))
    }

    /// Both clocks go on, and a batch without commands looks at them.
    pub(crate) fn wait(&mut self, ms: i64) {
        self.clocks_go_on(ms);
        self.decide(&[], &[]);
    }

    pub(crate) fn clocks_go_on(&mut self, ms: i64) {
        self.now_ms += ms;
        self.lead_ms += ms;
    }

    pub(crate) fn sku(&self, name: &str) -> SkuId {
        self.state().catalogue.sku(name).expect("the SKU is known")
    }

    pub(crate) fn location_id(&self, name: &str) -> LocationId {
        self.state().catalogue.location(name).expect("the location is known")
    }

    pub(crate) fn channel_id(&self, name: &str) -> ChannelId {
        self.state().catalogue.channel(name).expect("the channel is known")
    }

    pub(crate) fn slot(&self, id: &str) -> Slot {
        self.state().reservations.find(id).expect("the reservation is known")
    }

    pub(crate) fn sellable(&self, sku: &str, channel: &str) -> i64 {
        self.sellable_in(sku, channel, None)
    }

    pub(crate) fn sellable_in(&self, sku: &str, channel: &str, region: Option<&str>) -> i64 {
        let catalogue = &self.state().catalogue;
        let asking = SaleContext::of(catalogue.channel(channel), catalogue.asked_region(region));
        sellable(self.state(), self.sku(sku), &asking).quantity
    }

    /// How a reservation stands: `held`, `committed`, ...
    pub(crate) fn stands(&self, id: &str) -> &'static str {
        self.state().reservations.get(self.slot(id)).state.name()
    }

    /// What a reservation holds, portion by portion: `3 S at A, 2 S on PO, 1 S unsourced`. In brackets how many took the own
    /// allocation; then what is known of them: `inside` the level, `shipped`, `fulfilled`.
    pub(crate) fn units(&self, id: &str) -> String {
        let portions = &self.state().reservations.get(self.slot(id)).portions;
        let mut alike: Vec<(i64, String)> = Vec::new();
        for portion in portions {
            let text = described(self.state(), portion);
            match alike.iter_mut().find(|(_, of)| *of == text) {
                Some((quantity, _)) => *quantity += portion.quantity,
                None => alike.push((portion.quantity, text)),
            }
        }
        let texts: Vec<String> = alike
            .iter()
            .map(|(quantity, text)| format!("{quantity} {text}"))
            .collect();
        texts.join(", ")
    }

    /// What a channel has consumed of its quota.
    pub(crate) fn consumed(&self, sku: &str, channel: &str, kind: QuotaKind) -> i64 {
        let detail = self.state().catalogue.detail(self.sku(sku)).expect("it has quotas");
        let quotas = match kind {
            QuotaKind::Allocation => &detail.allocations,
            QuotaKind::Cap => &detail.caps,
        };
        quotas[&self.channel_id(channel)].consumed
    }
}

fn described(state: &State, portion: &Portion) -> String {
    let own = match portion.own {
        0 => String::new(),
        own => format!(" ({own} own)"),
    };
    let node = match portion.node {
        StockNode::Hand(location) => format!("at {}", state.catalogue.location_name(location)),
        StockNode::Supply(id) => format!("on {}", state.documents.supplies.get(id.0).key.1),
        StockNode::Unsourced => "unsourced".to_owned(),
    };
    let marks = [
        (portion.in_erp_level, " inside"),
        (portion.is_shipped(), " shipped"),
        (portion.fulfilled, " fulfilled"),
    ];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    let sku = state.catalogue.sku_name(portion.sku);
    format!("{sku}{own} {node}{marks}")
}
