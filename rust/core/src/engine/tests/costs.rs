//! What one fact or command looks at does not grow with what is stored: the same with ten times as much.
//!
//! In: a scope of some size. Out: how many cells, reservations, documents and entries of indexes were looked at, counted by
//! `state::looked`, not timed. Always: measured in one batch, at which the followers do the same.

use serde_json::{Value, json};

use crate::engine::{Engine, Incoming};
use crate::state::looked;
use crate::verbs::{Command, Verb};

const DAY_MS: i64 = 86_400_000;

/// A leader of a large scope. Its invariants are checked when a test asks for that, for that walks over everything.
struct Large {
    engine: Engine,
    in_sequence: u64,
    now_ms: i64,
}

impl Large {
    /// A channel `web` that sells beyond stock, from A; nothing is sold from the shelf `back`.
    fn new() -> Self {
        let mut engine = Engine::new("main", None);
        let lead = engine.lead_batch("n1", DAY_MS, "{}").unwrap();
        assert!(engine.apply(1, &lead).unwrap());
        let mut large = Large {
            engine,
            in_sequence: 0,
            now_ms: DAY_MS,
        };
        large.facts(&[
            json!({"kind": "location", "location": "A"}),
            json!({"kind": "location", "location": "back"}),
            json!({"kind": "channel", "channel": "web", "locations": ["A"], "supply_horizon_days": 7}),
            json!({"kind": "oversell", "policy": "unlimited"}),
        ]);
        large
    }

    /// Decides one batch; what it looked at.
    fn batch(&mut self, commands: &[Command<'_>], incoming: &[Incoming<'_>]) -> u64 {
        let (looked, decision) = looked::while_doing(|| self.engine.decide(self.now_ms, 1_000, commands, incoming));
        let decision = decision.unwrap();
        for received in &decision.received {
            assert_eq!(received.outcome.rejected.first(), None);
        }
        for (status, body) in &decision.answers {
            assert!(*status < 300, "{}", String::from_utf8_lossy(body));
        }
        if decision.message.is_some() {
            self.engine.commit(self.engine.position().sequence + 1).unwrap();
        }
        looked
    }

    fn facts(&mut self, facts: &[Value]) -> u64 {
        let mut looked = 0;
        for some in facts.chunks(200) {
            self.in_sequence += 1;
            let payload = json!({"facts": some}).to_string();
            let message = Incoming {
                sequence: self.in_sequence,
                subject: "hf.main.in.erp.acme",
                payload: payload.as_bytes(),
                sealed: true,
            };
            looked += self.batch(&[], &[message]);
        }
        looked
    }

    fn ask(&mut self, verb: Verb, id: &str, body: &Value) -> u64 {
        let body = body.to_string();
        let command = Command {
            verb,
            id,
            body: body.as_bytes(),
            channels: None,
            by: None,
            key: None,
            trace: None,
        };
        self.batch(&[command], &[])
    }

    fn hold(&mut self, id: &str, sku: &str, quantity: i64) -> u64 {
        let line = json!({"sku": sku, "quantity": quantity});
        self.ask(
            Verb::Put,
            id,
            &json!({"channel": "web", "ttl_ms": 1_000_000, "lines": [line]}),
        )
    }

    /// So many SKUs with nothing to sell, each with units that somebody waits for.
    fn with_backorders(skus: usize) -> Self {
        let mut large = Large::new();
        let levels: Vec<Value> = (0..skus).map(|n| level(&format!("s{n}"), "A", 0)).collect();
        large.facts(&levels);
        for n in 0..skus {
            large.hold(&format!("r{n}"), &format!("s{n}"), 1);
        }
        large
    }

    /// So many orders of one SKU, of which nothing has left.
    fn with_orders(orders: usize) -> Self {
        let mut large = Large::new();
        large.facts(&[level("s", "A", 1_000_000)]);
        for n in 0..orders {
            let id = format!("r{n}");
            large.hold(&id, "s", 1);
            large.ask(Verb::Confirm, &id, &json!({"order_ref": format!("o{n}")}));
        }
        large.facts(&[at(2, level("s", "A", 1_000_000))]);
        large
    }

    fn is_sound(&self) {
        assert_eq!(self.engine.check_thoroughly(), Vec::<String>::new());
    }
}

fn level(sku: &str, location: &str, on_hand: i64) -> Value {
    json!({"kind": "stock.level", "sku": sku, "location": location, "on_hand": on_hand, "basis": "gross",
        "as_of": 1})
}

fn at(as_of: i64, mut fact: Value) -> Value {
    fact["as_of"] = json!(as_of);
    fact
}

/// The same work on a small and on a ten times larger scope looks at as much, but for a few entries.
fn as_much_with_ten_times(small: &mut Large, large: &mut Large, what: &str, mut work: impl FnMut(&mut Large) -> u64) {
    let (few, many) = (work(small), work(large));
    assert!(
        many <= few + few / 4 + 20,
        "{what}: looked at {few}, and with ten times as much at {many}"
    );
}

#[test]
fn a_rule_or_the_day_reaches_no_sku_of_which_nothing_can_bind() {
    let (mut small, mut large) = (Large::with_backorders(60), Large::with_backorders(600));
    let mut check = |what: &str, fact: Value| {
        as_much_with_ten_times(&mut small, &mut large, what, |large| {
            large.facts(std::slice::from_ref(&fact))
        });
    };
    check(
        "a new location",
        json!({"kind": "location", "location": "new", "regions": ["fr"]}),
    );
    check(
        "a location's priority",
        json!({"kind": "location", "location": "A", "priority": 7}),
    );
    check(
        "a channel",
        json!({"kind": "channel", "channel": "web", "locations": ["A"], "supply_horizon_days": 9}),
    );
    check(
        "a wide oversell rule",
        json!({"kind": "oversell", "channel": "web", "policy": "limit", "limit": 1_000_000}),
    );
    // What is kept ready of all SKUs is renewed a few at a time, which the few SKUs of the small scope need not wait for.
    let turn = 3 * 256;
    for fact in [
        json!({"kind": "location", "location": "A", "enabled": false}),
        json!({"kind": "location", "location": "A"}),
        json!({"kind": "safety", "location": "A", "absolute": 3}),
        json!({"kind": "safety", "absolute": 2}),
    ] {
        let (few, many) = (
            small.facts(std::slice::from_ref(&fact)),
            large.facts(std::slice::from_ref(&fact)),
        );
        assert!(many <= few + turn, "{fact}: {few}, then {many}");
    }
    for _ in 0..4 {
        small.facts(&[
            json!({"kind": "freshness", "source": "acme", "stale_after_ms": 60_000, "action": "widen", "amount": 2}),
        ]);
        large.facts(&[
            json!({"kind": "freshness", "source": "acme", "stale_after_ms": 60_000, "action": "widen", "amount": 2}),
        ]);
    }
    as_much_with_ten_times(&mut small, &mut large, "midnight", |large| {
        large.now_ms += DAY_MS;
        large.batch(&[], &[])
    });
    small.is_sound();
    large.is_sound();
}

#[test]
fn midnight_reaches_the_skus_whose_supply_counts_otherwise_from_then_on() {
    let work = |skus: usize| {
        let mut large = Large::with_backorders(skus);
        let supply = |n: usize, due: &str| {
            json!({"kind": "supply", "ref": format!("p{n}"), "line": "1", "sku": format!("s{n}"), "location": "back",
                "quantity": 5, "due": due, "as_of": 1})
        };
        let mut supplies: Vec<Value> = (0..10).map(|n| supply(n, "1970-01-02")).collect();
        supplies.extend((10..skus).map(|n| supply(n, "1970-06-01")));
        large.facts(&supplies);
        large.now_ms += DAY_MS;
        let looked = large.batch(&[], &[]);
        large.is_sound();
        looked
    };
    let (few, many) = (work(60), work(600));
    assert!(
        many <= few + few / 4,
        "looked at {few}, and with ten times as many SKUs at {many}"
    );
}

#[test]
fn a_sale_of_what_many_wait_for_looks_at_none_of_them() {
    let mut scopes = [100usize, 1_000].map(|waiting| {
        let mut large = Large::new();
        // What lies in the back no channel sells.
        large.facts(&[level("s", "A", 0), level("s", "back", 50)]);
        for n in 0..waiting {
            large.hold(&format!("r{n}"), "s", 2);
        }
        large
    });
    let [small, large] = &mut scopes;
    as_much_with_ten_times(small, large, "a hold", |large| large.hold("one more", "s", 1));
    as_much_with_ten_times(small, large, "a level", |large| {
        large.facts(&[at(2, level("s", "A", 3))])
    });
    as_much_with_ten_times(small, large, "a release", |large| {
        large.ask(Verb::Release, "one more", &json!({}))
    });
    as_much_with_ten_times(small, large, "a level elsewhere", |large| {
        large.facts(&[at(2, level("s", "back", 60))])
    });
    small.is_sound();
    large.is_sound();
}

#[test]
fn a_level_and_a_confirmation_look_at_no_other_order() {
    let (mut small, mut large) = (Large::with_orders(100), Large::with_orders(1_000));
    let mut check = |what: &str, work: &mut dyn FnMut(&mut Large) -> u64| {
        as_much_with_ten_times(&mut small, &mut large, what, work);
    };
    check("a level", &mut |large| large.facts(&[at(3, level("s", "A", 999_999))]));
    check("a hold", &mut |large| large.hold("one more", "s", 1));
    check("a confirmation", &mut |large| {
        large.ask(Verb::Confirm, "one more", &json!({"order_ref": "o"}))
    });
    check("an acknowledgement", &mut |large| {
        large.facts(&[json!({"kind": "order.ack", "order_ref": "o5", "as_of": 4})])
    });
    check("a shipment", &mut |large| {
        let line = json!({"sku": "s", "location": "A", "quantity": 1});
        large.facts(&[json!({"kind": "shipment", "ref": "d5", "order_ref": "o5", "as_of": 4, "lines": [line]})])
    });
    check("the level after them", &mut |large| {
        large.facts(&[at(5, level("s", "A", 999_998))])
    });
    small.is_sound();
    large.is_sound();
}

#[test]
fn naming_locations_and_rules_costs_each_as_much_as_the_first() {
    let locations = |from: usize, count: usize| -> Vec<Value> {
        (from..from + count)
            .map(|n| json!({"kind": "location", "location": format!("L{n}"), "priority": n % 7}))
            .collect()
    };
    let rules = |from: usize, count: usize| -> Vec<Value> {
        (from..from + count)
            .map(|n| json!({"kind": "safety", "sku": format!("s{n}"), "location": "A", "absolute": 1}))
            .collect()
    };
    let mut large = Large::new();
    let first = large.facts(&locations(0, 200));
    large.facts(&locations(200, 1_600));
    let last = large.facts(&locations(1_800, 200));
    // Now and then ranks are spread out again over all locations.
    assert!(
        last <= 4 * (first + 2_000),
        "200 locations look at {first}, after 1,800 of them at {last}"
    );
    large.facts(&(0..2_000).map(|n| level(&format!("s{n}"), "A", 1)).collect::<Vec<_>>());
    let first = large.facts(&rules(0, 200));
    large.facts(&rules(200, 1_600));
    let last = large.facts(&rules(1_800, 200));
    assert!(
        last <= 2 * first,
        "200 rules look at {first}, after 1,800 of them at {last}"
    );
    large.is_sound();
}
