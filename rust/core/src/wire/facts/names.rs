//! Names that a reader could not tell apart from others: with white space at an end, or characters that nobody sees.
//!
//! In: a fact from outside. Out: nothing, or the field and the character at fault. Always: what stands in LOG is read as it
//! is; only what comes in is checked.

use super::{Fact, OrderName, QuantityLine, Text};
use crate::wire::errors::FieldError;

/// Where a name stands in its fact.
#[derive(Debug, Clone, Copy)]
enum At {
    Field(&'static str),
    Entry(&'static str, usize),
    In(&'static str, usize, &'static str),
}

impl At {
    fn path(self) -> String {
        match self {
            At::Field(name) => name.to_owned(),
            At::Entry(list, n) => format!("{list}[{n}]"),
            At::In(list, n, name) => format!("{list}[{n}].{name}"),
        }
    }
}

type Found = Result<(), FieldError>;

/// The first name of a fact that cannot be taken, and why.
pub(crate) fn check(fact: &Fact<'_>) -> Found {
    use At::{Entry, Field, In};
    match fact {
        Fact::StockLevel(f) => all(&[(Field("sku"), &f.sku), (Field("location"), &f.location)]),
        Fact::StockDelta(f) => {
            maybe(Field("line"), f.line.as_ref())?;
            all(&[
                (Field("sku"), &f.sku),
                (Field("location"), &f.location),
                (Field("ref"), &f.reference),
            ])
        }
        Fact::Supply(f) => all(&[
            (Field("sku"), &f.sku),
            (Field("location"), &f.location),
            (Field("ref"), &f.reference),
            (Field("line"), &f.line),
        ]),
        Fact::Receipt(f) => all(&[
            (Field("sku"), &f.sku),
            (Field("location"), &f.location),
            (Field("ref"), &f.reference),
            (Field("line"), &f.line),
        ]),
        Fact::Transfer(f) => {
            maybe(Field("line"), f.line.as_ref())?;
            all(&[
                (Field("sku"), &f.sku),
                (Field("from"), &f.from),
                (Field("to"), &f.to),
                (Field("ref"), &f.reference),
            ])
        }
        Fact::Demand(f) => {
            order(&f.of)?;
            list("locations", &f.locations)?;
            all(&[
                (Field("sku"), &f.sku),
                (Field("ref"), &f.reference),
                (Field("line"), &f.line),
            ])
        }
        Fact::OrderAck(f) => {
            order(&f.of)?;
            f.lines.iter().enumerate().try_for_each(|(n, line)| {
                name(In("lines", n, "sku"), &line.sku)?;
                name(In("lines", n, "location"), &line.location)
            })
        }
        Fact::OrderUpdate(f) => {
            order(&f.of)?;
            maybe(Field("line"), f.line.as_ref())?;
            name(Field("ref"), &f.reference)?;
            lines(&f.lines)
        }
        Fact::Shipment(f) => {
            order(&f.of)?;
            maybe(Field("line"), f.line.as_ref())?;
            name(Field("ref"), &f.reference)?;
            lines(&f.lines)
        }
        Fact::Return(f) => {
            order(&f.of)?;
            maybe(Field("line"), f.line.as_ref())?;
            all(&[
                (Field("sku"), &f.sku),
                (Field("location"), &f.location),
                (Field("ref"), &f.reference),
            ])
        }
        Fact::Item(f) => {
            all(&[(Field("sku"), &f.sku), (Field("base_unit"), &f.base_unit)])?;
            list("aliases", &f.aliases)?;
            f.units.iter().try_for_each(|(unit, _)| name(Field("units"), unit))?;
            let mut kit = f.kit.iter().enumerate();
            kit.try_for_each(|(n, part)| name(In("kit", n, "sku"), &part.sku))
        }
        Fact::Location(f) => {
            name(Field("location"), &f.location)?;
            list("regions", &f.regions)
        }
        Fact::Channel(f) => {
            name(Field("channel"), &f.channel)?;
            let mut places = f.locations.iter().flatten().enumerate();
            places.try_for_each(|(n, place)| name(Entry("locations", n), place))
        }
        Fact::Freshness(f) => name(Field("source"), &f.source),
        Fact::Ownership(f) => all(&[(Field("location"), &f.location), (Field("source"), &f.source)]),
        Fact::SourceReset(f) => {
            maybe(Field("location"), f.location.as_ref())?;
            maybe(Field("sku"), f.sku.as_ref())?;
            name(Field("source"), &f.source)
        }
        _ => rule(fact),
    }
}

fn rule(fact: &Fact<'_>) -> Found {
    let (sku, channel, location) = match fact {
        Fact::Allocation(f) => (Some(&f.sku), Some(&f.channel), None),
        Fact::Cap(f) => (Some(&f.sku), Some(&f.channel), None),
        Fact::Safety(f) => (f.sku.as_ref(), None, f.location.as_ref()),
        Fact::Oversell(f) => (f.sku.as_ref(), f.channel.as_ref(), None),
        Fact::Restriction(f) => (f.sku.as_ref(), f.channel.as_ref(), None),
        _ => (None, None, None),
    };
    maybe(At::Field("sku"), sku)?;
    maybe(At::Field("channel"), channel)?;
    maybe(At::Field("location"), location)
}

fn order(of: &OrderName<'_>) -> Found {
    maybe(At::Field("order_ref"), of.order_ref.as_ref())?;
    maybe(At::Field("reservation"), of.reservation.as_ref())?;
    maybe(At::Field("channel"), of.channel.as_ref())
}

fn lines(lines: &[QuantityLine<'_>]) -> Found {
    lines.iter().enumerate().try_for_each(|(n, line)| {
        name(At::In("lines", n, "sku"), &line.sku)?;
        maybe(At::In("lines", n, "location"), line.location.as_ref())?;
        maybe(At::In("lines", n, "line"), line.line.as_ref())
    })
}

fn list(field: &'static str, names: &[Text<'_>]) -> Found {
    let mut names = names.iter().enumerate();
    names.try_for_each(|(n, text)| name(At::Entry(field, n), text))
}

fn all(names: &[(At, &Text<'_>)]) -> Found {
    names.iter().try_for_each(|&(at, text)| name(at, text))
}

fn maybe(at: At, text: Option<&Text<'_>>) -> Found {
    text.map_or(Ok(()), |text| name(at, text))
}

fn name(at: At, text: &str) -> Found {
    match flaw(text) {
        None => Ok(()),
        Some(reason) => Err(FieldError::new(at.path(), reason)),
    }
}

/// What makes a name one that a reader could not tell apart from another.
pub(crate) fn flaw(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let ends_in_space = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    if text.is_ascii() && !ends_in_space {
        return None; // control characters are refused where text is read
    }
    if let Some(first) = text.chars().next().filter(|c| c.is_whitespace()) {
        return Some(format!("must not begin with white space ({})", described(first)));
    }
    if let Some(last) = text.chars().next_back().filter(|c| c.is_whitespace()) {
        return Some(format!("must not end with white space ({})", described(last)));
    }
    let unseen = text.chars().find(|&c| is_invisible(c))?;
    Some(format!(
        "must not contain an invisible character ({})",
        described(unseen)
    ))
}

/// Ranges of characters that show nothing: Unicode's `Default_Ignorable_Code_Point`, separators of lines and paragraphs,
/// marks of annotations, the empty Braille pattern.
const INVISIBLE: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{85}', '\u{85}'),
];

fn is_invisible(c: char) -> bool {
    INVISIBLE.iter().any(|&(first, last)| (first..=last).contains(&c))
}

/// A character's number, and its name where many meet it.
fn described(c: char) -> String {
    let name = match c {
        ' ' => " SPACE",
        '\u{a0}' => " NO-BREAK SPACE",
        '\u{ad}' => " SOFT HYPHEN",
        '\u{200b}' => " ZERO WIDTH SPACE",
        '\u{200c}' => " ZERO WIDTH NON-JOINER",
        '\u{200d}' => " ZERO WIDTH JOINER",
        '\u{200e}' => " LEFT-TO-RIGHT MARK",
        '\u{200f}' => " RIGHT-TO-LEFT MARK",
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => " a mark of writing direction",
        '\u{202f}' => " NARROW NO-BREAK SPACE",
        '\u{2060}' => " WORD JOINER",
        '\u{3000}' => " IDEOGRAPHIC SPACE",
        '\u{fe00}'..='\u{fe0f}' => " a variation selector",
        '\u{feff}' => " ZERO WIDTH NO-BREAK SPACE, also called byte order mark",
        _ => "",
    };
    format!("U+{:04X}{name}", c as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::facts::parse_statement;

    #[test]
    fn what_nobody_sees_is_named() {
        for (text, reason) in [
            (" A", "must not begin with white space (U+0020 SPACE)"),
            ("A\u{a0}", "must not end with white space (U+00A0 NO-BREAK SPACE)"),
            (
                "A\u{200b}B",
                "must not contain an invisible character (U+200B ZERO WIDTH SPACE)",
            ),
            (
                "\u{feff}A",
                "must not contain an invisible character (U+FEFF ZERO WIDTH NO-BREAK SPACE, also called byte order mark)",
            ),
            (
                "A\u{202e}",
                "must not contain an invisible character (U+202E a mark of writing direction)",
            ),
        ] {
            assert_eq!(flaw(text).as_deref(), Some(reason));
        }
        for good in ["A B", "a", "\u{e9}t\u{e9}", "\u{6771}\u{4eac}", "M\u{a0}8", "#1/2"] {
            assert_eq!(flaw(good), None, "{good}");
        }
    }

    proptest! {
        #[test]
        fn no_name_of_a_level_has_such_a_character(sku in "\\PC{1,3}", place in 0usize..4, n in 0usize..INVISIBLE.len()) {
            let hidden = INVISIBLE[n].0;
            let mut chars: Vec<char> = sku.chars().collect();
            chars.insert(place.min(chars.len()), hidden);
            let sku: String = chars.into_iter().collect();
            let raw = serde_json::json!({"kind": "stock.level", "sku": sku, "location": "A", "on_hand": 1, "basis": "net",
                "as_of": 1}).to_string();
            let reason = parse_statement(&raw, Some("acme"), None).map(|s| check(&s.fact));
            prop_assert!(!matches!(reason, Ok(Ok(()))), "{sku:?}");
        }
    }
}
