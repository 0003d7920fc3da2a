//! Stock: levels, movements, incoming supply. Shapes, units and bounds as in docs/facts.md.

use serde::Deserialize;

use super::bounds::{AMOUNT_MAX, ON_HAND_MAX, ON_HAND_MIN};
use super::shapes::{Date, DocumentLine, LineName};
use super::take::{Int, Name, Object, Reason, Version, int, one, opt, or_default};
use super::words::words;
use super::{AsOf, Day, Text};

/// Whether a level still contains what the ERP owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// It does; `allocated` gives how much.
    Gross,
    /// Open orders are already taken off.
    Net,
}

words!(Basis { Gross = "gross", Net = "net" });

/// What of `on_hand` cannot be sold, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unsellable {
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quality_control: i64,
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub damaged: i64,
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quarantined: i64,
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub in_transfer: i64,
}

/// What the source counts at one location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockLevel<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, ON_HAND_MIN, ON_HAND_MAX>")]
    pub on_hand: i64,
    #[serde(default, deserialize_with = "or_default::<_, Object<Unsellable>>")]
    pub unsellable: Unsellable,
    /// What the ERP owes out of a gross level; None: unknown.
    #[serde(default, deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    pub allocated: Option<i64>,
    pub basis: Basis,
    pub as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}

/// A movement that the source counted: an adjustment, a receipt, a loss.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockDelta<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    /// Signed; 0 takes back what an earlier version moved.
    #[serde(deserialize_with = "int::<_, _, ON_HAND_MIN, ON_HAND_MAX>")]
    pub quantity: i64,
    #[serde(deserialize_with = "one::<_, Reason>")]
    pub reason: Text<'a>,
    #[serde(rename = "ref", deserialize_with = "one::<_, Name>")]
    pub reference: Text<'a>,
    /// Tells movements of one document apart; part of its identity.
    #[serde(default, deserialize_with = "opt::<_, DocumentLine>")]
    pub line: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    pub version: Option<i64>,
    pub as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}

/// Where a supply stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupplyStatus {
    Open,
    /// Closed: the stock comes by level or delta.
    Received,
    Cancelled,
}

words!(SupplyStatus { Open = "open", Received = "received", Cancelled = "cancelled" });

/// Dated incoming stock.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supply<'a> {
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
    /// What is still open.
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quantity: i64,
    #[serde(deserialize_with = "one::<_, Date>")]
    pub due: Day,
    #[serde(default = "open")]
    pub status: SupplyStatus,
    /// Per cent.
    #[serde(default = "certain", deserialize_with = "int::<_, _, 0, 100>")]
    pub confidence: u8,
    /// Orders the statements about one line where no version does.
    #[serde(default)]
    pub as_of: Option<AsOf>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}

const fn open() -> SupplyStatus {
    SupplyStatus::Open
}

/// The `confidence` of a supply that names none.
pub(crate) const fn certain() -> u8 {
    100
}
