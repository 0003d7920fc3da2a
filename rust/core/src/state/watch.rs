//! What a batch changed, for the one who publishes it: SKUs whose sellable may be another, and reservations.
//!
//! In: notes of the functions that change the state. Out: each SKU once, each reservation once a statement with what it was
//! before. Always: nothing is noted while nobody publishes; no rule asks it, and neither digest nor snapshot covers it.

use hashbrown::HashSet;

use crate::state::State;
use crate::state::ids::{SkuId, Slot};
use crate::state::reservations::{Reservation, ReservationState, StockNode};

/// A reservation that the present statement changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched {
    pub(crate) slot: Slot,
    /// None: it is new.
    pub(crate) before: Option<ReservationState>,
    /// Units that were beyond any node.
    pub(crate) unsourced: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    is_on: bool,
    skus: HashSet<SkuId>,
    all: bool,
    touched: Vec<Touched>,
}

/// Units of a reservation that are beyond any node.
pub(crate) fn unsourced_of(reservation: &Reservation) -> i64 {
    let beyond = |p: &&crate::state::reservations::Portion| p.node == StockNode::Unsourced;
    reservation.portions.iter().filter(beyond).map(|p| p.quantity).sum()
}

impl Watch {
    #[inline]
    pub(in crate::state) fn sku(&mut self, sku: SkuId) {
        if self.is_on {
            self.skus.insert(sku);
        }
    }

    /// A rule that names a SKU, or one that reaches all.
    pub(in crate::state) fn rule(&mut self, sku: Option<SkuId>) {
        match sku {
            Some(sku) => self.sku(sku),
            None => self.all = self.is_on,
        }
    }

    /// To be called before the reservation changes.
    #[inline]
    pub(in crate::state) fn reservation(&mut self, slot: Slot, before: Option<&Reservation>) {
        if self.is_on && self.touched.last().is_none_or(|last| last.slot != slot) {
            self.touched.push(Touched {
                slot,
                before: before.map(|r| r.state),
                unsourced: before.map_or(0, unsourced_of),
            });
        }
    }
}

impl State {
    /// Has changes noted from now on.
    pub(crate) fn begin_watch(&mut self) {
        self.watch = Watch {
            is_on: true,
            all: true,
            ..Watch::default()
        };
    }

    /// What all SKUs can sell may be another: the day or the rules changed.
    pub(crate) fn watch_all(&mut self) {
        self.watch.rule(None);
    }

    /// The reservations that the statement changed, in order.
    pub(crate) fn take_touched(&mut self) -> Vec<Touched> {
        std::mem::take(&mut self.watch.touched)
    }

    /// The SKUs noted, and the kits that take them, by number; None: all.
    pub(crate) fn take_noted(&mut self) -> Option<Vec<SkuId>> {
        let mut noted = std::mem::take(&mut self.watch.skus);
        if std::mem::take(&mut self.watch.all) {
            return None;
        }
        let mut way: Vec<SkuId> = noted.iter().copied().collect();
        while let Some(sku) = way.pop() {
            for &kit in self.catalogue.detail(sku).map_or(&[][..], |d| &d.used_in) {
                if noted.insert(kit) {
                    way.push(kit);
                }
            }
        }
        let mut all: Vec<SkuId> = noted.into_iter().collect();
        all.sort_unstable();
        Some(all)
    }
}
