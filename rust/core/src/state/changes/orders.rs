//! Reservations, and facts about orders that none has named yet: how they change. `changes` says what always holds.

use crate::state::State;
use crate::state::digest::Entity;
use crate::state::ids::Slot;
use crate::state::reservations::{AtCells, Reservation, ReservationState, StockNode};
use crate::state::shares::Whose;

/// The next levels of the cells where an order has units look at it.
fn wake(at_cell: &mut AtCells, slot: Slot, order: &Reservation) {
    for portion in &order.portions {
        if let StockNode::Hand(location) = portion.node
            && let Some(list) = at_cell.get_mut(&(portion.sku, location))
        {
            list.wake(slot);
        }
    }
}

/// Reservations.
impl State {
    /// A reservation to be changed; the current batch is noted as its last change, and each statement that changes it moves its
    /// version by one, whatever the statement is about.
    #[inline]
    pub(crate) fn edit(&mut self, slot: Slot) -> &mut Reservation {
        let counts = self.rules.is_second_edition();
        let (reservation, at_cell) = self.reservations.with_cells(slot);
        if !reservation.dirty {
            self.digest.touch_reservation(slot, reservation, &mut self.scratch);
        }
        reservation.sequence = self.position.sequence + 1;
        if reservation.changed_in != self.statement {
            self.watch.reservation(slot, Some(reservation));
            reservation.changed_in = self.statement;
            reservation.version += u32::from(counts);
            if reservation.state != ReservationState::Held {
                wake(at_cell, slot, reservation);
            }
        }
        reservation
    }

    /// Notes that a command or document about this very reservation changes it: by the first edition only these move its version.
    pub(crate) fn count_change(&mut self, slot: Slot) -> &mut Reservation {
        let counts = !self.rules.is_second_edition();
        let reservation = self.edit(slot);
        reservation.version += u32::from(counts);
        reservation
    }

    /// A new one is marked dirty by its maker: it is in no sum yet.
    pub(crate) fn add_reservation(&mut self, reservation: Reservation) -> Slot {
        assert!(
            reservation.dirty,
            "Invariant: a new reservation enters the digest when it settles"
        );
        let slot = self.reservations.add(reservation);
        self.watch.reservation(slot, None);
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
            self.edit(slot).closed_at_ms = now;
            self.reservations.enter_closed(slot);
        }
    }

    /// A closed reservation is open again: it is not forgotten.
    pub(crate) fn mark_open(&mut self, slot: Slot) {
        if self.reservations.get(slot).closed_at_ms != 0 {
            self.reservations.leave_closed(slot);
            self.edit(slot).closed_at_ms = 0;
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
    /// Stores one; bounded by orders, `rules.forget` says which is dropped.
    pub(crate) fn keep_pending_fact(&mut self, whose: Whose, order_ref: &str, raw: String) {
        self.digest.add(Entity::PendingOrderFact, raw.as_bytes());
        self.reservations.keep_pending(whose, order_ref, raw);
        let (most, which) = (self.rules.identities_max, self.rules.forget());
        while let Some(order) = self.reservations.pending_beyond(most, which) {
            self.take_pending_facts(&order);
        }
    }

    /// Takes out the facts stored for an order, in order of arrival.
    pub(crate) fn take_pending_facts(&mut self, order_ref: &str) -> Vec<Box<str>> {
        let kept = self.reservations.take_pending(order_ref);
        for raw in &kept {
            self.digest.take(Entity::PendingOrderFact, raw.as_bytes());
        }
        kept
    }
}
