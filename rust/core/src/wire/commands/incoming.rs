//! Bodies of facts: from HTTP to messages for IN, and a message from IN back to its facts.
//!
//! In: `{"source"?, "by"?, "facts": [...]}`. Out: the text of each fact, unread. Always: in order, each fact whole, no
//! message over the limit.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{first_flaw, parse_located, utf8};
use crate::wire::errors::{Problem, RequestError};
use crate::wire::facts::take::{Name, Object, Taken, one, opt};
use crate::wire::facts::{FactError, Text};
use crate::wire::json;
use crate::wire::keys::{Asked, hash, read_hex};

/// The source of policies, which name none.
pub const POLICY_SOURCE: &str = "policy";
/// A source is the last token of a NATS subject: this many letters, digits, `_` and `-`.
const SOURCE_BYTES_MAX: usize = 64;
/// Facts of one message: what one turn of the leader can always bear, and what one batch can record.
pub const MESSAGE_FACTS_MAX: usize = 2_000;
/// Facts of one message that look at every reservation: so few, that a leader of millions keeps its lease.
pub const MESSAGE_WIDE_MAX: usize = 2;
/// Bytes of one message.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// Facts of one message of which all or nothing is taken.
pub const ATOMIC_FACTS_MAX: usize = MESSAGE_FACTS_MAX;
/// Facts that a body is cut into: so few, that commands wait little for one message of it.
const PART_FACTS_MAX: usize = 250;
/// Facts of a body that are kept while it is read, whatever the setting allows.
const BODY_FACTS_MAX: usize = 100_000;
/// What naming its idempotency key adds to a message at the most.
const KEY_BYTES: usize = 160;

/// One message of IN.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InMessage<'a> {
    /// None: the last token of the subject.
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    pub source: Option<Text<'a>>,
    /// The key that brought it; a gateway says so.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub by: Option<Text<'a>>,
    /// Of the request that brought it, for the facts that name none.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub trace: Option<Text<'a>>,
    /// Under which idempotency key it was sent, if under one; a gateway says so.
    #[serde(default, deserialize_with = "opt::<_, Object<InKey>>")]
    pub(crate) idempotency: Option<InKey>,
    /// All of its facts are taken, or none.
    #[serde(default)]
    pub atomic: bool,
    /// For [`crate::wire::facts::parse_statement`], each on its own.
    #[serde(deserialize_with = "one::<_, Facts<'a, MESSAGE_FACTS_MAX>>")]
    pub facts: Vec<&'a RawValue>,
    /// A gateway's code, checked before ([`crate::wire::mac`]).
    #[serde(default, rename = "mac")]
    pub(crate) _mac: Option<IgnoredAny>,
}

/// An idempotency key as IN has it; the gateway makes these of the client's.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InKey {
    /// Of the whole body.
    #[serde(deserialize_with = "hexadecimal")]
    root: u128,
    /// Of this message of it; the same where there is but one.
    #[serde(deserialize_with = "hexadecimal")]
    key: u128,
    /// Hash of the whole body.
    #[serde(deserialize_with = "hexadecimal")]
    request: u128,
}

impl InKey {
    /// The key as one of this source alone, whatever another source names its own.
    pub(crate) fn of_source(self, source: &str) -> Self {
        let own = |key: u128| hash(&[b"source", source.as_bytes(), &key.to_le_bytes()]);
        InKey {
            root: own(self.root),
            key: own(self.key),
            request: self.request,
        }
    }
}

fn hexadecimal<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
    use serde::de::Error;
    let digits = one::<_, Name<'_>>(from)?;
    read_hex(&digits).ok_or_else(|| D::Error::custom("must be 32 hexadecimal digits"))
}

impl From<InKey> for Asked {
    fn from(InKey { root, key, request }: InKey) -> Self {
        Asked { root, key, request }
    }
}

/// Reads a message from IN; any publisher may have written it. Errors display as `malformed-json` or
/// `malformed: path: reason`.
pub fn parse_in_message(payload: &[u8]) -> Result<InMessage<'_>, FactError> {
    let text = std::str::from_utf8(payload).map_err(|_| FactError::NotJson)?;
    match serde_json::from_str::<Object<InMessage<'_>>>(text) {
        Ok(Object(message)) => Ok(message),
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_err() => Err(FactError::NotJson),
        Err(_) => Err(FactError::from(first_flaw::<InMessage<'_>>(text))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsBody<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    source: Option<Text<'a>>,
    #[serde(default)]
    atomic: bool,
    facts: Facts<'a, BODY_FACTS_MAX>,
}

/// The text of each fact, unread; more than `MAX` are an error.
#[derive(Debug)]
struct Facts<'a, const MAX: usize>(Vec<&'a RawValue>);

impl<'a, const MAX: usize> Taken for Facts<'a, MAX> {
    type Out = Vec<&'a RawValue>;
    fn out(self) -> Vec<&'a RawValue> {
        self.0
    }
}

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Facts<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FactsVisitor<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for FactsVisitor<MAX> {
            type Value = Vec<&'de RawValue>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut facts = Vec::new();
                while let Some(fact) = sequence.next_element()? {
                    if facts.len() == MAX {
                        return Err(A::Error::custom(format!(
                            "must have at most {} entries",
                            json::thousands(MAX)
                        )));
                    }
                    facts.push(fact);
                }
                Ok(facts)
            }
        }
        from.deserialize_seq(FactsVisitor::<MAX>).map(Self)
    }
}

/// Splits a body of `/v1/facts` or `/v1/policies` into messages for IN of at most `limit_bytes` each; one of more than
/// `facts_max` facts is refused. Gives the source
/// too: [`POLICY_SOURCE`] where the body names none, and it cannot be named. `by`: the API key; `key`: the idempotency key.
pub fn split_facts(
    body: &[u8],
    limit_bytes: usize,
    facts_max: usize,
    by: Option<&str>,
    key: Option<&str>,
    trace: Option<&str>,
) -> Result<(String, Vec<Vec<u8>>), RequestError> {
    let text = utf8(body)?;
    let FactsBody { source, atomic, facts } = parse_located(text)?;
    if let Some(source) = &source {
        check_source(source)?;
    }
    let facts = facts.0;
    if facts.is_empty() {
        return Err(RequestError::invalid("facts", "must have at least 1 entry"));
    }
    if facts.len() > facts_max {
        let detail = format!(
            "A body has at most {} facts; send fewer at once.",
            json::thousands(facts_max)
        );
        return Err(RequestError::with_detail(Problem::TooLarge, detail));
    }
    if atomic && facts.len() > ATOMIC_FACTS_MAX {
        let reason = format!("must have at most {ATOMIC_FACTS_MAX} entries in an atomic body");
        return Err(RequestError::invalid("facts", &reason));
    }
    let asked = key.map(|key| Asked::whole(by, key, hash(&[b"facts", body])));
    let room = if asked.is_some() { KEY_BYTES } else { 0 };
    let head = head(source.as_deref(), by, trace, atomic);
    let most = if atomic { ATOMIC_FACTS_MAX } else { PART_FACTS_MAX };
    let wide_end_a_part = !atomic && may_be_wide(text);
    let mut messages = pack(&head, &facts, most, wide_end_a_part, limit_bytes.saturating_sub(room))?;
    if atomic && messages.len() > 1 {
        let detail = format!("An atomic body has at most {limit_bytes} bytes; send less at once.");
        return Err(RequestError::with_detail(Problem::TooLarge, detail));
    }
    if let Some(asked) = asked {
        name_each(&mut messages, asked);
    }
    Ok((
        source.map_or_else(|| POLICY_SOURCE.to_owned(), Text::into_owned),
        messages,
    ))
}

/// Writes into each message which part it is of what was asked.
fn name_each(messages: &mut [Vec<u8>], asked: Asked) {
    let one = messages.len() == 1;
    for (number, message) in messages.iter_mut().enumerate() {
        let part = if one { asked } else { asked.part(number) };
        message.pop();
        let (root, key, request) = (part.root, part.key, part.request);
        let named =
            format!(r#","idempotency":{{"root":"{root:032x}","key":"{key:032x}","request":"{request:032x}"}}}}"#);
        debug_assert!(named.len() <= KEY_BYTES, "Invariant: room was left for it");
        message.extend_from_slice(named.as_bytes());
    }
}

fn check_source(source: &str) -> Result<(), RequestError> {
    let token = source
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !token || source.len() > SOURCE_BYTES_MAX {
        return Err(RequestError::invalid(
            "source",
            "must have 1 to 64 letters, digits, '_' or '-'",
        ));
    }
    if source == POLICY_SOURCE {
        return Err(RequestError::invalid(
            "source",
            "must not be 'policy', which stands for /v1/policies",
        ));
    }
    Ok(())
}

fn head(source: Option<&str>, by: Option<&str>, trace: Option<&str>, atomic: bool) -> Vec<u8> {
    let mut head = b"{".to_vec();
    for (key, value) in [("\"source\":", source), ("\"by\":", by), ("\"trace\":", trace)] {
        if let Some(value) = value {
            head.extend_from_slice(key.as_bytes());
            json::write_string(&mut head, value);
            head.push(b',');
        }
    }
    if atomic {
        head.extend_from_slice(b"\"atomic\":true,");
    }
    head.extend_from_slice(b"\"facts\":[");
    head
}

/// Whether a text, unread, may be of a fact that looks at every reservation. One that hides it finds that a message has few.
fn may_be_wide(text: &str) -> bool {
    text.contains("\"source.reset\"") || text.contains("\"ownership\"")
}

/// `wide_end_a_part`: a fact that looks at every reservation is the last of its message, so that commands wait for one only.
fn pack(
    head: &[u8],
    facts: &[&RawValue],
    facts_max: usize,
    wide_end_a_part: bool,
    limit_bytes: usize,
) -> Result<Vec<Vec<u8>>, RequestError> {
    const TAIL: &[u8] = b"]}";
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let (mut count, mut is_ended) = (0, true);
    for (index, text) in facts.iter().map(|fact| fact.get()).enumerate() {
        let fact = text.as_bytes();
        if head.len() + fact.len() + TAIL.len() > limit_bytes {
            let detail =
                format!("facts[{index}] alone is larger than a message of {limit_bytes} bytes; send it smaller.");
            return Err(RequestError::with_detail(Problem::TooLarge, detail));
        }
        match messages.last_mut() {
            Some(message) if !is_ended && message.len() + 1 + fact.len() + TAIL.len() <= limit_bytes => {
                message.push(b',');
                message.extend_from_slice(fact);
                count += 1;
            }
            _ => {
                messages.push([head, fact].concat());
                count = 1;
            }
        }
        is_ended = count == facts_max || wide_end_a_part && may_be_wide(text);
    }
    for message in &mut messages {
        message.extend_from_slice(TAIL);
    }
    Ok(messages)
}
