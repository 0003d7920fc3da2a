//! Taking the values that facts alone have: clocks, dates, per cents, units, lists of places.
//!
//! In: a serde deserializer over JSON. Out: their parsed form. Always: exact; no value passes through a float.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::bounds::{LINE_CHARS_MAX, LOCATIONS_MAX, NAME_CHARS_MAX, QUANTITY_MAX, UNITS_MAX};
use super::take::{Int, List, Name, Taken, one, text_flaw};
use super::{AsOf, Text, time};

/// A line's name: text of at most `MAX` characters, or an integer that stands for its decimal text.
#[derive(Debug)]
pub(crate) struct LineName<'a, const MAX: usize = NAME_CHARS_MAX>(Text<'a>);

/// The name of a line of a movement, a shipment, a return or an update.
pub(crate) type DocumentLine<'a> = LineName<'a, LINE_CHARS_MAX>;

impl<'a, const MAX: usize> Taken for LineName<'a, MAX> {
    type Out = Text<'a>;
    fn out(self) -> Text<'a> {
        self.0
    }
}

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for LineName<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct LineVisitor<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for LineVisitor<MAX> {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                text_flaw(text, 1, MAX).map_or(Ok(Cow::Borrowed(text)), |flaw| Err(E::custom(flaw)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                text_flaw(text, 1, MAX).map_or_else(|| Ok(Cow::Owned(text.to_owned())), |flaw| Err(E::custom(flaw)))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Text<'de>, E> {
                Ok(Cow::Owned(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Text<'de>, E> {
                Ok(Cow::Owned(value.to_string()))
            }
        }
        from.deserialize_any(LineVisitor::<MAX>).map(Self)
    }
}

impl<'de> Deserialize<'de> for AsOf {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AsOfVisitor;
        impl Visitor<'_> for AsOfVisitor {
            type Value = AsOf;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a time like 2026-01-31T09:30:00Z")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<AsOf, E> {
                Ok(AsOf::Sequence(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<AsOf, E> {
                i64::try_from(value)
                    .map(AsOf::Sequence)
                    .map_err(|_| E::custom("is beyond 64 bits"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AsOf, E> {
                let time = time::parse_time(text).map(AsOf::Time);
                time.ok_or_else(|| E::custom("must be an integer or a time like 2026-01-31T09:30:00Z"))
            }
        }
        from.deserialize_any(AsOfVisitor)
    }
}

/// A calendar day.
#[derive(Debug)]
pub(crate) struct Date(super::Day);

impl Taken for Date {
    type Out = super::Day;
    fn out(self) -> super::Day {
        self.0
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct DateVisitor;
        impl Visitor<'_> for DateVisitor {
            type Value = super::Day;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date like 2026-01-31")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<super::Day, E> {
                time::parse_day(text).ok_or_else(|| E::custom("must be a date like 2026-01-31"))
            }
        }
        from.deserialize_str(DateVisitor).map(Self)
    }
}

/// A per cent from 0 to 100 with at most two decimals, as hundredths; read from its text, never through a float.
pub(crate) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let Some(raw) = Option::<&'de RawValue>::deserialize(from)? else {
        return Ok(None);
    };
    let hundredths = hundredths(raw.get());
    hundredths
        .map(Some)
        .ok_or_else(|| D::Error::custom("must be 0 to 100 with at most two decimals"))
}

fn hundredths(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !all_digits(whole) || !all_digits(decimals) {
        return None;
    }
    let value = format!("{whole}{decimals:0<2}").parse().ok()?;
    (value <= 10_000).then_some(value)
}

/// Units by name, sorted; each name once.
#[derive(Debug)]
pub(crate) struct Units<'a>(Vec<(Text<'a>, i64)>);

impl<'a> Taken for Units<'a> {
    type Out = Vec<(Text<'a>, i64)>;
    fn out(self) -> Self::Out {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Units<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct UnitsVisitor;
        impl<'de> Visitor<'de> for UnitsVisitor {
            type Value = Vec<(Text<'de>, i64)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut units = Vec::new();
                while let Some((name, factor)) = from.next_entry::<Name<'de>, Int<1, QUANTITY_MAX>>()? {
                    units.push((name.0, factor.0));
                }
                units.sort();
                if units.len() > UNITS_MAX {
                    return Err(A::Error::custom(format_args!("must have at most {UNITS_MAX} entries")));
                }
                if units.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                    return Err(A::Error::custom("must name each unit once"));
                }
                Ok(units)
            }
        }
        from.deserialize_map(UnitsVisitor).map(Self)
    }
}

/// A list of locations, or `"*"` for every one (None).
#[derive(Debug)]
pub(crate) struct Places<'a>(Option<Vec<Text<'a>>>);

impl<'a> Taken for Places<'a> {
    type Out = Option<Vec<Text<'a>>>;
    fn out(self) -> Self::Out {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Places<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct PlacesVisitor;
        impl<'de> Visitor<'de> for PlacesVisitor {
            type Value = Option<Vec<Text<'de>>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or \"*\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "*" {
                    Ok(None)
                } else {
                    Err(E::custom("must be an array or \"*\""))
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, from: A) -> Result<Self::Value, A::Error> {
                one::<_, List<Name<'de>, 0, LOCATIONS_MAX>>(SeqAccessDeserializer::new(from)).map(Some)
            }
        }
        from.deserialize_any(PlacesVisitor).map(Self)
    }
}
