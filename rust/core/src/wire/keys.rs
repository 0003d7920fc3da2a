//! Idempotency keys and requests as hashes.
//!
//! In: a key, who used it, what was asked. Out: 128 bits of each. Always: cryptographic, so that nobody can make up a key
//! that meets another client's.

/// Keeps these hashes apart from every other use of blake3.
const HASH_DOMAIN: &[u8] = b"holdfast/idempotency/v1";

/// A request under a key. A large request is done in parts; each part has its own key, made of the whole's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The key of the whole request.
    pub(crate) root: u128,
    /// The key of this part; equal to `root` where the request is one.
    pub(crate) key: u128,
    /// What was asked: a hash of the whole request.
    pub(crate) request: u128,
}

/// A hash of texts, each behind its length.
pub(crate) fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(HASH_DOMAIN);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(first)
}

/// Whose an answer is: the API key that asked, as a number that is never 0.
pub(crate) fn whose(by: &str) -> u64 {
    (hash(&[b"whose", by.as_bytes()]) as u64).max(1)
}

/// 32 hexadecimal digits as a number.
pub(crate) fn read_hex(digits: &str) -> Option<u128> {
    let sound = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    sound.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

impl Asked {
    /// A request that is done at once. `by`: the API key that used `name`; each has its own keys.
    pub(crate) fn whole(by: Option<&str>, name: &str, request: u128) -> Self {
        let asker: &[u8] = if by.is_some() { b"key" } else { b"" };
        let root = hash(&[asker, by.unwrap_or_default().as_bytes(), name.as_bytes()]);
        Asked {
            root,
            key: root,
            request,
        }
    }

    /// One part of it.
    pub(crate) fn part(self, number: usize) -> Self {
        Asked {
            key: hash(&[&self.root.to_le_bytes(), &(number as u64).to_le_bytes()]),
            ..self
        }
    }

    pub(crate) fn is_part(&self) -> bool {
        self.root != self.key
    }
}
