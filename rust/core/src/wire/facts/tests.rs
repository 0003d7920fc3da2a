//! Facts against `tests/vectors/facts.json`, which pins canonical bytes and reasons for every language.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;

const VECTORS: &str = include_str!("../../../../../tests/vectors/facts.json");

#[derive(Deserialize)]
struct Vectors {
    accepted: Vec<Accepted>,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Accepted {
    fact: String,
    source: Option<String>,
    by: Option<String>,
    canonical: String,
}

#[derive(Deserialize)]
struct Rejected {
    fact: String,
    reason: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("tests/vectors/facts.json is readable")
}

#[test]
fn accepted_facts_have_the_pinned_canonical_bytes() {
    for Accepted {
        fact,
        source,
        by,
        canonical,
    } in vectors().accepted
    {
        let statement = parse_statement(&fact, source.as_deref(), by.as_deref());
        let statement = statement.unwrap_or_else(|error| panic!("{error}: {fact}"));
        let mut out = Vec::new();
        statement.encode(&mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), canonical, "{fact}");
        assert_eq!(parse_logged(&canonical), Ok(statement), "{canonical}");
    }
}

#[test]
fn rejected_facts_say_why() {
    for Rejected { fact, reason } in vectors().rejected {
        match parse_statement(&fact, Some("acme"), None) {
            Ok(statement) => panic!("{fact} was accepted: {statement:?}"),
            Err(error) => assert_eq!(error.to_string(), reason, "{fact}"),
        }
    }
}

#[test]
fn every_kind_has_vectors() {
    let read = vectors().accepted;
    let kinds: BTreeSet<_> = read
        .iter()
        .map(|vector| parse_logged(&vector.canonical).unwrap().fact.kind())
        .collect();
    assert_eq!(kinds.len(), 21);
}

#[test]
fn strings_borrow_from_the_message() {
    let text =
        r#"{"kind":"reservation.held","id":"cart-1","channel":"web","ttl_ms":1,"lines":[{"sku":"A","quantity":1}]}"#;
    let statement = parse_logged(text).unwrap();
    let Fact::ReservationHeld(held) = statement.fact else {
        panic!("a hold")
    };
    assert!(matches!(held.id, Cow::Borrowed("cart-1")));
    assert!(matches!(held.lines[0].sku, Cow::Borrowed("A")));
}

#[test]
fn a_logged_fact_says_who_sent_it_and_a_freshness_fact_keeps_both_sources() {
    let text = r#"{"kind":"freshness","from":"policy","by":"k1","source":"acme","stale_after_ms":1,"action":"serve"}"#;
    let statement = parse_logged(text).unwrap();
    assert_eq!(statement.source, "policy");
    let mut out = Vec::new();
    statement.encode(&mut out);
    assert_eq!(std::str::from_utf8(&out).unwrap(), text);
}

#[test]
fn what_commands_became_is_unknown_from_outside() {
    let text = r#"{"kind":"reservation.released","id":"a"}"#;
    assert_eq!(parse_statement(text, Some("acme"), None), Err(FactError::UnknownKind));
    assert!(parse_logged(text).is_ok());
}

#[test]
fn lists_have_bounds() {
    let line = r#"{"sku":"A","quantity":1}"#;
    let shipment = |count: usize| {
        let lines = vec![line; count].join(",");
        format!(r#"{{"kind":"shipment","ref":"s","order_ref":"o","lines":[{lines}],"as_of":1}}"#)
    };
    assert!(parse_statement(&shipment(bounds::LINES_MAX), None, None).is_ok());
    let error = parse_statement(&shipment(bounds::LINES_MAX + 1), None, None).unwrap_err();
    assert_eq!(error.to_string(), "malformed: lines: must have at most 2000 entries");
}
