//! Codes: right for one key, purpose, context and message, and for nothing else.

use proptest::prelude::*;

use super::*;

fn keys(secrets: &[&[u8]]) -> ScopeKeys {
    ScopeKeys::new(secrets.iter().copied()).unwrap()
}

#[test]
fn a_signed_object_stays_json_and_its_origin_is_proven() {
    let keys = keys(&[b"first", b"second"]);
    let plain = br#"{"version":1,"facts":[]}"#.to_vec();
    let mut object = plain.clone();
    keys.sign_json(None, Purpose::Batch, b"", &mut object);
    assert_eq!(object.len(), plain.len() + JSON_BYTES);
    let read: serde_json::Value = serde_json::from_slice(&object).unwrap();
    assert_eq!(read["version"], 1);
    let first = keys.ids().next().unwrap().to_owned();
    assert!(read["mac"].as_str().unwrap().starts_with(&first));
    assert_eq!(
        keys.origin_of_json(Purpose::Batch, b"", &object),
        Origin::Proven { key: &first }
    );
    assert_eq!(keys.origin_of_json(Purpose::Batch, b"", &plain), Origin::Unproven);
}

#[test]
fn a_key_that_is_named_signs_and_one_that_is_not_known_is_told() {
    let both = keys(&[b"first", b"second"]);
    let second = both.ids().nth(1).unwrap().to_owned();
    let mut object = b"{}".to_vec();
    object.splice(1..1, *b"\"a\":1");
    both.sign_json(Some(&second), Purpose::Lease, b"main", &mut object);
    let proven = Origin::Proven { key: &second };
    assert_eq!(both.origin_of_json(Purpose::Lease, b"main", &object), proven);
    let only_second = keys(&[b"second"]);
    assert_eq!(only_second.origin_of_json(Purpose::Lease, b"main", &object), proven);
    let unknown = Origin::UnknownKey { key: &second };
    assert_eq!(
        keys(&[b"first"]).origin_of_json(Purpose::Lease, b"main", &object),
        unknown
    );
}

#[test]
fn the_secrets_are_not_shown() {
    assert!(!format!("{:?}", keys(&[b"a secret"])).contains("a secret"));
    assert!(ScopeKeys::new([]).is_none());
}

proptest! {
    #[test]
    fn a_changed_byte_another_purpose_context_or_key_proves_nothing(
        text in "[a-z ]{0,40}", at in 0_usize..200, flip in 1_u8..=255, context in "[a-z.]{0,12}", other in 0_usize..7,
    ) {
        let own = keys(&[b"own"]);
        let mut object = serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap();
        own.sign_json(None, Purpose::Peer, context.as_bytes(), &mut object);
        let proven = |keys: &ScopeKeys, purpose, context: &str, object: &[u8]| {
            matches!(keys.origin_of_json(purpose, context.as_bytes(), object), Origin::Proven { .. })
        };
        prop_assert!(proven(&own, Purpose::Peer, &context, &object));
        let longer = format!("{context}x");
        prop_assert!(!proven(&own, Purpose::Peer, &longer, &object));
        prop_assert!(!proven(&keys(&[b"other"]), Purpose::Peer, &context, &object));
        let purpose = PURPOSES[other].0;
        prop_assert_eq!(proven(&own, purpose, &context, &object), purpose == Purpose::Peer);
        let at = at % object.len();
        object[at] ^= flip;
        prop_assert!(!proven(&own, Purpose::Peer, &context, &object));
    }

    #[test]
    fn a_binary_message_opens_for_its_purpose_and_context_alone(message: Vec<u8>, at: usize, flip in 1_u8..=255) {
        let own = keys(&[b"own", b"older"]);
        let mut signed = own.sign(Purpose::Question, b"hf.main.lead.n1.1", &message);
        prop_assert_eq!(own.open(Purpose::Question, b"hf.main.lead.n1.1", &signed), Some(&message[..]));
        prop_assert_eq!(own.open(Purpose::Question, b"hf.main.lead.n1.2", &signed), None);
        prop_assert_eq!(own.open(Purpose::Answer, b"hf.main.lead.n1.1", &signed), None);
        prop_assert_eq!(keys(&[b"older"]).open(Purpose::Question, b"hf.main.lead.n1.1", &signed), None);
        let at = at % signed.len();
        signed[at] ^= flip;
        prop_assert_eq!(own.open(Purpose::Question, b"hf.main.lead.n1.1", &signed), None);
        prop_assert_eq!(own.open(Purpose::Question, b"", &signed[..at.min(BINARY_BYTES - 1)]), None);
    }
}
