//! Names: with what nobody sees in them, those that look alike, and one that was never meant.

use serde_json::{Value, json};

use super::{Talk, codes, delta};

fn level(sku: &str, on_hand: i64, as_of: i64) -> Value {
    json!({"kind": "stock.level", "sku": sku, "location": "A", "on_hand": on_hand, "basis": "net", "as_of": as_of})
}

fn item_with(sku: &str, aliases: &[&str]) -> Value {
    json!({"kind": "item", "sku": sku, "base_unit": "each", "aliases": aliases})
}

#[test]
fn a_new_name_that_is_like_a_known_one_is_taken_with_a_warning() {
    let mut talk = Talk::new("{}");
    talk.take(
        "acme",
        &json!({"facts": [level("00017", 5, 1), level("caf\u{e9}", 5, 1), item_with("X", &["0400"])]}),
    );
    let facts = ["17", "CAFE\u{301}", "400", "00400", "new", "NEW"].map(|sku| level(sku, 1, 1));
    let outcome = talk.take("acme", &json!({"facts": facts}));
    assert_eq!(outcome.rejected, []);
    let like: Vec<_> = outcome
        .created
        .iter()
        .map(|one| (one.sku.as_str(), one.like.as_deref()))
        .collect();
    assert_eq!(
        like,
        [
            ("17", Some("00017")),
            ("CAFE\u{301}", Some("caf\u{e9}")),
            ("400", None),
            ("00400", Some("400")),
            ("new", None),
            ("NEW", Some("new")),
        ]
    );
}

#[test]
fn a_name_with_what_nobody_sees_is_refused() {
    let mut talk = Talk::new("{}");
    let facts = [level("A\u{200b}", 1, 1), level(" A", 1, 1), level("A B", 1, 1)];
    let outcome = talk.take("acme", &json!({"facts": facts}));
    assert_eq!((outcome.accepted, outcome.rejected.len()), (1, 2));
    assert!(
        outcome.rejected[0]
            .1
            .starts_with("malformed: sku: must not contain an invisible character (U+200B")
    );
}

#[test]
fn the_name_of_a_sku_that_was_never_meant_becomes_an_alias() {
    let mut talk = Talk::new("{}");
    talk.take(
        "acme",
        &json!({"facts": [level("00017", 5, 1), level("17", 3, 1), delta(2, &json!({"sku": "17"}))]}),
    );
    assert_eq!(talk.engine.sellable("17", "web", None), Some(5));
    let outcome = talk.take(
        "acme",
        &json!({"facts": [item_with("00017", &["17"]), level("17", 9, 3)]}),
    );
    assert_eq!(outcome.rejected, []);
    assert_eq!(
        talk.engine.sellable("17", "web", None),
        Some(9),
        "the name means the true SKU"
    );
    assert_eq!(talk.engine.sellable("00017", "web", None), Some(9));
    let listed = talk.engine.state.listed.after(None, None);
    let dropped: Vec<_> = listed
        .iter()
        .map(|entry| (entry.kind.word(), entry.reference.as_deref()))
        .collect();
    assert_eq!(dropped, [("levels-dropped", Some("17"))]);
    let again = talk.take("acme", &json!({"facts": [item_with("17", &[])]}));
    assert_eq!(codes(&again), [(0, "alias-taken")]);
}

#[test]
fn a_sku_that_is_used_keeps_its_name() {
    for (fact, why) in [
        (
            json!({"kind": "supply", "ref": "P", "line": 1, "sku": "17", "location": "A", "quantity": 1, "due": "2023-12-01"}),
            "supply",
        ),
        (
            json!({"kind": "demand", "ref": "P", "line": 1, "sku": "17", "location": "A", "quantity": 1, "as_of": 1}),
            "demand",
        ),
        (json!({"kind": "safety", "sku": "17", "absolute": 1}), "rules"),
        (
            json!({"kind": "cap", "channel": "web", "sku": "17", "quantity": 1}),
            "cap",
        ),
        (
            json!({"kind": "item", "sku": "K", "base_unit": "each", "kit": [{"sku": "17", "quantity": 1}]}),
            "part of a kit",
        ),
        (item_with("17", &["other"]), "has aliases"),
    ] {
        let mut talk = Talk::new("{}");
        talk.take("acme", &json!({"facts": [level("00017", 5, 1), level("17", 3, 1)]}));
        let together = talk.try_out("acme", &json!({"facts": [fact, item_with("00017", &["17"])]}));
        assert_eq!(codes(&together), [(1, "alias-taken")], "{why}");
        talk.take("acme", &json!({"facts": [fact]}));
        let outcome = talk.take("acme", &json!({"facts": [item_with("00017", &["17"])]}));
        assert!(outcome.rejected[0].1.contains(why), "{why}: {:?}", outcome.rejected);
    }
}
