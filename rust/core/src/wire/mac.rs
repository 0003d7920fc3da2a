//! Proof of origin: a message authentication code (MAC) under the scope key, which only gateways hold (docs/log.md, "MACs").
//!
//! In: the secrets of the scope key file, and messages. Out: messages with a code, and whether one is right. Always: a code
//! is for one purpose and one context, so that a message of one kind never passes for another; it is checked before
//! anything of the message is read; comparison takes the same time for every wrong code; no secret is ever shown.

use std::fmt;

/// What stands before the code of a JSON object: its last member.
const OPENING: &[u8] = b",\"mac\":\"";
const CLOSING: &[u8] = b"\"}";
const ID_DIGITS: usize = 16;
const CODE_DIGITS: usize = 64;
/// How many bytes a code adds to a JSON object.
pub const JSON_BYTES: usize = OPENING.len() + ID_DIGITS + CODE_DIGITS + CLOSING.len() - 1;
/// How many bytes stand before a message that is not JSON: the key's id and the code.
pub const BINARY_BYTES: usize = ID_DIGITS / 2 + CODE_DIGITS / 2;

/// What a message is: a code is right for one of these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A message of LOG.
    Batch,
    /// A message of IN that a gateway sent; context: its subject.
    Incoming,
    /// The state of a process, for other processes; context: the scope.
    Peer,
    /// The value of the lease's key; context: the scope.
    Lease,
    /// What a process asks of the leader; context: the subject.
    Question,
    /// What the leader answers; context: the code of the question.
    Answer,
    /// A shared snapshot; context: its name.
    Snapshot,
    /// What is stored of an API key, for other machines; context: its subject.
    Key,
}

/// Each purpose, in the order of [`Key::purposes`], with its word.
const PURPOSES: [(Purpose, &str); 8] = [
    (Purpose::Batch, "batch"),
    (Purpose::Incoming, "incoming"),
    (Purpose::Peer, "peer"),
    (Purpose::Lease, "lease"),
    (Purpose::Question, "question"),
    (Purpose::Answer, "answer"),
    (Purpose::Snapshot, "snapshot"),
    (Purpose::Key, "key"),
];

impl Purpose {
    /// By its word; None: there is none.
    pub fn of(word: &str) -> Option<Purpose> {
        PURPOSES
            .iter()
            .find(|(_, own)| *own == word)
            .map(|(purpose, _)| *purpose)
    }
}

/// One secret of the scope key file, as its uses need it.
struct Key {
    /// Names the key in a message; says nothing about it.
    id: [u8; ID_DIGITS],
    purposes: [[u8; 32]; PURPOSES.len()],
}

impl Key {
    fn of(secret: &[u8]) -> Key {
        let id = blake3::derive_key("holdfast 2026 scope key id v1", secret);
        let mut digits = [0; ID_DIGITS];
        digits.copy_from_slice(&blake3::Hash::from(id).to_hex().as_bytes()[..ID_DIGITS]);
        let purposes =
            PURPOSES.map(|(_, word)| blake3::derive_key(&format!("holdfast 2026 scope key, {word} v1"), secret));
        Key { id: digits, purposes }
    }

    fn code(&self, purpose: Purpose, context: &[u8], message: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.purposes[purpose as usize]);
        hasher.update(&(context.len() as u64).to_le_bytes());
        hasher.update(context);
        hasher.update(message);
        hasher.finalize()
    }

    fn id(&self) -> &str {
        std::str::from_utf8(&self.id).expect("hexadecimal digits")
    }
}

/// What is known of a message's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A process that holds this key sent it.
    Proven { key: &'a str },
    /// It has no code, or a wrong one.
    Unproven,
    /// Its code is of a key that is not known here: nothing can be said.
    UnknownKey { key: &'a str },
}

/// The secrets of the scope key file. New messages are signed with the first; all are accepted.
pub struct ScopeKeys(Vec<Key>);

impl fmt::Debug for ScopeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeKeys")
            .field(&self.ids().collect::<Vec<_>>())
            .finish()
    }
}

impl ScopeKeys {
    /// None: there is no secret.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let keys: Vec<Key> = secrets.into_iter().map(Key::of).collect();
        (!keys.is_empty()).then_some(ScopeKeys(keys))
    }

    /// The names of the keys, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Key::id)
    }

    /// Adds the code to a JSON object, as its last member. `by`: the id of a key that is here, else the first signs.
    pub fn sign_json(&self, by: Option<&str>, purpose: Purpose, context: &[u8], object: &mut Vec<u8>) {
        let key = self.signer(by);
        let end = object.pop();
        debug_assert_eq!(end, Some(b'}'), "a JSON object ends so");
        let code = key.code(purpose, context, object);
        object.reserve(JSON_BYTES + 1);
        object.extend_from_slice(OPENING);
        object.extend_from_slice(&key.id);
        object.extend_from_slice(code.to_hex().as_bytes());
        object.extend_from_slice(CLOSING);
    }

    /// Who sent a JSON object.
    pub fn origin_of_json<'a>(&self, purpose: Purpose, context: &[u8], object: &'a [u8]) -> Origin<'a> {
        let Some((body, key, digits)) = split(object) else {
            return Origin::Unproven;
        };
        let Some(known) = self.0.iter().find(|known| known.id() == key) else {
            return Origin::UnknownKey { key };
        };
        // Written in one way alone, so that nobody can change a byte of a signed message.
        let lower = !digits.iter().any(u8::is_ascii_uppercase);
        match blake3::Hash::from_hex(digits) {
            Ok(code) if lower && code == known.code(purpose, context, body) => Origin::Proven { key },
            _ => Origin::Unproven,
        }
    }

    /// The message behind its key's id and code.
    pub fn sign(&self, purpose: Purpose, context: &[u8], message: &[u8]) -> Vec<u8> {
        let key = self.signer(None);
        let mut signed = Vec::with_capacity(BINARY_BYTES + message.len());
        signed.extend_from_slice(&from_hex(&key.id));
        signed.extend_from_slice(key.code(purpose, context, message).as_bytes());
        signed.extend_from_slice(message);
        signed
    }

    /// The message that was signed; None: it has no right code of a key that is known here.
    pub fn open<'a>(&self, purpose: Purpose, context: &[u8], signed: &'a [u8]) -> Option<&'a [u8]> {
        let (proof, message) = signed.split_at_checked(BINARY_BYTES)?;
        let (id, code) = proof.split_at(ID_DIGITS / 2);
        let key = self.0.iter().find(|known| from_hex(&known.id) == id)?;
        let code = blake3::Hash::from_slice(code).ok()?;
        (code == key.code(purpose, context, message)).then_some(message)
    }

    fn signer(&self, by: Option<&str>) -> &Key {
        let named = by.and_then(|id| self.0.iter().find(|key| key.id() == id));
        named.unwrap_or(&self.0[0])
    }
}

/// A JSON object with a code: what was signed, the key's id, and the code's digits.
fn split(object: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let at = object.len().checked_sub(JSON_BYTES + 1)?;
    let (body, proof) = object.split_at(at);
    let proof = proof.strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
    let (id, digits) = proof.split_at_checked(ID_DIGITS)?;
    Some((body, std::str::from_utf8(id).ok()?, digits))
}

fn from_hex(digits: &[u8; ID_DIGITS]) -> [u8; ID_DIGITS / 2] {
    let value = |digit: u8| (digit as char).to_digit(16).expect("a hexadecimal digit") as u8;
    std::array::from_fn(|at| value(digits[2 * at]) << 4 | value(digits[2 * at + 1]))
}

#[cfg(test)]
mod tests;
