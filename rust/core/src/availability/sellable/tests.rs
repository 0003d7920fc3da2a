//! How much can be sold, term by term (docs/rules.md, "Sellable"). Each number is worked out by hand beside it.

use proptest::prelude::*;
use serde_json::json;

use crate::availability::pool::SaleContext;
use crate::availability::sellable::{Blocked, Sellable, sellable};
use crate::testing::World;
use crate::testing::history::{BASE_SKUS, CHANNELS, LOCATIONS, SKUS, lived, steps};

fn stocked(at_a: i64, at_b: i64) -> World {
    let mut world = World::new();
    world.level("S", "A", at_a);
    world.level("S", "B", at_b);
    world
}

fn for_sale(world: &World, sku: &str, channel: &str) -> Sellable {
    let asking = SaleContext::of(world.state().catalogue.channel(channel), None);
    sellable(world.state(), world.sku(sku), &asking)
}

fn demand(world: &mut World, reference: &str, locations: &[&str], quantity: i64, due_days: Option<i32>) {
    let due = due_days.map(|days| world.day(days));
    let locations = Some(locations).filter(|names| !names.is_empty());
    let fields = json!({"ref": reference, "line": "1", "sku": "S", "locations": locations, "quantity": quantity,
        "class": "b2b", "due": due});
    world.next("demand", fields);
}

#[test]
fn it_is_on_hand_less_unsellable_less_owed_less_safety() {
    let mut world = World::new();
    world.next(
        "stock.level",
        json!({"sku": "S", "location": "A", "on_hand": 50, "basis": "gross", "allocated": 5,
            "unsellable": {"damaged": 3, "quality_control": 2, "quarantined": 1, "in_transfer": 4}}),
    );
    demand(&mut world, "d", &["A"], 6, None);
    world.order("order", "web", &[("S", 7)]);
    world.hold("cart", "web", &[("S", 4)]);
    world.fact("safety", json!({"sku": "S", "absolute": 3, "percent": 10}));
    // Safety: the larger of 3 and a tenth of 50 - 10. 50 - 10 - (5 + 6 + 7 + 4) - 4.
    assert_eq!(world.sellable("S", "web"), 14);
}

#[test]
fn a_part_of_a_unit_of_safety_stock_is_a_whole_one() {
    let mut world = stocked(41, 0);
    world.fact("safety", json!({"percent": 12.5}));
    // 5.125 of 41 are kept back, so 6.
    assert_eq!(world.sellable("S", "web"), 35);
}

#[test]
fn the_most_specific_safety_rule_is_in_force() {
    let mut world = stocked(20, 0);
    world.fact("safety", json!({"absolute": 1}));
    assert_eq!(world.sellable("S", "web"), 19);
    world.fact("safety", json!({"location": "A", "absolute": 2}));
    assert_eq!(world.sellable("S", "web"), 18);
    world.fact("safety", json!({"sku": "S", "absolute": 3}));
    assert_eq!(world.sellable("S", "web"), 17);
    world.fact("safety", json!({"sku": "S", "location": "A", "absolute": 4}));
    assert_eq!(world.sellable("S", "web"), 16);
    world.fact("safety", json!({"sku": "S", "location": "A"}));
    assert_eq!(world.sellable("S", "web"), 17, "the rule for both has ended");
}

#[test]
fn a_location_that_owes_more_than_it_has_takes_nothing_from_another() {
    let mut world = stocked(2, 4);
    demand(&mut world, "d", &["A"], 5, None);
    assert_eq!(world.sellable("S", "web"), 4);
}

#[test]
fn supply_first_fills_the_hole_at_its_location_and_safety_is_no_hole() {
    let mut world = stocked(2, 4);
    world.channel("web", json!({"supply_horizon_days": 10}));
    demand(&mut world, "d", &["A"], 5, None);
    world.supply("PO", "S", "A", 10, 1);
    // A owes 3 more than it has: 10 - 3 of the supply, beside 4 at B.
    assert_eq!(world.sellable("S", "web"), 11);
    world.fact("safety", json!({"location": "A", "absolute": 2}));
    assert_eq!(world.sellable("S", "web"), 11);
}

#[test]
fn supply_counts_up_to_the_channels_horizon() {
    let mut world = stocked(0, 0);
    world.supply("PO1", "S", "A", 3, 10);
    world.supply("PO2", "S", "A", 5, 11);
    assert_eq!(
        world.sellable("S", "web"),
        0,
        "a channel without a horizon sells what is at hand"
    );
    world.channel("web", json!({"supply_horizon_days": 10}));
    assert_eq!(world.sellable("S", "web"), 3);
    world.channel("web", json!({"supply_horizon_days": 11}));
    assert_eq!(world.sellable("S", "web"), 8);
}

#[test]
fn unlikely_supply_does_not_count() {
    let mut world = stocked(0, 0);
    world.channel("web", json!({"supply_horizon_days": 10}));
    for (reference, confidence) in [("PO1", 49), ("PO2", 50)] {
        let fields = json!({"ref": reference, "line": "1", "sku": "S", "location": "A", "quantity": confidence,
            "due": world.day(1), "confidence": confidence});
        world.fact("supply", fields);
    }
    assert_eq!(world.sellable("S", "web"), 50);
}

#[test]
fn overdue_supply_counts_as_due_tomorrow_for_three_days() {
    let mut world = stocked(0, 0);
    world.channel("web", json!({"supply_horizon_days": 1}));
    world.supply("late", "S", "A", 3, -3);
    world.supply("too late", "S", "A", 5, -4);
    assert_eq!(world.sellable("S", "web"), 3);
    world.wait(2 * 3_600_000);
    assert_eq!(world.sellable("S", "web"), 0, "it is the next day");
}

#[test]
fn the_rest_of_another_channels_allocation_is_kept_for_it() {
    let mut world = stocked(10, 0);
    world.channel("shop", json!({}));
    world.allocation("shop", "S", 4);
    assert_eq!(world.sellable("S", "web"), 6);
    assert_eq!(world.sellable("S", "shop"), 10, "its own does not bind it");
    world.hold("cart", "shop", &[("S", 3)]);
    // 7 are left, and 1 of the allocation.
    assert_eq!(world.sellable("S", "web"), 6);
    assert_eq!(world.sellable("S", "shop"), 7);
    world.channel("shop", json!({"draws_shared": false}));
    assert_eq!(world.sellable("S", "shop"), 1, "it draws on its allocation alone");
}

#[test]
fn an_allocation_is_kept_where_its_channel_can_sell_it() {
    let mut world = stocked(10, 5);
    world.channel("shop", json!({"locations": ["B"]}));
    world.allocation("shop", "S", 4);
    assert_eq!(world.sellable("S", "web"), 11, "10 at A and 5 - 4 at B");
    world.channel("web", json!({"locations": ["A"]}));
    assert_eq!(world.sellable("S", "web"), 10);
    world.channel("web", json!({"locations": ["B"]}));
    assert_eq!(world.sellable("S", "web"), 1);
}

#[test]
fn where_allocations_exceed_the_stock_each_channel_can_sell_its_own_until_there_is_none() {
    let mut world = stocked(3, 0);
    world.channel("shop", json!({}));
    world.allocation("shop", "S", 5);
    world.allocation("web", "S", 2);
    assert_eq!(world.sellable("S", "web"), 2);
    assert_eq!(world.sellable("S", "shop"), 3);
    world.hold("cart", "web", &[("S", 2)]);
    assert_eq!(world.sellable("S", "shop"), 1);
}

#[test]
fn demand_without_one_location_may_be_served_from_any_of_them() {
    let mut world = stocked(3, 3);
    world.channel("shop", json!({"locations": ["A"]}));
    demand(&mut world, "d", &[], 4, None);
    // Of the demand B can serve 3, so A owes 1.
    assert_eq!(world.sellable("S", "shop"), 2);
    assert_eq!(world.sellable("S", "web"), 2);
    demand(&mut world, "d", &["A", "B"], 1, None);
    assert_eq!(world.sellable("S", "shop"), 3);
    assert_eq!(world.sellable("S", "web"), 5);
}

#[test]
fn demand_with_a_due_date_may_wait_for_supply_that_comes_by_then() {
    let mut world = stocked(5, 0);
    demand(&mut world, "d", &["A"], 4, Some(5));
    assert_eq!(world.sellable("S", "web"), 1);
    world.supply("PO", "S", "A", 3, 5);
    assert_eq!(world.sellable("S", "web"), 4, "3 of the 4 can come from the supply");
    world.supply("PO", "S", "A", 3, 6);
    assert_eq!(world.sellable("S", "web"), 1, "a day too late");
}

#[test]
fn a_cap_bounds_what_is_sold_and_what_is_oversold() {
    let mut world = stocked(2, 0);
    world.oversell("web", 5);
    assert_eq!(world.sellable("S", "web"), 7);
    world.cap("web", "S", 4);
    assert_eq!(world.sellable("S", "web"), 4);
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.sellable("S", "web"), 1);
    world.fact("cap", json!({"channel": "web", "sku": "S", "quantity": null}));
    // One unit is beyond the stock, so 4 of 5 are left.
    assert_eq!(world.sellable("S", "web"), 4);
}

#[test]
fn an_oversell_limit_is_shared_by_the_channels_under_its_rule() {
    let mut world = stocked(2, 0);
    world.channel("shop", json!({}));
    world.fact("oversell", json!({"sku": "S", "policy": "limit", "limit": 3}));
    world.hold("cart", "web", &[("S", 4)]);
    assert_eq!(world.units("cart"), "2 S at A, 2 S unsourced");
    assert_eq!(world.sellable("S", "web"), 1);
    assert_eq!(world.sellable("S", "shop"), 1);
    world.oversell("shop", 3);
    assert_eq!(
        world.sellable("S", "shop"),
        1,
        "the rule of the SKU is before that of the channel"
    );
    let both = json!({"sku": "S", "channel": "shop", "policy": "limit", "limit": 3});
    world.fact("oversell", both);
    assert_eq!(world.sellable("S", "shop"), 3, "its own rule has its own limit");
}

#[test]
fn a_limit_of_nothing_is_nothing_and_no_limit_is_named_so() {
    let mut world = stocked(2, 0);
    world.oversell("web", 0);
    assert_eq!(
        (
            for_sale(&world, "S", "web").quantity,
            for_sale(&world, "S", "web").unlimited
        ),
        (2, false)
    );
    world.fact("oversell", json!({"channel": "web", "policy": "unlimited"}));
    assert_eq!(
        (
            for_sale(&world, "S", "web").quantity,
            for_sale(&world, "S", "web").unlimited
        ),
        (2, true)
    );
    world.fact("oversell", json!({"policy": "unlimited"}));
    let undeclared = for_sale(&world, "S", "kiosk");
    assert_eq!(
        (undeclared.quantity, undeclared.unlimited),
        (2, false),
        "an undeclared channel does not oversell"
    );
}

#[test]
fn a_restriction_or_a_discontinued_item_blocks_it_and_a_more_specific_rule_lifts_it() {
    let mut world = stocked(9, 0);
    world.fact("restriction", json!({"sku": "S", "blocked": true, "reason": "recall"}));
    assert_eq!(for_sale(&world, "S", "web").blocked, Some(Blocked::Restricted));
    assert_eq!(world.sellable("S", "web"), 0);
    world.fact(
        "restriction",
        json!({"sku": "S", "channel": "web", "blocked": false, "reason": "checked"}),
    );
    assert_eq!(world.sellable("S", "web"), 9);
    world.fact(
        "item",
        json!({"sku": "S", "base_unit": "each", "status": "discontinued"}),
    );
    assert_eq!(for_sale(&world, "S", "web").blocked, Some(Blocked::Inactive));
}

#[test]
fn it_is_sold_in_whole_multiples() {
    let mut world = stocked(10, 0);
    world.fact("item", json!({"sku": "S", "base_unit": "each", "sell_multiple": 4}));
    assert_eq!(world.sellable("S", "web"), 8);
    world.oversell("web", 2);
    assert_eq!(world.sellable("S", "web"), 12, "of stock and oversell together");
}

#[test]
fn a_kit_is_what_its_scarcest_component_allows_within_its_own_cap() {
    let mut world = stocked(7, 0);
    world.level("T", "A", 9);
    world.kit("K", &[("S", 2), ("T", 1)]);
    assert_eq!(world.sellable("K", "web"), 3);
    world.kit("M", &[("K", 2), ("S", 1)]);
    // Five S and two T each.
    assert_eq!(world.sellable("M", "web"), 1);
    world.cap("web", "S", 5);
    assert_eq!(world.sellable("K", "web"), 2);
    world.cap("web", "K", 1);
    assert_eq!(world.sellable("K", "web"), 1);
    world.fact("restriction", json!({"sku": "T", "blocked": true, "reason": "recall"}));
    assert_eq!(for_sale(&world, "M", "web").blocked, Some(Blocked::Restricted));
}

#[test]
fn a_regional_channel_sells_what_serves_the_region_and_one_that_prefers_sells_all() {
    let mut world = World::new();
    world.location("A", json!({"regions": ["FR"]}));
    world.location("B", json!({"regions": ["IN", "FR"]}));
    world.level("S", "A", 3);
    world.level("S", "B", 4);
    assert_eq!(world.sellable_in("S", "web", Some("IN")), 7);
    world.channel("web", json!({"regional": "require"}));
    assert_eq!(world.sellable_in("S", "web", Some("IN")), 4);
    assert_eq!(world.sellable_in("S", "web", Some("FR")), 7);
    assert_eq!(world.sellable_in("S", "web", Some("BR")), 0);
}

#[test]
fn a_location_that_is_switched_off_sells_nothing() {
    let mut world = stocked(3, 4);
    world.location("A", json!({"enabled": false}));
    assert_eq!(world.sellable("S", "web"), 4);
    assert_eq!(world.sellable("S", "kiosk"), 4, "not on an undeclared channel either");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn more_stock_never_lowers_what_any_channel_can_sell(
        history in steps(40),
        sku in prop::sample::select(&BASE_SKUS[..]),
        location in prop::sample::select(&LOCATIONS[..]),
        more in 1i64..6,
    ) {
        let mut world = lived(&history);
        world.level("S", "A", 2);
        world.level("T", "B", 2);
        let before: Vec<i64> = all_for_sale(&world);
        world.next("stock.delta", json!({"sku": sku, "location": location, "quantity": more, "reason": "found", "ref": "more"}));
        for (was, is) in before.iter().zip(all_for_sale(&world)) {
            prop_assert!(is >= *was, "{before:?} became {:?}", all_for_sale(&world));
        }
    }
}

fn all_for_sale(world: &World) -> Vec<i64> {
    let mut all = Vec::new();
    for channel in CHANNELS {
        all.extend(SKUS.iter().map(|sku| world.sellable(sku, channel)));
    }
    all
}
