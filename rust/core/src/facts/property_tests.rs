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
        if statement.fact.kind().starts_with("reservation.") || statement.fact.kind() == "request.answered" {
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
    }

    #[test]
    fn prop_arbitrary_text_never_panics(text in "\\PC*") {
        prop_assert!(parse_logged(&text).is_err());
        prop_assert!(parse_statement(&text, None, None).is_err());
    }
}
