//! Reading the JSON that machines write, quickly: plain strings, small whole numbers, flat members.
//!
//! In: JSON text. Out: its tokens; None for whatever is unusual (an escape, a sign, a fraction, another script), which
//! serde then reads. Always: what is taken here, serde would take as the same value; only the time differs.

use serde_json::value::RawValue;

/// Deeper than any fact.
const DEPTH_MAX: usize = 8;
/// So many digits always fit 64 bits.
const DIGITS_MAX: usize = 18;

/// Where the reading stands.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Scan { text, at: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let mut byte = self.peek()?;
        while matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
            byte = self.peek()?;
        }
        Some(byte)
    }

    /// Takes `byte` and the white space before it.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        if self.next()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Goes on to the next member or element of what `close` ends; false: it ended.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.next()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// Takes a member's name and its colon, written without white space between them, if it is this one.
    #[inline]
    pub(crate) fn is(&mut self, quoted_key_and_colon: &'static str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let found = rest.starts_with(quoted_key_and_colon.as_bytes());
        if found {
            self.at += quoted_key_and_colon.len();
        }
        found
    }

    /// Goes to the next token.
    #[inline]
    pub(crate) fn skip_space(&mut self) {
        let _ = self.next();
    }

    /// A string of 1 to `max` printable ASCII characters without an escape.
    #[inline]
    pub(crate) fn name(&mut self, max: usize) -> Option<&'a str> {
        self.string::<false>()
            .filter(|text| !text.is_empty() && text.len() <= max)
    }

    /// A whole number from `min` to `max`, neither of them below 0.
    #[inline]
    pub(crate) fn int(&mut self, min: i64, max: i64) -> Option<i64> {
        let first = self.next()?;
        let start = self.at;
        let mut value = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - start == DIGITS_MAX {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        let digits = self.at - start;
        let whole = digits > 0 && (first != b'0' || digits == 1) && !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        (whole && (min..=max).contains(&value)).then_some(value)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        let value = self.next()? == b't';
        let word = if value { "true" } else { "false" };
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    /// Whether `byte` comes next.
    pub(crate) fn is_at(&mut self, byte: u8) -> bool {
        self.next() == Some(byte)
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.next().is_none()
    }

    /// Tries one way of reading; where it gives None, nothing was read.
    pub(crate) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let value = read(self);
        if value.is_none() {
            self.at = start;
        }
        value
    }

    /// Passes over one value of any shape and gives its text, white space before it left out.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        self.next()?;
        let start = self.at;
        if self.skip(DEPTH_MAX).is_none() {
            // Escapes, signs and fractions are for serde.
            self.at = start;
            let mut values = serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<&RawValue>();
            values.next()?.ok()?;
            self.at += values.byte_offset();
        }
        Some(&self.text[start..self.at])
    }

    fn skip(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.next()? {
            b'"' => self.string::<true>().map(drop),
            b't' | b'f' => self.bool().map(drop),
            b'0'..=b'9' => self.int(0, i64::MAX).map(drop),
            b'{' => self.skip_all(b'}', |scan| {
                scan.string::<true>()?;
                scan.take(b':')?;
                scan.skip(depth)
            }),
            b'[' => self.skip_all(b']', |scan| scan.skip(depth)),
            _ => None,
        }
    }

    fn skip_all(&mut self, close: u8, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        if self.next()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            one(self)?;
            if !self.more(close)? {
                return Some(());
            }
        }
    }

    /// A string without an escape; `WIDE`: of any script, else of printable ASCII.
    #[inline]
    fn string<const WIDE: bool>(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes().get(start..)?;
        let mut length = 0;
        let (eights, _) = bytes.as_chunks::<8>();
        for eight in eights {
            let found = unusual::<WIDE>(u64::from_le_bytes(*eight));
            if found != 0 {
                length += found.trailing_zeros() as usize / 8;
                break;
            }
            length += 8;
        }
        // The last bytes of the text, fewer than eight.
        while bytes
            .get(length)
            .is_some_and(|&b| b >= 0x20 && b != b'"' && b != b'\\' && (WIDE || b < 0x7f))
        {
            length += 1;
        }
        if *bytes.get(length)? != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&self.text[start..start + length])
    }
}

/// Fills a member that must not have been given before.
#[inline]
pub(crate) fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = Some(value?);
    Some(())
}

/// Marks, from the lowest byte on, the first of eight that ends a plain string: a quote, or what makes it not plain.
/// Beyond the first mark there may be false ones.
#[inline]
fn unusual<const WIDE: bool>(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let below = |x: u64, bound: u64| x.wrapping_sub(ONES * bound) & !x;
    let control = below(eight, 0x20);
    let quote = below(eight ^ (ONES * 0x22), 1);
    let escape = below(eight ^ (ONES * 0x5c), 1);
    // DEL and everything beyond ASCII.
    let beyond = if WIDE { 0 } else { eight | eight.wrapping_add(ONES) };
    (control | quote | escape | beyond) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_taken_quickly_is_what_serde_reads(text in "\\PC{0,20}|[ -~]{0,30}|[\\x00-\\xff\"]{0,12}") {
            for json in [format!("\"{text}\""), format!("\"{text}\" "), serde_json::to_string(&text).unwrap()] {
                let mut scan = Scan::new(&json);
                if let Some(name) = scan.name(128).filter(|_| scan.is_done()) {
                    prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(name.to_owned()));
                }
            }
        }

        #[test]
        fn a_number_taken_quickly_is_what_serde_reads(json in "[ ]?-?[0-9]{0,20}(\\.0|e1|E1| |x)?") {
            let mut scan = Scan::new(&json);
            if let Some(number) = scan.int(0, i64::MAX).filter(|_| scan.is_done()) {
                prop_assert_eq!(serde_json::from_str::<i64>(&json).ok(), Some(number));
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_passed_over_is_one_that_serde_passes_over(
            text in "(\\[|\\{|\\]|\\}|,|:|\"|\"a\"|\"a\":|\"\\\\u00e9\"|1|-1|1\\.5|true|null|é| ){0,12}",
            deep in 0_usize..200,
        ) {
            for json in [text.clone(), format!("{{\"a\":{text}}}"), format!("{}{text}{}", "[".repeat(deep), "]".repeat(deep))] {
                let mut scan = Scan::new(&json);
                let taken = scan.value().filter(|_| scan.is_done());
                let read = serde_json::from_str::<&RawValue>(&json).ok().map(RawValue::get);
                prop_assert_eq!(taken, read, "{}", json);
            }
        }
    }

    #[test]
    fn what_machines_write_is_taken() {
        for text in ["a", "SKU-0000001", "eight888", "a longer name, with spaces in it"] {
            let json = format!(" \"{text}\"");
            assert_eq!(Scan::new(&json).name(128), Some(text));
        }
        assert_eq!(Scan::new("900000,").int(1, 1_000_000), Some(900_000));
        assert_eq!(Scan::new(" false}").bool(), Some(false));
        assert_eq!(Scan::new("falso").bool(), None);
        assert_eq!(Scan::new("\"a\\n\"").name(128), None);
    }
}
