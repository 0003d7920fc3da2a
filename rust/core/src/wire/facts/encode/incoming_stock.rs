//! Writing receipts and transfers.
//!
//! In: a fact. Out: its members, in the one order of LOG. Always: as `encode` says.

use super::super::{Receipt, Transfer};
use super::Members;

impl Members<'_> {
    pub(super) fn receipt(&mut self, receipt: &Receipt<'_>) {
        self.text("ref", &receipt.reference);
        self.text("line", &receipt.line);
        self.opt_int("version", receipt.version);
        self.text("sku", &receipt.sku);
        self.text("location", &receipt.location);
        self.int("quantity", receipt.quantity);
        self.as_of(receipt.as_of);
        self.opt_text("unit", receipt.unit.as_ref());
    }

    pub(super) fn transfer(&mut self, transfer: &Transfer<'_>) {
        self.text("ref", &transfer.reference);
        self.opt_text("line", transfer.line.as_ref());
        self.opt_int("version", transfer.version);
        self.text("sku", &transfer.sku);
        self.text("from", &transfer.from);
        self.text("to", &transfer.to);
        self.int("quantity", transfer.quantity);
        self.text("status", transfer.status.word());
        if let Some(due) = transfer.due {
            self.day("due", due);
        }
        self.as_of(transfer.as_of);
        self.opt_text("unit", transfer.unit.as_ref());
    }
}
