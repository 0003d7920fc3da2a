//! Units in transfer are never in two places, in any order of statements and levels.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::World;

type Stated = (&'static str, Value);

fn transfer(status: &str, quantity: i64, as_of: i64) -> Stated {
    let fields = json!({"ref": "T", "sku": "S", "from": "A", "to": "B", "quantity": quantity, "status": status,
        "due": "2023-11-20", "as_of": as_of});
    ("transfer", fields)
}

fn level(location: &str, on_hand: i64, as_of: i64) -> Stated {
    let fields = json!({"sku": "S", "location": location, "on_hand": on_hand, "basis": "net", "as_of": as_of});
    ("stock.level", fields)
}

/// `web` looks a month ahead at both, `a` and `b` sell what is on hand at one.
fn shops() -> World {
    let mut world = World::new();
    world.channel("web", json!({"supply_horizon_days": 30}));
    world.channel("a", json!({"locations": ["A"]}));
    world.channel("b", json!({"locations": ["B"]}));
    world
}

fn tell(world: &mut World, facts: &[Stated]) -> Vec<[i64; 3]> {
    let each = |(kind, fields): &Stated| {
        world.fact(kind, fields.clone());
        ["web", "a", "b"].map(|channel| world.sellable("S", channel))
    };
    facts.iter().map(each).collect()
}

#[test]
fn a_transfer_leaves_is_on_its_way_and_arrives() {
    let mut world = shops();
    let facts = [
        level("A", 40, 1),
        level("B", 5, 1),
        transfer("shipped", 10, 2),
        level("A", 30, 3),
        transfer("received", 10, 4),
        level("B", 15, 5),
        level("A", 30, 6),
    ];
    let expected = [
        [40, 40, 0],
        [45, 40, 5],
        [45, 30, 5],
        [45, 30, 5],
        [45, 30, 15],
        [45, 30, 15],
        [45, 30, 15],
    ];
    assert_eq!(tell(&mut world, &facts), expected);
}

#[test]
fn a_cancelled_transfer_is_back_where_it_was() {
    for late in [false, true] {
        let mut world = shops();
        let mut facts = [transfer("shipped", 10, 2), transfer("cancelled", 10, 4)];
        if late {
            facts.reverse();
        }
        tell(&mut world, &[level("A", 40, 1), level("A", 30, 3)]);
        assert_eq!(tell(&mut world, &facts)[1], [40, 40, 0], "{late}");
        assert_eq!(tell(&mut world, &[level("A", 40, 5)])[0], [40, 40, 0]);
    }
}

#[test]
fn the_level_that_shows_the_arrival_first_counts_it_once() {
    let mut world = shops();
    let facts = [
        level("A", 40, 1),
        level("B", 5, 1),
        transfer("shipped", 10, 2),
        level("B", 15, 5),
        transfer("received", 10, 4),
    ];
    let expected = [[40, 40, 0], [45, 40, 5], [45, 30, 5], [45, 30, 15], [45, 30, 15]];
    assert_eq!(tell(&mut world, &facts), expected);
}

#[test]
fn bound_units_arrive_with_their_transfer() {
    let mut world = shops();
    tell(
        &mut world,
        &[level("A", 4, 1), level("B", 0, 1), transfer("shipped", 4, 2)],
    );
    world.order("o1", "web", &[("S", 3)]);
    assert_eq!(world.units("o1"), "3 S on T");
    assert_eq!(tell(&mut world, &[transfer("received", 4, 3)]), [[1, 0, 1]]);
    assert_eq!(world.units("o1"), "3 S at B");
}

#[test]
fn what_is_lost_on_the_way_is_on_hand_nowhere() {
    let mut world = shops();
    let facts = [
        level("A", 40, 1),
        transfer("shipped", 10, 2),
        transfer("received", 8, 3),
        level("A", 30, 4),
    ];
    assert_eq!(
        tell(&mut world, &facts),
        [[40, 40, 0], [40, 30, 0], [38, 30, 8], [38, 30, 8]]
    );
}

/// A transfer of `units` with levels between its steps; it ends by the last of `steps`.
fn facts_of(units: i64, ends: &str, levels: &[bool]) -> Vec<Stated> {
    let (mut a, mut b) = (20, 3);
    let mut facts = vec![level("A", a, 0), level("B", b, 0)];
    let mut as_of = 1;
    let all = |facts: &mut Vec<Stated>, n: usize, a: i64, b: i64, as_of: &mut i64| {
        for (location, on_hand, is) in [("A", a, levels[2 * n]), ("B", b, levels[2 * n + 1])] {
            if is {
                facts.push(level(location, on_hand, *as_of));
                *as_of += 1;
            }
        }
    };
    a -= units;
    facts.push(transfer("shipped", units, as_of));
    as_of += 1;
    all(&mut facts, 0, a, b, &mut as_of);
    if ends != "shipped" {
        if ends == "received" {
            b += units;
        } else {
            a += units;
        }
        facts.push(transfer(ends, units, as_of));
        as_of += 1;
    }
    all(&mut facts, 1, a, b, &mut as_of);
    facts
}

proptest! {
    #[test]
    fn in_any_order_the_end_is_exact_and_nothing_is_in_two_places(
        (opening, later, ends) in (
            1..20_i64,
            prop::sample::select(vec!["shipped", "received", "cancelled"]),
            prop::collection::vec(any::<bool>(), 4),
        ).prop_flat_map(|(units, ends, levels)| {
            let mut facts = facts_of(units, ends, &levels);
            let later = facts.split_off(2);
            (Just(facts), Just(later).prop_shuffle(), Just(ends))
        })
    ) {
        let mut world = shops();
        let mut stated = false;
        for (kind, fields) in opening.iter().chain(&later) {
            world.fact(kind, fields.clone());
            // A level that shows what came back is not known to do so before the transfer is.
            stated |= *kind == "transfer" && (ends != "cancelled" || fields["status"] == ends);
            let sellable = world.sellable("S", "web");
            prop_assert!(!stated || sellable <= 23, "{sellable} after {kind} {fields}, {ends}");
        }
        prop_assert_eq!(world.sellable("S", "web"), 23);
    }
}

#[test]
fn without_a_due_day_the_same_statement_is_a_repeat_on_any_day() {
    let mut world = shops();
    let (kind, mut fields) = transfer("shipped", 10, 2);
    fields.as_object_mut().unwrap().remove("due");
    world.fact(kind, fields.clone());
    world.wait(2 * 86_400_000);
    let repeats = world.state().counters.repeats;
    world.fact(kind, fields.clone());
    assert_eq!(world.state().counters.repeats, repeats + 1);
    fields["as_of"] = json!(3);
    world.fact(kind, fields);
    assert_eq!(world.state().counters.repeats, repeats + 1);
}
