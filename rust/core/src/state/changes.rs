//! The functions that change what the digest covers: each changes a thing and the digest in one step.
//!
//! In: changes that the rules worked out. Out: the changed state, its digest in step, the sequence noted where one is shown.
//! Always: there is no other way. The fields are private to `state`, so that a rule cannot change a thing and forget the
//! digest; cells and reservations leave the sum when they are first touched in a group and enter it again when it settles.

mod declared;
mod documents;
mod orders;
mod stock;

#[cfg(test)]
use crate::state::digest::Entity;
use crate::state::{State, digest_from_scratch};

/// The digest as a whole.
impl State {
    /// Brings the digest up to date with what the batch changed, while that is still in the processor's caches.
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

    /// The maintained sum, without what the current group has changed.
    pub(crate) fn digest_kept(&self) -> u128 {
        self.digest.sum()
    }

    /// Replaces the maintained digest by the recounted one. What is noted as changed enters the old sum first, so that nothing
    /// of it is left for the new one.
    pub(crate) fn recount_digest(&mut self) {
        self.settle_digest();
        self.digest = digest_from_scratch::count(self);
    }

    #[cfg(test)]
    pub(crate) fn spoil_digest(&mut self) {
        self.digest.add(Entity::PendingOrderFact, b"this was never there");
    }
}
