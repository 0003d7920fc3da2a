//! Every flaw of a body that was refused, for people who correct a form at once instead of one field per try.
//!
//! In: JSON text and the fields it should have. Out: paths and reasons. Always: at most [`FLAWS_MAX`], in the order in
//! which they stand in the body, then what is missing.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

use crate::wire::errors::FieldError;
use crate::wire::facts::reason_of;
use crate::wire::facts::take::{Bounded, Int, List, Taken};

/// How many flaws are reported of one body.
const FLAWS_MAX: usize = 100;

/// A member that an object may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    needed: bool,
    nullable: bool,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One value; the function returns what is wrong with it.
    Value(fn(&str) -> Option<String>),
    /// An array of at least one and at most so many values.
    Values(fn(&str) -> Option<String>, usize),
    /// An array of at least one and at most so many objects.
    Objects(&'static [Field], usize),
}

impl Field {
    pub(super) const fn needed<T: for<'a> Readable<'a>>(name: &'static str) -> Self {
        Self {
            name,
            needed: true,
            nullable: false,
            shape: Shape::Value(flaw_as::<T>),
        }
    }

    /// May be absent or null.
    pub(super) const fn optional<T: for<'a> Readable<'a>>(name: &'static str) -> Self {
        Self {
            name,
            needed: false,
            nullable: true,
            shape: Shape::Value(flaw_as::<T>),
        }
    }

    /// May be absent, which stands for a default; not null.
    pub(super) const fn defaulted<T: for<'a> Readable<'a>>(name: &'static str) -> Self {
        Self {
            name,
            needed: false,
            nullable: false,
            shape: Shape::Value(flaw_as::<T>),
        }
    }

    pub(super) const fn values<T: for<'a> Readable<'a>>(name: &'static str, max: usize) -> Self {
        Self {
            name,
            needed: true,
            nullable: false,
            shape: Shape::Values(flaw_as::<T>, max),
        }
    }

    pub(super) const fn objects(name: &'static str, fields: &'static [Self], max: usize) -> Self {
        Self {
            name,
            needed: true,
            nullable: false,
            shape: Shape::Objects(fields, max),
        }
    }
}

/// A type whatever its lifetime, so that a table can name it.
pub(super) trait Readable<'a> {
    type Read: Deserialize<'a>;
}

impl<'a, const MIN: usize, const MAX: usize> Readable<'a> for Bounded<'_, MIN, MAX> {
    type Read = Bounded<'a, MIN, MAX>;
}

impl<const MIN: i64, const MAX: i64> Readable<'_> for Int<MIN, MAX> {
    type Read = Self;
}

impl Readable<'_> for bool {
    type Read = Self;
}

fn flaw_as<T: for<'a> Readable<'a>>(raw: &str) -> Option<String> {
    flaw::<<T as Readable<'_>>::Read>(raw)
}

fn flaw<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<String> {
    serde_json::from_str::<T>(raw).err().map(|error| reason_of(&error))
}

/// Lists what is wrong with the object `raw`, which is valid JSON.
pub(super) fn list(raw: &str, fields: &[Field]) -> Vec<FieldError> {
    let mut flaws = Vec::new();
    object(raw, "", fields, &mut flaws);
    flaws.truncate(FLAWS_MAX);
    flaws
}

fn object(raw: &str, path: &str, fields: &[Field], flaws: &mut Vec<FieldError>) {
    let members = match serde_json::from_str::<Members<'_>>(raw) {
        Ok(Members(members)) => members,
        Err(error) => return flaws.push(FieldError::new(path, reason_of(&error))),
    };
    let inside = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    for (index, (name, value)) in members.iter().enumerate() {
        if flaws.len() >= FLAWS_MAX {
            return;
        }
        if members[..index.min(fields.len() + 1)]
            .iter()
            .any(|(earlier, _)| earlier == name)
        {
            flaws.push(FieldError::new(inside(name), "is given twice"));
            continue;
        }
        match fields.iter().find(|field| field.name == name) {
            None => flaws.push(FieldError::new(inside(name), "is unknown")),
            Some(field) if field.nullable && value.get() == "null" => {}
            Some(field) => shape(value.get(), &inside(name), field.shape, flaws),
        }
    }
    for field in fields.iter().filter(|field| field.needed) {
        if !members.iter().any(|(name, _)| name == field.name) {
            flaws.push(FieldError::new(inside(field.name), "is missing"));
        }
    }
}

fn shape(raw: &str, path: &str, shape: Shape, flaws: &mut Vec<FieldError>) {
    let max = match shape {
        Shape::Value(flaw) => {
            flaws.extend(flaw(raw).map(|reason| FieldError::new(path, reason)));
            return;
        }
        Shape::Values(_, max) | Shape::Objects(_, max) => max,
    };
    let values = match serde_json::from_str::<List<Raw<'_>, 1, { usize::MAX }>>(raw) {
        Ok(List(values)) => values,
        Err(error) => return flaws.push(FieldError::new(path, reason_of(&error))),
    };
    if values.len() > max {
        flaws.push(FieldError::new(path, format!("must have at most {max} entries")));
    }
    for (index, value) in values.iter().take(max).enumerate() {
        if flaws.len() >= FLAWS_MAX {
            return;
        }
        let path = format!("{path}[{index}]");
        match shape {
            Shape::Value(flaw) | Shape::Values(flaw, _) => {
                flaws.extend(flaw(value).map(|reason| FieldError::new(path, reason)));
            }
            Shape::Objects(fields, _) => object(value, &path, fields, flaws),
        }
    }
}

/// Any JSON value, as text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Raw<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Taken for Raw<'a> {
    type Out = &'a str;
    fn out(self) -> &'a str {
        self.0.get()
    }
}

/// The members of an object in their order, duplicates included.
#[derive(Debug)]
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        from.deserialize_map(MembersVisitor).map(Self)
    }
}
