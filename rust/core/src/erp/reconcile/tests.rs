//! Each order is counted once, in whatever order level, acknowledgement and shipment arrive (docs/rules.md, section 3).

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::state::reservations::set_short;
use crate::testing::World;
use crate::testing::history::{lived, steps};

/// A fact of the ERP, as it was true at its `as_of`.
#[derive(Debug, Clone)]
struct Said {
    kind: &'static str,
    fields: Value,
}

impl Said {
    fn by(&self, world: &mut World) {
        world.fact(self.kind, self.fields.clone());
    }
}

fn level(on_hand: i64, allocated: Option<i64>, basis: &str, as_of: i64) -> Said {
    let fields = json!({"sku": "S", "location": "A", "on_hand": on_hand, "allocated": allocated, "basis": basis, "as_of": as_of});
    Said {
        kind: "stock.level",
        fields,
    }
}

fn ack(as_of: i64) -> Said {
    Said {
        kind: "order.ack",
        fields: json!({"order_ref": "o1", "as_of": as_of}),
    }
}

fn shipment(quantity: i64, as_of: i64) -> Said {
    let lines = json!([{"sku": "S", "location": "A", "quantity": quantity}]);
    Said {
        kind: "shipment",
        fields: json!({"ref": format!("s{as_of}"), "order_ref": "o1", "lines": lines, "as_of": as_of}),
    }
}

fn taken_off(status: &str, quantity: i64, as_of: i64) -> Said {
    let lines = json!([{"sku": "S", "quantity": quantity}]);
    Said {
        kind: "order.update",
        fields: json!({"ref": "u1", "order_ref": "o1", "status": status, "lines": lines, "as_of": as_of}),
    }
}

/// Every order in which things may arrive.
fn orders<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..of.len() {
        let mut others = of.to_vec();
        let first = others.remove(first);
        for mut rest in orders(&others) {
            rest.insert(0, first.clone());
            all.push(rest);
        }
    }
    all
}

/// Ten in stock by `opening`, of which an order has three.
fn ordered(opening: &Said) -> World {
    let mut world = World::new();
    opening.by(&mut world);
    world.order("o1", "web", &[("S", 3)]);
    assert_eq!((world.sellable("S", "web"), world.stands("o1")), (7, "committed"));
    world
}

/// In every order of arrival: never more than `most` on the way, `end` at the end, and the order stands as `stands`.
fn assert_counted_once(opening: &Said, facts: &[Said], (most, end, stands): (i64, i64, &str)) {
    for arrival in orders(facts) {
        let mut world = ordered(opening);
        for said in &arrival {
            said.by(&mut world);
            let sellable = world.sellable("S", "web");
            assert!(sellable <= most, "{sellable} after {said:?} of {arrival:?}");
        }
        assert_eq!(
            (world.sellable("S", "web"), world.stands("o1")),
            (end, stands),
            "{arrival:?}"
        );
    }
}

#[test]
fn a_net_level_an_acknowledgement_and_a_shipment_may_arrive_in_any_order() {
    // The ERP takes the order in at 5, so its level at 6 is net of it; it leaves at 7, and the level at 8 has lost it.
    let facts = [
        ack(5),
        level(7, None, "net", 6),
        shipment(3, 7),
        level(7, None, "net", 8),
    ];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "fulfilled"));
}

#[test]
fn a_gross_level_that_says_what_is_allocated_is_as_good() {
    let facts = [
        ack(5),
        level(10, Some(3), "gross", 6),
        shipment(3, 7),
        level(7, Some(0), "gross", 8),
    ];
    assert_counted_once(&level(10, Some(0), "gross", 1), &facts, (7, 7, "fulfilled"));
}

#[test]
fn a_gross_level_that_does_not_say_counts_the_order_until_it_ships() {
    let facts = [ack(5), level(10, None, "gross", 6)];
    assert_counted_once(&level(10, None, "gross", 1), &facts, (7, 7, "committed"));
    let facts = [ack(5), shipment(3, 7), level(7, None, "gross", 8)];
    assert_counted_once(&level(10, None, "gross", 1), &facts, (7, 7, "fulfilled"));
}

#[test]
fn a_level_before_the_acknowledgement_does_not_count_the_order() {
    let facts = [level(10, None, "net", 4), ack(5)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "committed"));
    let facts = [ack(5), level(7, None, "net", 5)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "in_erp"));
}

#[test]
fn a_part_that_shipped_is_counted_apart_from_the_rest() {
    // Two of three leave at 7. The level at 8 is net of the third, which is acknowledged.
    let facts = [ack(5), shipment(2, 7), level(7, None, "net", 8)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "in_erp"));
    // Without an acknowledgement the third is deducted here: the ERP has eight, and does not know of it.
    let facts = [shipment(2, 7), level(8, None, "net", 8)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "committed"));
}

#[test]
fn what_the_erp_cancels_of_an_order_comes_back_once() {
    // One of three is cancelled at 7; the ERP counts it as free from then on.
    let facts = [ack(5), taken_off("cancelled", 1, 7), level(8, None, "net", 8)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (8, 8, "in_erp"));
}

#[test]
fn what_was_picked_short_counts_as_shipped() {
    let facts = [taken_off("short", 3, 7), level(7, None, "net", 8)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (7, 7, "fulfilled"));
}

#[test]
fn a_movement_beside_the_order_is_counted_once_too() {
    let found = Said {
        kind: "stock.delta",
        fields: json!({"sku": "S", "location": "A", "quantity": 4, "reason": "found", "ref": "d1", "as_of": 6}),
    };
    let facts = [ack(5), found, level(11, None, "net", 7)];
    assert_counted_once(&level(10, None, "net", 1), &facts, (11, 11, "in_erp"));
}

#[test]
fn an_acknowledgement_may_come_before_the_order_itself() {
    for arrival in orders(&["confirm", "ack", "level"]) {
        let mut world = World::new();
        level(10, None, "net", 1).by(&mut world);
        world.hold("o1", "web", &[("S", 3)]);
        for what in &arrival {
            match *what {
                "confirm" => assert_eq!(world.confirm("o1", "o1").status, 200),
                "ack" => ack(5).by(&mut world),
                _ => level(7, None, "net", 6).by(&mut world),
            }
            assert!(world.sellable("S", "web") <= 7, "{arrival:?}");
        }
        assert_eq!(
            (world.sellable("S", "web"), world.stands("o1")),
            (7, "in_erp"),
            "{arrival:?}"
        );
    }
}

#[test]
fn an_acknowledgement_that_names_another_location_moves_the_units_there() {
    let moved = Said {
        kind: "order.ack",
        fields: json!({"order_ref": "o1", "as_of": 5, "lines": [{"sku": "S", "location": "B"}]}),
    };
    let at_b = Said {
        kind: "stock.level",
        fields: json!({"sku": "S", "location": "B", "on_hand": 1, "basis": "net", "as_of": 6}),
    };
    // Four at B, of which the ERP gives the order three; at A all ten are free.
    for arrival in orders(&[moved, at_b, level(10, None, "net", 6)]) {
        let mut world = World::new();
        world.fact(
            "stock.level",
            json!({"sku": "S", "location": "B", "on_hand": 4, "basis": "net", "as_of": 1}),
        );
        level(10, None, "net", 1).by(&mut world);
        world.order("o1", "web", &[("S", 3)]);
        for said in &arrival {
            said.by(&mut world);
            assert!(world.sellable("S", "web") <= 11, "{arrival:?}");
        }
        assert_eq!(
            (world.sellable("S", "web"), world.units("o1")),
            (11, "3 S at B inside".to_owned()),
            "{arrival:?}"
        );
    }
}

#[test]
fn an_acknowledgement_of_another_source_says_nothing_about_a_level() {
    let mut world = ordered(&level(10, None, "net", 1));
    let foreign = json!({"order_ref": "o1", "as_of": 5});
    assert_eq!(world.try_fact("shop", "order.ack", foreign), Ok(()));
    level(7, None, "net", 6).by(&mut world);
    assert_eq!(
        (world.sellable("S", "web"), world.stands("o1")),
        (4, "committed"),
        "counted twice: at worst too little can be sold"
    );
}

#[test]
fn a_level_that_is_older_than_the_one_held_changes_nothing() {
    let mut world = ordered(&level(10, None, "net", 5));
    level(99, None, "net", 4).by(&mut world);
    assert_eq!(world.sellable("S", "web"), 7);
    level(12, None, "net", 5).by(&mut world);
    assert_eq!(world.sellable("S", "web"), 9, "an equal one replaces");
}

#[test]
fn an_order_stands_as_its_least_advanced_unit() {
    let mut world = World::new();
    world.level("S", "A", 2);
    world.level("S", "B", 2);
    world.order("o1", "web", &[("S", 3)]);
    world.next("order.ack", json!({"order_ref": "o1"}));
    world.level("S", "A", 0);
    assert_eq!(
        (world.stands("o1"), world.units("o1")),
        ("committed", "2 S at A inside, 1 S at B".to_owned())
    );
    world.level("S", "B", 1);
    assert_eq!(world.stands("o1"), "in_erp");
    let lines = json!([{"sku": "S", "location": "A", "quantity": 2}, {"sku": "S", "location": "B", "quantity": 1}]);
    world.next("shipment", json!({"ref": "s1", "order_ref": "o1", "lines": lines}));
    assert_eq!(world.stands("o1"), "fulfilled");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn levels_that_look_only_at_orders_awake_come_to_the_same(history in steps(60)) {
        set_short(usize::MAX);
        let mut all = lived(&history);
        set_short(0);
        let mut awake = lived(&history);
        prop_assert_eq!(all.engine.digest(), awake.engine.digest());
    }
}
