//! Orders: what is owed, what the ERP has seen of our orders, what left and what came back.

use serde::Deserialize;

use super::bounds::{AMOUNT_MAX, LINES_MAX, LOCATIONS_MAX, QUANTITY_MAX};
use super::shapes::{Date, DocumentLine, LineName};
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

/// Which reservations a fact about an order means: those of the order, of the channel, or one alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderName<'a> {
    pub order_ref: Option<Text<'a>>,
    /// This reservation alone.
    pub reservation: Option<Text<'a>>,
    /// Those of this channel alone.
    pub channel: Option<Text<'a>>,
}

impl<'a> OrderName<'a> {
    /// As above, where one of the two names is needed.
    fn needed(self) -> Result<OrderName<'a>, FieldError> {
        if self.order_ref.is_none() && self.reservation.is_none() {
            return Err(FieldError::new("order_ref", "is missing, and so is reservation"));
        }
        Ok(self)
    }
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
    pub of: OrderName<'a>,
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
    reservation: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
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
            of: OrderName {
                order_ref: self.order_ref,
                reservation: self.reservation,
                channel: self.channel,
            },
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderAck<'a> {
    pub of: OrderName<'a>,
    pub as_of: AsOf,
    /// Empty: the message names no lines, every bound unit is meant.
    pub lines: Vec<AckLine<'a>>,
}

/// An acknowledgement as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AckMessage<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
    as_of: AsOf,
    #[serde(default, deserialize_with = "or_default::<_, List<Object<AckLine>, 1, LINES_MAX>>")]
    lines: Vec<AckLine<'a>>,
}

impl<'a> AckMessage<'a> {
    pub(super) fn check(self) -> Result<OrderAck<'a>, FieldError> {
        let of = OrderName {
            order_ref: self.order_ref,
            reservation: self.reservation,
            channel: self.channel,
        };
        Ok(OrderAck {
            of: of.needed()?,
            as_of: self.as_of,
            lines: self.lines,
        })
    }
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
    /// None: base units, of a kit kits.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
    /// The line's own name in its document.
    #[serde(default, deserialize_with = "opt::<_, DocumentLine>")]
    pub line: Option<Text<'a>>,
}

/// At least one [`QuantityLine`].
pub(crate) type QuantityLines<'a> = List<Object<QuantityLine<'a>>, 1, LINES_MAX>;
/// As above, or none: a newer version that withdraws the document.
type LinesOrNone<'a> = List<Object<QuantityLine<'a>>, 0, LINES_MAX>;

/// Only a newer version can withdraw a document, so a document without lines has one.
fn lines_of(lines: Vec<QuantityLine<'_>>, version: Option<i64>) -> Result<Vec<QuantityLine<'_>>, FieldError> {
    if lines.is_empty() && version.is_none() {
        let why = "must have at least 1 entry; a version is needed to withdraw a document by an empty list";
        return Err(FieldError::new("lines", why));
    }
    Ok(lines)
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderUpdate<'a> {
    pub of: OrderName<'a>,
    pub reference: Text<'a>,
    pub line: Option<Text<'a>>,
    pub version: Option<i64>,
    pub status: UpdateStatus,
    /// Empty: this version withdraws the update.
    pub lines: Vec<QuantityLine<'a>>,
    pub as_of: AsOf,
}

/// An update as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMessage<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
    #[serde(rename = "ref", deserialize_with = "one::<_, Name>")]
    reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, DocumentLine>")]
    line: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    version: Option<i64>,
    status: UpdateStatus,
    #[serde(deserialize_with = "one::<_, LinesOrNone>")]
    lines: Vec<QuantityLine<'a>>,
    as_of: AsOf,
}

impl<'a> UpdateMessage<'a> {
    pub(super) fn check(self) -> Result<OrderUpdate<'a>, FieldError> {
        let of = OrderName {
            order_ref: self.order_ref,
            reservation: self.reservation,
            channel: self.channel,
        };
        Ok(OrderUpdate {
            of: of.needed()?,
            reference: self.reference,
            line: self.line,
            version: self.version,
            status: self.status,
            lines: lines_of(self.lines, self.version)?,
            as_of: self.as_of,
        })
    }
}

/// Units left a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment<'a> {
    pub reference: Text<'a>,
    pub line: Option<Text<'a>>,
    pub version: Option<i64>,
    pub of: OrderName<'a>,
    /// Empty: this version withdraws the shipment.
    pub lines: Vec<QuantityLine<'a>>,
    pub as_of: AsOf,
}

/// A shipment as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipmentMessage<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, DocumentLine>")]
    line: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    version: Option<i64>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, LinesOrNone>")]
    lines: Vec<QuantityLine<'a>>,
    as_of: AsOf,
}

impl<'a> ShipmentMessage<'a> {
    pub(super) fn check(self) -> Result<Shipment<'a>, FieldError> {
        let of = OrderName {
            order_ref: self.order_ref,
            reservation: self.reservation,
            channel: self.channel,
        };
        Ok(Shipment {
            reference: self.reference,
            line: self.line,
            version: self.version,
            of: of.needed()?,
            lines: lines_of(self.lines, self.version)?,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return<'a> {
    pub reference: Text<'a>,
    pub line: Option<Text<'a>>,
    pub version: Option<i64>,
    /// Names nothing where it is of no order of ours.
    pub of: OrderName<'a>,
    pub sku: Text<'a>,
    pub location: Text<'a>,
    /// 0: this version withdraws the return.
    pub quantity: i64,
    pub condition: Condition,
    pub as_of: AsOf,
    pub unit: Option<Text<'a>>,
}

/// A return as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnMessage<'a> {
    #[serde(borrow, rename = "ref", deserialize_with = "one::<_, Name>")]
    reference: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, DocumentLine>")]
    line: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Version>")]
    version: Option<i64>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    order_ref: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, Name>")]
    sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    location: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 0, QUANTITY_MAX>")]
    quantity: i64,
    condition: Condition,
    as_of: AsOf,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    unit: Option<Text<'a>>,
}

impl<'a> ReturnMessage<'a> {
    pub(super) fn check(self) -> Return<'a> {
        Return {
            reference: self.reference,
            line: self.line,
            version: self.version,
            of: OrderName {
                order_ref: self.order_ref,
                reservation: self.reservation,
                channel: self.channel,
            },
            sku: self.sku,
            location: self.location,
            quantity: self.quantity,
            condition: self.condition,
            as_of: self.as_of,
            unit: self.unit,
        }
    }
}
