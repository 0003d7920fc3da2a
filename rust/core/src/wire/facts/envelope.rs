//! What stands around a fact in its object: `kind`, `source`, `by`, `trace`.
//!
//! In: a JSON object. Out: these members here, the others handed on to the fact's own type, in one pass and without
//! buffering (serde's tagged enums and `flatten` copy the whole object first, which costs more than all the rest).

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt;

use super::Text;
use super::take::{Bounded, Name, Taken};

/// The members around a fact, as they are met.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) source: Option<Text<'a>>,
    pub(super) by: Option<Text<'a>>,
    pub(super) trace: Option<Text<'a>>,
    /// The member that was being read; names the culprit after a failure.
    pub(super) reading: Option<&'static str>,
    kind_seen: bool,
}

/// Which members belong to the envelope.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// From a sender, who may set `trace` alone: `source` and `by` are given by the message around it.
    Outside,
    /// From LOG; the name of the member that holds the source.
    Logged { source_key: &'static str },
}

impl<'a> Envelope<'a> {
    /// Reads the member's value if it belongs here.
    fn take<'de: 'a, A: MapAccess<'de>>(&mut self, origin: Origin, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match (key, origin) {
            ("kind", _) => {
                self.reading = Some("kind");
                if std::mem::replace(&mut self.kind_seen, true) {
                    return Err(A::Error::custom("is given twice"));
                }
                map.next_value::<IgnoredAny>()?;
            }
            ("trace", _) => {
                self.reading = Some("trace");
                fill(&mut self.trace, map.next_value::<Option<Bounded<'a, 0, 128>>>()?)?;
            }
            ("by", Origin::Logged { .. }) => {
                self.reading = Some("by");
                fill(&mut self.by, map.next_value::<Option<Name<'a>>>()?)?;
            }
            (key, Origin::Logged { source_key }) if key == source_key => {
                self.reading = Some(source_key);
                fill(&mut self.source, map.next_value::<Option<Name<'a>>>()?)?;
            }
            _ => return Ok(false),
        }
        self.reading = None;
        Ok(true)
    }
}

fn fill<'a, W: Taken<Out = Text<'a>>, E: Error>(slot: &mut Option<Text<'a>>, value: Option<W>) -> Result<(), E> {
    match (slot.is_some(), value) {
        (true, _) => Err(E::custom("is given twice")),
        (false, value) => {
            *slot = value.map(W::out);
            Ok(())
        }
    }
}

/// A deserializer of the fact inside the object that `inner` reads.
#[derive(Debug)]
pub(super) struct Opened<'e, 'a, D> {
    pub(super) inner: D,
    pub(super) origin: Origin,
    pub(super) envelope: &'e mut Envelope<'a>,
}

impl<'de: 'a, 'a, D: Deserializer<'de>> Deserializer<'de> for Opened<'_, 'a, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Members {
            visitor,
            origin: self.origin,
            envelope: self.envelope,
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The members that the envelope leaves to the fact.
struct Members<'e, 'a, T> {
    visitor: T,
    origin: Origin,
    envelope: &'e mut Envelope<'a>,
}

impl<'de: 'a, 'a, V: Visitor<'de>> Visitor<'de> for Members<'_, 'a, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let rest = Members {
            visitor: map,
            origin: self.origin,
            envelope: self.envelope,
        };
        self.visitor.visit_map(rest)
    }
}

impl<'de: 'a, 'a, A: MapAccess<'de>> MapAccess<'de> for Members<'_, 'a, A> {
    type Error = A::Error;

    fn next_key_seed<K: serde::de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Key(key)) = self.visitor.next_key()? {
            if !self.envelope.take(self.origin, &key, &mut self.visitor)? {
                return match key {
                    Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
                    Cow::Owned(key) => seed.deserialize(key.into_deserializer()),
                }
                .map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: serde::de::DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.visitor.next_value_seed(seed)
    }
}

/// A member's name, borrowed unless it holds escapes.
struct Key<'de>(Text<'de>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        from.deserialize_str(KeyVisitor)
    }
}
