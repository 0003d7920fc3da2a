//! What lines need, how they share it, and what a replacement keeps (docs/rules.md, "Placement" and "Replacing").

use serde_json::json;

use crate::state::policies::QuotaKind;
use crate::testing::World;

fn stocked(levels: &[(&str, &str, i64)]) -> World {
    let mut world = World::new();
    for (sku, location, on_hand) in levels {
        world.level(sku, location, *on_hand);
    }
    world
}

#[test]
fn kits_are_taken_apart_and_lines_share_in_their_order() {
    let mut world = stocked(&[("S", "A", 4), ("S", "B", 1), ("T", "A", 1)]);
    world.kit("K", &[("S", 2), ("T", 1)]);
    world.hold("cart", "web", &[("K", 1), ("S", 3)]);
    // Five S together: the kit's two and two of the others from A, the last from B.
    assert_eq!(world.units("cart"), "4 S at A, 1 T at A, 1 S at B");
}

#[test]
fn equal_lines_need_their_sum() {
    let mut world = stocked(&[("S", "A", 5)]);
    let lines = [("S", 3), ("S", 3)];
    let refused = world.try_hold("cart", "web", &lines);
    assert_eq!((refused.status, refused.problem()), (409, "insufficient-stock"));
    assert_eq!(refused.body["lines"][1]["sellable"], 2, "what the first line left");
    world.level("S", "A", 6);
    world.hold("cart", "web", &lines);
    assert_eq!(world.sellable("S", "web"), 0);
}

#[test]
fn lines_that_name_a_location_are_placed_before_the_others() {
    let mut world = stocked(&[("S", "A", 3), ("S", "B", 5)]);
    let lines = json!([{"sku": "S", "quantity": 3}, {"sku": "S", "quantity": 2, "location": "A"}]);
    assert_eq!(world.put("cart", json!({"channel": "web", "lines": lines})).status, 201);
    assert_eq!(world.units("cart"), "3 S at A, 2 S at B");
}

#[test]
fn a_replacement_stays_where_it_is_though_a_better_place_became_free() {
    let mut world = stocked(&[("S", "A", 3), ("S", "B", 5)]);
    world.hold("other", "web", &[("S", 3)]);
    world.hold("cart", "web", &[("S", 2)]);
    world.release("other");
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.units("cart"), "2 S at B, 1 S at A");
}

#[test]
fn a_smaller_replacement_keeps_stock_at_hand_before_supply() {
    let mut world = stocked(&[("S", "A", 3)]);
    world.channel("web", json!({"supply_horizon_days": 10}));
    world.supply("PO", "S", "A", 4, 2);
    world.hold("cart", "web", &[("S", 6)]);
    assert_eq!(world.units("cart"), "3 S at A, 3 S on PO");
    world.hold("cart", "web", &[("S", 4)]);
    assert_eq!(world.units("cart"), "3 S at A, 1 S on PO");
    world.hold("cart", "web", &[("S", 2)]);
    assert_eq!(world.units("cart"), "2 S at A");
    assert_eq!(world.sellable("S", "web"), 5);
}

#[test]
fn only_further_units_of_a_replacement_must_fit() {
    let mut world = stocked(&[("S", "A", 4)]);
    world.hold("cart", "web", &[("S", 4)]);
    world.level("S", "A", 1);
    assert_eq!(world.sellable("S", "web"), 0);
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(
        world.units("cart"),
        "3 S at A",
        "the shelf is short, and yet the hold keeps what it has"
    );
    assert_eq!(world.try_hold("cart", "web", &[("S", 4)]).status, 409);
}

#[test]
fn kept_units_keep_what_they_took_and_the_others_give_exactly_theirs_back() {
    let mut world = stocked(&[("S", "A", 9)]);
    world.allocation("web", "S", 2);
    world.cap("web", "S", 8);
    world.hold("cart", "web", &[("S", 5)]);
    assert_eq!(world.units("cart"), "5 S (2 own) at A");
    let consumed = |world: &World| {
        let of = |kind| world.consumed("S", "web", kind);
        (of(QuotaKind::Allocation), of(QuotaKind::Cap))
    };
    assert_eq!(consumed(&world), (2, 5));
    world.hold("cart", "web", &[("S", 4)]);
    assert_eq!(
        (world.units("cart"), consumed(&world)),
        ("4 S (2 own) at A".to_owned(), (2, 4))
    );
    world.hold("cart", "web", &[("S", 1)]);
    assert_eq!(
        (world.units("cart"), consumed(&world)),
        ("1 S (1 own) at A".to_owned(), (1, 1))
    );
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(
        (world.units("cart"), consumed(&world)),
        ("3 S (2 own) at A".to_owned(), (2, 3))
    );
}

#[test]
fn a_replacement_for_another_line_keeps_units_of_the_same_sku() {
    let mut world = stocked(&[("S", "A", 2), ("S", "B", 4), ("T", "A", 1)]);
    world.hold("other", "web", &[("S", 2)]);
    world.hold("cart", "web", &[("S", 2)]);
    world.release("other");
    world.kit("K", &[("S", 2), ("T", 1)]);
    world.hold("cart", "web", &[("T", 1), ("S", 1)]);
    assert_eq!(world.units("cart"), "1 T at A, 1 S at B");
}

#[test]
fn another_channel_or_region_starts_anew() {
    let mut world = stocked(&[("S", "A", 3), ("S", "B", 5)]);
    world.channel("shop", json!({}));
    world.hold("other", "web", &[("S", 3)]);
    world.hold("cart", "web", &[("S", 2)]);
    world.release("other");
    assert_eq!(world.units("cart"), "2 S at B");
    world.hold("cart", "shop", &[("S", 2)]);
    assert_eq!(world.units("cart"), "2 S at A");
    world.location("B", json!({"priority": 2, "regions": ["FR"]}));
    let body = json!({"channel": "shop", "region": "FR", "lines": [{"sku": "S", "quantity": 2}]});
    assert_eq!(world.put("cart", body).status, 200);
    assert_eq!(world.units("cart"), "2 S at B");
}

#[test]
fn a_line_that_now_names_a_location_keeps_only_what_is_there() {
    let mut world = stocked(&[("S", "A", 2), ("S", "B", 4)]);
    world.hold("cart", "web", &[("S", 3)]);
    assert_eq!(world.units("cart"), "2 S at A, 1 S at B");
    let body = json!({"channel": "web", "lines": [{"sku": "S", "quantity": 3, "location": "B"}]});
    assert_eq!(world.put("cart", body).status, 200);
    assert_eq!(world.units("cart"), "3 S at B");
}

#[test]
fn a_replaced_hold_of_kits_gives_its_kits_back_to_their_cap() {
    let mut world = stocked(&[("S", "A", 9)]);
    world.kit("K", &[("S", 2)]);
    world.cap("web", "K", 3);
    world.hold("cart", "web", &[("K", 3)]);
    assert_eq!(world.consumed("K", "web", QuotaKind::Cap), 3);
    world.hold("cart", "web", &[("K", 1)]);
    assert_eq!(world.consumed("K", "web", QuotaKind::Cap), 1);
    assert_eq!(world.sellable("K", "web"), 2);
}
