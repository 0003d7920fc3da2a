//! Which reservations a fact about an order means (docs/facts.md, "An order").
//!
//! In: the order, reservation and channel that a fact names. Out: confirmed reservations, oldest first, and the name under
//! which a fact waits while there is none. Always: a reservation of another channel than the named one is never meant.

use std::borrow::Cow;

use crate::state::State;
use crate::state::ids::Slot;
use crate::state::order_documents::{name_of_reservation, reservation_of};
use crate::state::reservations::{ByAge, ReservationState};
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

/// The name under which a fact waits and is listed: its reservation's, else its order's.
pub(super) fn waits_for<'a>(of: &'a OrderName<'_>) -> Cow<'a, str> {
    match (&of.reservation, &of.order_ref) {
        (Some(id), _) => Cow::Owned(name_of_reservation(id)),
        (None, order) => Cow::Borrowed(order.as_deref().unwrap_or_default()),
    }
}
