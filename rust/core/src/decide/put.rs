//! `PUT /v1/reservations/{id}`: a hold is made, repeated or replaced.
//!
//! In: a body. Out: an answer, and a `reservation.held` fact where it fits. Always: all lines or none, unless `partial`.

use smallvec::SmallVec;

use crate::cart::{self, AskedLine, Reason, Verdict, Verdicts};
use crate::commands;
use crate::decide::owners::{holds_of, without};
use crate::decide::{
    Command, Outcome, Sink, check_region, closed, commit, insufficient, may_see, refused, shown, unknown_sku,
};
use crate::errors::{Problem, RequestError};
use crate::facts::{Fact, HeldLine, ReservationHeld, Text};
use crate::holding::body_hash;
use crate::holding::region_of;
use crate::ids::{ChannelId, RegionId, Slot};
use crate::render::{self, Answer, problem, problem_with};
use crate::reservations::{Owner, ReservationState};
use crate::state::State;

pub(crate) fn put(
    state: &mut State,
    command: &Command<'_>,
    body: &commands::PutBody<'_>,
    owner: Option<Owner>,
    sink: &mut Sink<'_>,
) -> Outcome {
    if !may_see(command.channels, &body.channel) {
        return Err(problem(Problem::Forbidden, None));
    }
    let existing = state.reservations.find(command.id);
    if let Some(slot) = existing {
        let channel = state.reservations.get(slot).channel;
        if !may_see(command.channels, state.catalogue.channel_name(channel)) {
            return Err(problem(Problem::Forbidden, None));
        }
    }
    let lines = resolve(state, body)?;
    let digits = owner.map(Owner::digits);
    let digits = digits
        .as_ref()
        .map(|digits| std::str::from_utf8(digits).expect("digits"));
    let mut held = ReservationHeld {
        id: Text::Borrowed(command.id),
        channel: body.channel.clone(),
        region: body.region.clone(),
        owner: digits.map(Text::Borrowed),
        ttl_ms: body.ttl_ms,
        lines: held_lines(state, body, &lines),
        partial: body.partial,
        supersede: body.supersede,
        revision: body.revision,
    };
    if let Some(slot) = existing
        && let Some(answer) = repeat_or_closed(state, slot, &held)?
    {
        return Ok(answer);
    }
    let channel = state.catalogue.channel(&body.channel);
    let region = region_of(state, body.region.as_ref());
    check_region(state, channel, body.region.is_some())?;
    if state.catalogue.channel_names.len() >= 60_000 && channel.is_none() {
        return Err(refused(RequestError::invalid(
            "channel",
            "is one too many: 60,000 are known; declare those in use",
        )));
    }
    let verdicts = fit(state, &held, owner, existing, (channel, region), &lines)?;
    for (line, verdict) in held.lines.iter_mut().zip(&verdicts) {
        line.asked = (verdict.granted != verdict.requested).then_some(verdict.requested);
        line.quantity = verdict.granted;
    }
    owner_limit(state, &held, owner, existing)?;
    commit(state, command, Fact::ReservationHeld(held), sink);
    let slot = state.reservations.find(command.id).expect("just held");
    Ok(shown(state, slot, if existing.is_some() { 200 } else { 201 }))
}

type AskedLines<'b> = SmallVec<[AskedLine<'b>; 2]>;

fn resolve<'b>(state: &State, body: &'b commands::PutBody<'_>) -> Result<AskedLines<'b>, Answer> {
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
                return Err(refused(RequestError::invalid(path, "is not a declared location")));
            };
            asked.only = Some(location);
        }
        lines.push(asked);
    }
    Ok(lines)
}

fn held_lines<'b>(state: &State, body: &commands::PutBody<'b>, lines: &[AskedLine<'_>]) -> Vec<HeldLine<'b>> {
    body.lines
        .iter()
        .zip(lines)
        .map(|(line, asked)| {
            let own = asked
                .sku
                .filter(|_| !state.catalogue.aliases.is_empty())
                .map(|sku| state.catalogue.sku_name(sku))
                .filter(|name| *name != line.sku);
            let sku = own.map_or_else(|| line.sku.clone(), |name| Text::Owned(name.to_owned()));
            HeldLine {
                sku,
                quantity: asked.quantity,
                location: line.location.clone(),
                asked: None,
            }
        })
        .collect()
}

/// The same body answers what stands; a stale revision or a closed reservation refuses; None: replace it.
fn repeat_or_closed(state: &mut State, slot: Slot, held: &ReservationHeld<'_>) -> Result<Option<Answer>, Answer> {
    let hash = body_hash(held, &mut state.scratch);
    let r = state.reservations.get(slot);
    let same = r.body == hash;
    if let (Some(stored), Some(told)) = (r.revision, held.revision)
        && (told < stored || (told == stored && !same))
    {
        return Err(problem_with(Problem::StaleRevision, None, |out| {
            render::field(out, "revision");
            crate::json::write_int(out, stored);
        }));
    }
    if same {
        return Ok(Some(shown(state, slot, 200)));
    }
    if r.state != ReservationState::Held {
        return Err(closed(state, slot));
    }
    if r.renewals >= state.rules.renewals_max {
        return Err(problem(Problem::RenewalsExhausted, None));
    }
    Ok(None)
}

/// Judges a hold's lines against what would be there after its own superseding; refuses with all verdicts.
fn fit(
    state: &mut State,
    held: &ReservationHeld<'_>,
    owner: Option<Owner>,
    existing: Option<Slot>,
    who: (Option<ChannelId>, Option<RegionId>),
    lines: &[AskedLine<'_>],
) -> Result<Verdicts, Answer> {
    let mut away: Vec<Slot> = Vec::new();
    if held.supersede {
        away = holds_of(state, owner, who.0);
        away.retain(|slot| Some(*slot) != existing);
    }
    let stays = existing.filter(|&slot| {
        let r = state.reservations.get(slot);
        Some(r.channel) == who.0 && r.region == who.1
    });
    if let (Some(slot), None) = (existing, stays) {
        away.push(slot);
    }
    let verdicts = without(state, &away, |state| {
        cart::judge(state, who, lines, held.partial, stays)
    });
    let refuses = |v: &Verdict| v.reason.is_some() && (!held.partial || v.reason == Some(Reason::UnknownUnit));
    if verdicts.iter().any(refuses) || verdicts.iter().all(|v| v.granted == 0) {
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
    let (max, Some(owner)) = (state.rules.owner_units_max, owner) else {
        return Ok(());
    };
    if max == 0 {
        return Ok(());
    }
    let channel = state.catalogue.channel(&held.channel);
    let others = state.reservations.of_owner(owner);
    let stays = |slot: &&Slot| {
        Some(**slot) != existing && !(held.supersede && Some(state.reservations.get(**slot).channel) == channel)
    };
    let units: i64 = others
        .iter()
        .filter(stays)
        .flat_map(|s| &state.reservations.get(*s).lines)
        .map(|l| l.quantity)
        .sum();
    if units + held.lines.iter().map(|l| l.quantity).sum::<i64>() > max {
        return Err(problem_with(Problem::OwnerLimit, None, |out| {
            render::field(out, "limit");
            crate::json::write_int(out, max);
        }));
    }
    Ok(())
}
