//! A hand-over at any moment of an order's life, and levels after a reset.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::Incoming;
use crate::testing::World;

fn level(on_hand: i64, as_of: i64) -> Value {
    json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of})
}

fn ack(as_of: i64) -> Value {
    json!({"kind": "order.ack", "order_ref": "o1", "as_of": as_of})
}

fn shipment(as_of: i64) -> Value {
    let lines = json!([{"sku": "S", "location": "A", "quantity": 3}]);
    json!({"kind": "shipment", "ref": "x", "order_ref": "o1", "lines": lines, "as_of": as_of})
}

fn say(world: &mut World, source: &str, fact: &Value) -> Result<(), String> {
    let mut fields = fact.clone();
    let kind = fields["kind"].take();
    world.try_fact(source, kind.as_str().unwrap(), fields)
}

fn hand_over(world: &mut World) {
    let fields = json!({"location": "A", "source": "wms"});
    assert_eq!(world.try_fact("policy", "ownership", fields), Ok(()));
}

#[test]
fn the_old_owner_is_told_who_owns_the_levels_now() {
    let mut world = World::new();
    say(&mut world, "acme", &level(10, 1)).unwrap();
    hand_over(&mut world);
    let owner = Err("foreign-clock: levels of A come from source wms".to_owned());
    assert_eq!(say(&mut world, "acme", &level(10, 2)), owner);
    let delta = json!({"kind": "stock.delta", "ref": "d", "sku": "S", "location": "A", "quantity": 1, "reason": "", "as_of": 3});
    assert_eq!(say(&mut world, "acme", &delta), owner);
    assert_eq!(say(&mut world, "wms", &level(7, 1)), Ok(()));
    assert_eq!(world.sellable("S", "web"), 7);
    // It can go back.
    assert_eq!(
        world.try_fact("policy", "ownership", json!({"location": "A", "source": "acme"})),
        Ok(())
    );
    assert!(say(&mut world, "wms", &level(7, 2)).is_err());
    assert_eq!(say(&mut world, "acme", &level(6, 1)), Ok(()));
    assert_eq!(world.sellable("S", "web"), 6);
}

#[test]
fn what_the_old_owner_says_on_a_clock_of_times_is_rejected_too() {
    let mut world = World::new();
    let at = |second: u32| json!(format!("2023-11-14T22:00:{second:02}Z"));
    let timed = |mut fact: Value, second: u32| {
        fact["as_of"] = at(second);
        fact
    };
    let delta = json!({"kind": "stock.delta", "ref": "d", "sku": "S", "location": "A", "quantity": 1, "reason": ""});
    say(&mut world, "acme", &timed(level(10, 0), 1)).unwrap();
    hand_over(&mut world);
    say(&mut world, "wms", &timed(level(10, 0), 2)).unwrap();
    assert!(
        say(&mut world, "acme", &timed(delta.clone(), 3))
            .unwrap_err()
            .starts_with("foreign-clock")
    );
    assert_eq!(say(&mut world, "shop", &timed(delta, 3)), Ok(()));
    assert_eq!(world.sellable("S", "web"), 11);
}

#[test]
fn levels_acks_and_the_hand_over_in_one_body_leave_no_dip() {
    for order_of_facts in [[0, 1, 2], [0, 2, 1]] {
        let mut world = World::new();
        say(&mut world, "acme", &level(10, 1)).unwrap();
        world.order("o1", "web", &[("S", 3)]);
        say(&mut world, "acme", &ack(2)).unwrap();
        say(&mut world, "acme", &level(7, 3)).unwrap();
        assert_eq!(world.sellable("S", "web"), 7);
        let facts = [
            json!({"kind": "ownership", "location": "A", "source": "wms"}),
            ack(1),
            level(7, 2),
        ];
        let facts: Vec<&Value> = order_of_facts.iter().map(|&n| &facts[n]).collect();
        let payload = json!({"atomic": true, "facts": facts}).to_string();
        let message = Incoming {
            sequence: 100,
            subject: "hf.main.in.erp.wms",
            payload: payload.as_bytes(),
            sealed: true,
        };
        let decision = world.decide(&[], &[message]);
        assert!(
            decision.received[0].outcome.rejected.is_empty(),
            "{:?}",
            decision.received
        );
        assert_eq!((world.sellable("S", "web"), world.stands("o1")), (7, "in_erp"));
    }
}

#[test]
fn after_a_reset_the_next_level_counts_and_movements_before_it_are_in_it() {
    let mut world = World::new();
    let delta = |reference: &str, as_of: i64| json!({"kind": "stock.delta", "ref": reference, "sku": "S", "location": "A", "quantity": 2, "reason": "", "as_of": as_of});
    let reset = json!({"source": "acme"});
    say(&mut world, "acme", &level(50, 1_000)).unwrap();
    say(&mut world, "acme", &delta("d1", 1_001)).unwrap();
    say(&mut world, "acme", &level(3, 7)).unwrap();
    assert_eq!(world.sellable("S", "web"), 52);
    assert_eq!(world.try_fact("policy", "source.reset", reset), Ok(()));
    assert_eq!(world.sellable("S", "web"), 52);
    say(&mut world, "acme", &delta("d2", 9)).unwrap();
    say(&mut world, "acme", &level(3, 8)).unwrap();
    assert_eq!(world.sellable("S", "web"), 5);
    say(&mut world, "acme", &level(4, 7)).unwrap();
    assert_eq!(world.sellable("S", "web"), 5);
}

#[test]
fn a_reset_is_for_the_cells_that_it_names() {
    let mut world = World::new();
    for sku in ["S", "T"] {
        let mut fact = level(50, 1_000);
        fact["sku"] = json!(sku);
        say(&mut world, "acme", &fact).unwrap();
    }
    let reset = json!({"source": "acme", "location": "A", "sku": "S"});
    assert_eq!(world.try_fact("policy", "source.reset", reset), Ok(()));
    let timed = json!({"kind": "stock.level", "sku": "S", "location": "A", "on_hand": 3, "basis": "net", "as_of": "2023-11-14T22:00:00Z"});
    assert_eq!(say(&mut world, "acme", &timed), Err("mixed-clock".to_owned()));
    for sku in ["S", "T"] {
        let mut fact = level(3, 7);
        fact["sku"] = json!(sku);
        say(&mut world, "acme", &fact).unwrap();
    }
    assert_eq!((world.sellable("S", "web"), world.sellable("T", "web")), (3, 50));
    assert_eq!(
        world.try_fact("policy", "source.reset", json!({"source": "acme"})),
        Ok(())
    );
    assert_eq!(say(&mut world, "acme", &timed), Ok(()));
}

/// What happens, in this order; who tells it depends on who owns the location by then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Order,
    Ack,
    Ship,
    Level,
    HandOver,
}

/// An order's life with levels in between, and a hand-over at some moment of it; at the end the new owner tells all.
fn lives() -> impl Strategy<Value = Vec<Event>> {
    (
        prop::collection::vec(any::<bool>(), 4),
        any::<bool>(),
        any::<bool>(),
        0..8_usize,
    )
        .prop_map(|(levels, acked, shipped, at)| {
            let mut life = vec![Event::Level];
            for (n, event) in [
                Some(Event::Order),
                acked.then_some(Event::Ack),
                shipped.then_some(Event::Ship),
            ]
            .into_iter()
            .enumerate()
            {
                life.extend(event);
                life.extend(levels[n].then_some(Event::Level));
            }
            life.insert(at.clamp(1, life.len()), Event::HandOver);
            if levels[3] {
                life.push(Event::Level);
            }
            life.extend([Event::Ack, Event::Level]);
            life
        })
}

proptest! {
    #[test]
    fn a_hand_over_at_any_moment_sells_nothing_twice(life in lives(), is_net in any::<bool>()) {
        let (mut world, mut source, mut as_of) = (World::new(), "acme", 0);
        // What lies there, and what the order still has of it; by the ERP that knows of it.
        let (mut on_hand, mut open, mut is_acked) = (10, 0, false);
        for event in life {
            as_of += 1;
            match event {
                Event::Order => {
                    world.order("o1", "web", &[("S", 3)]);
                    open = 3;
                }
                Event::Ack => {
                    is_acked = true;
                    if open > 0 {
                        say(&mut world, source, &ack(as_of)).unwrap();
                    }
                }
                Event::Ship => {
                    (on_hand, open) = (on_hand - open, 0);
                    say(&mut world, source, &shipment(as_of)).unwrap();
                }
                Event::Level => {
                    let counted = if is_acked { open } else { 0 };
                    let mut fact = if is_net { level(on_hand - counted, as_of) } else { level(on_hand, as_of) };
                    if !is_net {
                        fact["basis"] = json!("gross");
                        fact["allocated"] = json!(counted);
                    }
                    say(&mut world, source, &fact).unwrap();
                }
                Event::HandOver => {
                    hand_over(&mut world);
                    // The new owner begins to number; it knows of the order what it acknowledges.
                    (source, as_of, is_acked) = ("wms", 0, false);
                }
            }
            let sellable = world.sellable("S", "web");
            prop_assert!(sellable <= on_hand - open, "{sellable} of {} after {event:?}", on_hand - open);
        }
        prop_assert_eq!(world.sellable("S", "web"), on_hand - open);
    }
}

#[test]
fn what_is_presumed_stays_received_until_its_line_is_stated_again() {
    let reset = ("source.reset", json!({"source": "acme", "location": "A"}));
    let handed_over = ("ownership", json!({"location": "A", "source": "wms"}));
    for (kind, fields) in [reset, handed_over] {
        let mut world = World::new();
        world.channel("web", json!({"supply_horizon_days": 30}));
        let mut line = json!({"kind": "supply", "ref": "PO", "line": "1", "sku": "S", "location": "A", "quantity": 100,
            "due": world.day(7), "as_of": 1});
        say(&mut world, "acme", &line).unwrap();
        say(&mut world, "acme", &level(30, 20)).unwrap();
        assert_eq!(world.sellable("S", "web"), 100, "{kind}");
        assert_eq!(world.try_fact("policy", kind, fields), Ok(()));
        assert_eq!(world.sellable("S", "web"), 100, "{kind}");
        (line["quantity"], line["as_of"]) = (json!(70), json!(21));
        say(&mut world, "acme", &line).unwrap();
        assert_eq!(world.sellable("S", "web"), 100, "{kind}");
    }
}

#[test]
fn the_first_level_counts_after_a_hand_over_there_and_back() {
    let mut world = World::new();
    say(&mut world, "acme", &level(9, 15)).unwrap();
    for source in ["wms", "acme"] {
        let fields = json!({"location": "A", "source": source});
        assert_eq!(world.try_fact("policy", "ownership", fields), Ok(()));
    }
    say(&mut world, "acme", &level(2, 14)).unwrap();
    assert_eq!(world.sellable("S", "web"), 2);
}

#[test]
fn a_transfer_goes_on_after_its_source_was_reset() {
    let mut world = World::new();
    world.location("B", json!({}));
    world.channel("web", json!({"supply_horizon_days": 30}));
    say(&mut world, "acme", &level(10, 40)).unwrap();
    let mut transfer = json!({"kind": "transfer", "ref": "T", "sku": "S", "from": "A", "to": "B", "quantity": 4,
        "status": "shipped", "as_of": 50});
    say(&mut world, "acme", &transfer).unwrap();
    assert_eq!(
        world.try_fact("policy", "source.reset", json!({"source": "acme"})),
        Ok(())
    );
    (transfer["status"], transfer["as_of"]) = (json!("received"), json!(2));
    say(&mut world, "acme", &transfer).unwrap();
    let mut there = level(4, 3);
    there["location"] = json!("B");
    say(&mut world, "acme", &there).unwrap();
    say(&mut world, "acme", &level(6, 3)).unwrap();
    assert_eq!(world.sellable("S", "web"), 10);
}

#[test]
fn after_a_reset_of_a_whole_source_what_had_left_is_in_every_level_that_follows() {
    for (of, is_whole) in [
        (json!({}), true),
        (json!({"sku": "S"}), false),
        (json!({"location": "A"}), false),
    ] {
        let mut world = World::new();
        say(&mut world, "acme", &level(9, 1_000)).unwrap();
        world.order("o1", "web", &[("S", 2)]);
        let lines = json!([{"sku": "S", "quantity": 2}]);
        let shipment = json!({"kind": "shipment", "ref": "s", "order_ref": "o1", "lines": lines, "as_of": 1_001});
        say(&mut world, "acme", &shipment).unwrap();
        let mut reset = json!({"source": "acme"});
        reset.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        assert_eq!(world.try_fact("policy", "source.reset", reset), Ok(()));
        assert_eq!(
            world.sellable("S", "web"),
            7,
            "the level of before does not know that they left"
        );
        for (on_hand, as_of) in [(7, 3), (6, 4)] {
            say(&mut world, "acme", &level(on_hand, as_of)).unwrap();
            let owed = if is_whole { 0 } else { 2 };
            assert_eq!(world.sellable("S", "web"), on_hand - owed);
        }
        say(&mut world, "acme", &level(5, 1_001)).unwrap();
        assert_eq!(world.sellable("S", "web"), 5);
    }
}
