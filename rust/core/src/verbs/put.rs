//! `PUT /v1/reservations/{id}`: a hold is made, repeated or replaced.
//!
//! In: a body. Out: an answer, and a `reservation.held` fact where it fits. Always: all lines or none, unless `partial`.

mod body_hash;
mod hold;

use smallvec::SmallVec;

use crate::availability::hypothetical::Away;
use crate::availability::pool::SaleContext;
use crate::placement::cart::{self, AskedLine, Verdict, Verdicts};
use crate::reads::refusals::{
    check_channel, check_region, closed, insufficient, invalid, may_see, not_on_channel, on_another_channel,
    unknown_sku,
};
use crate::reads::render::{self, Answer, problem, problem_with};
use crate::state::State;
use crate::state::ids::Slot;
use crate::state::reservations::{Owner, Reservation, ReservationState};
use crate::units::recipes;
use crate::verbs::{Command, Decided, Decision, KeyedOwner, Reply};
use crate::wire::commands::PutBody;
use crate::wire::errors::{Problem, RequestError};
use crate::wire::facts::{Fact, HeldLine, ReservationHeld, Text};
use crate::wire::json::write_int;
pub(crate) use hold::apply;

/// Names of channels that are not declared: who may only reserve can fill no more of the table than this.
const UNDECLARED_CHANNELS_MAX: usize = 1_000;

pub(super) fn decide<'b>(
    state: &State,
    command: &Command<'b>,
    body: &'b PutBody<'_>,
    keyed: Option<&'b KeyedOwner>,
) -> Decision<'b> {
    if !may_see(command.channels, &body.channel) {
        return Err(not_on_channel(&body.channel));
    }
    let existing = state.reservations.find(command.id);
    if let Some(slot) = existing {
        let channel = state.reservations.get(slot).channel;
        if !may_see(command.channels, state.catalogue.channel_name(channel)) {
            return Err(on_another_channel());
        }
    }
    let lines = resolve(state, body)?;
    let mut held = held(state, command, body, keyed, &lines);
    if let Some(slot) = existing
        && stands(state, slot, &held)?
    {
        return Ok(Decided::stands(slot));
    }
    let channel = state.catalogue.channel(&body.channel);
    check_channel(state, &body.channel, channel)?;
    check_region(state, channel, body.region.is_some())?;
    if channel.is_none() && state.catalogue.channels_undeclared() >= UNDECLARED_CHANNELS_MAX {
        return Err(invalid(&RequestError::invalid(
            "channel",
            "is one too many that is not declared: 1,000 are known; declare those in use",
        )));
    }
    let asking = SaleContext::of(channel, state.catalogue.asked_region(body.region.as_deref()));
    let owner = keyed.map(|keyed| keyed.owner);
    let verdicts = fit(state, &held, owner, existing, &asking, &lines)?;
    for (line, verdict) in held.lines.iter_mut().zip(&verdicts) {
        line.asked = (verdict.granted != verdict.requested).then_some(verdict.requested);
        line.quantity = verdict.granted;
    }
    owner_limit(state, &held, owner, existing)?;
    let status = if existing.is_some() { 200 } else { 201 };
    Ok(Decided {
        fact: Some(Fact::ReservationHeld(held)),
        reply: Reply::Shown { status, slot: existing },
    })
}

/// The hold as it was asked for.
fn held<'b>(
    state: &State,
    command: &Command<'b>,
    body: &'b PutBody<'_>,
    keyed: Option<&'b KeyedOwner>,
    lines: &[AskedLine<'_>],
) -> ReservationHeld<'b> {
    let digits = keyed.map(|keyed| std::str::from_utf8(&keyed.digits).expect("digits"));
    ReservationHeld {
        id: Text::Borrowed(command.id),
        channel: Text::Borrowed(&body.channel),
        region: body.region.as_deref().map(Text::Borrowed),
        owner: digits.map(Text::Borrowed),
        ttl_ms: body.ttl_ms,
        lines: held_lines(state, body, lines),
        partial: body.partial,
        supersede: body.supersede,
        revision: body.revision,
    }
}

type AskedLines<'b> = SmallVec<[AskedLine<'b>; 2]>;

fn resolve<'b>(state: &State, body: &'b PutBody<'_>) -> Result<AskedLines<'b>, Answer> {
    let mut lines = AskedLines::new();
    for (n, line) in body.lines.iter().enumerate() {
        let mut asked = AskedLine::resolve(state, &line.sku, line.quantity, line.unit.as_deref());
        if asked.sku.is_none() {
            return Err(unknown_sku(&line.sku));
        }
        if let Some(name) = line.location.as_deref() {
            let known = state
                .catalogue
                .location(name)
                .filter(|l| state.catalogue.locations[l.at()].declared);
            let Some(location) = known else {
                let path = format!("lines[{n}].location");
                return Err(invalid(&RequestError::invalid(path, "is not a declared location")));
            };
            asked.only = Some(location);
        }
        lines.push(asked);
    }
    Ok(lines)
}

fn held_lines<'b>(state: &State, body: &'b PutBody<'_>, lines: &[AskedLine<'_>]) -> Vec<HeldLine<'b>> {
    body.lines
        .iter()
        .zip(lines)
        .map(|(line, asked)| {
            let own = asked
                .sku
                .filter(|_| !state.catalogue.aliases.is_empty())
                .map(|sku| state.catalogue.sku_name(sku))
                .filter(|name| *name != line.sku);
            let sku = own.map_or(Text::Borrowed(&*line.sku), |name| Text::Owned(name.to_owned()));
            HeldLine {
                sku,
                quantity: asked.quantity,
                location: line.location.as_deref().map(Text::Borrowed),
                asked: None,
                unit: line.unit.as_deref().map(Text::Borrowed),
                units: line.unit.is_some().then_some(line.quantity),
            }
        })
        .collect()
}

/// Whether the same body is what stands; a stale revision or a closed reservation refuses, for a shop must not take a dead
/// hold for a live one; false: replace it.
fn stands(state: &State, slot: Slot, held: &ReservationHeld<'_>) -> Result<bool, Answer> {
    let r = state.reservations.get(slot);
    // A unit is what it was when this was held, whatever it is declared to be since; one that was never known is no other's.
    let in_units = |line: &HeldLine<'_>, units: i64| match state.catalogue.sku(&line.sku) {
        Some(sku) => recipes::in_base(state, &[slot], sku, units, line.unit.as_deref()),
        None => Some(line.requested()),
    };
    let requested = |line: &HeldLine<'_>| match line.units {
        Some(units) => in_units(line, units),
        None => Some(line.requested()),
    };
    let is_known = |line: &HeldLine<'_>| line.units.is_none_or(|units| in_units(line, units).is_some());
    let same = held.lines.iter().all(is_known)
        && r.body == body_hash::hash(held, |n| requested(&held.lines[n]).unwrap_or_default());
    if let (Some(stored), Some(asked)) = (r.revision, held.revision)
        && (asked < stored || (asked == stored && !same))
    {
        return Err(problem_with(Problem::StaleRevision, None, |out| {
            render::field(out, "revision");
            write_int(out, stored);
        }));
    }
    let is_alive = r.state == ReservationState::Held || r.state.is_confirmed();
    if same && is_alive {
        return Ok(true);
    }
    if r.state != ReservationState::Held {
        return Err(closed(state, slot));
    }
    if r.renewals >= state.rules.renewals_max {
        return Err(problem(Problem::RenewalsExhausted, None));
    }
    Ok(false)
}

/// Judges a hold's lines against what would be there after its own superseding; refuses with all verdicts.
fn fit(
    state: &State,
    held: &ReservationHeld<'_>,
    owner: Option<Owner>,
    existing: Option<Slot>,
    asking: &SaleContext,
    lines: &[AskedLine<'_>],
) -> Result<Verdicts, Answer> {
    let mut away: SmallVec<[Slot; 2]> = SmallVec::new();
    if held.supersede {
        away = state.reservations.holds_of(owner, asking.channel);
        away.retain(|slot| Some(*slot) != existing);
    }
    let stays = existing.filter(|&slot| {
        let r = state.reservations.get(slot);
        Some(r.channel) == asking.channel && r.region == asking.region
    });
    if let (Some(slot), None) = (existing, stays) {
        away.push(slot);
    }
    let verdicts = if away.is_empty() {
        cart::judge(state, asking, lines, held.partial, stays)
    } else {
        let away = Away::of(state, &away);
        cart::judge(state, &asking.without(&away), lines, held.partial, stays)
    };
    // A line in a unit that nobody declared refuses a partial hold, too, whatever else it is refused for.
    let unclear = lines.iter().any(|line| line.sku.is_some() && !line.unit_known);
    let refuses = |v: &Verdict| v.reason.is_some() && !held.partial;
    if unclear || verdicts.iter().any(refuses) || verdicts.iter().all(|v| v.granted == 0) {
        return Err(insufficient(state, Problem::InsufficientStock, lines, &verdicts));
    }
    Ok(verdicts)
}

fn owner_limit(
    state: &State,
    held: &ReservationHeld<'_>,
    owner: Option<Owner>,
    existing: Option<Slot>,
) -> Result<(), Answer> {
    let Some(owner) = owner else { return Ok(()) };
    let channel = state.catalogue.channel(&held.channel);
    let replaced = existing.map(|slot| state.reservations.get(slot).serial);
    let stays = |r: &&Reservation| Some(r.serial) != replaced && !(held.supersede && Some(r.channel) == channel);
    let (holds_max, units_max) = (state.rules.owner_holds_max, state.rules.owner_units_max);
    if holds_max > 0 {
        // No further than to the bound: an owner may have very many from before there was one. Those of another
        // channel do not count, for nobody may take an owner's places there.
        let others = state.reservations.each_of_owner(owner).filter(stays);
        let here = others.filter(|r| Some(r.channel) == channel).take(holds_max);
        if here.count() >= holds_max {
            return Err(over("holds_limit", holds_max as i64));
        }
    }
    if units_max > 0 {
        let asked: i64 = held.lines.iter().map(|l| l.quantity).sum();
        let mut others = state.reservations.each_of_owner(owner).filter(stays);
        let within = others.try_fold(asked, |units, r| {
            let units = units + r.lines.iter().map(|l| l.quantity).sum::<i64>();
            (units <= units_max).then_some(units)
        });
        if asked > units_max || within.is_none() {
            return Err(over("limit", units_max));
        }
    }
    Ok(())
}

fn over(bound: &str, max: i64) -> Answer {
    problem_with(Problem::OwnerLimit, None, |out| {
        render::field(out, bound);
        write_int(out, max);
    })
}

#[cfg(test)]
mod tests;
