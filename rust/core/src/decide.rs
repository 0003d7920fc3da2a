//! Commands into facts and answers. The leader decides each against memory; commands of one group see each other.
//!
//! In: a verb, a reservation's id, a body. Out: an HTTP status and a JSON body, and at most one fact for LOG, which has
//! already been applied. Always: what cannot be done changes nothing.

use crate::apply;
use crate::cart::{self, AskedLine, Reason, Verdict};
use crate::commands;
use crate::errors::{Problem, RequestError};
use crate::facts::{
    Fact, HeldLine, QuantityLine, Regional, ReservationConfirmed, ReservationExtended, ReservationFulfilled,
    ReservationHeld, Statement, Text,
};
use crate::ids::{ChannelId, RegionId, SkuId, Slot};
use crate::lifecycle::{body_hash, region_of};
use crate::render::{self, Answer, problem, problem_with};
use crate::reservations::{Node, ReservationState};
use crate::state::State;

/// What is asked of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Put,
    Confirm,
    Release,
    Cancel,
    Extend,
    Fulfil,
}

impl Verb {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "put" => Verb::Put,
            "confirm" => Verb::Confirm,
            "release" => Verb::Release,
            "cancel" => Verb::Cancel,
            "extend" => Verb::Extend,
            "fulfil" => Verb::Fulfil,
            _ => return None,
        })
    }
}

/// A command as it came over the border.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    pub verb: Verb,
    pub id: &'a str,
    pub body: &'a [u8],
    /// The channels that the asking key may see; None: all.
    pub channels: Option<&'a [String]>,
    /// The key's id, for the audit.
    pub by: Option<&'a str>,
}

/// Where accepted facts go.
pub(crate) type Sink<'s> = dyn FnMut(&Statement<'_>) + 's;

/// Refusals are answers too; `?` carries them out.
type Outcome = Result<Answer, Answer>;

#[allow(clippy::needless_pass_by_value)] // It ends an `Err`; every caller maps with it.
pub(crate) fn refused(error: RequestError) -> Answer {
    let mut out = Vec::with_capacity(256);
    error.render(&mut out);
    (error.problem.status(), out)
}

/// Decides one command.
pub(crate) fn command(
    state: &mut State,
    owner_key: Option<&[u8; 32]>,
    command: &Command<'_>,
    sink: &mut Sink<'_>,
) -> Answer {
    let decided = match commands::check_id(command.id) {
        Err(error) => Err(refused(error)),
        Ok(()) => match command.verb {
            Verb::Put => put(state, owner_key, command, sink),
            Verb::Confirm => confirm(state, command, sink),
            Verb::Release => release(state, command, sink),
            Verb::Cancel => cancel(state, command, sink),
            Verb::Extend => extend(state, command, sink),
            Verb::Fulfil => fulfil(state, command, sink),
        },
    };
    decided.unwrap_or_else(|refusal| refusal)
}

pub(crate) fn may_see(channels: Option<&[String]>, channel: &str) -> bool {
    channels.is_none_or(|list| list.iter().any(|c| c == channel))
}

/// Applies a fact that a command became and hands it to the batch.
fn commit(state: &mut State, command: &Command<'_>, fact: Fact<'_>, sink: &mut Sink<'_>) {
    let statement = Statement {
        source: Text::Borrowed(""),
        by: command.by.map(Text::Borrowed),
        trace: None,
        fact,
    };
    apply::statement(state, &statement);
    sink(&statement);
}

fn shown(state: &State, slot: Slot, status: u16) -> Answer {
    let mut out = Vec::with_capacity(320);
    render::reservation(state, state.reservations.get(slot), b"", &mut out);
    (status, out)
}

fn closed(state: &State, slot: Slot) -> Answer {
    let name = state.reservations.get(slot).state.name();
    let detail = format!(
        "The reservation is {name}; what was asked for is not possible from there. Read it with GET to see where it stands."
    );
    problem_with(Problem::ReservationClosed, Some(&detail), |out| {
        render::text_field(out, "state", Some(name));
    })
}

/// The reservation that a command names, if the key may see it.
fn existing(state: &State, command: &Command<'_>) -> Result<Slot, Answer> {
    let found = state.reservations.find(command.id);
    let visible = |slot: &Slot| {
        let channel = state.reservations.get(*slot).channel;
        may_see(command.channels, state.catalogue.channel_name(channel))
    };
    found
        .filter(visible)
        .ok_or_else(|| problem(Problem::UnknownReservation, None))
}

// ---- put

fn put(state: &mut State, owner_key: Option<&[u8; 32]>, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_put(command.body).map_err(refused)?;
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
    let lines = resolve(state, &body)?;
    let owner = body.owner.as_deref().map(|owner| keyed_hash(owner_key, owner));
    let mut held = ReservationHeld {
        id: Text::Borrowed(command.id),
        channel: body.channel.clone(),
        region: body.region.clone(),
        owner: owner.map(Text::Owned),
        ttl_ms: body.ttl_ms,
        lines: held_lines(state, &body, &lines),
        partial: body.partial,
        supersede: body.supersede,
        revision: body.revision,
    };
    if let Some(slot) = existing {
        if let Some(answer) = repeat_or_closed(state, slot, &held)? {
            return Ok(answer);
        }
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
    let verdicts = fit(state, &held, existing, (channel, region), &lines)?;
    for (line, verdict) in held.lines.iter_mut().zip(&verdicts) {
        line.asked = (verdict.granted != verdict.requested).then_some(verdict.requested);
        line.quantity = verdict.granted;
    }
    owner_limit(state, &held, existing)?;
    commit(state, command, Fact::ReservationHeld(held), sink);
    let slot = state.reservations.find(command.id).expect("just held");
    Ok(shown(state, slot, if existing.is_some() { 200 } else { 201 }))
}

/// 32 hexadecimal digits instead of a name: raw customer data never enters LOG.
pub(crate) fn keyed_hash(key: Option<&[u8; 32]>, owner: &str) -> String {
    let hash = blake3::keyed_hash(key.unwrap_or(&[0; 32]), owner.as_bytes());
    hash.to_hex()[..32].to_owned()
}

fn resolve<'b>(state: &State, body: &'b commands::PutBody<'_>) -> Result<Vec<AskedLine<'b>>, Answer> {
    let mut lines = Vec::with_capacity(body.lines.len());
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

pub(crate) fn unknown_sku(name: &str) -> Answer {
    problem_with(Problem::UnknownSku, None, |out| {
        render::text_field(out, "sku", Some(name));
    })
}

fn held_lines<'b>(state: &State, body: &commands::PutBody<'b>, lines: &[AskedLine<'_>]) -> Vec<HeldLine<'b>> {
    body.lines
        .iter()
        .zip(lines)
        .map(|(line, asked)| {
            let own = asked
                .sku
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
    if let (Some(stored), Some(told)) = (r.revision, held.revision) {
        if told < stored || (told == stored && !same) {
            return Err(problem_with(Problem::StaleRevision, None, |out| {
                render::field(out, "revision");
                crate::json::write_int(out, stored);
            }));
        }
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

pub(crate) fn check_region(state: &State, channel: Option<ChannelId>, given: bool) -> Result<(), Answer> {
    let record = state.catalogue.channel_record(channel);
    if record.regional == Regional::Require && !given {
        return Err(refused(RequestError::invalid(
            "region",
            "is required: this channel sells by region",
        )));
    }
    Ok(())
}

/// Judges a hold's lines against what would be there after its own superseding; refuses with all verdicts.
fn fit(
    state: &mut State,
    held: &ReservationHeld<'_>,
    existing: Option<Slot>,
    who: (Option<ChannelId>, Option<RegionId>),
    lines: &[AskedLine<'_>],
) -> Result<Vec<Verdict>, Answer> {
    let mut away: Vec<Slot> = Vec::new();
    if held.supersede {
        away = holds_of(state, held.owner.as_deref(), who.0);
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

fn insufficient(state: &State, what: Problem, lines: &[AskedLine<'_>], verdicts: &[Verdict]) -> Answer {
    problem_with(what, None, |out| {
        render::field(out, "lines");
        render::verdicts(state, lines, verdicts, out);
    })
}

/// The holds of an owner on a channel.
pub(crate) fn holds_of(state: &State, owner: Option<&str>, channel: Option<ChannelId>) -> Vec<Slot> {
    let all = owner
        .and_then(|o| state.reservations.of_owner.get(o))
        .cloned()
        .unwrap_or_default();
    all.into_iter()
        .filter(|&slot| Some(state.reservations.get(slot).channel) == channel)
        .collect()
}

/// Asks a question as if some holds were not there; they are put back as they were, to the last unit.
pub(crate) fn without<R>(state: &mut State, slots: &[Slot], ask: impl FnOnce(&State) -> R) -> R {
    if slots.is_empty() {
        return ask(state);
    }
    let toggle = |state: &mut State, sign: i64| {
        for &slot in slots {
            let r = state.reservations.get(slot);
            let channel = r.channel;
            let portions: Vec<_> = r
                .portions
                .iter()
                .map(|p| (p.sku, p.node, p.quantity, p.own, p.own_period, p.cap_period))
                .collect();
            let kits: Vec<_> = r
                .lines
                .iter()
                .filter(|l| l.cap_period != 0)
                .map(|l| (l.sku, l.quantity, l.cap_period))
                .collect();
            for (sku, node, quantity, own, own_period, cap_period) in portions {
                crate::sourcing::occupy(state, sku, node, sign * quantity, false);
                crate::rations::consume(
                    state,
                    sku,
                    channel,
                    crate::rations::Kind::Allocation,
                    sign * own,
                    own_period,
                );
                crate::rations::consume(
                    state,
                    sku,
                    channel,
                    crate::rations::Kind::Cap,
                    sign * quantity,
                    cap_period,
                );
                if node == Node::Unsourced {
                    hide_unsourced(state, sku, slot, sign < 0);
                }
            }
            for (sku, quantity, period) in kits {
                crate::rations::consume(state, sku, channel, crate::rations::Kind::Cap, sign * quantity, period);
            }
        }
    };
    toggle(state, -1);
    let answer = ask(state);
    toggle(state, 1);
    state.to_bind.clear();
    answer
}

fn hide_unsourced(state: &mut State, sku: SkuId, slot: Slot, hide: bool) {
    let age = state.reservations.get(slot).age(slot);
    let listed = &mut state.catalogue.detail_mut(sku).flow.unsourced;
    if hide {
        listed.remove(&age)
    } else {
        listed.insert(age)
    };
}

fn owner_limit(state: &State, held: &ReservationHeld<'_>, existing: Option<Slot>) -> Result<(), Answer> {
    let (max, Some(owner)) = (state.rules.owner_units_max, held.owner.as_deref()) else {
        return Ok(());
    };
    if max == 0 {
        return Ok(());
    }
    let channel = state.catalogue.channel(&held.channel);
    let others = state.reservations.of_owner.get(owner).map_or(&[][..], Vec::as_slice);
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

// ---- the other verbs

fn confirm(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_confirm(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    let told = body.order_ref.as_deref();
    match r.state {
        ReservationState::Held => {}
        ReservationState::Cancelled => return Err(closed(state, slot)),
        ReservationState::Committed | ReservationState::InErp | ReservationState::Fulfilled => {
            match (r.order_ref.as_deref(), told) {
                (_, None) => return Ok(shown(state, slot, 200)),
                (Some(old), Some(new)) if old == new => return Ok(shown(state, slot, 200)),
                (Some(_), Some(_)) => return Err(closed(state, slot)),
                (None, Some(_)) => {}
            }
        }
        ReservationState::Expired | ReservationState::Released | ReservationState::Oversold => {
            late_fit(state, slot, command, sink)?;
        }
    }
    let fact = ReservationConfirmed {
        id: Text::Borrowed(command.id),
        order_ref: body.order_ref.clone(),
    };
    commit(state, command, Fact::ReservationConfirmed(fact), sink);
    Ok(shown(state, slot, 200))
}

/// A late confirm re-takes the stock or says oversold.
fn late_fit(state: &mut State, slot: Slot, command: &Command<'_>, sink: &mut Sink<'_>) -> Result<(), Answer> {
    let r = state.reservations.get(slot);
    let who = (Some(r.channel), r.region);
    let (was, lines) = (r.state, r.lines.clone());
    let names: Vec<String> = lines
        .iter()
        .map(|l| state.catalogue.sku_name(l.sku).to_owned())
        .collect();
    let open: Vec<AskedLine<'_>> = lines
        .iter()
        .zip(&names)
        .filter(|(line, _)| line.quantity > 0)
        .map(|(l, name)| AskedLine {
            name,
            sku: Some(l.sku),
            quantity: l.quantity,
            unit_known: true,
            only: l.location,
        })
        .collect();
    let verdicts = cart::judge(state, who, &open, false, None);
    if verdicts.iter().all(|v| v.reason.is_none()) {
        return Ok(());
    }
    let refusal = insufficient(state, Problem::Oversold, &open, &verdicts);
    if was != ReservationState::Oversold {
        commit(
            state,
            command,
            Fact::ReservationOversold(Text::Borrowed(command.id)),
            sink,
        );
    }
    Err(refusal)
}

fn release(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    commands::parse_empty(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held => {
            commit(
                state,
                command,
                Fact::ReservationReleased(Text::Borrowed(command.id)),
                sink,
            );
            Ok(shown(state, slot, 200))
        }
        ReservationState::Released | ReservationState::Expired => Ok(shown(state, slot, 200)),
        _ => Err(closed(state, slot)),
    }
}

fn cancel(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    commands::parse_empty(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    match state.reservations.get(slot).state {
        ReservationState::Held | ReservationState::Committed | ReservationState::InErp => {
            commit(
                state,
                command,
                Fact::ReservationCancelled(Text::Borrowed(command.id)),
                sink,
            );
            Ok(shown(state, slot, 200))
        }
        ReservationState::Cancelled => Ok(shown(state, slot, 200)),
        _ => Err(closed(state, slot)),
    }
}

fn extend(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_extend(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    let r = state.reservations.get(slot);
    if r.state != ReservationState::Held {
        return Err(closed(state, slot));
    }
    if r.renewals >= state.rules.renewals_max {
        return Err(problem(Problem::RenewalsExhausted, None));
    }
    let fact = ReservationExtended {
        id: Text::Borrowed(command.id),
        ttl_ms: body.ttl_ms,
    };
    commit(state, command, Fact::ReservationExtended(fact), sink);
    Ok(shown(state, slot, 200))
}

fn fulfil(state: &mut State, command: &Command<'_>, sink: &mut Sink<'_>) -> Outcome {
    let body = commands::parse_fulfil(command.body).map_err(refused)?;
    let slot = existing(state, command)?;
    if !state.reservations.get(slot).state.is_confirmed() {
        return Err(closed(state, slot));
    }
    let mut asked: Vec<(SkuId, i64)> = Vec::new();
    for (n, line) in body.lines.iter().enumerate() {
        fulfil_line(state, slot, n, line, &mut asked)?;
    }
    let fact = ReservationFulfilled {
        id: Text::Borrowed(command.id),
        lines: body.lines.clone(),
    };
    commit(state, command, Fact::ReservationFulfilled(fact), sink);
    Ok(shown(state, slot, 200))
}

/// Checks one line of a fulfilment together with the lines before it.
fn fulfil_line(
    state: &State,
    slot: Slot,
    n: usize,
    line: &QuantityLine<'_>,
    asked: &mut Vec<(SkuId, i64)>,
) -> Result<(), Answer> {
    let Some(sku) = state.catalogue.sku(&line.sku) else {
        return Err(unknown_sku(&line.sku));
    };
    if line
        .location
        .as_deref()
        .is_some_and(|l| state.catalogue.location(l).is_none())
    {
        return Err(refused(RequestError::invalid(
            format!("lines[{n}].location"),
            "is not a declared location",
        )));
    }
    let mut fits = true;
    state.catalogue.for_each_component(sku, |part, per| {
        let portions = state.reservations.get(slot).portions.iter();
        let left: i64 = portions
            .filter(|p| p.sku == part && !p.fulfilled && !p.is_shipped())
            .map(|p| p.quantity)
            .sum();
        let units = line.quantity.saturating_mul(per);
        let before: i64 = asked
            .iter()
            .filter(|(s, _)| *s == part)
            .fold(0, |sum, (_, q)| sum.saturating_add(*q));
        asked.push((part, units));
        fits &= before.saturating_add(units) <= left;
    });
    if fits {
        return Ok(());
    }
    Err(refused(RequestError::invalid(
        format!("lines[{n}].quantity"),
        "is more than is left to fulfil",
    )))
}

/// Expires nothing and changes nothing: whether a batch without facts is due.
pub(crate) fn next_due(state: &State) -> Option<i64> {
    state.reservations.due.first().map(|&(due, _, _)| due)
}
