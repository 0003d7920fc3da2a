//! Random statements survive LOG, and random bytes never panic.

use std::borrow::Cow;

use proptest::prelude::*;

use super::arbitrary::statement;
use super::*;

fn encoded(statement: &Statement<'_>) -> String {
    let mut out = Vec::new();
    statement.encode(&mut out);
    String::from_utf8(out).expect("canonical bytes are UTF-8")
}

/// A member that some fact has, mostly with a value that it may have.
fn member() -> impl Strategy<Value = String> {
    const NAMES: &str = "id|channel|owner|region|ttl_ms|partial|supersede|revision|order_ref|by|source|trace|sku|\
        location|on_hand|basis|as_of|allocated|unit|quantity|asked|lines|kind|unsellable";
    const LINES: &str =
        "\\[(\\{\"sku\":\"A\",\"quantity\":[0-9]{1,20}(,\"(asked|location)\":(\"lyon\"|7|0))?\\},?){1,2}\\]";
    let value = prop_oneof![
        "\"[a-z]{1,9}\"",
        "\"(net|gross|)\"",
        "-?[0-9]{1,20}",
        "true|false|null|1\\.0",
        LINES
    ];
    (NAMES, value).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

#[test]
fn the_facts_that_fill_a_log_are_taken_quickly() {
    for text in [
        r#"{"kind":"reservation.held","by":"k1","id":"c","channel":"web","owner":"ab","ttl_ms":9,"lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":0,"location":"lyon","asked":2}],"partial":true}"#,
        r#"{"kind":"reservation.confirmed","by":"k1","id":"c","order_ref":"WC-1"}"#,
        r#"{"kind":"reservation.released","id":"c"}"#,
        r#"{"kind":"stock.level","source":"acme","sku":"A","location":"lyon","on_hand":7,"basis":"net","as_of":1}"#,
    ] {
        assert!(fast_path::logged(text).is_some(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prop_what_log_keeps_is_read_back_as_it_was(statement in statement()) {
        let text = encoded(&statement);
        let read = parse_logged(&text);
        prop_assert_eq!(read.as_ref(), Ok(&statement), "{}", text);
    }

    #[test]
    fn prop_a_fact_from_outside_is_read_like_the_logged_one(statement in statement()) {
        let bare = Statement { source: Cow::Borrowed(""), by: None, ..statement.clone() };
        let text = encoded(&bare);
        let read = parse_statement(&text, Some(&statement.source), statement.by.as_deref());
        let is_own = |kind: &str| kind.starts_with("reservation.") || ["request.answered", "digest.recounted"].contains(&kind);
        if is_own(statement.fact.kind()) {
            prop_assert_eq!(read, Err(FactError::UnknownKind));
        } else {
            prop_assert_eq!(read.as_ref(), Ok(&statement), "{}", text);
        }
    }

    #[test]
    fn prop_the_order_of_members_does_not_matter(statement in statement()) {
        let text = encoded(&statement);
        let tree: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        let turned: Vec<String> = tree.iter().rev().map(|(key, value)| {
            format!("{} : {value}", serde_json::Value::from(key.as_str()))
        }).collect();
        // serde_json's tree holds per cents as floats, which print with at most the decimals they came with.
        let turned = format!(" {{ {} }} ", turned.join(" , "));
        let read = parse_logged(&turned);
        prop_assert_eq!(read.as_ref(), Ok(&statement), "{}", turned);
    }

    #[test]
    fn prop_a_damaged_fact_never_panics(statement in statement(), at in any::<prop::sample::Index>(), with in "\\PC{0,3}") {
        let mut text: Vec<char> = encoded(&statement).chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, with.chars());
        let text: String = text.into_iter().collect();
        let _ = parse_logged(&text);
        let _ = parse_statement(&text, Some("acme"), None);
        if let Some(taken) = fast_path::logged(&text) {
            prop_assert_eq!(parse::parse_logged_slowly(&text), Ok(taken), "{}", text);
        }
    }

    #[test]
    fn prop_a_fact_taken_quickly_is_what_serde_reads(
        members in proptest::collection::vec(member(), 1..9),
        kind in "reservation\\.(held|confirmed|released|oversold)|stock\\.level",
        space in "[ \n]{0,1}",
    ) {
        let text = format!("{{\"kind\":{space}\"{kind}\",{}}}{space}", members.join(&format!("{space},")));
        if let Some(taken) = fast_path::logged(&text) {
            prop_assert_eq!(parse::parse_logged_slowly(&text), Ok(taken), "{}", text);
        }
    }

    #[test]
    fn prop_arbitrary_text_never_panics(text in "\\PC*") {
        prop_assert!(parse_logged(&text).is_err());
        prop_assert!(parse_statement(&text, None, None).is_err());
    }
}
