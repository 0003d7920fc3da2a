//! A receipt is stock and no longer supply, once, in any order of levels, statements and receipts.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::World;

type Stated = (&'static str, Value);

#[allow(clippy::needless_pass_by_value, reason = "json! at each call")]
fn receipt(quantity: i64, as_of: i64, more: Value) -> Stated {
    let mut fields =
        json!({"ref": "PO", "line": "1", "sku": "S", "location": "A", "quantity": quantity, "as_of": as_of});
    fields
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ("receipt", fields)
}

fn supply(reference: &str, quantity: i64, as_of: i64) -> Stated {
    let fields = json!({"ref": reference, "line": "1", "sku": "S", "location": "A", "quantity": quantity,
        "due": "2023-11-20", "as_of": as_of});
    ("supply", fields)
}

fn level(on_hand: i64, as_of: i64) -> Stated {
    let fields = json!({"sku": "S", "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of});
    ("stock.level", fields)
}

/// `web` looks a month ahead, `shop` not.
fn shops() -> World {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 30}));
    world.channel("shop", json!({}));
    world
}

fn tell(world: &mut World, facts: &[Stated]) -> Vec<(i64, i64)> {
    let each = |(kind, fields): &Stated| {
        world.fact(kind, fields.clone());
        (world.sellable("S", "web"), world.sellable("S", "shop"))
    };
    facts.iter().map(each).collect()
}

#[test]
fn a_receipt_moves_units_from_the_line_to_the_shelf_once() {
    let mut world = shops();
    let facts = [
        supply("PO", 100, 1),
        receipt(30, 2, json!({})),
        receipt(30, 2, json!({})),
        level(30, 3),
        supply("PO", 70, 4),
        receipt(30, 2, json!({})),
    ];
    assert_eq!(
        tell(&mut world, &facts),
        [(100, 0), (100, 30), (100, 30), (100, 30), (100, 30), (100, 30)]
    );
}

#[test]
fn a_receipt_is_corrected_by_a_version_and_withdrawn_by_none() {
    let mut world = shops();
    let facts = [
        supply("PO", 100, 1),
        receipt(30, 2, json!({"version": 1})),
        receipt(50, 3, json!({"version": 2})),
        receipt(0, 4, json!({"version": 3})),
        receipt(50, 3, json!({"version": 2})),
    ];
    assert_eq!(
        tell(&mut world, &facts),
        [(100, 0), (100, 30), (100, 50), (100, 0), (100, 0)]
    );
}

#[test]
fn a_receipt_before_its_line_waits_for_it() {
    let mut world = shops();
    assert_eq!(
        tell(&mut world, &[receipt(30, 2, json!({})), supply("PO", 100, 1)]),
        [(30, 30), (100, 30)]
    );
    let mut world = shops();
    assert_eq!(
        tell(&mut world, &[receipt(30, 2, json!({})), supply("PO", 70, 3)]),
        [(30, 30), (100, 30)]
    );
}

#[test]
fn a_line_that_counts_the_receipt_already_is_not_lowered_again() {
    let mut world = shops();
    let facts = [supply("PO", 100, 1), supply("PO", 70, 3), receipt(30, 2, json!({}))];
    assert_eq!(tell(&mut world, &facts), [(100, 0), (70, 0), (100, 30)]);
}

#[test]
fn the_oldest_bound_units_go_to_the_shelf_with_what_arrived() {
    let mut world = shops();
    tell(&mut world, &[level(0, 0), supply("PO", 10, 1)]);
    world.order("o1", "web", &[("S", 4)]);
    world.order("o2", "web", &[("S", 4)]);
    world.fact("order.ack", json!({"order_ref": "o1", "as_of": 0}));
    assert_eq!(tell(&mut world, &[receipt(6, 2, json!({}))]), [(2, 0)]);
    assert_eq!(
        (world.units("o1"), world.units("o2")),
        ("4 S at A".to_owned(), "2 S at A, 2 S on PO".to_owned())
    );
    // The level counts the order that was acknowledged, and not the other.
    assert_eq!(tell(&mut world, &[level(2, 3)]), [(2, 0)]);
    assert_eq!(world.units("o1"), "4 S at A inside");
}

/// What an ERP does to two lines, and when it says so.
#[derive(Debug, Clone)]
enum Event {
    Receive {
        line: usize,
        units: i64,
        says_receipt: bool,
    },
    Level,
    Tell(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..2_usize, 1..12_i64, any::<bool>())
            .prop_map(|(line, units, says_receipt)| Event::Receive { line, units, says_receipt }),
        2 => Just(Event::Level),
        2 => (0..2_usize).prop_map(Event::Tell),
    ];
    prop::collection::vec(event, 1..8)
}

/// The facts of a history, in the order of their `as_of`; at the end a level, and both lines after it.
fn facts_of(events: &[Event], opening: i64, lines: [i64; 2]) -> Vec<Stated> {
    const NAMES: [&str; 2] = ["P0", "P1"];
    let (mut on_hand, mut open, mut received) = (opening, lines, [(0, 0); 2]);
    let mut facts = vec![level(on_hand, 0), supply("P0", open[0], 1), supply("P1", open[1], 2)];
    let last = [Event::Level, Event::Tell(0), Event::Tell(1)];
    for (event, as_of) in events.iter().chain(&last).zip(3..) {
        match *event {
            Event::Receive {
                line,
                units,
                says_receipt,
            } => {
                let units = units.min(open[line]);
                on_hand += units;
                open[line] -= units;
                if says_receipt {
                    let (version, sum) = &mut received[line];
                    (*version, *sum) = (*version + 1, *sum + units);
                    let more = json!({"ref": NAMES[line], "version": *version});
                    facts.push(receipt(*sum, as_of, more));
                }
            }
            Event::Level => facts.push(level(on_hand, as_of)),
            Event::Tell(line) => facts.push(supply(NAMES[line], open[line], as_of)),
        }
    }
    facts
}

/// Any order but that of the versions of one document: what is newest of it counts as of its moment.
fn with_versions_in_order(mut facts: Vec<Stated>) -> Vec<Stated> {
    for name in ["P0", "P1"] {
        let is_of = |(kind, fields): &Stated| *kind == "receipt" && fields["ref"] == name;
        let places: Vec<usize> = (0..facts.len()).filter(|&n| is_of(&facts[n])).collect();
        let mut receipts: Vec<Stated> = places.iter().map(|&n| facts[n].clone()).collect();
        receipts.sort_by_key(|(_, fields)| fields["version"].as_i64());
        for (place, receipt) in places.into_iter().zip(receipts) {
            facts[place] = receipt;
        }
    }
    facts
}

proptest! {
    #[test]
    fn whatever_comes_first_nothing_is_sold_twice_and_the_end_is_exact(
        (facts, total) in (events(), 0..20_i64, [1..30_i64, 1..30_i64]).prop_flat_map(|(events, opening, lines)| {
            let total = opening + lines[0] + lines[1];
            (Just(facts_of(&events, opening, lines)).prop_shuffle(), Just(total))
        })
    ) {
        let mut world = shops();
        for (kind, fields) in &with_versions_in_order(facts) {
            world.fact(kind, fields.clone());
            let sellable = world.sellable("S", "web");
            prop_assert!(sellable <= total, "{sellable} of {total} after {kind} {fields}");
        }
        prop_assert_eq!(world.sellable("S", "web"), total);
    }
}

#[test]
fn a_receipt_that_is_corrected_after_its_line_was_forgotten_makes_no_supply() {
    let mut world = World::empty(r#"{"identities_max":4}"#);
    world.location("A", json!({}));
    world.channel("web", json!({"supply_horizon_days": 30}));
    let close = |reference: &str, as_of: i64| {
        let mut fields = supply(reference, 5, as_of).1;
        fields["status"] = json!("received");
        ("supply", fields)
    };
    tell(
        &mut world,
        &[supply("PO", 5, 1), receipt(3, 2, json!({"version": 1})), close("PO", 3)],
    );
    for (n, reference) in ["P1", "P2", "P3", "P4", "P5"].into_iter().enumerate() {
        tell(&mut world, &[close(reference, 4 + n as i64)]);
    }
    let seen = tell(&mut world, &[receipt(1, 20, json!({"version": 2}))]);
    assert_eq!(seen, [(1, 1)]);
}
