//! Stock that arrives and stock between two locations. Shapes, units and bounds as in docs/facts.md.

use serde::Deserialize;

use super::bounds::AMOUNT_MAX;
use super::shapes::{Date, LineName};
use super::take::{Name, Version, int, one, opt};
use super::words::words;
use super::{AsOf, Day, Text};
use crate::wire::errors::FieldError;

/// Units of a supply line arrived.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    pub reference: Text<'a>,
    #[serde(deserialize_with = "one::<_, LineName>")]
    pub line: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    pub version: Option<i64>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    /// What arrived of the line there in all; 0 takes back what an earlier version stated.
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quantity: i64,
    pub as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferStatus {
    /// It left `from`, and is supply at `to`.
    Shipped,
    /// It is on hand at `to`.
    Received,
    /// It is back at `from`.
    Cancelled,
}

words!(TransferStatus { Shipped = "shipped", Received = "received", Cancelled = "cancelled" });

/// Units that go from one location to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    pub reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, LineName>")]
    pub line: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    pub version: Option<i64>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub from: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub to: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quantity: i64,
    pub status: TransferStatus,
    #[serde(default, deserialize_with = "opt::<_, Date>")]
    pub due: Option<Day>,
    pub as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}

impl Transfer<'_> {
    pub(super) fn check(self) -> Result<Self, FieldError> {
        if self.from == self.to {
            return Err(FieldError::new("to", "must be another location than from"));
        }
        Ok(self)
    }
}
