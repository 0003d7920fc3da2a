//! Kits of kits: bounded in depth, in breadth, and in what changing one of them costs; right in any order of declarations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Talk, codes};

fn kit_of(sku: &str, parts: &[(String, i64)]) -> Value {
    let parts: Vec<Value> = parts
        .iter()
        .map(|(part, each)| json!({"sku": part, "quantity": each}))
        .collect();
    json!({"kind": "item", "sku": sku, "base_unit": "each", "kit": parts})
}

fn kit(number: usize, parts: &[usize]) -> Value {
    let parts: Vec<(String, i64)> = parts.iter().map(|part| (format!("K{part}"), 1)).collect();
    kit_of(&format!("K{number}"), &parts)
}

/// What one takes from stock, worked out from what was declared last.
fn taken(declared: &BTreeMap<String, Vec<(String, i64)>>, sku: &str, times: i64, into: &mut BTreeMap<String, i64>) {
    match declared.get(sku).filter(|kit| !kit.is_empty()) {
        None => *into.entry(sku.to_owned()).or_default() += times,
        Some(kit) => kit
            .iter()
            .for_each(|(part, each)| taken(declared, part, times * each, into)),
    }
}

fn taken_here(talk: &Talk, sku: &str) -> BTreeMap<String, i64> {
    let catalogue = &talk.engine.state.catalogue;
    let mut found = BTreeMap::new();
    if let Some(id) = catalogue.sku(sku) {
        catalogue.for_each_component(id, |part, each| {
            *found.entry(catalogue.sku_name(part).to_owned()).or_default() += each;
        });
    }
    found
}

#[test]
fn kits_are_made_of_kits_sixteen_deep_and_no_deeper() {
    let mut talk = Talk::new("{}");
    let chain: Vec<Value> = (1..=17).map(|n| kit(n, &[n - 1])).collect();
    let outcome = talk.take("acme", &json!({"facts": chain}));
    assert_eq!(codes(&outcome), [(16, "malformed")]);
    assert!(outcome.rejected[0].1.contains("16 deep"));
    // Nor does a declaration below make one deeper.
    let outcome = talk.take("acme", &json!({"facts": [kit(100, &[101]), kit(0, &[100])]}));
    assert_eq!(codes(&outcome), [(1, "malformed")]);
    assert_eq!(taken_here(&talk, "K16"), BTreeMap::from([("K0".to_owned(), 1)]));
}

#[test]
fn a_kit_has_a_thousand_components_at_all_depths_together() {
    let mut talk = Talk::new("{}");
    let wide = |n: usize, first: usize, count: usize| kit(n, &(first..first + count).collect::<Vec<_>>());
    let facts = [
        wide(1, 1_000, 600),
        wide(2, 2_000, 401),
        wide(3, 2_000, 400),
        kit(4, &[1, 2]),
        kit(5, &[1, 3]),
    ];
    let outcome = talk.take("acme", &json!({"facts": facts}));
    assert_eq!(codes(&outcome), [(3, "malformed")]);
    assert_eq!(taken_here(&talk, "K5").len(), 1_000);
}

#[test]
fn what_many_ways_lead_to_is_looked_at_once() {
    let mut talk = Talk::new("{}");
    // Between K0 and the top lie 8 pairs, each made of both of the pair below: 2^8 ways, and each costs one look.
    let mut facts = vec![kit(1, &[0]), kit(2, &[0])];
    for n in 1..8 {
        facts.extend([kit(2 * n + 1, &[2 * n - 1, 2 * n]), kit(2 * n + 2, &[2 * n - 1, 2 * n])]);
    }
    assert_eq!(talk.take("acme", &json!({"facts": facts})).rejected, []);
    assert_eq!(taken_here(&talk, "K16"), BTreeMap::from([("K0".to_owned(), 128)]));
    let outcome = talk.take("acme", &json!({"facts": [kit_of("K0", &[("bolt".to_owned(), 3)])]}));
    assert_eq!(outcome.rejected, []);
    assert_eq!(taken_here(&talk, "K16"), BTreeMap::from([("bolt".to_owned(), 384)]));
}

#[test]
fn one_message_cannot_change_the_kits_of_a_whole_catalogue_many_times_over() {
    let mut talk = Talk::new("{}");
    for first in (10..10_010).step_by(2_000) {
        let many: Vec<Value> = (first..first + 2_000).map(|n| kit(n, &[0])).collect();
        assert_eq!(talk.take("acme", &json!({"facts": many})).rejected, []);
    }
    // What 10,000 kits take becomes a kit; then again and again, in one message.
    let one = |n: usize| kit_of("K0", &[(format!("part {n}"), 1)]);
    assert_eq!(talk.take("acme", &json!({"facts": [one(0)]})).rejected, []);
    let began = Instant::now();
    let outcome = talk.take("acme", &json!({"facts": (1..1_000).map(one).collect::<Vec<_>>()}));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(outcome.accepted >= 1);
    assert!(codes(&outcome).iter().all(|(_, code)| *code == "too-wide"));
    // An item whose kit stays as it is costs nothing, however many take it.
    let mut again = one(outcome.accepted as usize);
    again["tax_class"] = json!("books");
    assert_eq!(talk.take("acme", &json!({"facts": vec![again; 5]})).rejected, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn kits_take_what_their_parts_take_whatever_was_declared_first(
        declared in prop::collection::vec((0..9_usize, prop::collection::vec((0..9_usize, 1..4_i64), 0..3)), 1..24),
        cuts in prop::collection::vec(1..5_usize, 24),
    ) {
        let mut talk = Talk::new("{}");
        let mut stands: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        let (mut rest, mut cuts) = (&declared[..], cuts.into_iter());
        while !rest.is_empty() {
            let (some, left) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = left;
            let kits: Vec<(String, Vec<(String, i64)>)> = some
                .iter()
                .map(|(n, parts)| {
                    let parts: BTreeMap<usize, i64> = parts.iter().copied().collect();
                    (format!("K{n}"), parts.into_iter().map(|(part, each)| (format!("K{part}"), each)).collect())
                })
                .collect();
            let facts: Vec<Value> = kits.iter().map(|(sku, parts)| kit_of(sku, parts)).collect();
            let outcome = talk.take("acme", &json!({"facts": facts}));
            for (at, (sku, parts)) in kits.into_iter().enumerate() {
                match codes(&outcome).iter().find(|(i, _)| *i == at as i64) {
                    None => drop(stands.insert(sku, parts)),
                    Some((_, code)) => prop_assert_eq!(*code, "circular-kit"),
                }
            }
            for sku in stands.keys() {
                let mut expected = BTreeMap::new();
                taken(&stands, sku, 1, &mut expected);
                prop_assert_eq!(taken_here(&talk, sku), expected, "{}", sku);
            }
        }
    }
}
