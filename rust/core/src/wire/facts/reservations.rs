//! Results of commands: only LOG has these facts; from outside they are refused.

use serde::Deserialize;

use super::Text;
use super::bounds::{HELD_MAX, LINES_MAX, QUANTITY_MAX, REVISION_MAX, TTL_MS_MAX};
use super::orders::{QuantityLine, QuantityLines};
use super::take::{Int, List, Name, Object, int, one, opt};

/// One line of a hold, in base units.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldLine<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    /// What is held; 0 where `partial` left nothing of this line.
    #[serde(deserialize_with = "int::<_, _, 0, HELD_MAX>")]
    pub quantity: i64,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    /// What was asked for when `partial` cut it; else None.
    #[serde(default, deserialize_with = "opt::<_, Int<1, HELD_MAX>>")]
    pub asked: Option<i64>,
    /// The unit that it was asked in; None: base units.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
    /// How many of that unit were asked for.
    #[serde(default, deserialize_with = "opt::<_, Int<1, QUANTITY_MAX>>")]
    pub units: Option<i64>,
}

impl HeldLine<'_> {
    /// What was asked for, in base units.
    pub const fn requested(&self) -> i64 {
        match self.asked {
            Some(asked) => asked,
            None => self.quantity,
        }
    }

    /// The unit that it was asked in, and base units in one.
    pub fn conversion(&self) -> Option<(&str, i64)> {
        let units = self.units.filter(|units| *units > 0)?;
        Some((self.unit.as_deref()?, self.requested() / units))
    }
}

/// A reservation was made or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationHeld<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub id: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub region: Option<Text<'a>>,
    /// Already the keyed hash.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub owner: Option<Text<'a>>,
    #[serde(deserialize_with = "int::<_, _, 1, TTL_MS_MAX>")]
    pub ttl_ms: i64,
    #[serde(deserialize_with = "one::<_, List<Object<HeldLine>, 1, LINES_MAX>>")]
    pub lines: Vec<HeldLine<'a>>,
    #[serde(default)]
    pub partial: bool,
    #[serde(default)]
    pub supersede: bool,
    #[serde(default, deserialize_with = "opt::<_, Int<0, REVISION_MAX>>")]
    pub revision: Option<i64>,
}

/// A reservation became an order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationConfirmed<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub id: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub order_ref: Option<Text<'a>>,
}

/// A hold now ends `ttl_ms` after this batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationExtended<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub id: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, TTL_MS_MAX>")]
    pub ttl_ms: i64,
}

/// Units of an order were reported over HTTP to have left.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationFulfilled<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub id: Text<'a>,
    #[serde(deserialize_with = "one::<_, QuantityLines>")]
    pub lines: Vec<QuantityLine<'a>>,
}

/// The facts that only name a reservation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlyId<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub(super) id: Text<'a>,
}
