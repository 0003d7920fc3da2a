//! Which nodes serve a sale, and in which order (docs/rules.md, "Placement").

use proptest::prelude::*;
use serde_json::json;

use crate::placement::sourcing::{PlacementRequest, choose};
use crate::state::policies::QuotaKind;
use crate::testing::World;

fn stocked(levels: &[(&str, i64)]) -> World {
    let mut world = World::new();
    for (location, on_hand) in levels {
        world.level("S", location, *on_hand);
    }
    world
}

#[test]
fn the_lower_priority_number_goes_first_then_the_name() {
    let mut world = World::new();
    world.location("A", json!({"priority": 2}));
    world.location("C", json!({"priority": 1}));
    world.location("B", json!({"priority": 1}));
    for location in ["A", "B", "C"] {
        world.level("S", location, 3);
    }
    world.hold("cart", "web", &[("S", 8)]);
    assert_eq!(world.units("cart"), "3 S at B, 3 S at C, 2 S at A");
}

#[test]
fn stock_at_hand_is_before_supply_and_earlier_supply_before_later() {
    let mut world = stocked(&[("B", 2)]);
    world.channel("web", json!({"supply_horizon_days": 30}));
    world.supply("late", "S", "A", 5, 9);
    world.supply("soon", "S", "B", 5, 3);
    world.supply("soon too", "S", "A", 1, 3);
    world.hold("cart", "web", &[("S", 9)]);
    assert_eq!(
        world.units("cart"),
        "2 S at B, 1 S on soon too, 5 S on soon, 1 S on late"
    );
}

#[test]
fn a_location_that_serves_the_region_goes_first_where_the_channel_prefers_it() {
    let mut world = World::new();
    world.location("B", json!({"priority": 2, "regions": ["FR"]}));
    world.level("S", "A", 4);
    world.level("S", "B", 3);
    let body = json!({"channel": "web", "region": "FR", "lines": [{"sku": "S", "quantity": 5}]});
    assert_eq!(world.put("near", body.clone()).status, 201);
    assert_eq!(world.units("near"), "3 S at B, 2 S at A");
    world.release("near");
    world.hold("anywhere", "web", &[("S", 5)]);
    assert_eq!(world.units("anywhere"), "4 S at A, 1 S at B");
    world.release("anywhere");
    world.channel("web", json!({"regional": "require"}));
    assert_eq!(world.put("there", body).status, 409, "A does not serve the region");
    let fewer = json!({"channel": "web", "region": "FR", "lines": [{"sku": "S", "quantity": 3}]});
    assert_eq!(world.put("there", fewer).status, 201);
    assert_eq!(world.units("there"), "3 S at B");
}

#[test]
fn fewest_splits_takes_one_location_that_serves_all_else_the_largest_first() {
    let mut world = World::new();
    world.location("C", json!({"priority": 3}));
    world.channel("web", json!({"sourcing": "fewest_splits"}));
    for (location, on_hand) in [("A", 3), ("B", 5), ("C", 9)] {
        world.level("S", location, on_hand);
    }
    world.hold("small", "web", &[("S", 4)]);
    assert_eq!(
        world.units("small"),
        "4 S at B",
        "the first of those that can serve all"
    );
    world.hold("large", "web", &[("S", 11)]);
    assert_eq!(world.units("large"), "9 S at C, 2 S at A");
}

#[test]
fn a_line_that_names_a_location_is_served_there_alone() {
    let mut world = stocked(&[("A", 5), ("B", 2)]);
    let line = |quantity| json!({"channel": "web", "lines": [{"sku": "S", "quantity": quantity, "location": "B"}]});
    assert_eq!(world.put("cart", line(3)).status, 409);
    assert_eq!(world.put("cart", line(2)).status, 201);
    assert_eq!(world.units("cart"), "2 S at B");
}

#[test]
fn the_first_round_goes_past_a_node_that_another_channels_allocation_has_need_of() {
    let mut world = stocked(&[("A", 2), ("B", 2)]);
    world.channel("shop", json!({"locations": ["A"]}));
    world.allocation("shop", "S", 2);
    world.hold("cart", "web", &[("S", 2)]);
    assert_eq!(world.units("cart"), "2 S at B");
    assert_eq!(
        world.sellable("S", "shop"),
        2,
        "its allocation is as reachable as before"
    );
}

#[test]
fn the_second_round_takes_the_rest_of_the_own_allocation_from_the_same_nodes_in_the_same_order() {
    let mut world = stocked(&[("A", 2), ("B", 3)]);
    world.channel("shop", json!({}));
    world.allocation("shop", "S", 4);
    world.allocation("web", "S", 3);
    // Beside the 4 of the shop there is 1 of 5, at A; then 1 more at A and 1 at B on the own allocation.
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.units("cart"), "2 S (2 own) at A, 1 S (1 own) at B");
}

#[test]
fn the_second_round_leaves_demand_reachable() {
    let mut world = stocked(&[("A", 3), ("B", 3)]);
    world.channel("shop", json!({}));
    world.allocation("shop", "S", 6);
    world.allocation("web", "S", 3);
    let fields = json!({"ref": "d", "line": "1", "sku": "S", "location": "A", "quantity": 2, "class": "b2b",
        "due": world.day(2)});
    world.next("demand", fields);
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.units("cart"), "1 S (1 own) at A, 2 S (2 own) at B");
}

#[test]
fn a_channel_that_draws_nothing_shared_takes_only_what_its_allocation_leaves() {
    let mut world = stocked(&[("A", 9)]);
    world.channel("market", json!({"draws_shared": false}));
    world.allocation("market", "S", 3);
    world.hold("first", "market", &[("S", 2)]);
    assert_eq!(world.try_hold("second", "market", &[("S", 2)]).status, 409);
    world.oversell("market", 5);
    world.hold("second", "market", &[("S", 2)]);
    assert_eq!(world.units("second"), "1 S (1 own) at A, 1 S unsourced");
}

#[test]
fn what_no_node_gives_is_unsourced_and_takes_the_own_allocation_too() {
    let mut world = stocked(&[("A", 2)]);
    world.oversell("web", 3);
    world.allocation("web", "S", 4);
    world.hold("cart", "web", &[("S", 5)]);
    assert_eq!(world.units("cart"), "2 S (2 own) at A, 3 S (2 own) unsourced");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 4);
    world.release("cart");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 0);
}

#[derive(Debug, Clone)]
struct Case {
    levels: Vec<i64>,
    priorities: Vec<i64>,
    in_region: Vec<bool>,
    sourcing: &'static str,
    asks_region: bool,
    only: Option<usize>,
    quantity: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let four = |values| prop::collection::vec(values, 4);
    (
        four((0i64..5).boxed()),
        four((1i64..3).boxed()),
        prop::collection::vec(any::<bool>(), 4),
        prop::sample::select(vec!["priority", "region", "fewest_splits"]),
        any::<bool>(),
        prop::option::weighted(0.2, 0usize..4),
        1i64..14,
    )
        .prop_map(
            |(levels, priorities, in_region, sourcing, asks_region, only, quantity)| Case {
                levels,
                priorities,
                in_region,
                sourcing,
                asks_region,
                only,
                quantity,
            },
        )
}

const NAMES: [&str; 4] = ["A", "B", "C", "D"];

impl Case {
    fn world(&self) -> World {
        let mut world = World::empty("{}");
        world.channel("web", json!({"sourcing": self.sourcing}));
        for (n, name) in NAMES.iter().enumerate() {
            let regions = if self.in_region[n] { vec!["FR"] } else { vec![] };
            world.location(name, json!({"priority": self.priorities[n], "regions": regions}));
            world.level("S", name, self.levels[n]);
        }
        world
    }

    fn request(&self, world: &World) -> PlacementRequest {
        PlacementRequest {
            sku: world.sku("S"),
            channel: world.channel_id("web"),
            region: world.state().catalogue.region("FR").filter(|_| self.asks_region),
            only: self.only.map(|n| world.location_id(NAMES[n])),
            quantity: self.quantity,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_way_without_claims_chooses_what_the_two_rounds_choose(case in cases()) {
        let mut world = case.world();
        let direct = choose(world.state(), &case.request(&world));
        // Supply that the channel cannot sell has the claims asked, of which there are none.
        world.supply("far", "S", "A", 9, 90);
        prop_assert_eq!(direct, choose(world.state(), &case.request(&world)));
    }

    #[test]
    fn all_that_was_asked_for_is_placed_or_unsourced(case in cases()) {
        let world = case.world();
        let placed = choose(world.state(), &case.request(&world));
        prop_assert_eq!(placed.iter().map(|p| p.quantity).sum::<i64>(), case.quantity);
    }
}
