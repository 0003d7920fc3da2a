//! A reservation's life: held, replaced, extended, confirmed (late too), released, expired, cancelled, fulfilled, forgotten.
//!
//! In: what commands became (LOG facts), already decided to fit. Out: changed reservations, nodes and rations.
//! Always: what goes back gives exactly back what it took (design, section "Reservation").

use xxhash_rust::xxh3::xxh3_64;

use crate::digest::Encode;
use crate::facts::{ReservationHeld, Text};
use crate::ids::{ChannelId, LocationId, RegionId, SkuId, Slot};
use crate::netting;
use crate::rations::{self, Kind};
use crate::reservations::{Line, Node, Portion, Reservation, ReservationState, insert_by_age};
use crate::sourcing::{self, Order, add_portion, occupy, reindex};
use crate::state::State;

/// A region that no location serves.
pub(crate) const NOWHERE: RegionId = RegionId(u16::MAX);

/// Units of one base SKU that some lines need together.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) sku: SkuId,
    pub(crate) only: Option<LocationId>,
    pub(crate) quantity: i64,
    shares: Vec<(u16, i64)>,
}

/// What lines need from stock: kits taken apart, equal SKUs summed, in order of first mention.
pub(crate) fn needs(state: &State, lines: &[Line]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::with_capacity(lines.len());
    for (n, line) in lines.iter().enumerate() {
        if line.quantity == 0 {
            continue;
        }
        state.catalogue.for_each_component(line.sku, |sku, per_unit| {
            let units = line.quantity * per_unit;
            let share = (n as u16, units);
            match needs
                .iter_mut()
                .find(|need| need.sku == sku && need.only == line.location)
            {
                Some(need) => {
                    need.quantity += units;
                    need.shares.push(share);
                }
                None => needs.push(Need {
                    sku,
                    only: line.location,
                    quantity: units,
                    shares: vec![share],
                }),
            }
        });
    }
    needs
}

/// What makes two bodies the same, once defaults are filled in.
pub(crate) fn body_hash(held: &ReservationHeld<'_>, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    scratch
        .text(&held.channel)
        .optional_text(held.region.as_deref())
        .optional_text(held.owner.as_deref());
    scratch.number(held.ttl_ms).optional(held.revision);
    scratch.push(u8::from(held.partial) | u8::from(held.supersede) << 1);
    for line in &held.lines {
        scratch
            .text(&line.sku)
            .number(line.asked.unwrap_or(line.quantity))
            .optional_text(line.location.as_deref());
    }
    xxh3_64(scratch)
}

pub(crate) fn region_of(state: &State, region: Option<&Text<'_>>) -> Option<RegionId> {
    region.map(|name| state.catalogue.region(name).unwrap_or(NOWHERE))
}

/// Makes a reservation or replaces what it holds; supersedes the owner's other holds on request.
pub(crate) fn hold(state: &mut State, held: &ReservationHeld<'_>) -> Slot {
    let channel = state.channel(&held.channel);
    let region = region_of(state, held.region.as_ref());
    let lines: Vec<Line> = held
        .lines
        .iter()
        .map(|line| Line {
            sku: state.sku(&line.sku),
            quantity: line.quantity,
            asked: line.asked,
            location: line.location.as_deref().and_then(|l| state.catalogue.location(l)),
            cap_period: 0,
        })
        .collect();
    let existing = state.reservations.find(&held.id);
    if let (true, Some(owner)) = (held.supersede, held.owner.as_deref()) {
        supersede(state, owner, channel, existing, &held.id);
    }
    let slot = match existing {
        Some(slot) => {
            state.touch_reservation(slot);
            slot
        }
        None => add(state, held, channel),
    };
    let kept = clear_for(state, slot, &lines, channel, region);
    settle(state, slot, held, channel, region, lines);
    place(state, slot, kept);
    slot
}

fn supersede(state: &mut State, owner: &str, channel: ChannelId, except: Option<Slot>, by: &str) {
    for slot in state.reservations.of_owner.get(owner).cloned().unwrap_or_default() {
        if Some(slot) != except && state.reservations.get(slot).channel == channel {
            close(state, slot, ReservationState::Released);
            state.reservations.get_mut(slot).superseded_by = Some(by.into());
        }
    }
}

fn add(state: &mut State, held: &ReservationHeld<'_>, channel: ChannelId) -> Slot {
    let serial = state.reservations.next_serial;
    state.reservations.next_serial += 1;
    let slot = state.reservations.add(Reservation {
        id: held.id.as_ref().into(),
        serial,
        state: ReservationState::Held,
        channel,
        region: None,
        owner: None,
        order_ref: None,
        superseded_by: None,
        expires_at_ms: 0,
        closed_at_ms: 0,
        renewals: 0,
        revision: None,
        body: 0,
        version: 0,
        sequence: state.position.sequence + 1,
        lines: Vec::new(),
        portions: Vec::new(),
        dirty: true,
    });
    state.digest.new_reservation(slot);
    slot
}

/// Gives back what a replacement does not need and returns what it keeps, oldest-placed first.
fn clear_for(
    state: &mut State,
    slot: Slot,
    lines: &[Line],
    channel: ChannelId,
    region: Option<RegionId>,
) -> Vec<(Need, Vec<Portion>)> {
    let mut wanted: Vec<(Need, Vec<Portion>)> = needs(state, lines).into_iter().map(|n| (n, Vec::new())).collect();
    let old = state.reservations.get_mut(slot);
    let anew = old.channel != channel || old.region != region;
    let (old_channel, old_lines) = (old.channel, std::mem::take(&mut old.lines));
    let mut portions = std::mem::take(&mut old.portions);
    portions.sort_by_key(|p| match p.node {
        Node::Hand(_) => 0,
        Node::Supply(_) => 1,
        Node::Unsourced => 2,
    });
    for mut portion in portions {
        let only = old_lines[portion.line as usize].location;
        let need = wanted
            .iter_mut()
            .find(|(n, _)| !anew && n.sku == portion.sku && n.only == only);
        if let Some((need, kept)) = need {
            let open = need.quantity - kept.iter().map(|p| p.quantity).sum::<i64>();
            if open >= portion.quantity {
                kept.push(portion);
                continue;
            }
            if open > 0 {
                kept.push(portion.split(open, true));
            }
        }
        give_back(state, slot, old_channel, &portion);
    }
    for line in old_lines.iter().filter(|l| l.cap_period != 0) {
        rations::consume(state, line.sku, old_channel, Kind::Cap, -line.quantity, line.cap_period);
    }
    wanted
}

/// Writes what the body says into the reservation: lines, owner, due time.
fn settle(
    state: &mut State,
    slot: Slot,
    held: &ReservationHeld<'_>,
    channel: ChannelId,
    region: Option<RegionId>,
    mut lines: Vec<Line>,
) {
    for line in &mut lines {
        if state.catalogue.is_kit(line.sku) {
            line.cap_period = rations::serial(state, line.sku, channel, Kind::Cap);
            rations::consume(state, line.sku, channel, Kind::Cap, line.quantity, line.cap_period);
        }
    }
    let expires_at_ms = state.position.lead_ms + held.ttl_ms;
    let body = body_hash(held, &mut state.scratch);
    let reservations = &mut state.reservations;
    let reservation = reservations.get_mut(slot);
    let (serial, old_due, replaced) = (reservation.serial, reservation.expires_at_ms, reservation.version > 0);
    let old_owner = reservation.owner.take();
    reservation.channel = channel;
    reservation.region = region;
    reservation.owner = held.owner.as_deref().map(Into::into);
    reservation.lines = lines;
    reservation.revision = held.revision;
    reservation.body = body;
    reservation.version += 1;
    reservation.renewals += u32::from(replaced);
    reservation.expires_at_ms = expires_at_ms;
    if replaced {
        reservations.due.remove(&(old_due, serial, slot));
    }
    reservations.due.insert((expires_at_ms, serial, slot));
    if old_owner.as_deref() != held.owner.as_deref() {
        leave_owner(state, slot, old_owner.as_deref());
        if let Some(owner) = held.owner.as_deref() {
            let mut list = state.reservations.of_owner.remove(owner).unwrap_or_default();
            insert_by_age(&mut list, slot, |s| state.reservations.get(s).serial);
            state.reservations.of_owner.insert(owner.into(), list);
        }
    }
}

fn leave_owner(state: &mut State, slot: Slot, owner: Option<&str>) {
    let Some(owner) = owner else { return };
    if let Some(list) = state.reservations.of_owner.get_mut(owner) {
        list.retain(|&s| s != slot);
        if list.is_empty() {
            state.reservations.of_owner.remove(owner);
        }
    }
}

/// Places what is needed beyond what was kept, and shares all of it among the lines.
fn place(state: &mut State, slot: Slot, wanted: Vec<(Need, Vec<Portion>)>) {
    let reservation = state.reservations.get(slot);
    let (channel, region, confirmed) = (
        reservation.channel,
        reservation.region,
        reservation.state != ReservationState::Held,
    );
    let mut special: Vec<(SkuId, Node)> = Vec::new();
    // Lines that name a location go first: the others can still go elsewhere.
    let (named, open): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(need, _)| need.only.is_some());
    for (need, mut portions) in named.into_iter().chain(open) {
        let kept: i64 = portions.iter().map(|p| p.quantity).sum();
        if need.quantity > kept {
            let order = Order {
                sku: need.sku,
                channel,
                region,
                only: need.only,
                quantity: need.quantity - kept,
            };
            take(state, &order, confirmed, &mut portions);
        }
        for portion in &portions {
            if !matches!(portion.node, Node::Hand(_)) {
                special.push((need.sku, portion.node));
            }
        }
        share(state, slot, &need, portions);
    }
    for (sku, node) in special {
        reindex(state, slot, sku, node);
    }
}

/// Takes the units of one order from their nodes and rations.
fn take(state: &mut State, order: &Order, confirmed: bool, portions: &mut Vec<Portion>) {
    let own_period = rations::serial(state, order.sku, order.channel, Kind::Allocation);
    let cap_period = rations::serial(state, order.sku, order.channel, Kind::Cap);
    for chunk in sourcing::choose(state, order) {
        occupy(state, order.sku, chunk.node, chunk.quantity, confirmed);
        rations::consume(state, order.sku, order.channel, Kind::Allocation, chunk.own, own_period);
        rations::consume(state, order.sku, order.channel, Kind::Cap, chunk.quantity, cap_period);
        portions.push(Portion {
            sku: order.sku,
            line: 0,
            fulfilled: false,
            inside: false,
            node: chunk.node,
            quantity: chunk.quantity,
            own: chunk.own,
            own_period,
            cap_period,
            evidence: None,
        });
    }
}

fn share(state: &mut State, slot: Slot, need: &Need, portions: Vec<Portion>) {
    let mut shares = need.shares.iter().copied();
    let (mut line, mut open) = shares.next().unwrap_or((0, 0));
    for mut portion in portions {
        loop {
            if open == 0 {
                match shares.next() {
                    Some(next) => (line, open) = next,
                    None => break,
                }
                continue;
            }
            if portion.quantity <= open {
                open -= portion.quantity;
                portion.line = line;
                add_portion(state, slot, portion);
                break;
            }
            let mut part = portion.split(open, true);
            open = 0;
            part.line = line;
            add_portion(state, slot, part);
        }
    }
}

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
    let owner = reservation.owner.clone();
    reservation.version += 1;
    for portion in std::mem::take(&mut reservation.portions) {
        give_back(state, slot, channel, &portion);
    }
    give_back_kit_caps(state, slot);
    state.reservations.due.remove(&(due, serial, slot));
    leave_owner(state, slot, owner.as_deref());
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
        let (due, serial, owner) = (reservation.expires_at_ms, reservation.serial, reservation.owner.clone());
        let hands: Vec<(SkuId, LocationId, i64)> = hand_units(reservation).collect();
        for (sku, location, quantity) in hands {
            state.change_cell(sku, location, |cell| {
                cell.held -= quantity;
                cell.committed += quantity;
            });
        }
        state.reservations.due.remove(&(due, serial, slot));
        leave_owner(state, slot, owner.as_deref());
    }
    if !was.is_confirmed() {
        state.reservations.set_state(slot, ReservationState::Committed);
        if was != ReservationState::Held {
            retake(state, slot);
        }
        netting::enter_indexes(state, slot);
    }
    if let Some(order_ref) = order_ref {
        netting::name_order(state, slot, order_ref);
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
            line.cap_period = rations::serial(state, line.sku, channel, Kind::Cap);
            rations::consume(state, line.sku, channel, Kind::Cap, line.quantity, line.cap_period);
        }
    }
    let wanted = needs(state, &lines).into_iter().map(|n| (n, Vec::new())).collect();
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
    let reservation = state.reservations.get_mut(slot);
    reservation.version += 1;
    let channel = reservation.channel;
    let (gone, left): (Vec<Portion>, Vec<Portion>) = std::mem::take(&mut reservation.portions)
        .into_iter()
        .partition(|p| !p.fulfilled && !p.is_shipped());
    reservation.portions = left;
    for portion in &gone {
        give_back(state, slot, channel, portion);
    }
    give_back_kit_caps(state, slot);
    state.reservations.set_state(slot, ReservationState::Cancelled);
    netting::renew(state, slot);
}
