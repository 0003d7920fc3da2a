//! Batches written and read back, damaged ones refused, split by the fast path as serde splits them.

use std::borrow::Cow;

use super::*;
use crate::wire::facts::Fact;

fn header(kind: BatchKind) -> BatchHeader<'static> {
    BatchHeader {
        version: VERSION,
        scope: Cow::Borrowed("main"),
        kind,
        epoch: 1,
        node: Cow::Borrowed("n\"1"),
        batch: 7,
        previous: [0xab; 32],
        in_upto: u64::MAX,
        now_ms: -1,
        lead_ms: 5,
        rules: None,
    }
}

fn released(id: &str) -> Statement<'_> {
    Statement {
        source: Cow::Borrowed(""),
        by: None,
        trace: None,
        fact: Fact::ReservationReleased(Cow::Borrowed(id)),
    }
}

#[test]
fn a_batch_is_read_back_as_it_was_written() {
    let mut writer = BatchWriter::new();
    assert!(writer.is_empty());
    let grown = writer.push(&released("a")) + writer.push(&released("b"));
    assert_eq!((writer.count(), writer.bytes()), (2, grown));
    let bytes = writer.finish(&header(BatchKind::Facts));
    let expected = "{\"version\":1,\"scope\":\"main\",\"kind\":\"facts\",\"epoch\":1,\"node\":\"n\\\"1\",\"batch\":7,\
        \"previous\":\"abababababababababababababababababababababababababababababababab\",\
        \"in_upto\":18446744073709551615,\"now_ms\":-1,\"lead_ms\":5,\"facts\":[\
        {\"kind\":\"reservation.released\",\"id\":\"a\"},{\"kind\":\"reservation.released\",\"id\":\"b\"}]}";
    assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
    let batch = parse_batch(&bytes).unwrap();
    assert_eq!(batch.header.node, "n\"1");
    assert_eq!(batch.header.previous, [0xab; 32]);
    assert_eq!(batch.facts, [Ok(released("a")), Ok(released("b"))]);
    assert_eq!(grown, r#"{"kind":"reservation.released","id":"a"}"#.len() * 2 + 1);
}

#[test]
fn a_lead_batch_carries_rules_and_no_facts() {
    let bytes = BatchWriter::new().finish(&header(BatchKind::Lead));
    assert!(bytes.ends_with(b",\"rules\":{}}"));
    let batch = parse_batch(&bytes).unwrap();
    assert_eq!((batch.header.kind, batch.facts.len()), (BatchKind::Lead, 0));
    assert_eq!(batch.header.rules.unwrap().get(), "{}");
}

#[test]
fn the_longest_header_stays_within_its_bound() {
    let name = "\\".repeat(128);
    let longest = BatchHeader {
        scope: Cow::Borrowed(&name),
        node: Cow::Borrowed(&name),
        epoch: u64::MAX,
        batch: u64::MAX,
        now_ms: i64::MIN,
        lead_ms: i64::MIN,
        ..header(BatchKind::Facts)
    };
    assert!(BatchWriter::new().finish(&longest).len() < HEADER_BYTES_MAX);
}

#[test]
fn what_is_no_batch_is_refused() {
    let facts = String::from_utf8(BatchWriter::new().finish(&header(BatchKind::Facts))).unwrap();
    let wrong = [
        facts.replace("\"version\":1", "\"version\":2"),
        facts.replace("\"kind\":\"facts\"", "\"kind\":\"lead\""),
        facts.replace("\"facts\":[]", "\"rules\":{}"),
        facts.replace("abab", "abax"),
        facts.replace("\"epoch\":1", "\"epoch\":1.0"),
        facts.replace("\"epoch\":1,", ""),
        facts.replace("\"epoch\":1", "\"epoch\":1,\"extra\":1"),
        facts[..facts.len() - 1].to_owned(),
        format!("[{facts}]"),
    ];
    for text in wrong {
        assert!(parse_batch(text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse_batch(b"\xff").is_err());
}

fn written() -> String {
    let mut writer = BatchWriter::new();
    for id in ["a", "b\"", "\u{e9}"] {
        writer.push(&released(id));
    }
    String::from_utf8(writer.finish(&header(BatchKind::Facts))).expect("JSON")
}

#[test]
fn what_this_code_writes_is_split_quickly() {
    assert!(usual(&written()).is_some());
}

proptest::proptest! {
    #[test]
    fn a_batch_split_quickly_is_what_serde_splits(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        with in "|[ -~]{1,2}|,\"facts\":\\[|\\]\\}|,\"rules\":\\{|\\}",
        cut in 0_usize..3,
    ) {
        let mut text: Vec<char> = written().chars().collect();
        let at = at.index(text.len());
        text.splice(at..(at + cut).min(text.len()), with.chars());
        let text: String = text.into_iter().collect();
        if let Some(taken) = usual(&text) {
            let read = any(&text);
            proptest::prop_assert_eq!(read.map(|read| format!("{read:?}")), Ok(format!("{taken:?}")), "{}", text);
        }
    }
}

#[test]
fn the_chain_hash_covers_every_byte_and_the_domain() {
    assert_ne!(chain_hash(b"a"), chain_hash(b"b"));
    assert_ne!(chain_hash(b"a"), *blake3::hash(b"a").as_bytes());
}
