//! Taking one value out of a message: each type here reads one shape of JSON and checks its bounds.
//!
//! In: a serde deserializer over JSON. Out: text, integers, lists. Always: what is wrong is reported as `must be ...`, and
//! strings borrow from the message unless they hold escapes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::Text;
use super::bounds::{NAME_CHARS_MAX, REASON_CHARS_MAX};

/// A type that is only a way of reading its `Out`.
pub(crate) trait Taken {
    type Out;
    fn out(self) -> Self::Out;
}

/// A field that must be there.
pub(crate) fn one<'de, D: Deserializer<'de>, W: Deserialize<'de> + Taken>(from: D) -> Result<W::Out, D::Error> {
    Ok(W::deserialize(from)?.out())
}

/// A field that may be absent or null.
pub(crate) fn opt<'de, D, W>(from: D) -> Result<Option<W::Out>, D::Error>
where
    D: Deserializer<'de>,
    W: Deserialize<'de> + Taken,
{
    Ok(Option::<W>::deserialize(from)?.map(W::out))
}

/// A field whose absence or null is the same as its empty value.
pub(crate) fn or_default<'de, D, W>(from: D) -> Result<W::Out, D::Error>
where
    D: Deserializer<'de>,
    W: Deserialize<'de> + Taken,
    W::Out: Default,
{
    Ok(opt::<D, W>(from)?.unwrap_or_default())
}

/// An integer as the narrower type of its field.
pub(crate) fn int<'de, D, T, const MIN: i64, const MAX: i64>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let Int(value) = Int::<MIN, MAX>::deserialize(from)?;
    T::try_from(value).map_err(|_| D::Error::custom("is out of bounds"))
}

/// Text of `MIN` to `MAX` characters without control characters.
#[derive(Debug)]
pub(crate) struct Bounded<'a, const MIN: usize, const MAX: usize>(pub(crate) Text<'a>);
/// A SKU, an id, a location, a reference.
pub(crate) type Name<'a> = Bounded<'a, 1, NAME_CHARS_MAX>;
/// The name of a period: any string, the empty one too.
pub(crate) type Period<'a> = Bounded<'a, 0, NAME_CHARS_MAX>;
/// Why, as text.
pub(crate) type Reason<'a> = Bounded<'a, 0, REASON_CHARS_MAX>;
/// A document's version.
pub(crate) type Version = Int<{ i64::MIN }, { i64::MAX }>;

impl<'a, const MIN: usize, const MAX: usize> Taken for Bounded<'a, MIN, MAX> {
    type Out = Text<'a>;
    fn out(self) -> Text<'a> {
        self.0
    }
}

/// What is wrong with `text` if it is to have `min` to `max` characters.
pub(crate) fn text_flaw(text: &str, min: usize, max: usize) -> Option<String> {
    let bytes = text.as_bytes();
    // Without an early exit the scan is vectorised.
    let plain = bytes
        .iter()
        .fold(true, |plain, byte| plain & (0x20..0x7f).contains(byte));
    if plain && (min..=max).contains(&bytes.len()) {
        return None;
    }
    if !(min..=max).contains(&text.chars().take(max + 1).count()) {
        return Some(format!("must have {min} to {max} characters"));
    }
    text.chars()
        .any(char::is_control)
        .then(|| "must not contain control characters".to_owned())
}

impl<'de: 'a, 'a, const MIN: usize, const MAX: usize> Deserialize<'de> for Bounded<'a, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor<const MIN: usize, const MAX: usize>;
        impl<'de, const MIN: usize, const MAX: usize> Visitor<'de> for TextVisitor<MIN, MAX> {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                text_flaw(text, MIN, MAX).map_or(Ok(Cow::Borrowed(text)), |flaw| Err(E::custom(flaw)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                text_flaw(text, MIN, MAX).map_or_else(|| Ok(Cow::Owned(text.to_owned())), |flaw| Err(E::custom(flaw)))
            }
        }
        from.deserialize_str(TextVisitor::<MIN, MAX>).map(Self)
    }
}

/// An integer from `MIN` to `MAX`; `3.0` is none.
#[derive(Debug)]
pub(crate) struct Int<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Taken for Int<MIN, MAX> {
    type Out = i64;
    fn out(self) -> i64 {
        self.0
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct IntVisitor<const MIN: i64, const MAX: i64>;
        impl<const MIN: i64, const MAX: i64> Visitor<'_> for IntVisitor<MIN, MAX> {
            type Value = i64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
                if (MIN..=MAX).contains(&value) {
                    return Ok(value);
                }
                Err(E::custom(format_args!("must be {MIN} to {MAX}")))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
                self.visit_i64(i64::try_from(value).map_err(|_| E::custom(format_args!("must be {MIN} to {MAX}")))?)
            }
        }
        from.deserialize_i64(IntVisitor::<MIN, MAX>).map(Self)
    }
}

/// An object, never the array of its values that serde would take as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T> Taken for Object<T> {
    type Out = T;
    fn out(self) -> T {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(ObjectOnly(from)).map(Self)
    }
}

struct ObjectOnly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// An array of `MIN` to `MAX` values.
#[derive(Debug)]
pub(crate) struct List<W: Taken, const MIN: usize, const MAX: usize>(pub(crate) Vec<W::Out>);

impl<W: Taken, const MIN: usize, const MAX: usize> Taken for List<W, MIN, MAX> {
    type Out = Vec<W::Out>;
    fn out(self) -> Vec<W::Out> {
        self.0
    }
}

impl<'de, W, const MIN: usize, const MAX: usize> Deserialize<'de> for List<W, MIN, MAX>
where
    W: Deserialize<'de> + Taken,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ListVisitor<W, const MIN: usize, const MAX: usize>(PhantomData<W>);
        impl<'de, W, const MIN: usize, const MAX: usize> Visitor<'de> for ListVisitor<W, MIN, MAX>
        where
            W: Deserialize<'de> + Taken,
        {
            type Value = Vec<W::Out>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = from.next_element::<W>()? {
                    if values.len() == MAX {
                        return Err(A::Error::custom(format_args!("must have at most {MAX} entries")));
                    }
                    values.push(value.out());
                }
                if values.len() < MIN {
                    return Err(A::Error::custom(format_args!("must have at least {MIN} entry")));
                }
                Ok(values)
            }
        }
        from.deserialize_seq(ListVisitor::<W, MIN, MAX>(PhantomData)).map(Self)
    }
}
