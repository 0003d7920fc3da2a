//! Owners: who holds a reservation, never as plain text.
//!
//! In: the digits that LOG carries. Out: 128 bits, and the digits again. Always: any other text is hashed.

/// The keyed hash of an owner: 128 bits, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner([u8; 16]);

impl Owner {
    /// The owner of a LOG fact. The gateway writes 32 digits; any other text is hashed to as many.
    pub(crate) fn of(text: &str) -> Self {
        let digits = <&[u8; 32]>::try_from(text.as_bytes()).ok();
        let read = digits.and_then(read_hex);
        Owner(read.unwrap_or_else(|| xxhash_rust::xxh3::xxh3_128(text.as_bytes()).to_be_bytes()))
    }

    /// Of a shopper's name: 128 bits instead of it, so that raw customer data never enters LOG.
    pub(crate) fn keyed(key: Option<&[u8; 32]>, name: &str) -> Self {
        let hash = blake3::keyed_hash(key.unwrap_or(&[0; 32]), name.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
        Owner(*first)
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Owner(bytes)
    }

    pub(crate) fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (two, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            two[0] = HEX[usize::from(byte >> 4)];
            two[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// What each byte is worth as a lower-case hexadecimal digit; 255: it is none.
const WORTH: [u8; 256] = {
    let (mut worth, mut n) = ([255; 256], 0);
    while n < 16 {
        worth[HEX[n] as usize] = n as u8;
        n += 1;
    }
    worth
};

/// Every hold and every replay of it reads them, so by table and without an early exit.
fn read_hex(digits: &[u8; 32]) -> Option<[u8; 16]> {
    let (mut bytes, mut all) = ([0; 16], 0);
    for (byte, two) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (WORTH[usize::from(two[0])], WORTH[usize::from(two[1])]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_from_digits_and_written_as_them() {
        let digits = "00ff10a9b8c7d6e5f4039281706f5e4d";
        assert_eq!(&Owner::of(digits).digits(), digits.as_bytes());
        for other in [
            "00FF10a9b8c7d6e5f4039281706f5e4d",
            "x0ff10a9b8c7d6e5f4039281706f5e4d",
            "00ff",
        ] {
            assert_ne!(&Owner::of(other).digits()[..], other.as_bytes());
            assert_eq!(Owner::of(other), Owner::of(other));
        }
    }
}
