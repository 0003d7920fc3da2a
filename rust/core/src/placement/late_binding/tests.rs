//! Unsourced units bind oldest first as soon as a node can take them (docs/rules.md, "Binding").

use serde_json::json;

use crate::state::policies::QuotaKind;
use crate::testing::World;

/// Nothing in stock, and `web` and `shop` may sell ten units each beyond it.
fn sold_out() -> World {
    let mut world = World::new();
    world.channel("shop", json!({}));
    world.level("S", "A", 0);
    world.level("S", "B", 0);
    world.oversell("web", 10);
    world.oversell("shop", 10);
    world
}

#[test]
fn the_oldest_units_bind_first() {
    let mut world = sold_out();
    world.hold("first", "web", &[("S", 3)]);
    world.hold("second", "web", &[("S", 2)]);
    world.level("S", "A", 4);
    assert_eq!(world.units("first"), "3 S at A");
    assert_eq!(world.units("second"), "1 S at A, 1 S unsourced");
    world.level("S", "B", 1);
    assert_eq!(world.units("second"), "1 S at A, 1 S at B");
}

#[test]
fn a_replaced_hold_keeps_its_place_in_the_queue() {
    let mut world = sold_out();
    world.hold("first", "web", &[("S", 3)]);
    world.hold("second", "web", &[("S", 2)]);
    world.hold("first", "web", &[("S", 4)]);
    world.level("S", "A", 4);
    assert_eq!(world.units("first"), "4 S at A");
    assert_eq!(world.units("second"), "2 S unsourced");
}

#[test]
fn what_another_hold_gives_back_binds_at_once() {
    let mut world = sold_out();
    world.level("S", "A", 3);
    world.hold("served", "web", &[("S", 3)]);
    world.hold("waiting", "shop", &[("S", 2)]);
    assert_eq!(world.units("waiting"), "2 S unsourced");
    world.release("served");
    assert_eq!(world.units("waiting"), "2 S at A");
    assert_eq!(world.sellable("S", "web"), 11, "1 at A, and 10 beyond");
}

#[test]
fn units_that_cannot_bind_are_passed_over() {
    let mut world = sold_out();
    world.channel("shop", json!({"locations": ["B"]}));
    world.hold("first", "shop", &[("S", 3)]);
    world.hold("second", "web", &[("S", 2)]);
    world.level("S", "A", 2);
    assert_eq!(world.units("first"), "3 S unsourced");
    assert_eq!(world.units("second"), "2 S at A");
    world.level("S", "B", 3);
    assert_eq!(world.units("first"), "3 S at B");
}

#[test]
fn younger_units_of_another_channel_do_not_keep_older_ones_waiting() {
    let mut world = sold_out();
    world.hold("older", "web", &[("S", 2)]);
    world.hold("younger", "shop", &[("S", 2)]);
    world.level("S", "A", 3);
    assert_eq!(world.units("older"), "2 S at A");
    assert_eq!(world.units("younger"), "1 S at A, 1 S unsourced");
}

#[test]
fn younger_units_that_were_sold_on_their_channels_own_allocation_do() {
    let mut world = sold_out();
    world.allocation("shop", "S", 2);
    world.hold("older", "web", &[("S", 2)]);
    world.hold("younger", "shop", &[("S", 2)]);
    assert_eq!(world.units("younger"), "2 S (2 own) unsourced");
    world.level("S", "A", 3);
    assert_eq!(world.units("older"), "1 S at A, 1 S unsourced");
    assert_eq!(world.units("younger"), "2 S (2 own) at A");
}

#[test]
fn binding_leaves_another_channels_allocation_and_demand_reachable() {
    let mut world = sold_out();
    world.allocation("shop", "S", 2);
    let fields = json!({"ref": "d", "line": "1", "sku": "S", "locations": ["A", "B"], "quantity": 1, "class": "b2b"});
    world.next("demand", fields);
    world.hold("cart", "web", &[("S", 4)]);
    world.level("S", "A", 5);
    assert_eq!(world.units("cart"), "2 S at A, 2 S unsourced");
}

#[test]
fn units_that_bind_take_what_is_left_of_the_own_allocation() {
    let mut world = sold_out();
    world.hold("cart", "web", &[("S", 3)]);
    world.allocation("web", "S", 2);
    world.level("S", "A", 3);
    assert_eq!(world.units("cart"), "3 S (2 own) at A");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 2);
    world.release("cart");
    assert_eq!(world.consumed("S", "web", QuotaKind::Allocation), 0);
}

#[test]
fn a_channel_that_draws_nothing_shared_binds_only_within_its_allocation() {
    let mut world = sold_out();
    world.channel("market", json!({"draws_shared": false}));
    world.oversell("market", 4);
    let allocated = |quantity| json!({"channel": "market", "sku": "S", "quantity": quantity, "period": "may"});
    world.fact("allocation", allocated(2));
    world.hold("cart", "market", &[("S", 4)]);
    world.level("S", "A", 9);
    assert_eq!(world.units("cart"), "2 S (2 own) at A, 2 S unsourced");
    world.fact("allocation", allocated(3));
    assert_eq!(world.units("cart"), "3 S (3 own) at A, 1 S unsourced");
}

#[test]
fn supply_binds_too_and_what_it_had_is_on_the_shelf_once_it_is_received() {
    let mut world = sold_out();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.hold("cart", "web", &[("S", 3)]);
    world.supply("PO", "S", "B", 5, 4);
    assert_eq!(world.units("cart"), "3 S on PO");
    world.supply_as("received", "PO", "S", "B", 0, 4);
    assert_eq!(world.units("cart"), "3 S at B");
    world.level("S", "B", 5);
    assert_eq!(world.sellable("S", "web"), 12, "2 at B, and 10 beyond");
}

#[test]
fn cancelled_supply_leaves_its_units_unsourced_and_they_bind_elsewhere_if_they_can() {
    let mut world = sold_out();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.supply("PO1", "S", "A", 5, 4);
    world.supply("PO2", "S", "A", 2, 6);
    world.hold("first", "web", &[("S", 3)]);
    world.hold("second", "web", &[("S", 2)]);
    world.supply_as("cancelled", "PO1", "S", "A", 0, 4);
    assert_eq!(world.units("first"), "2 S on PO2, 1 S unsourced");
    assert_eq!(world.units("second"), "2 S unsourced");
}

#[test]
fn supply_that_shrinks_below_what_is_bound_to_it_unbinds_the_oldest() {
    let mut world = sold_out();
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.supply("PO", "S", "A", 5, 3);
    world.hold("first", "web", &[("S", 3)]);
    world.hold("second", "web", &[("S", 2)]);
    world.supply("PO", "S", "A", 4, 3);
    assert_eq!(world.units("first"), "2 S on PO, 1 S unsourced");
    assert_eq!(world.units("second"), "2 S on PO");
}

#[test]
fn units_bind_when_the_day_changes_and_supply_comes_within_the_horizon() {
    let mut world = sold_out();
    world.channel("web", json!({"supply_horizon_days": 3}));
    world.supply("PO", "S", "A", 5, 4);
    world.order("order", "web", &[("S", 2)]);
    assert_eq!(world.units("order"), "2 S unsourced");
    world.wait(2 * 3_600_000);
    assert_eq!(world.units("order"), "2 S on PO");
}
