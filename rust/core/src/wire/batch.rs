//! The LOG batch: one message with what happened, chained to the one before (docs/log.md, "A batch").
//!
//! In: a header and encoded facts. Out: the message's bytes, and back. Always: the bytes are what is hashed and kept;
//! nothing ever encodes a batch again after it was read.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::wire::facts::fast_path::next_logged;
use crate::wire::facts::take::{Name, Object, one};
use crate::wire::facts::words::words;
use crate::wire::facts::{FactError, Statement, Text, parse_logged};
use crate::wire::json::{self, scan::Scan};

/// The version of the message that this code writes and reads.
pub const VERSION: u32 = 1;
/// No header is longer: two names of 128 characters, every byte of them escaped, and numbers. Rules come on top.
pub const HEADER_BYTES_MAX: usize = 2_048;
/// Keeps this hash apart from every other use of blake3.
const HASH_DOMAIN: &[u8] = b"holdfast/batch/v1";

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// A node begins to lead: carries rules and no facts.
    Lead,
    /// What happened: carries facts, perhaps none, and no rules.
    Facts,
}

words!(BatchKind { Lead = "lead", Facts = "facts" });

/// Everything of a batch but its facts.
#[derive(Debug, Clone)]
pub struct BatchHeader<'a> {
    /// [`VERSION`].
    pub version: u32,
    pub scope: Text<'a>,
    pub kind: BatchKind,
    /// Counts leaders.
    pub epoch: u64,
    /// Who leads.
    pub node: Text<'a>,
    /// Counts batches.
    pub batch: u64,
    /// Chain hash of the batch before; zeros before the first.
    pub previous: [u8; 32],
    /// The last IN sequence taken in.
    pub in_upto: u64,
    /// Wall clock, milliseconds since 1970 in UTC.
    pub now_ms: i64,
    /// The leader's clock, milliseconds since the scope began.
    pub lead_ms: i64,
    /// Lead batches only: the rule settings as a JSON object.
    pub rules: Option<&'a RawValue>,
}

/// A batch as it was read: JSON from end to end, and each fact as [`crate::wire::facts::parse_logged`] reads it.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    pub header: BatchHeader<'a>,
    pub facts: Vec<Result<Statement<'a>, FactError>>,
}

/// The message is not a batch that this code can read: a replay must stop, and go on with the version that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable batch: {reason}")]
pub struct BatchError {
    pub reason: String,
}

/// A batch in the making.
#[derive(Debug, Default)]
pub struct BatchWriter {
    facts: Vec<u8>,
    count: usize,
}

impl BatchWriter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one fact; returns by how many bytes the message grew.
    pub fn push(&mut self, statement: &Statement<'_>) -> usize {
        let before = self.facts.len();
        if self.count > 0 {
            self.facts.push(b',');
        }
        statement.encode(&mut self.facts);
        self.count += 1;
        self.facts.len() - before
    }

    /// Takes back every fact that was pushed after the writer had `bytes` and `count`.
    pub(crate) fn rewind(&mut self, bytes: usize, count: usize) {
        self.facts.truncate(bytes);
        self.count = count;
    }

    /// Facts so far.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the facts so far; the header adds less than [`HEADER_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.facts.len()
    }

    /// The whole message.
    pub fn finish(self, header: &BatchHeader<'_>) -> Vec<u8> {
        debug_assert!(
            header.kind == BatchKind::Facts || self.is_empty(),
            "a lead batch carries no facts"
        );
        let mut out = Vec::with_capacity(self.facts.len() + 512 + header.rules.map_or(0, |rules| rules.get().len()));
        header.write(&mut out);
        match header.kind {
            BatchKind::Lead => {
                out.extend_from_slice(b",\"rules\":");
                out.extend_from_slice(header.rules.map_or("{}", RawValue::get).as_bytes());
                out.push(b'}');
            }
            BatchKind::Facts => {
                out.extend_from_slice(b",\"facts\":[");
                out.extend_from_slice(&self.facts);
                out.extend_from_slice(b"]}");
            }
        }
        out
    }
}

impl BatchHeader<'_> {
    /// Appends the members up to `lead_ms`, without closing the object.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"version\":");
        json::write_uint(out, u64::from(self.version));
        out.extend_from_slice(b",\"scope\":");
        json::write_string(out, &self.scope);
        out.extend_from_slice(b",\"kind\":");
        json::write_string(out, self.kind.word());
        out.extend_from_slice(b",\"epoch\":");
        json::write_uint(out, self.epoch);
        out.extend_from_slice(b",\"node\":");
        json::write_string(out, &self.node);
        out.extend_from_slice(b",\"batch\":");
        json::write_uint(out, self.batch);
        out.extend_from_slice(b",\"previous\":\"");
        out.extend_from_slice(blake3::Hash::from(self.previous).to_hex().as_bytes());
        out.extend_from_slice(b"\",\"in_upto\":");
        json::write_uint(out, self.in_upto);
        out.extend_from_slice(b",\"now_ms\":");
        json::write_int(out, self.now_ms);
        out.extend_from_slice(b",\"lead_ms\":");
        json::write_int(out, self.lead_ms);
    }
}

/// A batch as its message writes it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    version: u32,
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    scope: Text<'a>,
    kind: BatchKind,
    epoch: u64,
    #[serde(deserialize_with = "one::<_, Name>")]
    node: Text<'a>,
    batch: u64,
    #[serde(deserialize_with = "hash")]
    previous: [u8; 32],
    in_upto: u64,
    now_ms: i64,
    lead_ms: i64,
    #[serde(default)]
    rules: Option<&'a RawValue>,
    #[serde(default)]
    facts: Option<Vec<&'a RawValue>>,
    /// Checked before the message is read ([`crate::wire::mac`]).
    #[serde(default, rename = "mac")]
    _mac: Option<&'a RawValue>,
}

fn hash<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    let text = <&str>::deserialize(from)?;
    let hash = blake3::Hash::from_hex(text).map_err(|_| D::Error::custom("must be 64 hexadecimal digits"))?;
    Ok(*hash.as_bytes())
}

/// Reads a message of LOG. A fact that cannot be read leaves the others readable.
pub fn parse_batch(bytes: &[u8]) -> Result<Batch<'_>, BatchError> {
    let text = std::str::from_utf8(bytes).map_err(|error| BatchError {
        reason: error.to_string(),
    })?;
    usual(text).map_or_else(|| any(text), Ok)
}

/// A batch as serde reads it, however it is written.
fn any(text: &str) -> Result<Batch<'_>, BatchError> {
    let unreadable = |reason: String| BatchError { reason };
    let Object(message) =
        serde_json::from_str::<Object<Message<'_>>>(text).map_err(|error| unreadable(error.to_string()))?;
    if message.version != VERSION {
        return Err(unreadable(format!("version {} is not {VERSION}", message.version)));
    }
    let facts = match (message.kind, message.rules, message.facts) {
        (BatchKind::Lead, Some(_), None) => Vec::new(),
        (BatchKind::Facts, None, Some(facts)) => facts.into_iter().map(|fact| parse_logged(fact.get())).collect(),
        (BatchKind::Lead, ..) => return Err(unreadable("a lead batch carries rules and no facts".to_owned())),
        (BatchKind::Facts, ..) => return Err(unreadable("a batch of facts carries facts and no rules".to_owned())),
    };
    let header = BatchHeader {
        version: message.version,
        scope: message.scope,
        kind: message.kind,
        epoch: message.epoch,
        node: message.node,
        batch: message.batch,
        previous: message.previous,
        in_upto: message.in_upto,
        now_ms: message.now_ms,
        lead_ms: message.lead_ms,
        rules: message.rules,
    };
    Ok(Batch { header, facts })
}

/// A batch of facts as [`BatchWriter`] writes it, by the fast path; None: for serde to read, and to report what is wrong.
fn usual(text: &str) -> Option<Batch<'_>> {
    const FACTS: &str = ",\"facts\":";
    // No string holds this: its quotes would stand behind backslashes. Within another object what is before it is no header.
    let at = text.find(FACTS)?;
    let mut scan = Scan::new(&text[at + FACTS.len()..]);
    let mut facts = Vec::with_capacity(text.len() / 256);
    scan.take(b'[')?;
    if scan.is_at(b']') {
        scan.take(b']')?;
    } else {
        facts.push(fact(&mut scan)?);
        while scan.more(b']')? {
            facts.push(fact(&mut scan)?);
        }
    }
    if scan.is_at(b',') {
        mac(&mut scan)?;
    }
    scan.take(b'}')?;
    let head = format!("{}}}", &text[..at]);
    let Object(head) = serde_json::from_str::<Object<Message<'_>>>(&head)
        .ok()
        .filter(|_| scan.is_done())?;
    let is_usual =
        head.version == VERSION && head.kind == BatchKind::Facts && head.rules.is_none() && head.facts.is_none();
    let header = BatchHeader {
        version: head.version,
        scope: Text::Owned(head.scope.into_owned()),
        kind: head.kind,
        epoch: head.epoch,
        node: Text::Owned(head.node.into_owned()),
        batch: head.batch,
        previous: head.previous,
        in_upto: head.in_upto,
        now_ms: head.now_ms,
        lead_ms: head.lead_ms,
        rules: None,
    };
    is_usual.then_some(Batch { header, facts })
}

/// The code that a signed batch ends with; it was checked before.
fn mac(scan: &mut Scan<'_>) -> Option<()> {
    scan.take(b',')?;
    (scan.value()? == "\"mac\"").then_some(())?;
    scan.take(b':')?;
    scan.value().map(|_| ())
}

fn fact<'a>(scan: &mut Scan<'a>) -> Option<Result<Statement<'a>, FactError>> {
    match scan.attempt(next_logged) {
        Some(statement) => Some(Ok(statement)),
        None => scan.value().map(parse_logged),
    }
}

/// What the next batch names as `previous`: the hash of this one's bytes.
pub fn chain_hash(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(HASH_DOMAIN);
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
