//! Which units no stock, supply or policy covers, and that their sum is what is missing.

use proptest::prelude::*;
use serde_json::json;

use super::{Deficits, is_live};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId};
use crate::testing::World;

fn missing(world: &World, id: &str) -> i64 {
    let found = Deficits::new(world.state()).of(world.state().reservations.get(world.slot(id)));
    found.iter().map(|d| d.units).sum()
}

#[test]
fn the_youngest_order_bears_what_is_missing() {
    let mut world = World::new();
    world.level("S", "A", 10);
    for id in ["first", "second", "third"] {
        world.order(id, "web", &[("S", 3)]);
    }
    world.level("S", "A", 5);
    assert_eq!(
        [
            missing(&world, "first"),
            missing(&world, "second"),
            missing(&world, "third")
        ],
        [0, 1, 3]
    );
    world.cancel("second");
    assert_eq!([missing(&world, "first"), missing(&world, "third")], [0, 1]);
    world.level("S", "A", 6);
    assert_eq!(missing(&world, "third"), 0);
}

#[test]
fn a_hold_lacks_what_confirming_it_next_would_lack() {
    let mut world = World::new();
    world.level("S", "A", 10);
    world.order("o", "web", &[("S", 4)]);
    world.hold("h", "web", &[("S", 3)]);
    world.hold("i", "web", &[("S", 3)]);
    world.level("S", "A", 5);
    assert_eq!(
        [missing(&world, "o"), missing(&world, "h"), missing(&world, "i")],
        [0, 2, 2]
    );
}

#[test]
fn supply_to_the_place_covers_and_stock_elsewhere_does_not() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.level("S", "B", 0);
    world.order("o", "web", &[("S", 5)]);
    world.level("S", "A", 1);
    assert_eq!(missing(&world, "o"), 4);
    world.level("S", "B", 50);
    assert_eq!(missing(&world, "o"), 4, "what lies elsewhere may be sold");
    world.supply("PO", "S", "A", 3, 5);
    assert_eq!(missing(&world, "o"), 1);
}

#[test]
fn unsourced_units_are_covered_by_their_rule_oldest_first() {
    let mut world = World::new();
    world.level("S", "A", 0);
    world.oversell("web", 5);
    world.order("first", "web", &[("S", 3)]);
    world.order("second", "web", &[("S", 2)]);
    assert_eq!([missing(&world, "first"), missing(&world, "second")], [0, 0]);
    world.oversell("web", 4);
    assert_eq!([missing(&world, "first"), missing(&world, "second")], [0, 1]);
    world.fact("oversell", json!({"channel": "web", "policy": "none"}));
    assert_eq!([missing(&world, "first"), missing(&world, "second")], [3, 2]);
    world.fact("oversell", json!({"channel": "web", "policy": "unlimited"}));
    assert_eq!([missing(&world, "first"), missing(&world, "second")], [0, 0]);
}

#[test]
fn units_inside_the_level_lack_last() {
    let mut world = World::new();
    world.level("S", "A", 10);
    world.order("acked", "web", &[("S", 4)]);
    world.next(
        "order.ack",
        json!({"order_ref": "acked", "lines": [{"sku": "S", "location": "A"}]}),
    );
    world.level("S", "A", 6);
    assert_eq!(world.units("acked"), "4 S at A inside");
    world.order("later", "web", &[("S", 3)]);
    world.level("S", "A", 2);
    assert_eq!([missing(&world, "acked"), missing(&world, "later")], [0, 1]);
    world.level("S", "A", -2);
    assert_eq!([missing(&world, "acked"), missing(&world, "later")], [2, 3]);
}

/// What is missing at a cell for orders alone, by the cell's numbers.
fn missing_at(state: &State, sku: SkuId, location: LocationId) -> i64 {
    let cell = state.cell(sku, location).unwrap();
    (cell.owed() - cell.held - (cell.on_hand - cell.unsellable)).max(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Orders together lack what their cell lacks, and only the youngest do.
    #[test]
    fn orders_lack_together_what_is_missing(
        steps in prop::collection::vec((0_u8..5, 0_i64..12), 1..30),
    ) {
        let mut world = World::new();
        world.level("S", "A", 30);
        for (n, (step, quantity)) in steps.into_iter().enumerate() {
            let lines = [("S", quantity.max(1))];
            match step {
                0 | 1 => {
                    let id = format!("o{n}");
                    if world.try_hold(&id, "web", &lines).is_done() && step == 0 {
                        world.confirm(&id, &id);
                    }
                }
                2 => { world.cancel(&format!("o{quantity}")); }
                _ => world.level("S", "A", quantity),
            }
        }
        let state = world.state();
        let mut all = Deficits::new(state);
        let mut orders = Vec::new();
        for (_, r) in state.reservations.iter().filter(|(_, r)| is_live(r)) {
            let units: i64 = r.portions.iter().map(|p| p.quantity).sum();
            let lacks: i64 = all.of(r).iter().map(|d| d.units).sum();
            prop_assert!((0..=units).contains(&lacks));
            if r.state.is_confirmed() {
                orders.push((r.serial, units, lacks));
            }
        }
        let lack: i64 = orders.iter().map(|(.., lacks)| lacks).sum();
        let units: i64 = orders.iter().map(|(_, units, _)| units).sum();
        prop_assert_eq!(lack, missing_at(state, world.sku("S"), world.location_id("A")).min(units));
        orders.sort_unstable();
        let first = orders.iter().position(|(.., lacks)| *lacks > 0).unwrap_or(orders.len());
        prop_assert!(orders.iter().skip(first + 1).all(|(_, units, lacks)| units == lacks));
    }
}
