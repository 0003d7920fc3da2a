//! Whose unsourced units may bind when a rule or the day changes: only of those SKUs that this can reach.
//!
//! In: what changed, and for each SKU with unsourced units whether anything is there or coming, and when that changes by
//! itself. Out: SKUs noted to be bound. Always: what is passed over could not bind (docs/rules.md, "Binding"): nothing is
//! there, or what changed is no part of what its units and claims are computed from.

use std::collections::BTreeSet;

use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId};
use crate::state::looked;
use crate::state::policies::AgeKey;
use crate::wire::facts::Day;

impl State {
    /// Notes that what can be taken of many SKUs may have changed: of those that `may` says.
    pub(crate) fn note_wide(&mut self, may: impl Fn(&State, SkuId) -> bool) {
        let found: BTreeSet<SkuId> = if std::mem::take(&mut self.unproven) {
            self.unsourced_skus.clone()
        } else {
            looked::at(self.stocked.len());
            self.stocked.iter().copied().filter(|&sku| may(self, sku)).collect()
        };
        self.note_with_unordered(found);
    }

    /// Notes the SKUs whose supply counts otherwise on this day.
    pub(crate) fn note_day(&mut self) {
        self.watch_all();
        let (mut due, today) = (BTreeSet::new(), self.today());
        while let Some(&(_, sku)) = self.wakes.first().filter(|(day, _)| *day <= today) {
            looked::at(1);
            self.set_wake(sku, None);
            due.insert(sku);
        }
        if std::mem::take(&mut self.unproven) {
            due.clone_from(&self.unsourced_skus);
        }
        self.note_with_unordered(due);
    }

    /// Reservations with several unsourced portions of a SKU are put in order before any of these binds.
    pub(crate) fn note_unordered(&mut self, sku: SkuId, age: AgeKey) {
        self.catalogue.detail_mut(sku).flow.unsourced.note_unordered(age);
        self.unordered.insert(sku);
    }

    /// Takes out the reservations with a SKU that are to be put in order.
    pub(crate) fn take_unordered(&mut self, sku: SkuId) -> BTreeSet<AgeKey> {
        self.unordered.remove(&sku);
        let detail = self.catalogue.detail_if_any(sku);
        detail.map(|d| d.flow.unsourced.take_unordered()).unwrap_or_default()
    }

    /// A change that reaches many has those put in order, too, that still are to be.
    fn note_with_unordered(&mut self, mut found: BTreeSet<SkuId>) {
        let waiting = |sku: &&SkuId| self.unsourced_skus.contains(*sku);
        found.extend(self.unordered.iter().filter(waiting));
        self.note_all(found);
    }

    /// Renews the SKUs that `may` says and for which somebody waits, and notes those whose safety stock changed.
    pub(crate) fn note_renewed(&mut self, may: impl Fn(&State, SkuId) -> bool) {
        // Of the others nothing is there that a smaller safety stock could free.
        let waiting: Vec<SkuId> = if self.unproven {
            self.unsourced_skus.iter().copied().collect()
        } else {
            self.stocked.iter().copied().collect()
        };
        looked::at(waiting.len());
        let mut changed = BTreeSet::new();
        for sku in waiting {
            if self.renew(sku) && may(self, sku) {
                changed.insert(sku);
            }
        }
        self.note_all(changed);
    }

    /// Those noted before are among them, so that all are looked at in the order of their numbers, the last first.
    fn note_all(&mut self, mut found: BTreeSet<SkuId>) {
        if found.is_empty() {
            return;
        }
        let noted = self.to_bind.sorted();
        found.extend(noted.into_iter().filter(|sku| self.unsourced_skus.contains(sku)));
        for sku in found {
            self.to_bind.push(sku);
        }
    }

    /// What is known of a SKU once its units were bound as far as they can be.
    pub(crate) fn set_standing(&mut self, sku: SkuId, is_stocked: bool, wakes: Option<Day>) {
        if is_stocked {
            self.renew(sku);
            self.stocked.insert(sku);
        } else {
            self.stocked.remove(&sku);
        }
        self.set_wake(sku, wakes);
    }

    /// Nobody waits for a SKU any more.
    pub(crate) fn end_waiting(&mut self, sku: SkuId) {
        self.unsourced_skus.remove(&sku);
        self.stocked.remove(&sku);
        self.set_wake(sku, None);
    }

    fn set_wake(&mut self, sku: SkuId, day: Option<Day>) {
        let held = std::mem::replace(&mut self.catalogue.detail_mut(sku).flow.wakes, day);
        if let Some(held) = held {
            self.wakes.remove(&(held, sku));
        }
        if let Some(day) = day {
            self.wakes.insert((day, sku));
        }
    }

    /// Whether anything of a SKU lies, or comes to, a location.
    pub(crate) fn has_place_at(&self, sku: SkuId, location: LocationId) -> bool {
        let supplies = self.catalogue.detail(sku).map_or(&[][..], |d| &d.flow.supplies);
        looked::at(supplies.len());
        self.cell(sku, location).is_some()
            || supplies
                .iter()
                .any(|id| self.documents.supplies.get(id.0).location == location)
    }

    /// Whether a channel claims anything of a SKU: for units beyond any node, or by its allocation.
    pub(crate) fn has_claims_of(&self, sku: SkuId, channel: ChannelId) -> bool {
        self.catalogue
            .detail(sku)
            .is_some_and(|d| d.flow.unsourced.has_channel(channel) || d.allocations.contains_key(&channel))
    }
}
