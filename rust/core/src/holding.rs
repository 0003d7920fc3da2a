//! How a reservation comes to hold what it holds: needs, what a replacement keeps, placement, shares of lines.
//!
//! In: a `reservation.held` fact, already decided to fit. Out: portions bound to nodes, rations consumed.

use crate::binding::add_portion;
use crate::binding::reindex;
use crate::facts::{ReservationHeld, Text};
use crate::ids::{ChannelId, LocationId, RegionId, SkuId, Slot};
use crate::lifecycle::{NOWHERE, close, give_back};
use crate::rations::{self, Kind};
use crate::reservations::{Line, Lines, Node, Owner, Portion, Portions, Reservation, ReservationState};
use crate::sourcing::{self, Order, occupy};
use crate::state::State;
use smallvec::{SmallVec, smallvec};
use xxhash_rust::xxh3::xxh3_64;

/// Regions that holds may bring; the rest of the numbers is for locations.
const REGIONS_OF_HOLDS_MAX: usize = 40_000;

/// Units of one base SKU that some lines need together.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) sku: SkuId,
    pub(crate) only: Option<LocationId>,
    pub(crate) quantity: i64,
    shares: SmallVec<[(u16, i64); 2]>,
}

/// What is needed, and the portions that serve it already.
type Wanted = SmallVec<[(Need, Portions); 2]>;

/// What lines need from stock: kits taken apart, equal SKUs summed; in order of first mention, those at a named location first.
pub(crate) fn needs(state: &State, lines: &[Line]) -> Wanted {
    let mut needs = Wanted::new();
    for (n, line) in lines.iter().enumerate() {
        if line.quantity == 0 {
            continue;
        }
        state.catalogue.for_each_component(line.sku, |sku, per_unit| {
            let units = line.quantity * per_unit;
            let share = (n as u16, units);
            let same = |need: &&mut Need| need.sku == sku && need.only == line.location;
            if let Some(need) = needs.iter_mut().map(|(need, _)| need).find(same) {
                need.quantity += units;
                need.shares.push(share);
                return;
            }
            let need = Need {
                sku,
                only: line.location,
                quantity: units,
                shares: smallvec![share],
            };
            needs.push((need, Portions::new()));
        });
    }
    // Lines that name a location go first: the others can still go elsewhere.
    if needs.iter().any(|(need, _)| need.only.is_some()) {
        needs.sort_by_key(|(need, _)| need.only.is_none());
    }
    needs
}

/// A text's bytes and one; 0: there is none. Names are short.
fn length(text: Option<&Text<'_>>) -> [u8; 2] {
    text.map_or(0, |text| text.len() as u16 + 1).to_le_bytes()
}

/// What makes two bodies the same, once defaults are filled in.
pub(crate) fn body_hash(held: &ReservationHeld<'_>, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    let mut fixed = [0; 27];
    fixed[0] = u8::from(held.partial) | u8::from(held.supersede) << 1 | u8::from(held.revision.is_some()) << 2;
    fixed[1..9].copy_from_slice(&held.ttl_ms.to_le_bytes());
    fixed[9..17].copy_from_slice(&held.revision.unwrap_or(0).to_le_bytes());
    fixed[17..19].copy_from_slice(&length(Some(&held.channel)));
    fixed[19..21].copy_from_slice(&length(held.region.as_ref()));
    fixed[21..23].copy_from_slice(&length(held.owner.as_ref()));
    fixed[23..27].copy_from_slice(&(held.lines.len() as u32).to_le_bytes());
    scratch.extend_from_slice(&fixed);
    for text in [Some(&held.channel), held.region.as_ref(), held.owner.as_ref()]
        .into_iter()
        .flatten()
    {
        scratch.extend_from_slice(text.as_bytes());
    }
    for line in &held.lines {
        let mut record = [0; 12];
        record[..8].copy_from_slice(&line.asked.unwrap_or(line.quantity).to_le_bytes());
        record[8..10].copy_from_slice(&length(Some(&line.sku)));
        record[10..].copy_from_slice(&length(line.location.as_ref()));
        scratch.extend_from_slice(&record);
        scratch.extend_from_slice(line.sku.as_bytes());
        if let Some(location) = &line.location {
            scratch.extend_from_slice(location.as_bytes());
        }
    }
    xxh3_64(scratch)
}

pub(crate) fn region_of(state: &State, region: Option<&Text<'_>>) -> Option<RegionId> {
    region.map(|name| state.catalogue.region(name).unwrap_or(NOWHERE))
}

/// The region of a hold, by name even where no location serves it; beyond the bound all such are one.
fn region_for(state: &mut State, name: &str) -> RegionId {
    if state.catalogue.region_names.len() < REGIONS_OF_HOLDS_MAX {
        return state.region(name);
    }
    state.catalogue.region(name).unwrap_or(NOWHERE)
}

/// Makes a reservation or replaces what it holds; supersedes the owner's other holds on request.
pub(crate) fn hold(state: &mut State, held: &ReservationHeld<'_>) -> Slot {
    let channel = state.channel(&held.channel);
    let region = held.region.as_deref().map(|name| region_for(state, name));
    let lines: Lines = held
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
    if held.supersede
        && let Some(owner) = held.owner.as_deref()
    {
        supersede(state, Owner::of(owner), channel, existing, &held.id);
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

fn supersede(state: &mut State, owner: Owner, channel: ChannelId, except: Option<Slot>, by: &str) {
    for slot in state.reservations.of_owner(owner) {
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
        lines: Lines::new(),
        portions: Portions::new(),
        dirty: true,
    });
    state.digest.new_reservation(slot);
    slot
}

/// Gives back what a replacement does not need and returns what it keeps, oldest-placed first.
fn clear_for(state: &mut State, slot: Slot, lines: &[Line], channel: ChannelId, region: Option<RegionId>) -> Wanted {
    let mut wanted = needs(state, lines);
    let old = state.reservations.get(slot);
    let anew = old.channel != channel || old.region != region;
    let with_place = old.portions.iter().map(|p| (stands_at(state, old, p), p.clone()));
    let mut left: Vec<(Option<LocationId>, Portion)> = with_place.collect();
    let old = state.reservations.get_mut(slot);
    let (old_channel, old_lines) = (old.channel, std::mem::take(&mut old.lines));
    old.portions = Portions::new();
    for sku in left
        .iter()
        .filter(|(_, p)| p.node == Node::Unsourced)
        .map(|(_, p)| p.sku)
    {
        // Units of one hold are no claims on each other.
        reindex(state, slot, sku, Node::Unsourced);
    }
    left.sort_by_key(|(_, p)| match p.node {
        Node::Hand(_) => 0,
        Node::Supply(_) => 1,
        Node::Unsourced => 2,
    });
    for (need, kept) in wanted.iter_mut().filter(|_| !anew) {
        let mut open = need.quantity;
        for (at, portion) in std::mem::take(&mut left) {
            let fits = need.sku == portion.sku && (need.only.is_none() || need.only == at);
            left.extend(keep(&mut open, kept, portion, fits).map(|rest| (at, rest)));
        }
    }
    for (_, portion) in &left {
        give_back(state, slot, old_channel, portion);
    }
    for line in old_lines.iter().filter(|l| l.cap_period != 0) {
        rations::consume(state, line.sku, old_channel, Kind::Cap, -line.quantity, line.cap_period);
    }
    wanted
}

/// Keeps of a portion what is still open, and returns the rest of it.
fn keep(open: &mut i64, kept: &mut Portions, mut portion: Portion, fits: bool) -> Option<Portion> {
    if !fits || *open == 0 {
        return Some(portion);
    }
    if *open >= portion.quantity {
        *open -= portion.quantity;
        kept.push(portion);
        return None;
    }
    kept.push(portion.split(*open, true));
    *open = 0;
    Some(portion)
}

/// Where units are, or, beyond any node, where their line wants them to be.
pub(crate) fn stands_at(state: &State, reservation: &Reservation, portion: &Portion) -> Option<LocationId> {
    match portion.node {
        Node::Hand(location) => Some(location),
        Node::Supply(id) => Some(state.documents.supplies.get(id.0).location),
        Node::Unsourced => reservation.lines[portion.line as usize].location,
    }
}

/// Writes what the body says into the reservation: lines, owner, due time.
fn settle(
    state: &mut State,
    slot: Slot,
    held: &ReservationHeld<'_>,
    channel: ChannelId,
    region: Option<RegionId>,
    mut lines: Lines,
) {
    for line in &mut lines {
        if state.catalogue.is_kit(line.sku) {
            line.cap_period = rations::period_for_sale(state, line.sku, channel, Kind::Cap);
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
    let owner = held.owner.as_deref().map(Owner::of);
    reservation.owner = owner;
    reservation.lines = lines;
    reservation.revision = held.revision.or(reservation.revision);
    reservation.body = body;
    reservation.version += 1;
    reservation.renewals += u32::from(replaced);
    reservation.expires_at_ms = expires_at_ms;
    if replaced {
        reservations.due.remove(&(old_due, serial, slot));
    }
    reservations.due.insert((expires_at_ms, serial, slot));
    if old_owner != owner {
        state.reservations.leave_owner(slot, old_owner);
        state.reservations.enter_owner(slot);
    }
}

/// Places what is needed beyond what was kept, and shares all of it among the lines.
pub(crate) fn place(state: &mut State, slot: Slot, wanted: Wanted) {
    let reservation = state.reservations.get(slot);
    let (channel, region, confirmed) = (
        reservation.channel,
        reservation.region,
        reservation.state != ReservationState::Held,
    );
    let mut special: Vec<(SkuId, Node)> = Vec::new();
    for (need, mut portions) in wanted {
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
        match need.shares[..] {
            [(line, _)] => {
                for mut portion in portions {
                    portion.line = line;
                    add_portion(state, slot, portion);
                }
            }
            _ => share(state, slot, &need, portions),
        }
    }
    for (sku, node) in special {
        reindex(state, slot, sku, node);
    }
}

/// Takes the units of one order from their nodes and rations.
pub(crate) fn take(state: &mut State, order: &Order, confirmed: bool, portions: &mut Portions) {
    let own_period = rations::period_for_sale(state, order.sku, order.channel, Kind::Allocation);
    let cap_period = rations::period_for_sale(state, order.sku, order.channel, Kind::Cap);
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

fn share(state: &mut State, slot: Slot, need: &Need, portions: Portions) {
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
