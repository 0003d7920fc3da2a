//! What a reservation is made of: lines as they were sold, and portions: units of one base SKU from one node.
//!
//! In: nothing. Out: plain records. Always: what a split leaves and what it takes are the portion as it was.

use crate::state::ids::{LocationId, SkuId, SourceId, SupplyId};
use crate::state::reservations::Evidence;
use crate::wire::facts::AsOf;

/// Where a portion's units come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum StockNode {
    Hand(LocationId),
    Supply(SupplyId),
    /// Sold, and not bound to any node (yet).
    Unsourced,
}

/// Units of one base SKU from one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) sku: SkuId,
    pub(crate) line: u16,
    /// Reported over HTTP to have left; deducted all the same until the ERP covers it.
    pub(crate) fulfilled: bool,
    /// Counted inside its cell's level, so not deducted here.
    pub(crate) in_erp_level: bool,
    pub(crate) node: StockNode,
    pub(crate) quantity: i64,
    /// How many of them took the channel's own allocation, and in which period of it.
    pub(crate) own: i64,
    pub(crate) own_period: u32,
    /// The cap's period that they count in; 0: there was no cap.
    pub(crate) cap_period: u32,
    pub(crate) evidence: Option<Box<Evidence>>,
}

impl Portion {
    /// By whom they were reported to have left, and as of when.
    pub(crate) fn shipped(&self) -> Option<(SourceId, AsOf)> {
        self.evidence.as_deref().and_then(|e| e.shipped)
    }

    pub(crate) fn evidence_mut(&mut self) -> &mut Evidence {
        self.evidence.get_or_insert_with(Box::default)
    }

    pub(crate) fn is_shipped(&self) -> bool {
        self.evidence.as_ref().is_some_and(|e| e.shipped.is_some())
    }

    /// Takes `quantity` units out: those that took the own allocation go first when `own_first`, else last.
    pub(crate) fn split(&mut self, quantity: i64, own_first: bool) -> Portion {
        debug_assert!(
            quantity > 0 && quantity < self.quantity,
            "Invariant: a split leaves both sides something"
        );
        let own = if own_first {
            self.own.min(quantity)
        } else {
            (self.own - (self.quantity - quantity)).max(0)
        };
        let taken = Portion {
            quantity,
            own,
            ..self.clone()
        };
        self.quantity -= quantity;
        self.own -= own;
        taken
    }
}

/// How a line was sold, where that is more than base units of a plain item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// Index of the line.
    pub(crate) line: u16,
    /// The unit that it was asked in, and base units in one.
    pub(crate) unit: Option<(Box<str>, i64)>,
    /// Of a kit: what one takes from stock; empty for a plain item.
    pub(crate) parts: Vec<(SkuId, i64)>,
    /// Of a kit: the kits inside it, how many in one, and the period of each one's cap (0: there was none).
    pub(crate) inner: Vec<(SkuId, i64, u32)>,
}

/// Units that a document took off the open ones of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// The document's identity.
    pub(crate) document: u128,
    /// A return rather than an update.
    pub(crate) is_return: bool,
    pub(crate) sku: SkuId,
    pub(crate) line: u16,
    pub(crate) quantity: i64,
    /// Where they were.
    pub(crate) place: Option<LocationId>,
}

/// A line as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: SkuId,
    /// Held, in base units (kits in kits).
    pub(crate) quantity: i64,
    pub(crate) asked: Option<i64>,
    pub(crate) location: Option<LocationId>,
    /// A kit's own cap: its period, 0 where there is none.
    pub(crate) cap_period: u32,
}
