//! What others act on, from the batches of LOG: events, and the figures that channels publish.
//!
//! In: a state that [`Engine::apply`] takes from batch to batch. Out: events of each batch in order; figures that changed,
//! those that came to zero or left it first. Always: events follow from LOG alone, the same on every process, whatever state
//! they were started from; a figure that changes again before it is taken is taken once; a batch costs the SKUs that it
//! changed, and all of them only where a rule, a place, a channel or the day changed for all.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashSet;

use super::Engine;
use crate::reads::availability::as_published;
use crate::reads::render::{self, field, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId};
use crate::state::reservations::{Reservation, ReservationState};
use crate::state::watch::{Touched, unsourced_of};
use crate::wire::facts::Fact;
use crate::wire::facts::time::write_time;
use crate::wire::json::{write_int, write_string, write_uint};

/// Something that happened at one sequence of LOG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub sequence: u64,
    /// Within its batch, from 0.
    pub index: u64,
    pub kind: &'static str,
    pub channel: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// What a channel publishes of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figure {
    pub published: i64,
    pub sellable: i64,
    pub unlimited: bool,
}

/// A figure to be published. `gone`: the channel no longer publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: (u16, u32),
    pub channel: String,
    pub sku: String,
    pub figure: Figure,
    pub gone: bool,
    /// JSON.
    pub body: Vec<u8>,
}

type Key = (ChannelId, SkuId);

/// Figures that are to be taken, each once, in the order in which they changed.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Key>,
    waiting: HashSet<Key>,
}

impl Queue {
    fn push(&mut self, key: Key) {
        if self.waiting.insert(key) {
            self.order.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<Key> {
        while let Some(key) = self.order.pop_front() {
            if self.waiting.remove(&key) {
                return Some(key);
            }
        }
        None
    }
}

#[derive(Debug, Default)]
pub(super) struct Publication {
    /// By SKU number, as of the newest batch.
    figures: BTreeMap<ChannelId, Vec<Figure>>,
    events: Vec<Event>,
    urgent: Queue,
    normal: Queue,
}

fn publishes(state: &State, channel: ChannelId) -> bool {
    let record = &state.catalogue.channels[channel.at()];
    record.declared && record.buffer.is_some()
}

fn figure_of(state: &State, channel: ChannelId, sku: SkuId) -> Figure {
    let (published, whole) = as_published(state, channel, sku);
    Figure {
        published: published.quantity,
        sellable: whole.quantity,
        unlimited: whole.unlimited,
    }
}

/// What an event about a reservation is called.
fn kind_of(fact: Option<&Fact<'_>>, touched: Touched, now: &Reservation) -> &'static str {
    let is_held_again = matches!(fact, Some(Fact::ReservationHeld(held)) if *held.id == *now.id);
    if touched.before == Some(now.state) && !is_held_again {
        return match fact {
            Some(Fact::ReservationExtended(_)) => "extended",
            _ if unsourced_of(now) > touched.unsourced => "deficit",
            _ => "changed",
        };
    }
    let was_confirmed = touched.before.is_some_and(ReservationState::is_confirmed);
    match now.state {
        ReservationState::Held => "held",
        ReservationState::Committed | ReservationState::InErp if was_confirmed => "changed",
        ReservationState::Committed | ReservationState::InErp => "confirmed",
        ReservationState::Fulfilled => "fulfilled",
        ReservationState::Released => "released",
        ReservationState::Expired => "expired",
        ReservationState::Cancelled => "cancelled",
        ReservationState::Oversold => "oversold",
    }
}

impl Publication {
    /// The events of one statement, or of what time does at the beginning of a batch.
    pub(super) fn note(&mut self, state: &mut State, fact: Option<&Fact<'_>>) {
        for touched in state.take_touched() {
            let Some(now) = state.reservations.get_taken(touched.slot) else {
                continue;
            };
            let kind = kind_of(fact, touched, now);
            let channel = state.catalogue.channel_name(now.channel).to_owned();
            self.event(state, kind, channel, |out| {
                text_field(out, "before", touched.before.map(ReservationState::name));
                field(out, "unsourced");
                write_int(out, unsourced_of(now));
                field(out, "reservation");
                render::reservation(state, now, b"", out);
            });
        }
    }

    /// The figures after a batch. Its own sequence is that of the state plus one while it is applied, and the state's after it.
    pub(super) fn settle(&mut self, state: &mut State) {
        match state.take_noted() {
            Some(skus) => {
                let channels: Vec<ChannelId> = self.figures.keys().copied().collect();
                for channel in channels {
                    for &sku in &skus {
                        self.renew(state, channel, sku);
                    }
                }
            }
            None => self.renew_all(state),
        }
    }

    fn renew_all(&mut self, state: &State) {
        let all = || (0..state.catalogue.skus.len() as u32).map(SkuId);
        let channels = (0..state.catalogue.channels.len() as u16).map(ChannelId);
        for channel in channels {
            match (publishes(state, channel), self.figures.contains_key(&channel)) {
                (true, true) => all().for_each(|sku| self.renew(state, channel, sku)),
                (true, false) => {
                    let figures = all().map(|sku| figure_of(state, channel, sku)).collect();
                    self.figures.insert(channel, figures);
                    all().for_each(|sku| self.normal.push((channel, sku)));
                }
                (false, true) => {
                    self.figures.remove(&channel);
                    all().for_each(|sku| self.urgent.push((channel, sku)));
                }
                (false, false) => {}
            }
        }
    }

    fn renew(&mut self, state: &State, channel: ChannelId, sku: SkuId) {
        let now = figure_of(state, channel, sku);
        let Some(figures) = self.figures.get_mut(&channel) else {
            return;
        };
        let is_new = figures.len() <= sku.at();
        if is_new {
            figures.resize(sku.at() + 1, Figure::default());
        }
        let before = std::mem::replace(&mut figures[sku.at()], now);
        if before == now && !is_new {
            return;
        }
        if (before.published == 0) == (now.published == 0) {
            self.normal.push((channel, sku));
            return;
        }
        self.urgent.push((channel, sku));
        let name = state.catalogue.channel_name(channel).to_owned();
        self.event(state, "availability", name, |out| {
            text_field(out, "sku", Some(state.catalogue.sku_name(sku)));
            for (name, units) in [("before", before.published), ("published", now.published)] {
                field(out, name);
                write_int(out, units);
            }
        });
    }

    fn event(&mut self, state: &State, kind: &'static str, channel: String, members: impl FnOnce(&mut Vec<u8>)) {
        let sequence = state.position.sequence + 1;
        let last = self.events.last().filter(|last| last.sequence == sequence);
        let index = last.map_or(0, |last| last.index + 1);
        let mut body = Vec::with_capacity(512);
        body.extend_from_slice(b"{\"id\":\"");
        write_uint(&mut body, sequence);
        body.push(b':');
        write_uint(&mut body, index);
        body.extend_from_slice(b"\",\"kind\":");
        write_string(&mut body, kind);
        field(&mut body, "sequence");
        write_uint(&mut body, sequence);
        field(&mut body, "index");
        write_uint(&mut body, index);
        field(&mut body, "at");
        write_time(&mut body, state.position.now_ms * 1_000);
        text_field(&mut body, "channel", Some(&channel));
        members(&mut body);
        body.push(b'}');
        self.events.push(Event {
            sequence,
            index,
            kind,
            channel,
            body,
        });
    }

    fn change(&self, state: &State, (channel, sku): Key) -> Change {
        let known = self.figures.get(&channel).and_then(|figures| figures.get(sku.at()));
        let (figure, gone) = (known.copied().unwrap_or_default(), known.is_none());
        let (name, of) = (state.catalogue.sku_name(sku), state.catalogue.channel_name(channel));
        let mut body = Vec::with_capacity(160);
        body.extend_from_slice(b"{\"sku\":");
        write_string(&mut body, name);
        text_field(&mut body, "channel", Some(of));
        for (name, units) in [("published", figure.published), ("sellable", figure.sellable)] {
            field(&mut body, name);
            write_int(&mut body, units);
        }
        for (name, is) in [("unlimited", figure.unlimited), ("gone", gone)] {
            field(&mut body, name);
            body.extend_from_slice(if is { b"true" } else { b"false" });
        }
        field(&mut body, "sequence");
        write_uint(&mut body, state.position.sequence);
        field(&mut body, "at");
        write_time(&mut body, state.position.now_ms * 1_000);
        body.push(b'}');
        Change {
            key: (channel.0, sku.0),
            channel: of.to_owned(),
            sku: name.to_owned(),
            figure,
            gone,
            body,
        }
    }
}

impl Engine {
    /// From here on [`Self::apply`] gathers events and figures; all present figures count as changed.
    pub fn begin_publishing(&mut self) {
        self.state.begin_watch();
        let mut publication = Publication::default();
        publication.settle(&mut self.state);
        self.publication = Some(publication);
    }

    /// The events gathered since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        let publication = self.publication.as_mut();
        publication.map(|p| std::mem::take(&mut p.events)).unwrap_or_default()
    }

    /// Up to so many figures that changed.
    pub fn take_figures(&mut self, most: usize) -> Vec<Change> {
        let (Some(publication), state) = (self.publication.as_mut(), &self.state) else {
            return Vec::new();
        };
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(key) = publication.urgent.pop().or_else(|| publication.normal.pop()) else {
                break;
            };
            publication.normal.waiting.remove(&key);
            taken.push(publication.change(state, key));
        }
        taken
    }

    /// A figure that was taken and could not be published waits again.
    pub fn publish_again(&mut self, (channel, sku): (u16, u32)) {
        if let Some(publication) = self.publication.as_mut() {
            publication.urgent.push((ChannelId(channel), SkuId(sku)));
        }
    }

    /// What was published before. Where it is right it need not be taken; the key, if the names are known here.
    pub fn note_published(&mut self, channel: &str, sku: &str, figure: Figure, gone: bool) -> Option<(u16, u32)> {
        let publication = self.publication.as_mut()?;
        let catalogue = &self.state.catalogue;
        let key = (catalogue.channel(channel)?, SkuId(catalogue.sku_names.get(sku)?));
        let known = publication.figures.get(&key.0).and_then(|all| all.get(key.1.at()));
        if known.copied() == (!gone).then_some(figure) {
            publication.urgent.waiting.remove(&key);
            publication.normal.waiting.remove(&key);
        } else {
            publication.urgent.push(key);
        }
        Some((key.0.0, key.1.0))
    }

    /// How many figures wait to be taken.
    pub fn figures_waiting(&self) -> usize {
        let waiting = |p: &Publication| p.urgent.waiting.union(&p.normal.waiting).count();
        self.publication.as_ref().map_or(0, waiting)
    }
}

#[cfg(test)]
impl Engine {
    /// Figures that differ from those computed again, of all channels and SKUs.
    pub(crate) fn stale_figures(&self) -> Vec<String> {
        let few = self.state.catalogue.skus.len() <= 64;
        let Some(publication) = self.publication.as_ref().filter(|_| few) else {
            return Vec::new();
        };
        let mut stale = Vec::new();
        for channel in (0..self.state.catalogue.channels.len() as u16).map(ChannelId) {
            let known = publication.figures.get(&channel);
            if known.is_some() != publishes(&self.state, channel) {
                stale.push(format!("channel {}", channel.0));
            }
            for sku in (0..self.state.catalogue.skus.len() as u32).map(SkuId) {
                let now = figure_of(&self.state, channel, sku);
                if known.is_some_and(|all| all.get(sku.at()) != Some(&now)) {
                    let name = self.state.catalogue.sku_name(sku);
                    stale.push(format!("channel {}, {name}: {now:?}", channel.0));
                }
            }
        }
        stale
    }
}

#[cfg(test)]
mod tests;
