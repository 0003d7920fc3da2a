//! Supply and demand, and what is remembered so that it counts once: how they change. `changes` says what always holds.

use crate::state::digest::Entity;
use crate::state::idempotency::{Bounds, Entry};
use crate::state::identities::Remembered;
use crate::state::order_documents::OrderDocument;
use crate::state::supply::{Demand, DocumentKey, Supply};
use crate::state::{State, encodings};

/// Supply and demand documents.
impl State {
    pub(crate) fn add_supply(&mut self, key: DocumentKey, supply: Supply) -> u32 {
        encodings::supply_bytes(&supply, &mut self.scratch);
        self.digest.add(Entity::Supply, &self.scratch);
        self.watch.sku(supply.sku);
        self.documents.supplies.add(key, supply)
    }

    pub(crate) fn change_supply(&mut self, id: u32, change: impl FnOnce(&mut Supply)) {
        let supply = self.documents.supplies.get_mut(id);
        encodings::supply_bytes(supply, &mut self.scratch);
        self.digest.take(Entity::Supply, &self.scratch);
        change(supply);
        self.watch.sku(supply.sku);
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

/// What is remembered so that it counts once.
impl State {
    pub(crate) fn remember_identity(&mut self, key: u128, mut what: Remembered) {
        // A newer version takes the place of the one before.
        if let Some(before) = self.identities.find(key) {
            (what.whose, what.taken_of) = (before.whose, before.taken_of);
        }
        self.digest
            .add(Entity::Identity, &encodings::identity_bytes(key, &what));
        let (bound, which) = (self.rules.identities_max, self.rules.forget());
        for (gone, record) in self.identities.remember(key, what, bound, which) {
            self.digest
                .take(Entity::Identity, &encodings::identity_bytes(gone, &record));
        }
    }

    /// Remembers an answer under a key that is not known; how many older ones left the memory for it.
    pub(crate) fn remember_answer(&mut self, key: u128, entry: Entry, bounds: Bounds) -> usize {
        entry.digested(key, &mut self.scratch);
        self.digest.add(Entity::Answered, &self.scratch);
        let gone = self.answered.remember(key, entry, bounds);
        for (key, entry) in &gone {
            entry.digested(*key, &mut self.scratch);
            self.digest.take(Entity::Answered, &self.scratch);
        }
        gone.len()
    }

    /// Forgets the oldest answer if it was given at or before `until_ms` on the lead clock; whether there was one.
    pub(crate) fn forget_answer(&mut self, until_ms: i64) -> bool {
        let gone = self.answered.forget_older(until_ms);
        if let Some((key, entry)) = &gone {
            entry.digested(*key, &mut self.scratch);
            self.digest.take(Entity::Answered, &self.scratch);
        }
        gone.is_some()
    }
}

/// Documents about orders that are looked at again.
impl State {
    /// Puts a document in the place of its earlier version.
    pub(crate) fn put_order_document(&mut self, order: &str, document: OrderDocument) {
        let key = document.key;
        self.forget_order_document(key);
        let whose = self.whose(document.source);
        self.order_documents.as_mut().put(whose, order, document);
        if let Some(now) = self.order_documents.find(order, key) {
            self.digest.add(Entity::OrderDocument, &now.bytes(order));
        }
        let (most, which) = (self.rules.identities_max, self.rules.forget());
        while let Some((order, gone)) = self.order_documents.as_mut().forget(most, which) {
            for document in gone {
                self.digest.take(Entity::OrderDocument, &document.bytes(&order));
            }
        }
    }

    /// Forgets a document: nothing that it names is looked at again.
    pub(crate) fn forget_order_document(&mut self, key: u128) {
        if let Some((named, before)) = self.order_documents.as_mut().take(key) {
            self.digest.take(Entity::OrderDocument, &before.bytes(&named));
        }
    }

    /// Changes a document that is remembered.
    pub(crate) fn change_order_document(&mut self, order: &str, key: u128, change: impl FnOnce(&mut OrderDocument)) {
        if let Some(mut document) = self.order_documents.find(order, key).cloned() {
            change(&mut document);
            self.put_order_document(order, document);
        }
    }
}
