//! A reservation's life: held, replaced, extended, confirmed (late too), released, expired, cancelled, fulfilled, forgotten.
//!
//! In: what commands became (LOG facts), already decided to fit. Out: changed reservations, nodes and rations.
//! Always: what goes back gives exactly back what it took (design, section "Reservation").

use crate::binding::reindex;
use crate::holding::{needs, place};
use crate::ids::{ChannelId, LocationId, RegionId, SkuId, Slot};
use crate::netting;
use crate::orders;
use crate::rations::{self, Kind};
use crate::reservations::{Line, Node, Portion, Portions, Reservation, ReservationState};
use crate::sourcing::occupy;
use crate::state::State;

/// A region that no location serves.
pub(crate) const NOWHERE: RegionId = RegionId(u16::MAX);

/// Gives one portion's units back to its node and its rations. What the ERP counts, only a level gives back.
pub(crate) fn give_back(state: &mut State, slot: Slot, channel: ChannelId, portion: &Portion) {
    let confirmed = state.reservations.get(slot).state != ReservationState::Held;
    if !portion.inside {
        occupy(state, portion.sku, portion.node, -portion.quantity, confirmed);
    }
    rations::consume(
        state,
        portion.sku,
        channel,
        Kind::Allocation,
        -portion.own,
        portion.own_period,
    );
    rations::consume(
        state,
        portion.sku,
        channel,
        Kind::Cap,
        -portion.quantity,
        portion.cap_period,
    );
    reindex(state, slot, portion.sku, portion.node);
}

/// Ends a hold: everything goes back.
pub(crate) fn close(state: &mut State, slot: Slot, as_state: ReservationState) {
    state.touch_reservation(slot);
    let reservation = state.reservations.get_mut(slot);
    let (channel, serial, due) = (reservation.channel, reservation.serial, reservation.expires_at_ms);
    let owner = reservation.owner;
    reservation.version += 1;
    for portion in std::mem::take(&mut reservation.portions) {
        give_back(state, slot, channel, &portion);
    }
    give_back_kit_caps(state, slot);
    state.reservations.due.remove(&(due, serial, slot));
    state.reservations.leave_owner(slot, owner);
    state.reservations.set_state(slot, as_state);
    mark_closed(state, slot);
}

fn give_back_kit_caps(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get_mut(slot);
    let channel = reservation.channel;
    let mut back: Vec<(SkuId, i64, u32)> = Vec::new();
    for line in reservation.lines.iter_mut().filter(|l| l.cap_period != 0) {
        back.push((line.sku, line.quantity, std::mem::take(&mut line.cap_period)));
    }
    for (sku, units, period) in back {
        rations::consume(state, sku, channel, Kind::Cap, -units, period);
    }
}

/// How many kits of each line there still are, whole or in part; 0 where no cap counts them.
pub(crate) fn kits_counted(state: &State, slot: Slot) -> Vec<i64> {
    let reservation = state.reservations.get(slot);
    let kits_of = |(n, line): (usize, &Line)| {
        let mut kits = 0;
        if line.cap_period != 0 {
            state.catalogue.for_each_component(line.sku, |sku, per_kit| {
                let here = reservation
                    .portions
                    .iter()
                    .filter(|p| p.sku == sku && usize::from(p.line) == n);
                let units: i64 = here.map(|p| p.quantity).sum();
                kits = kits.max((units + per_kit - 1) / per_kit);
            });
        }
        kits.min(line.quantity)
    };
    reservation.lines.iter().enumerate().map(kits_of).collect()
}

/// Gives the kits that are gone since `before` was counted back to their caps.
pub(crate) fn give_back_kits_gone(state: &mut State, slot: Slot, before: &[i64]) {
    let after = kits_counted(state, slot);
    let reservation = state.reservations.get(slot);
    let channel = reservation.channel;
    let gone = reservation.lines.iter().zip(before.iter().zip(&after));
    let gone: Vec<(SkuId, u32, i64)> = gone.map(|(l, (was, is))| (l.sku, l.cap_period, was - is)).collect();
    for (sku, period, kits) in gone {
        rations::consume(state, sku, channel, Kind::Cap, -kits, period);
    }
}

/// Starts the time after which a closed reservation is forgotten.
pub(crate) fn mark_closed(state: &mut State, slot: Slot) {
    let now = state.position.lead_ms.max(1);
    let reservation = state.reservations.get_mut(slot);
    if reservation.closed_at_ms == 0 {
        reservation.closed_at_ms = now;
        let serial = reservation.serial;
        state.reservations.closed.push_back((now, serial, slot));
    }
}

/// Expires what is due, oldest due first; returns how many.
pub(crate) fn expire_due(state: &mut State) -> usize {
    let mut count = 0;
    while count < state.rules.expire_batch_max {
        let Some(&(due, _, slot)) = state.reservations.due.first() else {
            break;
        };
        if due > state.position.lead_ms {
            break;
        }
        close(state, slot, ReservationState::Expired);
        count += 1;
    }
    count
}

/// Forgets reservations that were closed long ago; returns how many.
pub(crate) fn forget_old(state: &mut State) -> usize {
    let mut count = 0;
    let before = state.position.lead_ms - state.rules.remember_closed_ms;
    while let Some(&(closed_at, serial, slot)) = state.reservations.closed.front() {
        if closed_at > before {
            break;
        }
        state.reservations.closed.pop_front();
        let still = state
            .reservations
            .get_if_taken(slot)
            .is_some_and(|r| r.serial == serial && r.closed_at_ms == closed_at);
        if still {
            netting::leave_indexes(state, slot);
            let gone = state.reservations.remove(slot);
            state.digest.forget_reservation(&gone, &mut state.scratch);
            count += 1;
        }
    }
    count
}

/// Confirms: a held one as it stands, a closed one by taking its lines anew.
pub(crate) fn confirm(state: &mut State, slot: Slot, order_ref: Option<&str>) {
    state.touch_reservation(slot);
    let was = state.reservations.get(slot).state;
    state.reservations.get_mut(slot).version += 1;
    if was == ReservationState::Held {
        let reservation = state.reservations.get(slot);
        let (due, serial, owner) = (reservation.expires_at_ms, reservation.serial, reservation.owner);
        let hands: Vec<(SkuId, LocationId, i64)> = hand_units(reservation).collect();
        for (sku, location, quantity) in hands {
            state.change_cell(sku, location, |cell| {
                cell.held -= quantity;
                cell.committed += quantity;
            });
        }
        state.reservations.due.remove(&(due, serial, slot));
        state.reservations.leave_owner(slot, owner);
    }
    if !was.is_confirmed() {
        state.reservations.set_state(slot, ReservationState::Committed);
        if was != ReservationState::Held {
            retake(state, slot);
        }
        netting::enter_indexes(state, slot);
    }
    if let Some(order_ref) = order_ref {
        orders::name_order(state, slot, order_ref);
    }
    netting::renew(state, slot);
}

fn hand_units(reservation: &Reservation) -> impl Iterator<Item = (SkuId, LocationId, i64)> + '_ {
    reservation.portions.iter().filter_map(|p| match p.node {
        Node::Hand(location) => Some((p.sku, location, p.quantity)),
        _ => None,
    })
}

/// A late confirm: the lines are placed anew, on what there is now.
fn retake(state: &mut State, slot: Slot) {
    let reservation = state.reservations.get_mut(slot);
    reservation.closed_at_ms = 0;
    reservation.superseded_by = None;
    let (channel, mut lines) = (reservation.channel, std::mem::take(&mut reservation.lines));
    for line in &mut lines {
        if state.catalogue.is_kit(line.sku) {
            line.cap_period = rations::period_for_sale(state, line.sku, channel, Kind::Cap);
            rations::consume(state, line.sku, channel, Kind::Cap, line.quantity, line.cap_period);
        }
    }
    let wanted = needs(state, &lines);
    state.reservations.get_mut(slot).lines = lines;
    place(state, slot, wanted);
}

/// A late confirm that did not fit.
pub(crate) fn oversold(state: &mut State, slot: Slot) {
    state.touch_reservation(slot);
    state.reservations.get_mut(slot).version += 1;
    state.reservations.set_state(slot, ReservationState::Oversold);
    state.reservations.get_mut(slot).closed_at_ms = 0;
    mark_closed(state, slot);
}

/// The hold now ends `ttl_ms` from now.
pub(crate) fn extend(state: &mut State, slot: Slot, ttl_ms: i64) {
    state.touch_reservation(slot);
    let until = state.position.lead_ms + ttl_ms;
    let reservation = state.reservations.get_mut(slot);
    let (serial, old) = (reservation.serial, reservation.expires_at_ms);
    reservation.expires_at_ms = until;
    reservation.renewals += 1;
    reservation.version += 1;
    state.reservations.due.remove(&(old, serial, slot));
    state.reservations.due.insert((until, serial, slot));
}

/// Cancels a hold, or of an order what has not left yet.
pub(crate) fn cancel(state: &mut State, slot: Slot) {
    if state.reservations.get(slot).state == ReservationState::Held {
        close(state, slot, ReservationState::Cancelled);
        return;
    }
    state.touch_reservation(slot);
    let kits = kits_counted(state, slot);
    let reservation = state.reservations.get_mut(slot);
    reservation.version += 1;
    let channel = reservation.channel;
    let (gone, left): (Portions, Portions) = std::mem::take(&mut reservation.portions)
        .into_iter()
        .partition(|p| !p.fulfilled && !p.is_shipped());
    reservation.portions = left;
    for portion in &gone {
        give_back(state, slot, channel, portion);
    }
    give_back_kits_gone(state, slot, &kits);
    state.reservations.set_state(slot, ReservationState::Cancelled);
    netting::renew(state, slot);
}
