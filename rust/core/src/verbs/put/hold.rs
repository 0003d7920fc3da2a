//! A hold is made or replaced, as a fact of LOG says.
//!
//! In: a `reservation.held` fact, already decided to fit. Out: the reservation, with units bound to nodes.
//! Always: the old lines are free for the new ones; the owner's other holds end first, where the fact supersedes.

use super::body_hash;
use smallvec::SmallVec;

use crate::placement::placing;
use crate::state::State;
use crate::state::ids::{ChannelId, RegionId, Slot};
use crate::state::reservations::{Line, Lines, Owner, Portions, Reservation, ReservationState};
use crate::units::{indexes, kits, recipes};
use crate::verbs::release::end_hold;
use crate::wire::facts::{HeldLine, ReservationHeld};

/// Regions that holds may bring; the rest of the numbers is for locations.
const REGIONS_OF_HOLDS_MAX: usize = 40_000;

/// The region of a hold, by name even where no location serves it; beyond the bound all such are one.
fn region_for(state: &mut State, name: &str) -> RegionId {
    if state.catalogue.region_names.len() < REGIONS_OF_HOLDS_MAX {
        return state.region(name);
    }
    state.catalogue.region(name).unwrap_or(RegionId::NOWHERE)
}

/// Makes a reservation or replaces what it holds; supersedes the owner's other holds on request.
pub(crate) fn apply(state: &mut State, held: &ReservationHeld<'_>) {
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
    let slot = existing.unwrap_or_else(|| add(state, held, channel));
    state.edit(slot);
    let kept = placing::clear_for(state, slot, &lines, channel, region);
    write_body(state, slot, held, channel, region, lines);
    placing::place(state, slot, kept);
}

fn supersede(state: &mut State, owner: Owner, channel: ChannelId, except: Option<Slot>, by: &str) {
    for slot in state.reservations.holds_of(Some(owner), Some(channel)) {
        if Some(slot) != except {
            end_hold(state, slot, ReservationState::Released);
            state.edit(slot).superseded_by = Some(by.into());
        }
    }
}

fn add(state: &mut State, held: &ReservationHeld<'_>, channel: ChannelId) -> Slot {
    let serial = state.reservations.next_serial;
    state.reservations.next_serial += 1;
    state.add_reservation(Reservation {
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
        recipes: None,
        keeps_recipes: false,
        dropped: None,
        returned: None,
        cancelled_while_held: false,
        dirty: true,
        changed_in: state.statement,
    })
}

/// Writes what the body says into the reservation: lines, owner, due time.
fn write_body(
    state: &mut State,
    slot: Slot,
    held: &ReservationHeld<'_>,
    channel: ChannelId,
    region: Option<RegionId>,
    mut lines: Lines,
) {
    let second = state.rules.is_second_edition();
    let mut recipes = Vec::new();
    if second {
        let units: SmallVec<[_; 2]> = held.lines.iter().map(HeldLine::conversion).collect();
        recipes = recipes::of_lines(state, &lines, &units);
    }
    kits::consume_caps(state, channel, &mut lines, &mut recipes);
    let reservation = state.edit(slot);
    reservation.keeps_recipes = second;
    reservation.recipes = (!recipes.is_empty()).then(|| Box::new(recipes));
    let replaced = reservation.version > 0;
    reservation.channel = channel;
    reservation.region = region;
    reservation.lines = lines;
    reservation.revision = held.revision.or(reservation.revision);
    reservation.body = body_hash::hash(held, |n| held.lines[n].requested());
    reservation.version += u32::from(!second || !replaced);
    reservation.renewals += u32::from(replaced);
    let until_ms = state.position.lead_ms + held.ttl_ms;
    indexes::renew_hold(state, slot, until_ms, held.owner.as_deref().map(Owner::of));
}
