//! The fast path against serde, on bodies that machines write and on the same bodies damaged.

use proptest::prelude::*;

use super::*;

/// A text in a body: mostly plain, sometimes with what only serde reads.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[ -!#-\\[\\]-~]{1,20}", 1 => "[a-z]{127,129}", 1 => "\\PC{0,4}|[\\x00-\\x7f]{1,3}"]
        .prop_map(|text| serde_json::to_string(&text).expect("text"))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[1-9][0-9]{0,8}",
        1 => "-?[0-9]{1,20}",
        1 => "0|01|1\\.0|1e3|null|true|\"1\"|9007199254740992|9007199254740993|14400000|14400001|1000000000",
    ]
}

fn word() -> impl Strategy<Value = String> {
    "true|false|null|0|tru|TRUE"
}

fn member(name: &'static str, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    ("[ \n]{0,1}", value, "[ \t\r]{0,1}")
        .prop_map(move |(before, value, after)| format!("{before}\"{name}\":{after}{value}"))
        .boxed()
}

/// Members in any order, some missing, some twice.
fn object(members: Vec<BoxedStrategy<String>>, usual: usize) -> impl Strategy<Value = String> {
    let count = members.len();
    let usual = (0..usual).collect::<Vec<_>>();
    let chosen = prop_oneof![
        3 => Just(usual),
        2 => proptest::sample::subsequence((0..count).collect::<Vec<_>>(), 0..=count).prop_shuffle(),
        1 => proptest::collection::vec(0..count, 1..6),
    ];
    (members, chosen).prop_map(|(members, chosen)| {
        format!(
            "{{{}}}",
            chosen.iter().map(|&n| members[n].clone()).collect::<Vec<_>>().join(",")
        )
    })
}

fn line() -> impl Strategy<Value = String> {
    let members = vec![
        member("sku", text()),
        member("quantity", number()),
        member("unit", text()),
        member("location", text()),
        member("extra", number()),
    ];
    object(members, 2)
}

fn put() -> impl Strategy<Value = String> {
    let lines = proptest::collection::vec(line(), 0..4).prop_map(|lines| format!("[{}]", lines.join(" ,")));
    let members = vec![
        member("channel", text()),
        member("ttl_ms", number()),
        member("lines", lines),
        member("owner", text()),
        member("region", text()),
        member("partial", word()),
        member("supersede", word()),
        member("revision", number()),
    ];
    object(members, 4)
}

fn damaged(body: &str, at: usize, with: &str, cut: usize) -> String {
    let mut characters: Vec<char> = body.chars().collect();
    let at = at.min(characters.len());
    let end = (at + cut).min(characters.len());
    characters.splice(at..end, with.chars());
    characters.into_iter().collect()
}

/// What the fast path takes is what serde reads, whole.
fn same<'a, T>(text: &'a str, fast: fn(&'a str) -> Option<T>) -> Result<(), TestCaseError>
where
    T: Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    if let Some(taken) = fast(text) {
        let read = serde_json::from_str::<Object<T>>(text);
        prop_assert_eq!(
            read.map(|read| read.0).map_err(|e| e.to_string()),
            Ok(taken),
            "{}",
            text
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn prop_a_put_body_taken_quickly_is_what_serde_reads(
        body in put(), at in 0_usize..200, with in "[ -~]{0,2}|[\\x00-\\x1f\u{7f}\u{e9}]", cut in 0_usize..4,
    ) {
        same(&body, fast_path::put)?;
        same(&damaged(&body, at, &with, cut), fast_path::put)?;
        same(&format!("{body}{with}"), fast_path::put)?;
    }

    #[test]
    fn prop_a_confirm_body_taken_quickly_is_what_serde_reads(
        reference in text(), at in 0_usize..40, with in "[ -~]{0,2}", cut in 0_usize..4,
    ) {
        let body = format!("{{\"order_ref\":{reference}}}");
        same(&body, fast_path::confirm)?;
        same(&damaged(&body, at, &with, cut), fast_path::confirm)?;
    }
}

#[test]
fn the_usual_bodies_are_taken_quickly() {
    for body in [
        r#"{"channel":"web","owner":"shopper-1","ttl_ms":900000,"lines":[{"sku":"SKU-1","quantity":2},{"sku":"B","quantity":1}]}"#,
        r#"{"channel": "web", "ttl_ms": 1, "lines": [{"quantity": 1, "sku": "A", "location": "lyon", "unit": "box"}], "partial": true}"#,
        "{\n \"lines\": [ {\"sku\":\"A\",\"quantity\":1} ] ,\"supersede\":false,\"revision\":0,\"ttl_ms\":5,\"region\":\"r\",\"channel\":\"c\"\n}\n",
    ] {
        assert!(fast_path::put(body).is_some(), "{body}");
    }
    assert!(fast_path::confirm(r#"{"order_ref":"WC-1001"}"#).is_some());
}
