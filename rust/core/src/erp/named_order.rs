//! Which reservations a fact about an order means (docs/facts.md, "An order").
//!
//! In: the order, reservation and channel that a fact names. Out: confirmed reservations, oldest first, and the name under
//! which a fact waits while there is none. Always: a reservation of another channel than the named one is never meant.

use std::borrow::Cow;

use crate::state::State;
use crate::state::ids::Slot;
use crate::state::order_documents::{name_of_reservation, reservation_of};
use crate::state::reservations::{ByAge, Portion, ReservationState};
use crate::wire::facts::OrderName;

/// Every reservation that was ever confirmed and that the fact means.
pub(crate) fn meant(state: &State, of: &OrderName<'_>) -> ByAge {
    let mut slots = match (&of.reservation, &of.order_ref) {
        (Some(id), _) => state
            .reservations
            .find(id)
            .filter(|&slot| is_order(state, slot))
            .into_iter()
            .collect(),
        (None, Some(order)) => state.reservations.of_order(order),
        (None, None) => ByAge::new(),
    };
    slots.retain(|&mut slot| is_of_channel(state, slot, of));
    slots
}

/// Whether a reservation was ever confirmed. By the first edition every one that was no hold any more counted.
fn is_order(state: &State, slot: Slot) -> bool {
    let reservation = state.reservations.get(slot);
    let is_order = match reservation.state {
        ReservationState::Cancelled => !reservation.cancelled_while_held,
        state => state.is_confirmed(),
    };
    is_order || (!state.rules.is_second_edition() && reservation.state != ReservationState::Held)
}

/// The reservations that a document under this name means ([`waits_for`]), of a channel if it names one.
pub(super) fn bearers(state: &State, name: &str, channel: Option<&str>) -> ByAge {
    let channel = channel.map(Into::into);
    let of = match reservation_of(name) {
        Some(id) => OrderName {
            reservation: Some(id.into()),
            channel,
            ..OrderName::default()
        },
        None => OrderName {
            order_ref: Some(name.into()),
            channel,
            ..OrderName::default()
        },
    };
    meant(state, &of)
}

pub(super) fn is_of_channel(state: &State, slot: Slot, of: &OrderName<'_>) -> bool {
    let channel = state.reservations.get(slot).channel;
    of.channel
        .as_deref()
        .is_none_or(|name| name == state.catalogue.channel_name(channel))
}

/// Where the version before a newer one of a document counts.
pub(super) struct LeftBehind {
    /// Empty for a shipment that no order lists, for every unit of it was of its order.
    pub(super) order: Box<str>,
    pub(super) channel: Option<Box<str>>,
    pub(super) slots: ByAge,
}

/// What the version before named, where the newer one names another order, reservation or channel, and means by that other
/// reservations (`now`): there it counts no longer. Earlier editions compared only what was named.
pub(super) fn left_behind(state: &State, document: u128, of: &OrderName<'_>, now: &[Slot]) -> Option<LeftBehind> {
    if !state.rules.is_third_edition() {
        return None;
    }
    let Some((order, before)) = state.order_documents.held_under(document) else {
        return taken_elsewhere(state, document, now);
    };
    let channel = before.channel.clone();
    if (order, channel.as_deref()) == (&*waits_for(of), of.channel.as_deref()) {
        return None;
    }
    let slots = bearers(state, order, channel.as_deref());
    let is_same = slots.len() == now.len() && slots.iter().all(|slot| now.contains(slot));
    let order = order.into();
    (!is_same).then_some(LeftBehind { order, channel, slots })
}

/// A shipment of which every unit was of its order is not listed with that: the reservations that it took units of.
fn taken_elsewhere(state: &State, document: u128, now: &[Slot]) -> Option<LeftBehind> {
    let first = state.identities.find(document)?.taken_of?;
    let order = state.reservations.get_taken(first)?.order_ref.as_deref();
    let mut slots = order.map_or_else(ByAge::new, |order| state.reservations.of_order(order));
    if !slots.contains(&first) {
        slots.push(first);
    }
    slots.retain(|slot| has_left_by(state, *slot, document));
    let is_elsewhere = slots.iter().any(|slot| !now.contains(slot));
    is_elsewhere.then(|| LeftBehind {
        order: Box::default(),
        channel: None,
        slots,
    })
}

fn has_left_by(state: &State, slot: Slot, document: u128) -> bool {
    let left = |portion: &Portion| {
        portion
            .evidence
            .as_ref()
            .and_then(|e| e.left.as_ref())
            .map(|l| l.document)
    };
    state
        .reservations
        .get(slot)
        .portions
        .iter()
        .any(|p| left(p) == Some(document))
}

/// The name under which a fact waits and is listed: its reservation's, else its order's.
pub(super) fn waits_for<'a>(of: &'a OrderName<'_>) -> Cow<'a, str> {
    match (&of.reservation, &of.order_ref) {
        (Some(id), _) => Cow::Owned(name_of_reservation(id)),
        (None, order) => Cow::Borrowed(order.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
