//! What is published of a history. That figures are those computed again after every batch is checked by each test that
//! has a [`World`]: its follower publishes.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Engine;
use crate::engine::{Change, Event};
use crate::testing::World;
use crate::testing::history::{lived, lived_under, steps};

fn events_of(world: &mut World) -> Vec<Value> {
    let bodies = world.follower.take_events();
    bodies
        .iter()
        .map(|e| serde_json::from_slice(&e.body).unwrap())
        .collect()
}

fn kinds(world: &mut World) -> Vec<String> {
    let all = events_of(world);
    all.iter()
        .map(|e| e["kind"].as_str().unwrap().to_owned())
        .filter(|kind| kind != "availability")
        .collect()
}

fn figures(changes: &[Change]) -> Vec<(&str, &str, i64, bool)> {
    let mut all: Vec<_> = changes
        .iter()
        .map(|c| (&*c.channel, &*c.sku, c.figure.published, c.gone))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn each_change_of_a_reservation_is_an_event_of_its_name() {
    let mut world = World::new();
    world.level("S", "A", 5);
    events_of(&mut world);
    world.hold("r", "web", &[("S", 2)]);
    world.hold("r", "web", &[("S", 3)]);
    world.confirm("r", "o1");
    world.cancel("r");
    world.hold("q", "web", &[("S", 1)]);
    world.release("q");
    world.hold("p", "web", &[("S", 1)]);
    world.wait(120_000);
    assert_eq!(
        kinds(&mut world),
        [
            "held",
            "held",
            "confirmed",
            "cancelled",
            "held",
            "released",
            "held",
            "expired"
        ]
    );
}

#[test]
fn an_event_shows_the_reservation_as_an_answer_does_and_what_it_was() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.hold("r", "web", &[("S", 2)]);
    events_of(&mut world);
    world.confirm("r", "o1");
    let event = events_of(&mut world).remove(0);
    let sequence = world.engine.position().sequence;
    assert_eq!(event["id"], format!("{sequence}:0"));
    assert_eq!(event["before"], "held");
    assert_eq!(event["reservation"]["order_ref"], "o1");
    assert_eq!(event["reservation"]["sequence"], sequence);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn an_event_names_the_trace_of_the_request_that_did_it() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.trace = Some("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7");
    world.hold("r", "web", &[("S", 2)]);
    world.trace = Some(TRACE);
    world.confirm("r", "o1");
    world.trace = None;
    world.cancel("r");
    let named: Vec<_> = events_of(&mut world)
        .into_iter()
        .filter(|event| event["kind"] != "availability")
        .map(|event| (event["trace"].clone(), event["span"].clone()))
        .collect();
    let id = json!(TRACE);
    assert_eq!(
        named,
        [
            (id.clone(), json!("00f067aa0ba902b7")),
            (id, Value::Null),
            (Value::Null, Value::Null)
        ]
    );
}

#[test]
fn units_that_lose_their_supply_are_a_deficit() {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.supply("d", "S", "A", 4, 3);
    world.order("r", "web", &[("S", 3)]);
    events_of(&mut world);
    let due = world.day(3);
    let cancelled =
        json!({"ref": "d", "line": "1", "sku": "S", "location": "A", "quantity": 4, "due": due, "status": "cancelled"});
    world.next("supply", cancelled);
    let events = events_of(&mut world);
    let deficit = events.iter().find(|e| e["kind"] == "deficit").expect("an event");
    assert_eq!(deficit["unsourced"], 3);
}

#[test]
fn a_figure_that_comes_to_zero_or_leaves_it_is_an_event_and_goes_first() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.level("T", "A", 9);
    world.follower.take_figures(99);
    events_of(&mut world);
    world.level("T", "A", 8);
    world.level("S", "A", 1);
    let crossed: Vec<Value> = events_of(&mut world);
    assert_eq!(crossed.len(), 1, "{crossed:?}");
    assert_eq!((&crossed[0]["sku"], &crossed[0]["published"]), (&json!("S"), &json!(0)));
    let first = world.follower.take_figures(1);
    assert_eq!(figures(&first), [("web", "S", 0, false)]);
    assert_eq!(figures(&world.follower.take_figures(9)), [("web", "T", 7, false)]);
}

#[test]
fn crossing_a_threshold_is_an_event_and_goes_first_once_it_counts() {
    let mut world = World::new();
    world.level("S", "A", 9);
    world.level("T", "A", 99);
    let after = world.engine.position().sequence + 1;
    world.follower.set_thresholds(vec![5, 1], after);
    world.follower.take_figures(99);
    events_of(&mut world);
    world.level("S", "A", 6);
    assert!(events_of(&mut world).is_empty(), "it does not count yet");
    world.level("S", "A", 7);
    world.level("T", "A", 98);
    world.level("S", "A", 5);
    let crossed: Vec<_> = events_of(&mut world);
    let figures_of = |e: &Value| (e["before"].as_i64().unwrap(), e["published"].as_i64().unwrap());
    assert_eq!(crossed.iter().map(figures_of).collect::<Vec<_>>(), [(5, 6), (6, 4)]);
    assert_eq!(figures(&world.follower.take_figures(1)), [("web", "S", 4, false)]);
    world.level("S", "A", 4);
    assert!(events_of(&mut world).is_empty());
}

#[test]
fn what_sells_while_a_figure_is_on_its_way_is_withheld_and_comes_back() {
    let mut world = World::new();
    world.level("S", "A", 101);
    let lags = [("web".to_owned(), 30_000)];
    world.follower.set_pace(60_000, 10);
    world.follower.renew_paces(&lags, 0, 0);
    world.follower.take_figures(99);
    let published = |world: &mut World| {
        let all = world.follower.take_figures(99);
        all.iter()
            .map(|c| (c.figure.published, c.figure.sellable))
            .collect::<Vec<_>>()
    };
    world.hold("r", "web", &[("S", 20)]);
    let sold_ms = world.state().position.now_ms;
    assert_eq!(
        published(&mut world),
        [(71, 81)],
        "20 a minute: 10 in half a minute, in place of the buffer of 1"
    );
    world.level("S", "A", 81);
    assert_eq!(published(&mut world), [(51, 61)], "a level is no sale");
    world.follower.renew_paces(&lags, 0, sold_ms + 59_000);
    assert_eq!(published(&mut world), []);
    world.follower.renew_paces(&lags, 0, sold_ms + 90_000);
    assert_eq!(published(&mut world), [(56, 61)]);
    world.follower.renew_paces(&lags, 0, sold_ms + 120_000);
    assert_eq!(published(&mut world), [(60, 61)]);
    world.follower.renew_paces(&[], 45_000, sold_ms + 120_001);
    world.hold("q", "web", &[("S", 4)]);
    assert_eq!(
        published(&mut world),
        [(54, 57)],
        "a channel whose lag nobody reports has the other one"
    );
}

#[test]
fn a_figure_that_changes_often_is_taken_once() {
    let mut world = World::new();
    world.follower.take_figures(99);
    for on_hand in 1..50 {
        world.level("S", "A", on_hand);
    }
    assert_eq!(figures(&world.follower.take_figures(99)), [("web", "S", 48, false)]);
    assert_eq!(world.follower.figures_waiting(), 0);
}

#[test]
fn what_a_channel_published_is_gone_when_it_no_longer_publishes() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.follower.take_figures(99);
    world.fact("channel", json!({"channel": "web", "locations": "*"}));
    assert_eq!(figures(&world.follower.take_figures(99)), [("web", "S", 0, true)]);
}

#[test]
fn what_was_published_before_is_published_again_only_where_it_is_wrong() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.level("T", "A", 6);
    let taken = world.follower.take_figures(99);
    world.follower.begin_publishing();
    for change in &taken {
        let mut figure = change.figure;
        figure.published += i64::from(change.sku == "T");
        let key = world
            .follower
            .note_published(&change.channel, &change.sku, figure, false);
        assert_eq!(key, Some(change.key));
    }
    assert_eq!(
        world
            .follower
            .note_published("web", "unheard-of", taken[0].figure, false),
        None
    );
    assert_eq!(figures(&world.follower.take_figures(99)), [("web", "T", 5, false)]);
}

/// Events of a core that begins to publish after so many messages, of those that come then.
fn published_after(messages: &[Vec<u8>], begins: usize) -> Vec<Event> {
    let mut engine = Engine::new("main", None);
    for (n, message) in messages.iter().enumerate() {
        if n == begins {
            engine.begin_publishing();
        }
        assert!(engine.apply(n as u64 + 1, message).unwrap());
    }
    engine.take_events()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_changes_nothing_but_what_is_said_of_it(steps in steps(40)) {
        let (mut plain, mut traced) = (lived(&steps), lived_under(Some(TRACE), &steps));
        prop_assert_eq!(plain.engine.digest(), traced.engine.digest());
        let said = format!(",\"trace\":\"{TRACE}\"");
        let shown = |world: &World| -> Vec<String> {
            let events = published_after(&world.messages, 0);
            events.into_iter().map(|event| String::from_utf8(event.body).unwrap().replace(&said, "")).collect()
        };
        prop_assert_eq!(shown(&plain), shown(&traced));
    }

    #[test]
    fn events_follow_from_the_log_alone(steps in steps(40), begins in 0usize..60) {
        let world = lived(&steps);
        let begins = begins % world.messages.len();
        let mut all = published_after(&world.messages, 0);
        all.retain(|event| event.sequence > begins as u64);
        prop_assert_eq!(published_after(&world.messages, begins), all);
    }
}
