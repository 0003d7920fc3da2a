//! Names that a reader, a spreadsheet or a keyboard takes for one another: equal but for case, width, composition or leading
//! zeros.
//!
//! In: names of SKUs as they are interned. Out: for a new one, a known name that it is like. Always: only names that are not
//! their own folded form are kept here, for the others are found by their name; nothing but facts asks.

use hashbrown::HashMap;
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_64;

use crate::state::ids::Symbols;

/// The first number of each folded form, by its hash.
#[derive(Debug, Default)]
pub(crate) struct Likeness {
    folded: HashMap<u64, u32>,
}

/// What is left of a name without case, width, composition and leading zeros; None: the name itself.
pub(crate) fn folded(name: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii() && !b.is_ascii_lowercase();
    if !name.starts_with('0') && name.bytes().all(is_plain) {
        return None;
    }
    let upper: String = name.nfkc().flat_map(char::to_uppercase).collect();
    let whole: String = upper.nfkc().collect();
    let short = whole.trim_start_matches('0');
    // Of nothing but zeros one is left.
    let short = if short.is_empty() && !whole.is_empty() {
        "0"
    } else {
        short
    };
    (short != name).then(|| short.to_owned())
}

impl Likeness {
    /// Takes note of a name just interned.
    pub(crate) fn add(&mut self, number: u32, name: &str) {
        if let Some(folded) = folded(name) {
            self.folded.entry(xxh3_64(folded.as_bytes())).or_insert(number);
        }
    }

    /// A known name that a new one is like.
    pub(crate) fn of<'n>(&self, names: &'n Symbols, new: &str) -> Option<&'n str> {
        let short = folded(new);
        let short = short.as_deref().unwrap_or(new);
        if short != new
            && let Some(number) = names.get(short)
        {
            return Some(names.name(number));
        }
        let number = *self.folded.get(&xxh3_64(short.as_bytes()))?;
        let like = names.name(number);
        (folded(like).as_deref() == Some(short)).then_some(like)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(known: &str, new: &str) -> bool {
        let (mut names, mut likeness) = (Symbols::default(), Likeness::default());
        let (number, _) = names.intern(known);
        likeness.add(number, known);
        likeness.of(&names, new) == Some(known)
    }

    #[test]
    fn case_width_composition_and_leading_zeros_make_no_difference() {
        for (known, new) in [
            ("00017", "17"),
            ("17", "00017"),
            ("mug-blue", "MUG-BLUE"),
            ("MUG", "Mug"),
            ("\u{ff21}1", "A1"),
            ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("0", "000"),
            ("stra\u{df}e", "STRASSE"),
        ] {
            assert!(like(known, new), "{new} is like {known}");
            assert!(like(new, known), "{known} is like {new}");
        }
        for (known, new) in [("17", "170"), ("A-1", "A1"), ("MUG", "MUGS"), ("0", "O")] {
            assert!(!like(known, new), "{new} is not like {known}");
        }
    }

    proptest! {
        #[test]
        fn likeness_is_that_of_the_folded_forms(known in "[0aA\u{ff21}e\u{301}\u{e9}1]{1,4}", new in "[0aA\u{ff21}e\u{301}\u{e9}1]{1,4}") {
            let form = |name: &str| folded(name).unwrap_or_else(|| name.to_owned());
            prop_assert_eq!(form(&form(&known)), form(&known), "folding twice changes nothing");
            if known != new {
                prop_assert_eq!(like(&known, &new), form(&known) == form(&new));
            }
        }
    }
}
