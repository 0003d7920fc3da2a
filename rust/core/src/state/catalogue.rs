//! Items, locations and channels: what may be sold, where it lies, who sells it. Holds no rule.
//!
//! In: policy facts already checked. Out: flat records by interned id.
//! Always: a record exists for each number that a symbol table gave.

use std::collections::BTreeMap;

use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId, Symbols};
use crate::state::likeness::Likeness;
use crate::state::policies::Quotas;
use crate::state::read_only::ReadOnly;
use crate::state::stock::Block;
use crate::state::supply::SkuSupply;
use crate::wire::facts::{ItemStatus, LocationType, Regional, Sourcing};

/// What is read often about a SKU.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sku {
    pub(crate) cells: Block,
    /// Where its rarer facts are, plus one; 0: nowhere, it is a plain SKU.
    detail: u32,
    /// The renewal of all SKUs that it has gone through: the newest one, or what is kept of it is old (`state::ready`).
    pub(in crate::state) renewal: u32,
    /// Stock at hand over all enabled locations, maintained with each change; old while its `renewal` is.
    pub(crate) at_hand: i64,
}

/// What only some SKUs have.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) item: ReadOnly<Option<Item>>,
    /// Kits that name this SKU, directly or through other kits.
    pub(crate) used_in: Vec<SkuId>,
    pub(crate) flow: SkuSupply,
    pub(crate) allocations: ReadOnly<Quotas>,
    pub(crate) caps: ReadOnly<Quotas>,
}

/// A product as its owner describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) base_unit: Box<str>,
    pub(crate) units: Vec<(Box<str>, i64)>,
    pub(crate) kit: Vec<(SkuId, i64)>,
    /// The kit's base components, repeated ones summed, by SKU number; of a kit of kits, all the way down.
    pub(crate) base: Vec<(SkuId, i64)>,
    /// The kits inside it, at any depth, repeated ones summed, by SKU number.
    pub(crate) inner: Vec<(SkuId, i64)>,
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) sell_multiple: i64,
    pub(crate) tax_class: Option<Box<str>>,
    pub(crate) status: ItemStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) declared: bool,
    pub(crate) r#type: LocationType,
    pub(crate) regions: Vec<RegionId>,
    pub(crate) priority: i32,
    pub(crate) enabled: bool,
    /// Grows in the order (priority, name) of all locations.
    pub(crate) rank: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) declared: bool,
    /// Sorted; None: every location.
    pub(crate) locations: Option<Vec<LocationId>>,
    pub(crate) draws_shared: bool,
    pub(crate) supply_horizon_days: i32,
    pub(crate) sourcing: Sourcing,
    pub(crate) regional: Regional,
    pub(crate) priority: i32,
    pub(crate) buffer: Option<i64>,
}

impl Default for Channel {
    fn default() -> Self {
        Channel {
            declared: false,
            locations: None,
            draws_shared: true,
            supply_horizon_days: 0,
            sourcing: Sourcing::Priority,
            regional: Regional::Prefer,
            priority: 100,
            buffer: None,
        }
    }
}

/// All of it, with the names.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) sku_names: Symbols,
    pub(crate) skus: Vec<Sku>,
    /// How many changes so far reach the stock at hand of every SKU at once.
    pub(in crate::state) renewal: u32,
    /// SKUs that were renewed in their turn since the last one.
    pub(in crate::state) renewed_upto: usize,
    pub(crate) details: Vec<Detail>,
    pub(crate) aliases: hashbrown::HashMap<Box<str>, SkuId>,
    /// SKUs whose name became the alias of another: what the name means from then on.
    pub(crate) passed_on: hashbrown::HashMap<SkuId, SkuId>,
    /// Names of SKUs that look alike.
    pub(crate) likeness: Likeness,
    pub(crate) location_names: Symbols,
    pub(crate) locations: ReadOnly<Vec<Location>>,
    /// In the order of their ranks.
    pub(in crate::state) by_rank: Vec<LocationId>,
    pub(crate) channel_names: Symbols,
    pub(crate) channels: ReadOnly<Vec<Channel>>,
    /// How many of them are declared, kept ready.
    pub(crate) channels_declared: usize,
    pub(crate) source_names: Symbols,
    pub(crate) region_names: Symbols,
}

/// The record of every undeclared channel.
static UNDECLARED: Channel = Channel {
    declared: false,
    locations: None,
    draws_shared: true,
    supply_horizon_days: 0,
    sourcing: Sourcing::Priority,
    regional: Regional::Prefer,
    priority: 100,
    buffer: None,
};

impl Catalogue {
    /// The SKU of a name or of an alias.
    pub(crate) fn sku(&self, name: &str) -> Option<SkuId> {
        let Some(own) = self.sku_names.get(name).map(SkuId) else {
            return self.aliases.get(name).copied();
        };
        if self.passed_on.is_empty() {
            return Some(own);
        }
        Some(self.passed_on.get(&own).copied().unwrap_or(own))
    }

    /// A SKU or an alias that a new name is like: equal but for case, width, composition or leading zeros.
    pub(crate) fn like(&self, new: &str) -> Option<&str> {
        self.likeness.of(&self.sku_names, new).or_else(|| {
            let short = crate::state::likeness::folded(new)?;
            self.aliases.get_key_value(short.as_str()).map(|(alias, _)| &**alias)
        })
    }

    /// Makes a name an alias; a SKU that bears it passes the name on.
    pub(crate) fn add_alias(&mut self, name: Box<str>, of: SkuId) {
        if let Some(own) = self.sku_names.get(&name).map(SkuId).filter(|&own| own != of) {
            self.passed_on.insert(own, of);
        }
        self.aliases.insert(name, of);
    }

    pub(crate) fn remove_alias(&mut self, name: &str) {
        self.aliases.remove(name);
        if let Some(own) = self.sku_names.get(name) {
            self.passed_on.remove(&SkuId(own));
        }
    }

    pub(crate) fn location(&self, name: &str) -> Option<LocationId> {
        self.location_names.get(name).map(|n| LocationId(n as u16))
    }

    pub(crate) fn channel(&self, name: &str) -> Option<ChannelId> {
        self.channel_names.get(name).map(|n| ChannelId(n as u16))
    }

    pub(crate) fn region(&self, name: &str) -> Option<RegionId> {
        self.region_names.get(name).map(|n| RegionId(n as u16))
    }

    /// The region of a request: one that no location serves where the name is unknown.
    pub(crate) fn asked_region(&self, name: Option<&str>) -> Option<RegionId> {
        name.map(|name| self.region(name).unwrap_or(RegionId::NOWHERE))
    }

    /// The channel's record; the same defaults for each undeclared one.
    pub(crate) fn channel_record(&self, channel: Option<ChannelId>) -> &Channel {
        channel.map_or(&UNDECLARED, |c| &self.channels[c.at()])
    }

    pub(crate) fn sku_name(&self, sku: SkuId) -> &str {
        self.sku_names.name(sku.0)
    }

    pub(crate) fn location_name(&self, location: LocationId) -> &str {
        self.location_names.name(u32::from(location.0))
    }

    /// Channels that are named somewhere and not declared.
    pub(crate) fn channels_undeclared(&self) -> usize {
        self.channel_names.len().saturating_sub(self.channels_declared)
    }

    pub(crate) fn channel_name(&self, channel: ChannelId) -> &str {
        self.channel_names.name(u32::from(channel.0))
    }

    /// The rarer facts of a SKU, if it has any.
    #[inline]
    pub(crate) fn detail(&self, sku: SkuId) -> Option<&Detail> {
        match self.skus[sku.at()].detail {
            0 => None,
            n => Some(&self.details[n as usize - 1]),
        }
    }

    pub(crate) fn detail_mut(&mut self, sku: SkuId) -> &mut Detail {
        if self.skus[sku.at()].detail == 0 {
            self.details.push(Detail::default());
            self.skus[sku.at()].detail = self.details.len() as u32;
        }
        &mut self.details[self.skus[sku.at()].detail as usize - 1]
    }

    pub(crate) fn detail_if_any(&mut self, sku: SkuId) -> Option<&mut Detail> {
        match self.skus[sku.at()].detail {
            0 => None,
            n => Some(&mut self.details[n as usize - 1]),
        }
    }

    pub(crate) fn item(&self, sku: SkuId) -> Option<&Item> {
        self.detail(sku).and_then(|d| d.item.as_ref())
    }

    pub(crate) fn is_kit(&self, sku: SkuId) -> bool {
        self.item(sku).is_some_and(|i| !i.kit.is_empty())
    }

    pub(crate) fn sell_multiple(&self, sku: SkuId) -> i64 {
        self.item(sku).map_or(1, |i| i.sell_multiple)
    }

    /// What one kit takes from stock, which follows from its components' records.
    pub(crate) fn set_base(&mut self, sku: SkuId, base: Vec<(SkuId, i64)>) {
        let inner = self.kits_inside(sku);
        if let Some(item) = self.detail_mut(sku).item.as_mut() {
            item.base = base;
            item.inner = inner;
        }
    }

    /// The kits inside a kit, from those inside its components.
    fn kits_inside(&self, sku: SkuId) -> Vec<(SkuId, i64)> {
        let mut inner: BTreeMap<SkuId, i64> = BTreeMap::new();
        for &(component, quantity) in self.item(sku).map_or(&[][..], |item| &item.kit) {
            self.for_each_kit(component, |kit, per| *inner.entry(kit).or_default() += quantity * per);
        }
        inner.into_iter().collect()
    }

    /// Lists the kits inside each kit, once all items are there.
    pub(crate) fn renew_inner(&mut self) {
        let kits: Vec<SkuId> = (0..self.skus.len() as u32)
            .map(SkuId)
            .filter(|&sku| self.is_kit(sku))
            .collect();
        let mut done = hashbrown::HashSet::new();
        for sku in kits {
            self.renew_inner_of(sku, &mut done);
        }
    }

    fn renew_inner_of(&mut self, sku: SkuId, done: &mut hashbrown::HashSet<SkuId>) {
        if !self.is_kit(sku) || !done.insert(sku) {
            return;
        }
        let components: Vec<SkuId> = self
            .item(sku)
            .map_or(&[][..], |item| &item.kit)
            .iter()
            .map(|c| c.0)
            .collect();
        for component in components {
            self.renew_inner_of(component, done);
        }
        let inner = self.kits_inside(sku);
        if let Some(item) = self.detail_mut(sku).item.as_mut() {
            item.inner = inner;
        }
    }

    /// A kit and the kits inside it, and how many of each are in one; nothing for a plain item.
    pub(crate) fn for_each_kit(&self, sku: SkuId, mut each: impl FnMut(SkuId, i64)) {
        if let Some(item) = self.item(sku).filter(|item| !item.kit.is_empty()) {
            each(sku, 1);
            item.inner.iter().for_each(|&(kit, per)| each(kit, per));
        }
    }

    /// Base units in one `unit` of this SKU.
    pub(crate) fn unit_factor(&self, sku: SkuId, unit: &str) -> Option<i64> {
        let item = self.item(sku)?;
        if &*item.base_unit == unit {
            return Some(1);
        }
        item.units
            .iter()
            .find(|(name, _)| &**name == unit)
            .map(|(_, factor)| *factor)
    }

    /// What one unit of this SKU takes from stock: itself, or a kit's base components.
    pub(crate) fn for_each_component(&self, sku: SkuId, mut each: impl FnMut(SkuId, i64)) {
        match self.item(sku) {
            Some(item) if !item.kit.is_empty() => item.base.iter().for_each(|&(s, q)| each(s, q)),
            _ => each(sku, 1),
        }
    }

    /// Whether `channel` (asked for `region`) may sell what lies at `location`.
    pub(crate) fn sells_from(&self, channel: &Channel, region: Option<RegionId>, location: LocationId) -> bool {
        let place = &self.locations[location.at()];
        place.enabled
            && channel
                .locations
                .as_ref()
                .is_none_or(|list| list.binary_search(&location).is_ok())
            && (channel.regional == Regional::Prefer || region.is_none_or(|r| place.regions.contains(&r)))
    }
}
