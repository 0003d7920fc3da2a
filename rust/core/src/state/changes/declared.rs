//! Items, locations, channels, rules and quotas: how they change. `changes` says what always holds.

use crate::state::catalogue::{Channel, Item, Location};
use crate::state::digest::{Digest, Entity};
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::state::policies::{Freshness, OversellRule, Quota, QuotaKind, Restriction, SafetyRule, Scope};
use crate::state::{State, encodings};

/// Leaves the old encoding out of the digest and takes the new one in; nothing where a side is empty.
fn swap(digest: &mut Digest, entity: Entity, old: &[u8], new: &[u8]) {
    if !old.is_empty() {
        digest.take(entity, old);
    }
    if !new.is_empty() {
        digest.add(entity, new);
    }
}

/// Counts a rule that names a SKU, from whether there was one to whether there is.
fn count(rules: &mut usize, sku: Option<SkuId>, was: bool, is: bool) {
    if sku.is_some() {
        *rules = *rules + usize::from(is) - usize::from(was);
    }
}

/// What was declared.
impl State {
    pub(crate) fn set_item(&mut self, sku: SkuId, item: Item) -> Option<Item> {
        self.watch.sku(sku);
        let new = encodings::item_bytes(sku, &item);
        let old = self.catalogue.detail_mut(sku).item.as_mut().replace(item);
        let old_bytes = old.as_ref().map(|i| encodings::item_bytes(sku, i)).unwrap_or_default();
        swap(&mut self.digest, Entity::Item, &old_bytes, &new);
        old
    }

    /// Forgets what was declared of a SKU.
    pub(crate) fn drop_item(&mut self, sku: SkuId) {
        self.watch.sku(sku);
        let item = self
            .catalogue
            .detail_if_any(sku)
            .and_then(|detail| detail.item.as_mut().take());
        if let Some(item) = item {
            swap(&mut self.digest, Entity::Item, &encodings::item_bytes(sku, &item), &[]);
        }
    }

    pub(crate) fn set_location(&mut self, id: LocationId, location: Location) -> Location {
        self.watch.rule(None);
        let new = encodings::location_bytes(id, &location);
        let moves = self.catalogue.locations[id.at()].priority != location.priority;
        if moves {
            self.catalogue.lift_location(id);
        }
        let old = std::mem::replace(&mut self.catalogue.locations.as_mut()[id.at()], location);
        if moves {
            self.catalogue.place_location(id);
        }
        swap(
            &mut self.digest,
            Entity::Location,
            &encodings::location_bytes(id, &old),
            &new,
        );
        old
    }

    pub(crate) fn set_channel(&mut self, id: ChannelId, channel: Channel) -> Channel {
        self.watch.rule(None);
        let new = encodings::channel_bytes(id, &channel);
        let old = std::mem::replace(&mut self.catalogue.channels.as_mut()[id.at()], channel);
        self.catalogue.channels_declared += usize::from(!old.declared);
        swap(
            &mut self.digest,
            Entity::Channel,
            &encodings::channel_bytes(id, &old),
            &new,
        );
        old
    }

    /// None ends the rule.
    pub(crate) fn set_safety(&mut self, scope: Scope<SkuId, LocationId>, rule: Option<SafetyRule>) {
        self.watch.rule(scope.0);
        let bytes = |r: &SafetyRule| encodings::safety_bytes(scope, r);
        let rules = self.policies.safety.as_mut();
        let old = match rule {
            Some(rule) => rules.insert(scope, rule),
            None => rules.remove(&scope),
        };
        count(&mut self.policies.sku_safety, scope.0, old.is_some(), rule.is_some());
        let (old, new) = (old.as_ref().map(bytes), rule.as_ref().map(bytes));
        swap(
            &mut self.digest,
            Entity::Safety,
            &old.unwrap_or_default(),
            &new.unwrap_or_default(),
        );
    }

    /// None ends the rule.
    pub(crate) fn set_oversell(&mut self, scope: Scope<SkuId, ChannelId>, rule: Option<OversellRule>) {
        self.watch.rule(scope.0);
        let bytes = |r: &OversellRule| encodings::oversell_bytes(scope, r);
        let rules = self.policies.oversell.as_mut();
        let old = match rule {
            Some(rule) => rules.insert(scope, rule),
            None => rules.remove(&scope),
        };
        count(&mut self.policies.sku_oversell, scope.0, old.is_some(), rule.is_some());
        let (old, new) = (old.as_ref().map(bytes), rule.as_ref().map(bytes));
        swap(
            &mut self.digest,
            Entity::Oversell,
            &old.unwrap_or_default(),
            &new.unwrap_or_default(),
        );
    }

    pub(crate) fn set_restriction(&mut self, scope: Scope<SkuId, ChannelId>, rule: Restriction) {
        self.watch.rule(scope.0);
        let bytes = |r: &Restriction| encodings::restriction_bytes(scope, r);
        let new = bytes(&rule);
        let old = self.policies.restrictions.as_mut().insert(scope, rule);
        count(&mut self.policies.sku_restrictions, scope.0, old.is_some(), true);
        swap(
            &mut self.digest,
            Entity::Restriction,
            &old.as_ref().map(bytes).unwrap_or_default(),
            &new,
        );
    }

    pub(crate) fn set_freshness(&mut self, source: SourceId, rule: Freshness) {
        let bytes = |r: &Freshness| encodings::freshness_bytes(source, r);
        let new = bytes(&rule);
        let old = self.policies.freshness.as_mut().insert(source, rule);
        swap(
            &mut self.digest,
            Entity::Freshness,
            &old.as_ref().map(bytes).unwrap_or_default(),
            &new,
        );
    }

    /// Changes one quota, made where it is missing.
    pub(crate) fn change_quota<R>(
        &mut self,
        sku: SkuId,
        channel: ChannelId,
        kind: QuotaKind,
        change: impl FnOnce(&mut Quota) -> R,
    ) -> R {
        let detail = self.catalogue.detail_mut(sku);
        let quotas = match kind {
            QuotaKind::Allocation => detail.allocations.as_mut(),
            QuotaKind::Cap => detail.caps.as_mut(),
        };
        if let Some(old) = quotas.get(&channel) {
            encodings::quota_bytes(sku, channel, kind, old, &mut self.scratch);
            self.digest.take(Entity::Quota, &self.scratch);
        }
        let quota = quotas.entry(channel).or_default();
        let result = change(quota);
        quota.sequence = self.position.sequence + 1;
        encodings::quota_bytes(sku, channel, kind, quota, &mut self.scratch);
        self.digest.add(Entity::Quota, &self.scratch);
        self.note_change(sku);
        result
    }
}
