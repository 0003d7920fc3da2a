//! The doors through which what the digest covers changes: each changes a thing and the digest in one step.
//!
//! In: changes that the rules worked out. Out: the changed state, its digest in step, the sequence noted where one is shown.
//! Always: there is no other way. The fields are private to `state`, so that a rule cannot change a thing and forget the
//! digest; cells and reservations leave the sum when they are first touched in a group and enter it again when it settles.

use crate::state::catalogue::{Channel, Item, Location};
use crate::state::digest::{Digest, Entity};
use crate::state::idempotency::{Bounds, Entry};
use crate::state::identities::Remembered;
use crate::state::ids::{ChannelId, LocationId, SkuId, Slot, SourceId};
use crate::state::policies::{Freshness, OversellRule, Quota, QuotaKind, Restriction, SafetyRule, Scope};
use crate::state::reservations::{Reservation, ReservationState};
use crate::state::stock::{Cell, Movement};
use crate::state::supply::{Demand, DocumentKey, Supply};
use crate::state::{State, digest_from_scratch, encodings};
use crate::wire::facts::Unsellable;

/// Leaves the old encoding out of the digest and takes the new one in; nothing where a side is empty.
fn swap(digest: &mut Digest, entity: Entity, old: &[u8], new: &[u8]) {
    if !old.is_empty() {
        digest.take(entity, old);
    }
    if !new.is_empty() {
        digest.add(entity, new);
    }
}

/// Reservations.
impl State {
    /// A reservation to be changed; the batch under way is noted as its last change.
    #[inline]
    pub(crate) fn edit(&mut self, slot: Slot) -> &mut Reservation {
        let reservation = self.reservations.get_mut(slot);
        if !reservation.dirty {
            self.digest.touch_reservation(slot, reservation, &mut self.scratch);
        }
        reservation.sequence = self.position.sequence + 1;
        reservation
    }

    /// A new one is marked dirty by whoever makes it: it is in no sum yet.
    pub(crate) fn add_reservation(&mut self, reservation: Reservation) -> Slot {
        assert!(
            reservation.dirty,
            "Invariant: a new reservation enters the digest when it settles"
        );
        let slot = self.reservations.add(reservation);
        self.digest.new_reservation(slot);
        slot
    }

    pub(crate) fn forget_reservation(&mut self, slot: Slot) {
        let gone = self.reservations.remove(slot);
        self.digest.forget_reservation(&gone, &mut self.scratch);
    }

    /// Names a reservation's state, and counts it there.
    pub(crate) fn name_state(&mut self, slot: Slot, state: ReservationState) {
        self.edit(slot);
        self.reservations.set_state(slot, state);
    }

    /// Starts the time after which a closed reservation is forgotten.
    pub(crate) fn mark_closed(&mut self, slot: Slot) {
        let now = self.position.lead_ms.max(1);
        if self.reservations.get(slot).closed_at_ms == 0 {
            let reservation = self.edit(slot);
            reservation.closed_at_ms = now;
            let serial = reservation.serial;
            self.reservations.closed.push_back((now, serial, slot));
        }
    }

    /// Gives a confirmed reservation its order's name and lists it there.
    pub(crate) fn name_order(&mut self, slot: Slot, order_ref: &str) {
        self.edit(slot);
        self.reservations.name_order(slot, order_ref);
    }
}

/// Facts about orders that no reservation has named yet.
impl State {
    /// Keeps one; bounded, the order heard of first is dropped first.
    pub(crate) fn keep_pending_fact(&mut self, order_ref: &str, raw: String) {
        self.digest.add(Entity::PendingOrderFact, raw.as_bytes());
        if self.reservations.keep_pending(order_ref, raw) {
            while self.reservations.pending_orders.len() > self.rules.identities_max.max(1) {
                let oldest = self.reservations.pending_orders.front().expect("not empty").clone();
                self.take_pending_facts(&oldest);
            }
        }
    }

    /// Takes out what was kept for an order, in order of arrival.
    pub(crate) fn take_pending_facts(&mut self, order_ref: &str) -> Vec<Box<str>> {
        let kept = self.reservations.take_pending(order_ref);
        for raw in &kept {
            self.digest.take(Entity::PendingOrderFact, raw.as_bytes());
        }
        kept
    }
}

/// Cells, and what stands behind their sums.
impl State {
    /// Changes one cell, made where it is missing; keeps the SKU's stock at hand, the digest and the open sequence in step.
    pub(crate) fn change_cell(&mut self, sku: SkuId, location: LocationId, change: impl FnOnce(&mut Cell)) {
        let block = self.catalogue.skus[sku.at()].cells;
        let found = self.stock.cells(block).iter().position(|c| c.location == location);
        let (at, is_new) = match found {
            Some(at) => (at, false),
            None => (self.add_cell(sku, location), true),
        };
        let block = self.catalogue.skus[sku.at()].cells;
        let enabled = self.catalogue.locations[location.at()].enabled;
        let sequence = self.position.sequence + 1;
        let cell = &mut self.stock.cells_mut(block)[at];
        self.digest.touch_cell(sku, cell, is_new);
        let (hand, units, stated) = (cell.at_hand(), cell.committed + cell.held, cell.stated());
        change(cell);
        *(if cell.stated() == stated {
            &mut cell.owed_sequence
        } else {
            &mut cell.stock_sequence
        }) = sequence;
        self.units_in_cells += cell.committed + cell.held - units;
        if enabled {
            self.catalogue.skus[sku.at()].at_hand += cell.at_hand() - hand;
        }
        self.note_change(sku);
    }

    fn add_cell(&mut self, sku: SkuId, location: LocationId) -> usize {
        let hint = self.catalogue.locations.len();
        let mut block = self.catalogue.skus[sku.at()].cells;
        let at = self.stock.add(&mut block, location, hint);
        self.catalogue.skus[sku.at()].cells = block;
        let safety = self.policies.safety_of(sku, &self.stock.cells(block)[at]);
        self.stock.cells_mut(block)[at].safety = safety;
        at
    }

    pub(crate) fn add_movement(&mut self, sku: SkuId, location: LocationId, movement: Movement) {
        let movements = self.stock.movements.as_mut();
        movements.entry((sku, location)).or_default().push(movement);
        encodings::movement_bytes(sku, location, &movement, &mut self.scratch);
        self.digest.add(Entity::Movement, &self.scratch);
    }

    /// Drops the movements of a cell that do not stay.
    pub(crate) fn retain_movements(&mut self, sku: SkuId, location: LocationId, stays: impl Fn(&Movement) -> bool) {
        let all = self.stock.movements.as_mut();
        let Some(movements) = all.get_mut(&(sku, location)) else {
            return;
        };
        movements.retain(|movement| {
            let stays = stays(movement);
            if !stays {
                encodings::movement_bytes(sku, location, movement, &mut self.scratch);
                self.digest.take(Entity::Movement, &self.scratch);
            }
            stays
        });
        if movements.is_empty() {
            all.remove(&(sku, location));
        }
    }

    /// The four parts of a level's unsellable stock; nothing is kept where all are 0.
    pub(crate) fn set_conditions(&mut self, sku: SkuId, location: LocationId, parts: Unsellable) {
        let all = self.stock.conditions.as_mut();
        let none = Unsellable::default();
        let old = if parts == none {
            all.remove(&(sku, location))
        } else {
            all.insert((sku, location), parts)
        };
        for (parts, enters) in [(old.unwrap_or(none), false), (parts, true)] {
            if parts != none {
                encodings::condition_bytes(sku, location, &parts, &mut self.scratch);
                if enters {
                    self.digest.add(Entity::Conditions, &self.scratch);
                } else {
                    self.digest.take(Entity::Conditions, &self.scratch);
                }
            }
        }
    }

    /// The first source to state a level of a location owns its levels.
    pub(crate) fn set_owner(&mut self, location: LocationId, source: SourceId) {
        let old = self.location_owner.as_mut()[location.at()].replace(source);
        if let Some(old) = old {
            self.digest.take(Entity::Owner, &encodings::owner_bytes(location, old));
        }
        self.digest
            .add(Entity::Owner, &encodings::owner_bytes(location, source));
    }

    /// A source tells the time or it counts; what it says first decides.
    pub(crate) fn set_clock(&mut self, source: SourceId, tells_time: bool) {
        self.source_clock.as_mut()[source.at()] = Some(tells_time);
        self.digest
            .add(Entity::Clock, &encodings::clock_bytes(source, tells_time));
    }
}

/// Supply and demand documents.
impl State {
    pub(crate) fn add_supply(&mut self, key: DocumentKey, supply: Supply) -> u32 {
        encodings::supply_bytes(&supply, &mut self.scratch);
        self.digest.add(Entity::Supply, &self.scratch);
        self.documents.supplies.add(key, supply)
    }

    pub(crate) fn change_supply(&mut self, id: u32, change: impl FnOnce(&mut Supply)) {
        let supply = self.documents.supplies.get_mut(id);
        encodings::supply_bytes(supply, &mut self.scratch);
        self.digest.take(Entity::Supply, &self.scratch);
        change(supply);
        encodings::supply_bytes(supply, &mut self.scratch);
        self.digest.add(Entity::Supply, &self.scratch);
    }

    pub(crate) fn forget_supply(&mut self, id: u32, key: &DocumentKey) {
        if let Some(gone) = self.documents.supplies.forget(id, key) {
            encodings::supply_bytes(&gone, &mut self.scratch);
            self.digest.take(Entity::Supply, &self.scratch);
        }
    }

    pub(crate) fn add_demand(&mut self, key: DocumentKey, demand: Demand) -> u32 {
        encodings::demand_bytes(&demand, &mut self.scratch);
        self.digest.add(Entity::Demand, &self.scratch);
        self.documents.demands.add(key, demand)
    }

    /// Puts a demand in the place of an older one, which is returned.
    pub(crate) fn replace_demand(&mut self, id: u32, demand: Demand) -> Demand {
        let record = self.documents.demands.get_mut(id);
        encodings::demand_bytes(record, &mut self.scratch);
        self.digest.take(Entity::Demand, &self.scratch);
        encodings::demand_bytes(&demand, &mut self.scratch);
        self.digest.add(Entity::Demand, &self.scratch);
        std::mem::replace(record, demand)
    }

    pub(crate) fn forget_demand(&mut self, id: u32, key: &DocumentKey) {
        if let Some(gone) = self.documents.demands.forget(id, key) {
            encodings::demand_bytes(&gone, &mut self.scratch);
            self.digest.take(Entity::Demand, &self.scratch);
        }
    }
}

/// What was declared.
impl State {
    pub(crate) fn set_item(&mut self, sku: SkuId, item: Item) -> Option<Item> {
        let new = encodings::item_bytes(sku, &item);
        let old = self.catalogue.detail_mut(sku).item.as_mut().replace(item);
        let old_bytes = old.as_ref().map(|i| encodings::item_bytes(sku, i)).unwrap_or_default();
        swap(&mut self.digest, Entity::Item, &old_bytes, &new);
        old
    }

    pub(crate) fn set_location(&mut self, id: LocationId, location: Location) -> Location {
        let new = encodings::location_bytes(id, &location);
        let old = std::mem::replace(&mut self.catalogue.locations.as_mut()[id.at()], location);
        swap(
            &mut self.digest,
            Entity::Location,
            &encodings::location_bytes(id, &old),
            &new,
        );
        old
    }

    pub(crate) fn set_channel(&mut self, id: ChannelId, channel: Channel) {
        let new = encodings::channel_bytes(id, &channel);
        let old = std::mem::replace(&mut self.catalogue.channels.as_mut()[id.at()], channel);
        swap(
            &mut self.digest,
            Entity::Channel,
            &encodings::channel_bytes(id, &old),
            &new,
        );
    }

    /// None ends the rule.
    pub(crate) fn set_safety(&mut self, scope: Scope<SkuId, LocationId>, rule: Option<SafetyRule>) {
        let bytes = |r: &SafetyRule| encodings::safety_bytes(scope, r);
        let rules = self.policies.safety.as_mut();
        let old = match rule {
            Some(rule) => rules.insert(scope, rule),
            None => rules.remove(&scope),
        };
        let (old, new) = (old.as_ref().map(bytes), rule.as_ref().map(bytes));
        swap(
            &mut self.digest,
            Entity::Safety,
            &old.unwrap_or_default(),
            &new.unwrap_or_default(),
        );
        self.policies.count_rules();
    }

    /// None ends the rule.
    pub(crate) fn set_oversell(&mut self, scope: Scope<SkuId, ChannelId>, rule: Option<OversellRule>) {
        let bytes = |r: &OversellRule| encodings::oversell_bytes(scope, r);
        let rules = self.policies.oversell.as_mut();
        let old = match rule {
            Some(rule) => rules.insert(scope, rule),
            None => rules.remove(&scope),
        };
        let (old, new) = (old.as_ref().map(bytes), rule.as_ref().map(bytes));
        swap(
            &mut self.digest,
            Entity::Oversell,
            &old.unwrap_or_default(),
            &new.unwrap_or_default(),
        );
        self.policies.count_rules();
    }

    pub(crate) fn set_restriction(&mut self, scope: Scope<SkuId, ChannelId>, rule: Restriction) {
        let bytes = |r: &Restriction| encodings::restriction_bytes(scope, r);
        let new = bytes(&rule);
        let old = self.policies.restrictions.as_mut().insert(scope, rule);
        swap(
            &mut self.digest,
            Entity::Restriction,
            &old.as_ref().map(bytes).unwrap_or_default(),
            &new,
        );
        self.policies.count_rules();
    }

    pub(crate) fn set_freshness(&mut self, source: SourceId, rule: Freshness) {
        let bytes = |r: &Freshness| encodings::freshness_bytes(source, r);
        let new = bytes(&rule);
        let old = self.policies.freshness.as_mut().insert(source, rule);
        swap(
            &mut self.digest,
            Entity::Freshness,
            &old.as_ref().map(bytes).unwrap_or_default(),
            &new,
        );
    }

    /// Changes one quota, made where it is missing.
    pub(crate) fn change_quota<R>(
        &mut self,
        sku: SkuId,
        channel: ChannelId,
        kind: QuotaKind,
        change: impl FnOnce(&mut Quota) -> R,
    ) -> R {
        let detail = self.catalogue.detail_mut(sku);
        let quotas = match kind {
            QuotaKind::Allocation => detail.allocations.as_mut(),
            QuotaKind::Cap => detail.caps.as_mut(),
        };
        if let Some(old) = quotas.get(&channel) {
            encodings::quota_bytes(sku, channel, kind, old, &mut self.scratch);
            self.digest.take(Entity::Quota, &self.scratch);
        }
        let quota = quotas.entry(channel).or_default();
        let result = change(quota);
        quota.sequence = self.position.sequence + 1;
        encodings::quota_bytes(sku, channel, kind, quota, &mut self.scratch);
        self.digest.add(Entity::Quota, &self.scratch);
        self.note_change(sku);
        result
    }
}

/// What is remembered so that it counts once.
impl State {
    pub(crate) fn remember_identity(&mut self, key: u128, what: Remembered) {
        self.digest
            .add(Entity::Identity, &encodings::identity_bytes(key, &what));
        for (gone, record) in self.identities.remember(key, what, self.rules.identities_max) {
            self.digest
                .take(Entity::Identity, &encodings::identity_bytes(gone, &record));
        }
    }

    /// Remembers an answer under a key that is not known; how many older ones left the memory for it.
    pub(crate) fn remember_answer(&mut self, key: u128, entry: Entry, bounds: Bounds) -> usize {
        self.digest.add(Entity::Answered, &entry.digested(key));
        let gone = self.answered.remember(key, entry, bounds);
        for (key, entry) in &gone {
            self.digest.take(Entity::Answered, &entry.digested(*key));
        }
        gone.len()
    }

    /// Forgets the oldest answer if it was given at or before `until_ms` on the lead clock; whether there was one.
    pub(crate) fn forget_answer(&mut self, until_ms: i64) -> bool {
        let gone = self.answered.forget_older(until_ms);
        if let Some((key, entry)) = &gone {
            self.digest.take(Entity::Answered, &entry.digested(*key));
        }
        gone.is_some()
    }
}

/// The digest as a whole.
impl State {
    /// Brings the digest up to date with what the batch changed, while that is still near.
    pub(crate) fn settle_digest(&mut self) {
        let State {
            digest,
            catalogue,
            stock,
            reservations,
            scratch,
            ..
        } = self;
        digest.settle(catalogue, stock, reservations, scratch);
    }

    /// The digest: 32 hexadecimal digits over stock, policies, reservations and the memory of identities.
    pub(crate) fn digest(&mut self) -> String {
        self.settle_digest();
        format!("{:032x}", self.digest.sum())
    }

    /// The sum as it was kept up, without what the group under way has changed.
    pub(crate) fn digest_kept(&self) -> u128 {
        self.digest.sum()
    }

    /// Puts the digest counted anew in the place of the one kept up. What is noted as changed enters the old sum first, so
    /// that nothing of it is left for the new one.
    pub(crate) fn recount_digest(&mut self) {
        self.settle_digest();
        self.digest = digest_from_scratch::count(self);
    }

    #[cfg(test)]
    pub(crate) fn spoil_digest(&mut self) {
        self.digest.add(Entity::PendingOrderFact, b"this was never there");
    }
}
