//! Request bodies against `tests/vectors/requests.json`, and what JSON text cannot express.

use proptest::prelude::*;

use super::*;

const VECTORS: &str = include_str!("../../../../../tests/vectors/requests.json");

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    call: String,
    body: String,
    problem: Option<String>,
    #[serde(default)]
    errors: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    path: String,
    reason: String,
}

fn call(name: &str, body: &[u8]) -> Result<(), RequestError> {
    match name {
        "put" => parse_put(body).map(drop),
        "confirm" => parse_confirm(body).map(drop),
        "release" | "cancel" => parse_empty(body),
        "extend" => parse_extend(body).map(drop),
        "fulfil" => parse_fulfil(body).map(drop),
        "validate" => parse_validate(body).map(drop),
        "availabilities" => parse_availabilities(body).map(drop),
        "batch" => split_batch(body).map(drop),
        "facts" => split_facts(body, 10_000, 10_000, Some("k1"), None, None).map(drop),
        other => panic!("no such call: {other}"),
    }
}

const CALLS: [&str; 10] = [
    "put",
    "confirm",
    "release",
    "cancel",
    "extend",
    "fulfil",
    "validate",
    "availabilities",
    "batch",
    "facts",
];

#[test]
fn bodies_are_accepted_or_refused_as_pinned() {
    let vectors: Vectors = serde_json::from_str(VECTORS).expect("tests/vectors/requests.json is readable");
    for Case {
        call: name,
        body,
        problem,
        errors,
    } in vectors.cases
    {
        match (call(&name, body.as_bytes()), problem) {
            (Ok(()), None) => {}
            (Ok(()), Some(problem)) => panic!("{name} accepted what is {problem}: {body}"),
            (Err(error), None) => panic!("{name} refused {body}: {error:?}"),
            (Err(error), Some(problem)) => {
                let expected: Vec<_> = errors
                    .into_iter()
                    .map(|Expected { path, reason }| FieldError { path, reason })
                    .collect();
                assert_eq!(
                    (error.problem.name(), error.errors),
                    (problem.as_str(), expected),
                    "{name} {body}"
                );
            }
        }
    }
}

#[test]
fn a_cart_is_read_with_its_defaults_and_borrows_its_strings() {
    let body = br#"{"channel":"web","owner":"a\u00e9","ttl_ms":900000,"lines":[{"sku":"TEE-M","quantity":2}]}"#;
    let put = parse_put(body).unwrap();
    let lines = vec![PutLine {
        sku: "TEE-M".into(),
        quantity: 2,
        unit: None,
        location: None,
    }];
    assert!(matches!(put.lines[0].sku, Text::Borrowed(_)));
    let expected = PutBody {
        channel: "web".into(),
        region: None,
        owner: Some("aé".into()),
        ttl_ms: 900_000,
        lines,
        partial: false,
        supersede: false,
        revision: None,
    };
    assert_eq!(put, expected);
}

#[test]
fn bytes_that_are_not_utf8_are_no_json() {
    for name in CALLS {
        assert_eq!(
            call(name, b"{\"channel\":\"\xff\"}").unwrap_err().problem,
            Problem::MalformedJson,
            "{name}"
        );
    }
    assert_eq!(
        parse_in_message(b"\xff").unwrap_err(),
        crate::wire::facts::FactError::NotJson
    );
}

#[test]
fn ids_are_bounded_in_characters_and_hold_no_control_characters() {
    let (longest, longer) = ("é".repeat(128), "é".repeat(129));
    for id in ["a", "a b/c?d%", longest.as_str()] {
        assert_eq!(check_id(id), Ok(()));
    }
    for id in ["", longer.as_str(), "a\u{7f}", "a\u{85}", "\u{0}"] {
        let error = check_id(id).unwrap_err();
        assert_eq!(
            (error.problem, error.errors[0].path.as_str()),
            (Problem::Invalid, "id"),
            "{id:?}"
        );
    }
    assert_eq!(check_name("channel", "").unwrap_err().errors[0].path, "channel");
}

#[test]
fn a_batch_becomes_put_bodies_without_ids() {
    let body = br#"{"requests":[{"channel":"web", "id":"a\"b", "lines":[ 1 ]},{"id":"c"}]}"#;
    let split = split_batch(body).unwrap();
    let expected = [("a\"b", r#"{"channel":"web","lines":[ 1 ]}"#), ("c", "{}")];
    assert_eq!(split, expected.map(|(id, body)| (id.to_owned(), body.to_owned())));
}

#[test]
fn facts_are_packed_in_order_into_messages_below_the_limit() {
    let facts: Vec<String> = (0..50).map(|number| format!("{{\"number\": {number}}}")).collect();
    let body = format!("{{\"source\":\"acme\",\"facts\":[{}]}}", facts.join(" , "));
    let (source, messages) = split_facts(body.as_bytes(), 100, 10_000, Some("k1"), None, None).unwrap();
    assert_eq!(source, "acme");
    let mut read = Vec::new();
    for message in &messages {
        assert!(message.len() <= 100);
        let message = parse_in_message(message).unwrap();
        assert_eq!(
            (message.source.as_deref(), message.by.as_deref()),
            (Some("acme"), Some("k1"))
        );
        read.extend(message.facts.iter().map(|fact| fact.get().to_owned()));
    }
    assert!(messages.len() > 1);
    assert_eq!(read, facts);
}

#[test]
fn a_fact_that_looks_at_every_reservation_is_the_last_of_its_message() {
    let [level, reset, owner] = [
        r#"{"kind":"stock.level"}"#,
        r#"{"kind":"source.reset"}"#,
        r#"{"kind": "ownership"}"#,
    ];
    let body = |atomic: bool, facts: &[&str]| format!("{{\"atomic\":{atomic},\"facts\":[{}]}}", facts.join(","));
    let counts = |body: &str| -> Vec<usize> {
        let (_, messages) = split_facts(body.as_bytes(), 100_000, 10_000, None, None, None).unwrap();
        let read = messages
            .iter()
            .map(|message| parse_in_message(message).unwrap().facts.len());
        read.collect()
    };
    let facts = [level, level, reset, level, owner, owner, level];
    assert_eq!(counts(&body(false, &facts)), [3, 2, 1, 1]);
    assert_eq!(counts(&body(true, &facts)), [7]);
    assert_eq!(counts(&body(false, &[level; 600])), [250, 250, 100]);
}

#[test]
fn a_fact_that_fits_no_message_is_too_large() {
    let body = format!("{{\"facts\":[1,\"{}\"]}}", "x".repeat(100));
    let error = split_facts(body.as_bytes(), 100, 10_000, None, None, None).unwrap_err();
    assert_eq!(error.problem, Problem::TooLarge);
    assert!(error.detail.contains("facts[1]"));
    let exact = body.len() - "1,".len();
    assert_eq!(
        split_facts(body.as_bytes(), exact, 10_000, None, None, None)
            .unwrap()
            .1
            .len(),
        2
    );
}

#[test]
fn policies_name_no_source() {
    let (source, messages) = split_facts(br#"{"facts":[{}]}"#, 100, 10_000, None, None, None).unwrap();
    assert_eq!(
        (source.as_str(), messages),
        (POLICY_SOURCE, vec![br#"{"facts":[{}]}"#.to_vec()])
    );
}

#[test]
fn a_message_from_in_says_what_is_wrong_with_it() {
    let cases = [
        ("{", "malformed-json"),
        ("[]", "malformed: must be an object"),
        ("{}", "malformed: facts: is missing"),
        ("{\"facts\":[],\"extra\":1}", "malformed: extra: is unknown"),
        ("{\"facts\":7}", "malformed: facts: must be an array"),
        (
            "{\"facts\":[],\"source\":\"\"}",
            "malformed: source: must have 1 to 128 characters",
        ),
    ];
    for (payload, reason) in cases {
        assert_eq!(
            parse_in_message(payload.as_bytes()).unwrap_err().to_string(),
            reason,
            "{payload}"
        );
    }
}

#[test]
fn only_so_many_flaws_are_reported() {
    let lines = vec!["{}"; LINES_MAX].join(",");
    let body = format!("{{\"channel\":\"web\",\"ttl_ms\":1,\"lines\":[{lines}]}}");
    assert_eq!(parse_put(body.as_bytes()).unwrap_err().errors.len(), 100);
}

#[test]
fn a_cart_has_at_most_two_thousand_lines() {
    let line = r#"{"sku":"A","quantity":1}"#;
    let body = |count| {
        format!(
            r#"{{"channel":"web","ttl_ms":1,"lines":[{}]}}"#,
            vec![line; count].join(",")
        )
    };
    assert!(parse_put(body(LINES_MAX).as_bytes()).is_ok());
    let error = parse_put(body(LINES_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(
        error.errors,
        [FieldError::new("lines", "must have at most 2000 entries")]
    );
}

proptest! {
    #[test]
    fn prop_arbitrary_bytes_are_refused_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        for name in CALLS {
            let _ = call(name, &body);
        }
        let _ = parse_in_message(&body);
    }

    #[test]
    fn prop_a_damaged_cart_is_refused_with_reasons_or_read(at in 0_usize..100, with in "[ -~]{0,3}") {
        let cart = r#"{"channel":"web","owner":"a","ttl_ms":900000,"lines":[{"sku":"A","quantity":2},{"sku":"B","quantity":1}]}"#;
        let mut text = cart.to_owned();
        let at = at.min(text.len() - 1);
        text.replace_range(at..=at, &with);
        if let Err(error) = parse_put(text.as_bytes()) {
            prop_assert_eq!(error.problem == Problem::Invalid, !error.errors.is_empty());
        }
    }
}
