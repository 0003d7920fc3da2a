//! What the first facts of a message will have changed when the later ones come, as far as judging those depends on it.
//!
//! In: the state before the message, and each of its facts once that was judged good. Out: names, kits, units, clocks,
//! owners and bounds as they will stand. Always: nothing is applied, so a whole message can be judged before any of it is
//! taken; a trial, a message of which all or nothing is taken, and any other message are judged by the same code.

mod items;
mod kits;
mod phantoms;

use std::cell::OnceCell;

use hashbrown::{HashMap, HashSet};

use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::names::Kind;
use crate::wire::commands::MESSAGE_WIDE_MAX;
use crate::wire::facts::{AsOf, Fact, Statement, Text};
use items::Declared;
pub(super) use kits::KitFault;
use phantoms::Named;

/// A SKU: one that the state knows, or the nth that the message names first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum SkuAhead {
    Known(SkuId),
    New(u32),
}

/// Names of the other kinds that the message names first.
#[derive(Debug, Default)]
struct Names<'m> {
    locations: HashSet<Text<'m>>,
    channels: HashSet<Text<'m>>,
    regions: HashSet<Text<'m>>,
    sources: HashSet<Text<'m>>,
}

#[derive(Debug)]
pub(super) struct Foreseen<'s, 'm> {
    pub(super) state: &'s State,
    /// The time of the batch that will take the message.
    pub(super) now_ms: i64,
    /// The index of the fact that is judged.
    pub(super) at: usize,
    source: &'m str,
    /// Whether the message's source sends times (or running numbers); None before its first fact.
    clock: Option<bool>,
    names: Names<'m>,
    declared_channels: HashSet<Text<'m>>,
    /// Who will own the levels of locations that nobody owns yet, by name.
    owners: HashMap<Text<'m>, Text<'m>>,
    new_skus: Vec<Text<'m>>,
    numbers: HashMap<Text<'m>, u32>,
    /// What names are aliases of (None: of nothing any more), and by which fact of the message.
    aliases: HashMap<Text<'m>, (Option<SkuAhead>, usize)>,
    items: HashMap<SkuAhead, Declared<'m>>,
    /// The kits of `items` by what they are made of.
    used_in: HashMap<SkuAhead, Vec<SkuAhead>>,
    /// Components looked at for the kits of the message.
    looked_at: usize,
    /// Facts of the message that look at every reservation.
    wide: usize,
    /// SKUs that the message gives more than levels and movements: documents, rules.
    used: HashSet<SkuAhead>,
    /// Levels that no movement has asked about yet: mostly a message has levels or movements, not both.
    levels: Vec<(SkuAhead, Text<'m>, i64)>,
    /// Between which bounds the stock of a cell will be.
    spans: HashMap<(SkuAhead, Text<'m>), (i64, i64)>,
    /// SKUs that some reservation or rule names, found when first asked for.
    named: OnceCell<Named>,
}

impl<'s, 'm> Foreseen<'s, 'm> {
    pub(super) fn new(state: &'s State, now_ms: i64, source: &'m str) -> Self {
        Foreseen {
            state,
            now_ms,
            at: 0,
            source,
            clock: clock_in(state, source),
            names: Names::default(),
            declared_channels: HashSet::new(),
            owners: HashMap::new(),
            new_skus: Vec::new(),
            numbers: HashMap::new(),
            aliases: HashMap::new(),
            items: HashMap::new(),
            used_in: HashMap::new(),
            looked_at: 0,
            wide: 0,
            used: HashSet::new(),
            levels: Vec::new(),
            spans: HashMap::new(),
            named: OnceCell::new(),
        }
    }

    /// A next message of the same body: what is bounded by message begins again.
    pub(super) const fn next_message(&mut self) {
        (self.looked_at, self.wide) = (0, 0);
    }

    /// Counts a fact that looks at every reservation; false: the message has as many as it may.
    pub(super) const fn has_room_for_wide(&mut self) -> bool {
        self.wide += 1;
        self.wide <= MESSAGE_WIDE_MAX
    }

    /// The SKU of a name or of an alias.
    pub(super) fn sku(&self, name: &str) -> Option<SkuAhead> {
        if !self.aliases.is_empty()
            && let Some((of, _)) = self.aliases.get(name)
        {
            return of.or_else(|| self.own_name(name));
        }
        let known = self.state.catalogue.sku(name).map(SkuAhead::Known);
        known.or_else(|| self.numbers.get(name).map(|&n| SkuAhead::New(n)))
    }

    /// The SKU that a name stands for where it is no alias.
    pub(super) fn own_name(&self, name: &str) -> Option<SkuAhead> {
        let known = self.state.catalogue.sku_names.get(name);
        let known = known.map(|number| SkuAhead::Known(SkuId(number)));
        known.or_else(|| self.numbers.get(name).map(|&n| SkuAhead::New(n)))
    }

    pub(super) fn sku_name(&self, sku: SkuAhead) -> &str {
        match sku {
            SkuAhead::Known(id) => self.state.catalogue.sku_name(id),
            SkuAhead::New(n) => &self.new_skus[n as usize],
        }
    }

    /// SKUs that the facts judged good so far will create, in order.
    pub(super) fn new_skus(&self) -> &[Text<'m>] {
        &self.new_skus
    }

    pub(super) fn knows_location(&self, name: &str) -> bool {
        self.state.catalogue.location(name).is_some() || self.names.locations.contains(name)
    }

    pub(super) fn has_channels(&self) -> bool {
        self.state.catalogue.channels_declared > 0 || !self.declared_channels.is_empty()
    }

    pub(super) fn is_declared(&self, channel: &str) -> bool {
        let catalogue = &self.state.catalogue;
        catalogue.channel_record(catalogue.channel(channel)).declared || self.declared_channels.contains(channel)
    }

    /// The source that owns the levels of a location.
    pub(super) fn owner(&self, location: &str) -> Option<&str> {
        if !self.owners.is_empty()
            && let Some(owner) = self.owners.get(location)
        {
            return Some(owner);
        }
        let owner = self.state.location_owner[self.state.catalogue.location(location)?.at()]?;
        Some(self.state.catalogue.source_names.name(u32::from(owner.0)))
    }

    /// Whether a source owned the levels of a location and handed them over.
    pub(super) fn is_former_owner(&self, location: &str, source: &str) -> bool {
        let catalogue = &self.state.catalogue;
        let named = catalogue.location(location).zip(catalogue.source_names.get(source));
        named.is_some_and(|(location, source)| {
            let former = (location, SourceId(source as u16));
            self.state.former_owners.contains(&former)
        }) && self.owner(location) != Some(source)
    }

    /// Whether a source sends times (or running numbers); None before its first fact.
    pub(super) fn clock_of(&self, source: &str) -> Option<bool> {
        if source == self.source {
            self.clock
        } else {
            clock_in(self.state, source)
        }
    }

    /// Names of one kind that there will be.
    pub(super) fn names(&self, kind: Kind) -> usize {
        let new = match kind {
            Kind::Sku => self.new_skus.len(),
            Kind::Location => self.names.locations.len(),
            Kind::Channel => self.names.channels.len(),
            Kind::Source => self.names.sources.len(),
            Kind::Region => self.names.regions.len(),
        };
        kind.known(&self.state.catalogue) + new
    }

    pub(super) fn knows(&self, kind: Kind, name: &str) -> bool {
        let (catalogue, new) = (&self.state.catalogue, &self.names);
        match kind {
            Kind::Sku => self.sku(name).is_some(),
            Kind::Location => self.knows_location(name),
            Kind::Channel => catalogue.channel(name).is_some() || new.channels.contains(name),
            Kind::Source => catalogue.source_names.get(name).is_some() || new.sources.contains(name),
            Kind::Region => catalogue.region(name).is_some() || new.regions.contains(name),
        }
    }

    /// The least and the most that will lie in a cell, as far as movements and the levels of [`Self::settle_levels`] go.
    pub(super) fn span(&self, sku: Option<SkuAhead>, location: &str) -> (i64, i64) {
        let Some(sku) = sku else { return (0, 0) };
        if !self.spans.is_empty()
            && let Some(&span) = self.spans.get(&(sku, Text::Borrowed(location)))
        {
            return span;
        }
        let SkuAhead::Known(known) = sku else { return (0, 0) };
        let there = self.state.catalogue.location(location);
        let cell = there.and_then(|l: LocationId| self.state.cell(known, l));
        cell.map_or((0, 0), |cell| (cell.on_hand, cell.on_hand))
    }

    /// Takes the levels so far into the bounds of their cells, before a movement is judged.
    pub(super) fn settle_levels(&mut self) {
        for (sku, location, on_hand) in std::mem::take(&mut self.levels) {
            self.widen(sku, &location, |(low, high)| (low.min(on_hand), high.max(on_hand)));
        }
    }

    /// Takes note of what a fact that was judged good will change.
    pub(super) fn foresee(&mut self, statement: &Statement<'m>) {
        self.name_source(&statement.source);
        if let Some(as_of) = statement.fact.as_of() {
            self.clock.get_or_insert(matches!(as_of, AsOf::Time(_)));
        }
        match &statement.fact {
            Fact::StockLevel(f) => {
                let sku = self.name_sku(&f.sku);
                self.own_location(&f.location, &statement.source);
                let on_hand = self.in_base(sku, f.on_hand, f.unit.as_deref());
                self.levels.push((sku, f.location.clone(), on_hand));
            }
            Fact::StockDelta(f) => self.moved(&f.sku, &f.location, f.quantity, f.unit.as_deref()),
            Fact::Return(f) => self.moved(&f.sku, &f.location, f.quantity, f.unit.as_deref()),
            Fact::Receipt(f) => {
                self.use_sku(&f.sku);
                self.moved(&f.sku, &f.location, f.quantity, f.unit.as_deref());
            }
            Fact::Transfer(f) => {
                self.use_sku(&f.sku);
                self.moved(&f.sku, &f.from, -f.quantity, f.unit.as_deref());
                self.moved(&f.sku, &f.to, f.quantity, f.unit.as_deref());
            }
            Fact::Shipment(f) => {
                for line in &f.lines {
                    match &line.location {
                        Some(location) => self.moved(&line.sku, location, -line.quantity, line.unit.as_deref()),
                        None => _ = self.name_sku(&line.sku),
                    }
                }
            }
            Fact::Supply(f) => {
                self.use_sku(&f.sku);
                self.name_location(&f.location);
            }
            Fact::Demand(f) => {
                self.use_sku(&f.sku);
                f.locations.iter().for_each(|location| self.name_location(location));
            }
            Fact::Item(f) => self.declare(f),
            fact => self.foresee_rule(fact),
        }
    }

    fn foresee_rule(&mut self, fact: &Fact<'m>) {
        match fact {
            Fact::Location(f) => {
                self.name_location(&f.location);
                for region in &f.regions {
                    if self.state.catalogue.region(region).is_none() {
                        self.names.regions.insert(region.clone());
                    }
                }
            }
            Fact::Channel(f) => {
                self.name_channel(&f.channel);
                self.declared_channels.insert(f.channel.clone());
                f.locations
                    .iter()
                    .flatten()
                    .for_each(|location| self.name_location(location));
            }
            Fact::Allocation(f) => self.rule(Some(&f.sku), Some(&f.channel)),
            Fact::Cap(f) => self.rule(Some(&f.sku), Some(&f.channel)),
            Fact::Oversell(f) => self.rule(f.sku.as_ref(), f.channel.as_ref()),
            Fact::Restriction(f) => self.rule(f.sku.as_ref(), f.channel.as_ref()),
            Fact::Safety(f) => {
                self.rule(f.sku.as_ref(), None);
                f.location.iter().for_each(|location| self.name_location(location));
            }
            Fact::Freshness(f) => self.name_source(&f.source),
            Fact::SourceReset(f) if f.source == self.source && f.location.is_none() && f.sku.is_none() => {
                self.clock = None;
            }
            Fact::Ownership(f) => {
                self.name_location(&f.location);
                self.name_source(&f.source);
                self.owners.insert(f.location.clone(), f.source.clone());
            }
            _ => {}
        }
    }

    fn rule(&mut self, sku: Option<&Text<'m>>, channel: Option<&Text<'m>>) {
        if let Some(sku) = sku {
            self.use_sku(sku);
        }
        if let Some(channel) = channel {
            self.name_channel(channel);
        }
    }

    fn name_sku(&mut self, name: &Text<'m>) -> SkuAhead {
        if let Some(known) = self.sku(name) {
            return known;
        }
        let number = self.new_skus.len() as u32;
        self.new_skus.push(name.clone());
        self.numbers.insert(name.clone(), number);
        SkuAhead::New(number)
    }

    fn use_sku(&mut self, name: &Text<'m>) {
        let sku = self.name_sku(name);
        self.used.insert(sku);
    }

    fn name_location(&mut self, name: &Text<'m>) {
        if self.state.catalogue.location(name).is_none() {
            self.names.locations.insert(name.clone());
        }
    }

    /// The first source to state a level of a location owns its levels.
    fn own_location(&mut self, location: &Text<'m>, source: &Text<'m>) {
        let known = self.state.catalogue.location(location);
        if known.is_some_and(|id| self.state.location_owner[id.at()].is_some()) {
            return;
        }
        if known.is_none() {
            self.names.locations.insert(location.clone());
        }
        if !self.owners.contains_key(location.as_ref()) {
            self.owners.insert(location.clone(), source.clone());
        }
    }

    fn name_channel(&mut self, name: &Text<'m>) {
        if self.state.catalogue.channel(name).is_none() {
            self.names.channels.insert(name.clone());
        }
    }

    fn name_source(&mut self, name: &Text<'m>) {
        if self.names.sources.is_empty() && name == self.source && self.clock.is_some() {
            return;
        }
        if self.state.catalogue.source_names.get(name).is_none() {
            self.names.sources.insert(name.clone());
        }
    }

    fn moved(&mut self, sku: &Text<'m>, location: &Text<'m>, quantity: i64, unit: Option<&str>) {
        let sku = self.name_sku(sku);
        self.name_location(location);
        let quantity = self.in_base(sku, quantity, unit);
        // Whether it counts depends on levels and identities: it may or may not.
        self.widen(sku, location, |(low, high)| {
            (
                low.saturating_add(quantity.min(0)),
                high.saturating_add(quantity.max(0)),
            )
        });
    }

    fn widen(&mut self, sku: SkuAhead, location: &Text<'m>, change: impl FnOnce((i64, i64)) -> (i64, i64)) {
        let span = change(self.span(Some(sku), location));
        self.spans.insert((sku, location.clone()), span);
    }

    /// Base units of a quantity whose unit was judged known.
    pub(super) fn in_base(&self, sku: SkuAhead, quantity: i64, unit: Option<&str>) -> i64 {
        let factor = unit.and_then(|unit| self.unit_factor(sku, unit)).unwrap_or(1);
        quantity.saturating_mul(factor)
    }
}

fn clock_in(state: &State, source: &str) -> Option<bool> {
    let number = state.catalogue.source_names.get(source)?;
    state.source_clock[number as usize]
}
