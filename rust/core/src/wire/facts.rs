//! Facts: what happened, as parsed values that cannot be malformed.
//!
//! In: one JSON object per fact. Out: a [`Fact`] whose bounds and shape are already checked (docs/facts.md), and the
//! canonical bytes of one. Always: strings borrow from the message where they can; quantities are integers in whatever
//! unit the fact names; `parse_logged(encode(statement)) == statement`.

use std::borrow::Cow;

pub mod bounds;
mod encode;
mod envelope;
pub(crate) mod fast_path;
mod incoming_stock;
pub(crate) mod names;
mod orders;
mod parse;
mod policies;
mod requests;
mod reservations;
pub(crate) mod rights;
mod shapes;
mod stock;
pub(crate) mod take;
pub mod time;
pub(crate) mod words;

pub use incoming_stock::{Receipt, Transfer, TransferStatus};
pub(crate) use orders::QuantityLines;
pub use orders::{
    AckLine, Condition, Demand, DemandClass, OrderAck, OrderName, OrderUpdate, QuantityLine, Return, Shipment,
    UpdateStatus,
};
pub use parse::{FactError, parse_logged, parse_statement};
pub(crate) use parse::{located, reason_of};
pub use policies::{
    Allocation, Cap, Channel, Component, Freshness, FreshnessAction, Item, ItemStatus, Location, LocationType,
    Oversell, OversellPolicy, Ownership, Regional, Restriction, Safety, SourceReset, Sourcing,
};
pub use requests::{DigestRecounted, Outcome, RequestAnswered};
pub use reservations::{HeldLine, ReservationConfirmed, ReservationExtended, ReservationFulfilled, ReservationHeld};
pub use stock::{Basis, StockDelta, StockLevel, Supply, SupplyStatus, Unsellable};

/// A string as the message has it.
pub type Text<'a> = Cow<'a, str>;

/// A calendar day: days since 1970-01-01.
pub type Day = i32;

/// When a statement was true, on its source's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AsOf {
    /// The source's own running number.
    Sequence(i64),
    /// Microseconds since 1970 in UTC.
    Time(i64),
}

/// What happened. The first twenty-one come from outside; the others are what commands became, and stand in LOG alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    StockLevel(StockLevel<'a>),
    StockDelta(StockDelta<'a>),
    Supply(Supply<'a>),
    Receipt(Receipt<'a>),
    Transfer(Transfer<'a>),
    Demand(Demand<'a>),
    OrderAck(OrderAck<'a>),
    OrderUpdate(OrderUpdate<'a>),
    Shipment(Shipment<'a>),
    Return(Return<'a>),
    Item(Item<'a>),
    Location(Location<'a>),
    Channel(Channel<'a>),
    Allocation(Allocation<'a>),
    Cap(Cap<'a>),
    Safety(Safety<'a>),
    Oversell(Oversell<'a>),
    Freshness(Freshness<'a>),
    Restriction(Restriction<'a>),
    SourceReset(SourceReset<'a>),
    Ownership(Ownership<'a>),
    ReservationHeld(ReservationHeld<'a>),
    ReservationConfirmed(ReservationConfirmed<'a>),
    /// The reservation's id.
    ReservationReleased(Text<'a>),
    /// The reservation's id.
    ReservationCancelled(Text<'a>),
    ReservationExtended(ReservationExtended<'a>),
    ReservationFulfilled(ReservationFulfilled<'a>),
    /// The reservation's id.
    ReservationOversold(Text<'a>),
    RequestAnswered(RequestAnswered<'a>),
    DigestRecounted(DigestRecounted),
}

/// A fact with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The source whose clock and identities the fact uses; empty for what commands became.
    pub source: Text<'a>,
    /// The key that brought it.
    pub by: Option<Text<'a>>,
    /// The sender's own mark, carried along unread.
    pub trace: Option<Text<'a>>,
    pub fact: Fact<'a>,
}

impl Fact<'_> {
    /// The `kind` of the message.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StockLevel(_) => "stock.level",
            Self::StockDelta(_) => "stock.delta",
            Self::Supply(_) => "supply",
            Self::Receipt(_) => "receipt",
            Self::Transfer(_) => "transfer",
            Self::Demand(_) => "demand",
            Self::OrderAck(_) => "order.ack",
            Self::OrderUpdate(_) => "order.update",
            Self::Shipment(_) => "shipment",
            Self::Return(_) => "return",
            Self::Item(_) => "item",
            Self::Location(_) => "location",
            Self::Channel(_) => "channel",
            Self::Allocation(_) => "allocation",
            Self::Cap(_) => "cap",
            Self::Safety(_) => "safety",
            Self::Oversell(_) => "oversell",
            Self::Freshness(_) => "freshness",
            Self::Restriction(_) => "restriction",
            Self::SourceReset(_) => "source.reset",
            Self::Ownership(_) => "ownership",
            Self::ReservationHeld(_) => "reservation.held",
            Self::ReservationConfirmed(_) => "reservation.confirmed",
            Self::ReservationReleased(_) => "reservation.released",
            Self::ReservationCancelled(_) => "reservation.cancelled",
            Self::ReservationExtended(_) => "reservation.extended",
            Self::ReservationFulfilled(_) => "reservation.fulfilled",
            Self::ReservationOversold(_) => "reservation.oversold",
            Self::RequestAnswered(_) => "request.answered",
            Self::DigestRecounted(_) => "digest.recounted",
        }
    }

    /// When it was true, by its source's clock.
    pub const fn as_of(&self) -> Option<AsOf> {
        match self {
            Self::StockLevel(f) => Some(f.as_of),
            Self::StockDelta(f) => Some(f.as_of),
            Self::Supply(f) => f.as_of,
            Self::Receipt(f) => Some(f.as_of),
            Self::Transfer(f) => Some(f.as_of),
            Self::Demand(f) => Some(f.as_of),
            Self::OrderAck(f) => Some(f.as_of),
            Self::OrderUpdate(f) => Some(f.as_of),
            Self::Shipment(f) => Some(f.as_of),
            Self::Return(f) => Some(f.as_of),
            _ => None,
        }
    }

    /// Whether applying it looks at every reservation (docs/performance.md): a message has few of these.
    pub const fn is_wide(&self) -> bool {
        matches!(self, Self::SourceReset(_) | Self::Ownership(_))
    }

    /// Which reservations a fact about an order means.
    pub const fn order_name(&self) -> Option<&OrderName<'_>> {
        match self {
            Self::Demand(f) => Some(&f.of),
            Self::OrderAck(f) => Some(&f.of),
            Self::OrderUpdate(f) => Some(&f.of),
            Self::Shipment(f) => Some(&f.of),
            Self::Return(f) => Some(&f.of),
            _ => None,
        }
    }

    /// True for the kinds that `/v1/policies` and the policy subject take.
    pub const fn is_policy(&self) -> bool {
        matches!(
            self,
            Self::Item(_)
                | Self::Location(_)
                | Self::Channel(_)
                | Self::Allocation(_)
                | Self::Cap(_)
                | Self::Safety(_)
                | Self::Oversell(_)
                | Self::Freshness(_)
                | Self::Restriction(_)
                | Self::SourceReset(_)
                | Self::Ownership(_)
        )
    }
}

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
