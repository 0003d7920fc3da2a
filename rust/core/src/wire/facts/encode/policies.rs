//! Writing the policy kinds.

use super::{Members, open};
use crate::wire::facts::policies::{PolicyWord, middle};
use crate::wire::facts::{
    Allocation, Cap, Channel, Freshness, Item, ItemStatus, Location, Oversell, OversellPolicy, Regional, Restriction,
    Safety, SourceReset, Sourcing,
};
use crate::wire::json;

impl Members<'_> {
    pub(super) fn item(&mut self, item: &Item<'_>) {
        self.text("sku", &item.sku);
        self.text("base_unit", &item.base_unit);
        if !item.units.is_empty() {
            self.key("units");
            for (index, (unit, factor)) in item.units.iter().enumerate() {
                self.out.push(if index == 0 { b'{' } else { b',' });
                json::write_string(self.out, unit);
                self.out.push(b':');
                json::write_int(self.out, *factor);
            }
            self.out.push(b'}');
        }
        if !item.kit.is_empty() {
            self.list("kit", &item.kit, |out, component| {
                open(out, &component.sku, |members| {
                    members.int("quantity", component.quantity);
                });
            });
        }
        self.texts_unless_empty("aliases", &item.aliases);
        self.int_unless(1, "sell_multiple", item.sell_multiple);
        self.opt_text("tax_class", item.tax_class.as_ref());
        if item.status != ItemStatus::default() {
            self.text("status", item.status.word());
        }
    }

    pub(super) fn location(&mut self, location: &Location<'_>) {
        self.text("location", &location.location);
        self.text("type", location.r#type.word());
        self.texts_unless_empty("regions", &location.regions);
        self.int_unless(i64::from(middle()), "priority", i64::from(location.priority));
        self.flag_unless(true, "enabled", location.enabled);
    }

    pub(super) fn channel(&mut self, channel: &Channel<'_>) {
        self.text("channel", &channel.channel);
        match &channel.locations {
            None => self.text("locations", "*"),
            Some(locations) => self.list("locations", locations, |out, location| {
                json::write_string(out, location);
            }),
        }
        self.flag_unless(true, "draws_shared", channel.draws_shared);
        self.int_unless(0, "supply_horizon_days", i64::from(channel.supply_horizon_days));
        if channel.sourcing != Sourcing::default() {
            self.text("sourcing", channel.sourcing.word());
        }
        if channel.regional != Regional::default() {
            self.text("regional", channel.regional.word());
        }
        self.int_unless(i64::from(middle()), "priority", i64::from(channel.priority));
        self.opt_int("buffer", channel.buffer);
    }

    pub(super) fn allocation(&mut self, allocation: &Allocation<'_>) {
        self.text("channel", &allocation.channel);
        self.text("sku", &allocation.sku);
        self.int("quantity", allocation.quantity);
        self.opt_text("period", allocation.period.as_ref());
    }

    pub(super) fn cap(&mut self, cap: &Cap<'_>) {
        self.text("channel", &cap.channel);
        self.text("sku", &cap.sku);
        self.key("quantity");
        match cap.quantity {
            Some(quantity) => json::write_int(self.out, quantity),
            None => self.out.extend_from_slice(b"null"),
        }
        self.opt_text("period", cap.period.as_ref());
    }

    pub(super) fn safety(&mut self, safety: &Safety<'_>) {
        self.opt_text("sku", safety.sku.as_ref());
        self.opt_text("location", safety.location.as_ref());
        self.opt_int("absolute", safety.absolute);
        if let Some(hundredths) = safety.percent_hundredths {
            self.int("percent", hundredths / 100);
            let decimals = hundredths % 100;
            if decimals != 0 {
                self.out.push(b'.');
                self.out.push(b'0' + (decimals / 10) as u8);
                if decimals % 10 != 0 {
                    self.out.push(b'0' + (decimals % 10) as u8);
                }
            }
        }
    }

    pub(super) fn oversell(&mut self, oversell: &Oversell<'_>) {
        self.opt_text("channel", oversell.channel.as_ref());
        self.opt_text("sku", oversell.sku.as_ref());
        if let Some(policy) = oversell.policy {
            self.text("policy", PolicyWord::from(policy).word());
        }
        if let Some(OversellPolicy::Limit(limit)) = oversell.policy {
            self.int("limit", limit);
        }
    }

    pub(super) fn freshness(&mut self, freshness: &Freshness<'_>) {
        self.text("source", &freshness.source);
        self.int("stale_after_ms", freshness.stale_after_ms);
        self.text("action", freshness.action.word());
        self.opt_int("amount", freshness.amount);
    }

    pub(super) fn restriction(&mut self, restriction: &Restriction<'_>) {
        self.opt_text("channel", restriction.channel.as_ref());
        self.opt_text("sku", restriction.sku.as_ref());
        self.key("blocked");
        json::write_bool(self.out, restriction.blocked);
        if !restriction.reason.is_empty() {
            self.text("reason", &restriction.reason);
        }
    }

    pub(super) fn source_reset(&mut self, reset: &SourceReset<'_>) {
        self.text("source", &reset.source);
        self.opt_text("location", reset.location.as_ref());
        self.opt_text("sku", reset.sku.as_ref());
    }
}
