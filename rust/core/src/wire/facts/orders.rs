//! Orders: what is owed, what the ERP has seen of our orders, what left and what came back.

use serde::Deserialize;

use super::bounds::{AMOUNT_MAX, LINES_MAX, LOCATIONS_MAX, QUANTITY_MAX};
use super::shapes::{Date, LineName};
use super::take::{List, Name, Object, Version, int, one, opt, or_default};
use super::words::words;
use super::{AsOf, Day, Text};
use crate::wire::errors::FieldError;

/// Who the demand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemandClass {
    Marketplace,
    Replenishment,
    B2b,
    Other,
}

words!(DemandClass { Marketplace = "marketplace", Replenishment = "replenishment", B2b = "b2b", Other = "other" });

const fn other() -> DemandClass {
    DemandClass::Other
}

/// What is owed to somebody else than our reservations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand<'a> {
    pub reference: Text<'a>,
    pub line: Text<'a>,
    pub version: Option<i64>,
    pub sku: Text<'a>,
    /// `location` or `locations` of the message; empty: anywhere.
    pub locations: Vec<Text<'a>>,
    /// 0 closes it.
    pub quantity: i64,
    pub class: DemandClass,
    pub due: Option<Day>,
    pub as_of: AsOf,
    pub order_ref: Option<Text<'a>>,
    pub unit: Option<Text<'a>>,
}

/// A demand as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemandMessage<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    reference: Text<'a>,
    #[serde(deserialize_with = "one::<_, LineName>")]
    line: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    version: Option<i64>,
    #[serde(deserialize_with = "one::<_, Name>")]
    sku: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    location: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, List<Name, 1, LOCATIONS_MAX>>")]
    locations: Option<Vec<Text<'a>>>,
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    quantity: i64,
    #[serde(default = "other")]
    class: DemandClass,
    #[serde(default, deserialize_with = "opt::<_, Date>")]
    due: Option<Day>,
    as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    unit: Option<Text<'a>>,
}

impl<'a> DemandMessage<'a> {
    pub(super) fn check(self) -> Result<Demand<'a>, FieldError> {
        let locations = match (self.location, self.locations) {
            (Some(_), Some(_)) => return Err(FieldError::new("locations", "must not be given together with location")),
            (Some(location), None) => vec![location],
            (None, locations) => locations.unwrap_or_default(),
        };
        Ok(Demand {
            reference: self.reference,
            line: self.line,
            version: self.version,
            sku: self.sku,
            locations,
            quantity: self.quantity,
            class: self.class,
            due: self.due,
            as_of: self.as_of,
            order_ref: self.order_ref,
            unit: self.unit,
        })
    }
}

/// One line of an acknowledgement: the ERP has these units at this location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckLine<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
}

/// A read-back saw the order in the ERP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderAck<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub order_ref: Text<'a>,
    pub as_of: AsOf,
    /// Empty: the message names no lines, every bound unit is meant.
    #[serde(default, deserialize_with = "or_default::<_, List<Object<AckLine>, 1, LINES_MAX>>")]
    pub lines: Vec<AckLine<'a>>,
}

/// Units of a SKU, perhaps at a location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantityLine<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    #[serde(deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub quantity: i64,
}

/// At least one [`QuantityLine`].
pub(crate) type QuantityLines<'a> = List<Object<QuantityLine<'a>>, 1, LINES_MAX>;

/// What the ERP did with the units it took off an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStatus {
    Cancelled,
    Refused,
    /// They were not there: counted as shipped.
    Short,
}

words!(UpdateStatus { Cancelled = "cancelled", Refused = "refused", Short = "short" });

/// The ERP took units off an order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderUpdate<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub order_ref: Text<'a>,
    #[serde(rename = "ref", deserialize_with = "one::<_, Name>")]
    pub reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    pub version: Option<i64>,
    pub status: UpdateStatus,
    #[serde(deserialize_with = "one::<_, QuantityLines>")]
    pub lines: Vec<QuantityLine<'a>>,
    pub as_of: AsOf,
}

/// What a shipment ships for: exactly one of `order_ref` and `reservation` in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipmentOf<'a> {
    Order(Text<'a>),
    Reservation(Text<'a>),
}

/// Units left a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment<'a> {
    pub reference: Text<'a>,
    pub version: Option<i64>,
    pub of: ShipmentOf<'a>,
    pub lines: Vec<QuantityLine<'a>>,
    pub as_of: AsOf,
}

/// A shipment as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipmentMessage<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    version: Option<i64>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, QuantityLines>")]
    lines: Vec<QuantityLine<'a>>,
    as_of: AsOf,
}

impl<'a> ShipmentMessage<'a> {
    pub(super) fn check(self) -> Result<Shipment<'a>, FieldError> {
        let of = match (self.order_ref, self.reservation) {
            (Some(order_ref), None) => ShipmentOf::Order(order_ref),
            (None, Some(id)) => ShipmentOf::Reservation(id),
            (Some(_), Some(_)) => {
                return Err(FieldError::new(
                    "reservation",
                    "must not be given together with order_ref",
                ));
            }
            (None, None) => return Err(FieldError::new("order_ref", "is missing, and so is reservation")),
        };
        Ok(Shipment {
            reference: self.reference,
            version: self.version,
            of,
            lines: self.lines,
            as_of: self.as_of,
        })
    }
}

/// In what state a return came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Sellable,
    Damaged,
    QualityControl,
}

words!(Condition { Sellable = "sellable", Damaged = "damaged", QualityControl = "quality_control" });

/// Units came back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Return<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    pub reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    pub version: Option<i64>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub order_ref: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub quantity: i64,
    pub condition: Condition,
    pub as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
}
