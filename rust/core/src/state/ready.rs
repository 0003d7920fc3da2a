//! Stock at hand, kept ready for each SKU, and the safety stock that it leaves out.
//!
//! In: rules and locations that change what is at hand of every SKU at once. Out: the same figures as if each cell had been
//! renewed on the spot. Always: such a change costs the same however many SKUs there are: it makes what is kept of all of
//! them old. A SKU is renewed when it changes next, or in its turn, a few with each batch; until then it is computed again.

use crate::state::State;
use crate::state::ids::SkuId;
use crate::state::looked;
use crate::state::stock::Cell;

/// SKUs that one batch renews in their turn.
const RENEWED_A_BATCH: usize = 256;

impl State {
    /// Whether what is kept ready of a SKU is by the rules and locations of now.
    #[inline]
    pub(crate) fn is_renewed(&self, sku: SkuId) -> bool {
        self.catalogue.skus[sku.at()].renewal == self.catalogue.renewal
    }

    /// Stock at hand of a SKU over all enabled locations.
    #[inline]
    pub(crate) fn at_hand(&self, sku: SkuId) -> i64 {
        if self.is_renewed(sku) {
            self.catalogue.skus[sku.at()].at_hand
        } else {
            self.at_hand_by_rules(sku)
        }
    }

    #[cold]
    fn at_hand_by_rules(&self, sku: SkuId) -> i64 {
        let enabled = |c: &&Cell| self.catalogue.locations[c.location.at()].enabled;
        let cells = self.cells(sku).iter().filter(enabled);
        cells.map(|cell| self.cell_by_rules(sku, cell).at_hand()).sum()
    }

    fn cell_by_rules(&self, sku: SkuId, cell: &Cell) -> Cell {
        let mut now = *cell;
        now.safety = self.policies.safety_of(sku, cell);
        now
    }

    /// What is at hand in a cell, as if so many held units were given back.
    #[inline]
    pub(crate) fn in_cell(&self, sku: SkuId, cell: &Cell, back: i64) -> i64 {
        if self.is_renewed(sku) {
            cell.at_hand_with(back)
        } else {
            self.in_cell_by_rules(sku, cell, back)
        }
    }

    #[cold]
    fn in_cell_by_rules(&self, sku: SkuId, cell: &Cell, back: i64) -> i64 {
        self.cell_by_rules(sku, cell).at_hand_with(back)
    }

    /// The safety stock of a cell by the rule in force.
    pub(crate) fn safety_in(&self, sku: SkuId, cell: &Cell) -> i64 {
        if self.is_renewed(sku) {
            cell.safety
        } else {
            self.policies.safety_of(sku, cell)
        }
    }

    /// What is at hand of every SKU may be another from now on.
    pub(crate) fn outdate_all(&mut self) {
        self.catalogue.renewal = self.catalogue.renewal.wrapping_add(1);
        self.catalogue.renewed_upto = 0;
    }

    /// Renews what is kept ready of a SKU; whether the safety stock of any of its cells changed.
    pub(crate) fn renew(&mut self, sku: SkuId) -> bool {
        if self.is_renewed(sku) {
            return false;
        }
        let block = self.catalogue.skus[sku.at()].cells;
        let (mut at_hand, mut changed) = (0, false);
        looked::at(usize::from(block.len));
        for cell in self.stock.cells_mut(block) {
            let safety = self.policies.safety_of(sku, cell);
            changed |= safety != cell.safety;
            cell.safety = safety;
            if self.catalogue.locations[cell.location.at()].enabled {
                at_hand += cell.at_hand();
            }
        }
        let record = &mut self.catalogue.skus[sku.at()];
        (record.at_hand, record.renewal) = (at_hand, self.catalogue.renewal);
        changed
    }

    /// Renews the SKUs whose turn it is.
    pub(crate) fn renew_some(&mut self) {
        self.renew_upto(self.catalogue.renewed_upto.saturating_add(RENEWED_A_BATCH));
    }

    /// Renews all, for what writes the cells as they are.
    pub(crate) fn renew_all(&mut self) {
        self.renew_upto(usize::MAX);
    }

    fn renew_upto(&mut self, end: usize) {
        let end = end.min(self.catalogue.skus.len());
        for n in self.catalogue.renewed_upto..end {
            self.renew(SkuId(n as u32));
        }
        self.catalogue.renewed_upto = self.catalogue.renewed_upto.max(end);
    }
}
