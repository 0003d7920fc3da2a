//! Pages: any limit gives the same list, what changes meanwhile loses and doubles nothing, and work is bounded.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Listing, PAGE_COST_MAX};
use crate::testing::World;

const LISTS: [&str; 8] = [
    "skus",
    "locations",
    "channels",
    "policies",
    "supplies",
    "demands",
    "reservations",
    "sources",
];

/// One page: its entries, and where the next one begins.
fn page(world: &World, list: &str, asked: &Listing<'_>) -> (Vec<Value>, Option<String>) {
    let (status, body) = world.engine.listing(list, asked, b"");
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    let next = body["next"].as_str().map(str::to_owned);
    (std::mem::take(body["items"].as_array_mut().unwrap()), next)
}

fn all(world: &World, list: &str, limit: usize, filters: &[(&str, &str)], channels: Option<&[String]>) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let asked = Listing {
            after: after.as_deref(),
            limit,
            filters: filters.to_vec(),
            channels,
            now_ms: None,
        };
        let (entries, next) = page(world, list, &asked);
        assert!(entries.len() <= limit);
        found.extend(entries);
        if next.is_none() {
            return found;
        }
        assert_ne!(next, after, "a page that is not the last gets further");
        after = next;
    }
}

fn texts<'a>(entries: &'a [Value], field: &str) -> Vec<&'a str> {
    entries.iter().map(|e| e[field].as_str().unwrap_or("null")).collect()
}

/// Some of everything.
fn stocked() -> World {
    let mut world = World::new();
    world.channel("pos", json!({"locations": ["A"]}));
    for n in 0..12 {
        let sku = format!("S{n}");
        world.level(&sku, "A", 10);
        world.supply(&format!("PO{n}"), &sku, "B", 5, 3);
        world.next(
            "demand",
            json!({"ref": format!("D{n}"), "line": "1", "sku": sku, "quantity": 1, "class": "b2b"}),
        );
        world.fact("safety", json!({"sku": sku, "absolute": 1}));
        world.fact(
            "restriction",
            json!({"sku": sku, "channel": "pos", "blocked": true, "reason": "new"}),
        );
        world.cap("web", &sku, 50);
        world.allocation("pos", &sku, 2);
        world.hold(&format!("c{n}"), "web", &[(&sku, 1)]);
    }
    world.kit("SET", &[("S1", 1), ("S2", 2)]);
    world.fact("safety", json!({"location": "B", "absolute": 1}));
    world.oversell("web", 3);
    world.fact(
        "freshness",
        json!({"source": "acme", "stale_after_ms": 1_000, "action": "serve"}),
    );
    world
}

#[test]
fn every_list_gives_the_same_with_any_limit() {
    let world = stocked();
    for list in LISTS {
        let whole = all(&world, list, 1_000, &[], None);
        assert!(!whole.is_empty(), "{list}");
        for limit in [1, 2, 3, 7, 11] {
            assert_eq!(all(&world, list, limit, &[], None), whole, "{list} by {limit}");
        }
    }
    assert_eq!(all(&world, "policies", 1_000, &[], None).len(), 12 * 4 + 3);
}

#[test]
fn a_filter_keeps_the_rules_that_apply_there() {
    let world = stocked();
    for limit in [1, 5, 1_000] {
        let of_sku = all(&world, "policies", limit, &[("sku", "S3")], None);
        assert_eq!(
            texts(&of_sku, "kind"),
            [
                "allocation",
                "cap",
                "freshness",
                "oversell",
                "restriction",
                "safety",
                "safety"
            ]
        );
        assert_eq!(texts(&of_sku, "sku"), ["S3", "S3", "null", "null", "S3", "null", "S3"]);
        let of_both = all(&world, "policies", limit, &[("sku", "S3"), ("channel", "pos")], None);
        assert_eq!(
            texts(&of_both, "kind"),
            ["allocation", "freshness", "restriction", "safety", "safety"]
        );
        let caps = all(&world, "policies", limit, &[("kind", "cap")], None);
        assert_eq!(caps.len(), 12);
    }
}

#[test]
fn a_key_sees_what_its_channels_have() {
    let mut world = stocked();
    world.fact("restriction", json!({"sku": "S5", "channel": "pos", "blocked": false}));
    world.fact("restriction", json!({"channel": "pos", "blocked": false}));
    world.allocation("pos", "S5", 0);
    world.hold("p", "pos", &[("S5", 1)]);
    let pos = ["pos".to_owned()];
    let seen = |list: &str| all(&world, list, 3, &[], Some(&pos));
    assert_eq!(texts(&seen("reservations"), "id"), ["p"]);
    assert_eq!(texts(&seen("channels"), "channel"), ["pos"]);
    let named = json!({"ref": "P", "line": "1", "sku": "S5", "quantity": 1, "class": "b2b", "order_ref": "7", "channel": "pos"});
    world.next("demand", named);
    let seen = |list: &str| all(&world, list, 3, &[], Some(&pos));
    assert_eq!(texts(&seen("demands"), "ref"), ["P"]);
    assert!(seen("policies").iter().all(|rule| rule["channel"] != "web"));
    let asked = Listing {
        limit: 9,
        filters: vec![("channel", "web")],
        channels: Some(&pos),
        ..Listing::default()
    };
    assert_eq!(world.engine.listing("reservations", &asked, b"").0, 403);
    let (_, body) = world.engine.sku("S4", Some(&pos), b"");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["rules"].as_array().unwrap().iter().all(|r| r["channel"] != "web"));
}

#[test]
fn reservations_are_found_by_what_they_name() {
    let mut world = stocked();
    world.put(
        "mine",
        json!({"channel": "web", "owner": "ben", "lines": [{"sku": "SET", "quantity": 1}]}),
    );
    world.order("o", "web", &[("S4", 1)]);
    let ids = |filters: &[(&str, &str)]| -> Vec<String> {
        let found = all(&world, "reservations", 2, filters, None);
        texts(&found, "id").iter().map(|id| (*id).to_owned()).collect()
    };
    assert_eq!(ids(&[("owner", "ben")]), ["mine"]);
    let digits = String::from_utf8(
        world
            .state()
            .reservations
            .get(world.slot("mine"))
            .owner
            .unwrap()
            .digits()
            .into(),
    );
    assert_eq!(ids(&[("owner", &digits.unwrap())]), ["mine"]);
    assert_eq!(ids(&[("order_ref", "o")]), ["o"]);
    assert_eq!(ids(&[("order_ref", "nobody's")]), Vec::<String>::new());
    assert_eq!(ids(&[("sku", "S2")]), ["c2", "mine"]);
    assert_eq!(ids(&[("state", "committed")]), ["o"]);
    assert_eq!(ids(&[("state", "held"), ("channel", "web")]).len(), 13);
}

#[test]
fn a_sku_shows_its_item_its_levels_and_the_rules_that_apply() {
    let world = stocked();
    let read = |name: &str| -> Value {
        let (status, body) = world.engine.sku(name, None, b"");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    };
    let plain = read("S2");
    assert_eq!(plain["item"], Value::Null);
    assert_eq!(plain["used_in"], json!(["SET"]));
    assert_eq!(plain["levels"][0]["owner"], "acme");
    assert_eq!(plain["levels"][0]["on_hand"], 10);
    assert_eq!(plain["levels"][0]["basis"], "net");
    assert_eq!(plain["levels"][0]["held"], 1);
    assert!(plain["levels"][0]["as_of"].is_i64());
    let rules = plain["rules"].as_array().unwrap();
    assert_eq!(rules, &all(&world, "policies", 1_000, &[("sku", "S2")], None));
    assert_eq!(plain["more_rules"], false);
    assert_eq!(read("SET")["item"]["kit"][1], json!({"sku": "S2", "quantity": 2}));
    assert_eq!(world.engine.sku("nothing", None, b"").0, 404);
}

#[test]
fn a_page_looks_at_a_bounded_number_of_entries() {
    let mut world = World::new();
    for _ in 0..PAGE_COST_MAX + 5 {
        world.engine.state.reservations.restore(None);
    }
    let asked = Listing {
        limit: 10,
        ..Listing::default()
    };
    let (entries, next) = page(&world, "reservations", &asked);
    assert!(entries.is_empty());
    assert_eq!(next.as_deref(), Some(PAGE_COST_MAX.to_string().as_str()));
}

#[test]
fn a_source_shows_how_old_its_newest_fact_is() {
    let mut world = World::new();
    let level = |on_hand: i64, as_of: &str| json!({"sku": "S", "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of});
    world.fact("stock.level", level(3, "2023-11-14T22:00:00Z"));
    world.fact("stock.level", level(4, "2023-11-14T21:00:00Z"));
    let asked = Listing {
        limit: 10,
        now_ms: Some(1_700_000_400_000 - 400_000 + 60_000),
        ..Listing::default()
    };
    let (found, _) = page(&world, "sources", &asked);
    let acme = found.iter().find(|one| one["source"] == "acme").unwrap();
    assert_eq!(acme["clock"], "time");
    assert_eq!(acme["locations"], json!(["A"]));
    let last = acme["last_as_of"].as_str().unwrap();
    assert!(last.starts_with("2023-11-14T22:00:00"), "{last}");
    assert_eq!(acme["age_ms"], 800_000 + 60_000);
}

#[test]
fn deficits_are_listed_by_reservation() {
    let mut world = World::new();
    world.level("S", "A", 9);
    for id in ["one", "two", "three"] {
        world.order(id, "web", &[("S", 3)]);
    }
    assert!(all(&world, "deficits", 5, &[], None).is_empty());
    world.level("S", "A", 4);
    for limit in [1, 2, 5] {
        let found = all(&world, "deficits", limit, &[("sku", "S")], None);
        assert_eq!(texts(&found, "reservation"), ["two", "three"]);
        let units = |n: usize| found[n]["units"][0]["quantity"].as_i64().unwrap();
        assert_eq!((units(0), units(1)), (2, 3));
        assert_eq!(found[0]["units"][0]["location"], "A");
    }
    let pos = ["pos".to_owned()];
    assert!(all(&world, "deficits", 5, &[], Some(&pos)).is_empty());
}

#[test]
fn what_is_no_place_of_the_list_is_refused() {
    let world = stocked();
    for (list, after) in [
        ("skus", "x"),
        ("policies", "7.0.0"),
        ("policies", "1"),
        ("policies", "3.0.99999999"),
    ] {
        let asked = Listing {
            after: Some(after),
            limit: 1,
            ..Listing::default()
        };
        assert_eq!(world.engine.listing(list, &asked, b"").0, 422, "{list} {after}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What stood from the first page to the last is listed once, whatever came and went between the pages.
    #[test]
    fn pages_over_changing_data_miss_nothing_and_double_nothing(
        limit in 1_usize..5,
        changes in prop::collection::vec((0_usize..20, any::<bool>()), 0..40),
    ) {
        // A closed one is soon forgotten, so that its place is used again.
        let mut world = World::empty(r#"{"remember_closed_ms": 1000}"#);
        world.location("A", json!({}));
        world.channel("web", json!({}));
        world.level("S", "A", 1_000);
        let hold = |world: &mut World, id: &str| {
            let lines = json!([{"sku": "S", "quantity": 1}]);
            world.put(id, json!({"channel": "web", "ttl_ms": 14_400_000, "lines": lines}));
        };
        for n in 0..10 {
            hold(&mut world, &format!("c{n}"));
        }
        let mut stood: BTreeSet<String> = (0..10).map(|n| format!("c{n}")).collect();
        let (mut seen, mut after) = (BTreeMap::<String, usize>::new(), None::<String>);
        let mut changes = changes.into_iter();
        loop {
            let asked = Listing { after: after.as_deref(), limit, filters: vec![("state", "held")], ..Listing::default() };
            let (entries, next) = page(&world, "reservations", &asked);
            for entry in entries {
                *seen.entry(entry["id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            after = next;
            if after.is_none() {
                break;
            }
            for (n, comes) in changes.by_ref().take(3) {
                if comes {
                    hold(&mut world, &format!("n{n}"));
                } else {
                    world.release(&format!("c{n}"));
                    stood.remove(&format!("c{n}"));
                }
                world.wait(2_000);
            }
        }
        prop_assert!(seen.values().all(|times| *times == 1), "{seen:?}");
        prop_assert!(stood.iter().all(|id| seen.contains_key(id)), "{stood:?} {seen:?}");
    }
}
