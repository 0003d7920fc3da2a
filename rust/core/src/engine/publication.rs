//! What others act on, from the batches of LOG: events, and the figures that channels publish.
//!
//! In: a state that [`Engine::apply`] takes from batch to batch. Out: events of each batch in order; figures that changed,
//! those that came to zero or a threshold, or left it, first. Always: events follow from LOG and the thresholds alone, the
//! same on every process, whatever state they were started from, so what is withheld for a pace changes figures and no
//! event; a figure that changes again before it is taken is taken once; a batch costs the SKUs that it changed, and all of
//! them only where a rule, a place, a channel or the day changed for all.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashSet;

use self::pace::Paces;
use crate::reads::availability::as_published;
use crate::reads::render::{self, field, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId};
use crate::state::reservations::{Reservation, ReservationState};
use crate::state::watch::{Touched, unsourced_of};
use crate::wire::facts::time::write_time;
use crate::wire::facts::{Fact, Statement};
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

mod pace;
mod taking;

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
    thresholds: Vec<i64>,
    /// Those that count behind a sequence.
    thresholds_then: Option<(u64, Vec<i64>)>,
    paces: Paces,
    /// Units that the present batch sold, of all SKUs.
    sold: i64,
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

/// A trace as a request carries it, and the span that is recorded of it where there is one (docs/log.md, "A batch").
fn parts_of(trace: &str) -> (&str, Option<&str>) {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match trace.split_once('-') {
        Some((id, span)) if digits(id, 32) && digits(span, 16) => (id, Some(span)),
        _ => (trace, None),
    }
}

impl Publication {
    /// The events of one statement, or of what time does at the beginning of a batch.
    pub(super) fn note(&mut self, state: &mut State, statement: Option<&Statement<'_>>) {
        let fact = statement.map(|statement| &statement.fact);
        let trace = statement.and_then(|statement| statement.trace.as_deref());
        for touched in state.take_touched() {
            let Some(now) = state.reservations.get_taken(touched.slot) else {
                continue;
            };
            let kind = kind_of(fact, touched, now);
            if matches!(kind, "held" | "confirmed" | "oversold") {
                self.sold += now.portions.iter().map(|p| p.quantity).sum::<i64>();
            }
            let channel = state.catalogue.channel_name(now.channel).to_owned();
            self.event(state, kind, channel, |out| {
                if let Some((id, span)) = trace.map(parts_of) {
                    text_field(out, "trace", Some(id));
                    if span.is_some() {
                        text_field(out, "span", span);
                    }
                }
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
        if let Some((_, then)) = self
            .thresholds_then
            .take_if(|(after, _)| state.position.sequence >= *after)
        {
            self.thresholds = then;
        }
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
        self.sold = 0;
    }

    /// How many thresholds a figure is at or below; zero is one.
    fn band(&self, published: i64) -> usize {
        usize::from(published == 0) + self.thresholds.iter().filter(|&&units| published <= units).count()
    }

    /// What is to be published of a figure, less what is withheld.
    fn less(figure: Figure, withheld: i64) -> Figure {
        let published = if figure.unlimited {
            figure.published
        } else {
            figure.published.min((figure.sellable - withheld).max(0))
        };
        Figure { published, ..figure }
    }

    fn wait(&mut self, key: Key, before: Figure, now: Figure) {
        if self.band(before.published) == self.band(now.published) {
            self.normal.push(key);
        } else {
            self.urgent.push(key);
        }
    }

    /// Time has passed, or lags are others.
    fn renew_paces(&mut self, now_ms: i64) {
        for (key, withheld) in self.paces.renew(now_ms) {
            let known = self.figures.get(&key.0).and_then(|all| all.get(key.1.at())).copied();
            let Some(figure) = known else { continue };
            let (before, now) = (
                Self::less(figure, withheld),
                Self::less(figure, self.paces.withheld(key)),
            );
            if before != now {
                self.wait(key, before, now);
            }
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
        let key = (channel, sku);
        let withheld = self.paces.withheld(key);
        if before.sellable > now.sellable && !now.unlimited && self.sold > 0 {
            let units = (before.sellable - now.sellable).min(self.sold);
            self.paces.sold(key, units, state.position.now_ms);
        }
        let shown = Self::less(now, self.paces.withheld(key));
        self.wait(key, Self::less(before, withheld), shown);
        if self.band(before.published) == self.band(now.published) {
            return;
        }
        self.urgent.push(key);
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
        let withheld = self.paces.withheld((channel, sku));
        let (figure, gone) = (
            Self::less(known.copied().unwrap_or_default(), withheld),
            known.is_none(),
        );
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

#[cfg(test)]
mod tests;
