//! Writing JSON by hand: strings and integers, appended to a buffer.
//!
//! In: values. Out: compact JSON bytes. Always: valid UTF-8, and one value has one spelling (canonical bytes).

pub(crate) mod scan;

/// Appends `text` as a JSON string: `"`, `\` and control characters escaped, everything else as it is.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    if any_escape(bytes) {
        write_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

/// Appends `value` in decimal.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value` in decimal.
pub fn write_uint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Whether any byte must be escaped, eight at a time: most strings are short, and nearly none needs it.
fn any_escape(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let has_zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let flaw = |w: u64| {
        let control = w.wrapping_sub(ONES * 0x20) & !w & HIGH;
        control | has_zero(w ^ (ONES * 0x22)) | has_zero(w ^ (ONES * 0x5c))
    };
    // The last eight bytes overlap those before them instead of being read byte by byte.
    if let Some(last) = bytes.last_chunk() {
        let (words, _) = bytes.as_chunks();
        let found = words
            .iter()
            .fold(0, |found, word| found | flaw(u64::from_le_bytes(*word)));
        return found | flaw(u64::from_le_bytes(*last)) != 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let both = u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
        return flaw(both) != 0;
    }
    bytes.iter().any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// A number as people read it: `2,000`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_back_by_serde_json_as_it_was() {
        let all: String = (0..0x250)
            .filter_map(char::from_u32)
            .chain("\u{1F600}\u{2028}".chars())
            .collect();
        let mut out = Vec::new();
        write_string(&mut out, &all);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
    }

    #[test]
    fn what_must_be_escaped_is_found_at_every_place_of_every_length() {
        for length in 0..20 {
            let plain = "x".repeat(length);
            assert!(!any_escape(plain.as_bytes()));
            for at in 0..length {
                for flaw in ["\"", "\\", "\n", "\0"] {
                    let mut text = plain.clone();
                    text.replace_range(at..=at, flaw);
                    assert!(any_escape(text.as_bytes()), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn integers_are_written_in_decimal() {
        let mut out = Vec::new();
        write_int(&mut out, i64::MIN);
        write_uint(&mut out, u64::MAX);
        write_bool(&mut out, true);
        assert_eq!(out, b"-922337203685477580818446744073709551615true");
    }
}
