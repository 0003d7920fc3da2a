//! Writing a fact: one canonical spelling, compact, `kind` first, defaults left out.
//!
//! In: a [`Statement`]. Out: the bytes that stand in LOG. Always: `parse_logged` reads back exactly what was written,
//! and equal statements have equal bytes.

use xxhash_rust::xxh3::xxh3_64;

use super::parse::SENDER_KEY;
use super::stock::certain;
use super::{
    AsOf, Day, Demand, Fact, OrderAck, OrderName, OrderUpdate, Outcome, QuantityLine, RequestAnswered, ReservationHeld,
    Return, Shipment, Statement, StockDelta, StockLevel, Supply, Text, time,
};
use crate::wire::json;

mod incoming_stock;
mod policies;

impl Statement<'_> {
    /// Appends the canonical JSON object.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = self.fact.kind();
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        let mut members = Members { out };
        let names_a_source = matches!(
            self.fact,
            Fact::Freshness(_) | Fact::SourceReset(_) | Fact::Ownership(_)
        );
        if !self.source.is_empty() {
            members.text(if names_a_source { SENDER_KEY } else { "source" }, &self.source);
        }
        members.opt_text("by", self.by.as_ref());
        members.opt_text("trace", self.trace.as_ref());
        members.fact(&self.fact);
        out.push(b'}');
    }

    /// What makes two statements of one document the same, by whatever key they came.
    pub(crate) fn body(&self) -> u64 {
        let plain = Statement {
            by: None,
            trace: None,
            ..self.clone()
        };
        let mut bytes = Vec::new();
        plain.encode(&mut bytes);
        xxh3_64(&bytes)
    }
}

/// The members of an object after its first one.
struct Members<'o> {
    out: &'o mut Vec<u8>,
}

impl Members<'_> {
    #[inline]
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    #[inline]
    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        json::write_string(self.out, value);
    }

    #[inline]
    fn opt_text(&mut self, key: &str, value: Option<&Text<'_>>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    #[inline]
    fn int(&mut self, key: &str, value: i64) {
        self.key(key);
        json::write_int(self.out, value);
    }

    fn opt_int(&mut self, key: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    /// Left out where it is the default.
    fn int_unless(&mut self, default: i64, key: &str, value: i64) {
        if value != default {
            self.int(key, value);
        }
    }

    fn flag_unless(&mut self, default: bool, key: &str, value: bool) {
        if value != default {
            self.key(key);
            json::write_bool(self.out, value);
        }
    }

    fn day(&mut self, key: &str, value: Day) {
        self.key(key);
        time::write_day(self.out, value);
    }

    fn as_of(&mut self, value: AsOf) {
        match value {
            AsOf::Sequence(number) => self.int("as_of", number),
            AsOf::Time(time_us) => {
                self.key("as_of");
                time::write_time(self.out, time_us);
            }
        }
    }

    fn list<T>(&mut self, key: &str, values: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
        self.key(key);
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write(self.out, value);
        }
        self.out.push(b']');
    }

    fn texts_unless_empty(&mut self, key: &str, values: &[Text<'_>]) {
        if !values.is_empty() {
            self.list(key, values, |out, value| json::write_string(out, value));
        }
    }

    fn quantity_lines(&mut self, lines: &[QuantityLine<'_>]) {
        self.list("lines", lines, |out, line| {
            open(out, &line.sku, |members| {
                members.opt_text("location", line.location.as_ref());
                members.int("quantity", line.quantity);
                members.opt_text("unit", line.unit.as_ref());
                members.opt_text("line", line.line.as_ref());
            });
        });
    }

    fn order_name(&mut self, of: &OrderName<'_>) {
        self.opt_text("order_ref", of.order_ref.as_ref());
        self.opt_text("reservation", of.reservation.as_ref());
        self.opt_text("channel", of.channel.as_ref());
    }

    fn fact(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::StockLevel(level) => self.stock_level(level),
            Fact::StockDelta(delta) => self.stock_delta(delta),
            Fact::Supply(supply) => self.supply(supply),
            Fact::Receipt(receipt) => self.receipt(receipt),
            Fact::Transfer(transfer) => self.transfer(transfer),
            Fact::Demand(demand) => self.demand(demand),
            Fact::OrderAck(ack) => self.order_ack(ack),
            Fact::OrderUpdate(update) => self.order_update(update),
            Fact::Shipment(shipment) => self.shipment(shipment),
            Fact::Return(r#return) => self.r#return(r#return),
            Fact::Item(item) => self.item(item),
            Fact::Location(location) => self.location(location),
            Fact::Channel(channel) => self.channel(channel),
            Fact::Allocation(allocation) => self.allocation(allocation),
            Fact::Cap(cap) => self.cap(cap),
            Fact::Safety(safety) => self.safety(safety),
            Fact::Oversell(oversell) => self.oversell(oversell),
            Fact::Freshness(freshness) => self.freshness(freshness),
            Fact::Restriction(restriction) => self.restriction(restriction),
            Fact::SourceReset(reset) => self.source_reset(reset),
            Fact::Ownership(ownership) => {
                self.text("location", &ownership.location);
                self.text("source", &ownership.source);
            }
            Fact::ReservationHeld(held) => self.held(held),
            Fact::ReservationConfirmed(confirmed) => {
                self.text("id", &confirmed.id);
                self.opt_text("order_ref", confirmed.order_ref.as_ref());
            }
            Fact::ReservationReleased(id) | Fact::ReservationCancelled(id) | Fact::ReservationOversold(id) => {
                self.text("id", id);
            }
            Fact::ReservationExtended(extended) => {
                self.text("id", &extended.id);
                self.int("ttl_ms", extended.ttl_ms);
            }
            Fact::ReservationFulfilled(fulfilled) => {
                self.text("id", &fulfilled.id);
                self.quantity_lines(&fulfilled.lines);
            }
            Fact::RequestAnswered(answered) => self.answered(answered),
            Fact::DigestRecounted(recounted) => self.hash("digest", recounted.digest),
        }
    }

    fn stock_level(&mut self, level: &StockLevel<'_>) {
        self.text("sku", &level.sku);
        self.text("location", &level.location);
        self.int("on_hand", level.on_hand);
        let unsellable = [
            ("quality_control", level.unsellable.quality_control),
            ("damaged", level.unsellable.damaged),
            ("quarantined", level.unsellable.quarantined),
            ("in_transfer", level.unsellable.in_transfer),
        ];
        let mut named = unsellable.iter().filter(|(_, quantity)| *quantity != 0);
        if let Some((name, quantity)) = named.next() {
            self.key("unsellable");
            self.out.extend_from_slice(b"{\"");
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
            json::write_int(self.out, *quantity);
            named.for_each(|(name, quantity)| self.int(name, *quantity));
            self.out.push(b'}');
        }
        self.opt_int("allocated", level.allocated);
        self.text("basis", level.basis.word());
        self.as_of(level.as_of);
        self.opt_text("unit", level.unit.as_ref());
    }

    fn stock_delta(&mut self, delta: &StockDelta<'_>) {
        self.text("ref", &delta.reference);
        self.opt_text("line", delta.line.as_ref());
        self.opt_int("version", delta.version);
        self.text("sku", &delta.sku);
        self.text("location", &delta.location);
        self.int("quantity", delta.quantity);
        self.text("reason", &delta.reason);
        self.as_of(delta.as_of);
        self.opt_text("unit", delta.unit.as_ref());
    }

    fn supply(&mut self, supply: &Supply<'_>) {
        self.text("ref", &supply.reference);
        self.text("line", &supply.line);
        self.opt_int("version", supply.version);
        self.text("sku", &supply.sku);
        self.text("location", &supply.location);
        self.int("quantity", supply.quantity);
        self.day("due", supply.due);
        self.text("status", supply.status.word());
        self.int_unless(i64::from(certain()), "confidence", i64::from(supply.confidence));
        if let Some(as_of) = supply.as_of {
            self.as_of(as_of);
        }
        self.opt_text("unit", supply.unit.as_ref());
    }

    fn demand(&mut self, demand: &Demand<'_>) {
        self.text("ref", &demand.reference);
        self.text("line", &demand.line);
        self.opt_int("version", demand.version);
        self.text("sku", &demand.sku);
        match demand.locations.as_slice() {
            [location] => self.text("location", location),
            locations => self.texts_unless_empty("locations", locations),
        }
        self.int("quantity", demand.quantity);
        self.text("class", demand.class.word());
        if let Some(due) = demand.due {
            self.day("due", due);
        }
        self.as_of(demand.as_of);
        self.order_name(&demand.of);
        self.opt_text("unit", demand.unit.as_ref());
    }

    fn order_ack(&mut self, ack: &OrderAck<'_>) {
        self.order_name(&ack.of);
        if !ack.lines.is_empty() {
            self.list("lines", &ack.lines, |out, line| {
                open(out, &line.sku, |members| members.text("location", &line.location));
            });
        }
        self.as_of(ack.as_of);
    }

    fn order_update(&mut self, update: &OrderUpdate<'_>) {
        self.order_name(&update.of);
        self.text("ref", &update.reference);
        self.opt_text("line", update.line.as_ref());
        self.opt_int("version", update.version);
        self.text("status", update.status.word());
        self.quantity_lines(&update.lines);
        self.as_of(update.as_of);
    }

    fn shipment(&mut self, shipment: &Shipment<'_>) {
        self.text("ref", &shipment.reference);
        self.opt_text("line", shipment.line.as_ref());
        self.opt_int("version", shipment.version);
        self.order_name(&shipment.of);
        self.quantity_lines(&shipment.lines);
        self.as_of(shipment.as_of);
    }

    fn r#return(&mut self, r#return: &Return<'_>) {
        self.text("ref", &r#return.reference);
        self.opt_text("line", r#return.line.as_ref());
        self.opt_int("version", r#return.version);
        self.order_name(&r#return.of);
        self.text("sku", &r#return.sku);
        self.text("location", &r#return.location);
        self.int("quantity", r#return.quantity);
        self.text("condition", r#return.condition.word());
        self.as_of(r#return.as_of);
        self.opt_text("unit", r#return.unit.as_ref());
    }

    fn hash(&mut self, name: &str, hash: u128) {
        self.text(name, &format!("{hash:032x}"));
    }

    fn answered(&mut self, answered: &RequestAnswered<'_>) {
        self.hash("key", answered.key);
        self.hash("request", answered.request);
        match &answered.outcome {
            Outcome::InParts => {}
            Outcome::Reservation { status, id } => {
                self.int("status", i64::from(*status));
                self.text("reservation", id);
            }
            Outcome::Body { status, json } => {
                self.int("status", i64::from(*status));
                self.key("body");
                self.out.extend_from_slice(json.as_bytes());
            }
        }
    }

    /// Most of LOG, so its names stand as they are written, each in one piece.
    fn held(&mut self, held: &ReservationHeld<'_>) {
        let out = &mut *self.out;
        out.extend_from_slice(b",\"id\":");
        json::write_string(out, &held.id);
        out.extend_from_slice(b",\"channel\":");
        json::write_string(out, &held.channel);
        if let Some(region) = &held.region {
            out.extend_from_slice(b",\"region\":");
            json::write_string(out, region);
        }
        if let Some(owner) = &held.owner {
            out.extend_from_slice(b",\"owner\":");
            json::write_string(out, owner);
        }
        out.extend_from_slice(b",\"ttl_ms\":");
        json::write_int(out, held.ttl_ms);
        out.extend_from_slice(b",\"lines\":[");
        for (n, line) in held.lines.iter().enumerate() {
            out.extend_from_slice(if n == 0 { &b"{\"sku\":"[..] } else { b",{\"sku\":" });
            json::write_string(out, &line.sku);
            out.extend_from_slice(b",\"quantity\":");
            json::write_int(out, line.quantity);
            let mut members = Members { out };
            members.opt_text("location", line.location.as_ref());
            members.opt_int("asked", line.asked);
            members.opt_text("unit", line.unit.as_ref());
            members.opt_int("units", line.units);
            out.push(b'}');
        }
        out.push(b']');
        self.flag_unless(false, "partial", held.partial);
        self.flag_unless(false, "supersede", held.supersede);
        self.opt_int("revision", held.revision);
    }
}

/// Appends an object that begins with a `sku`.
fn open(out: &mut Vec<u8>, sku: &str, rest: impl FnOnce(&mut Members<'_>)) {
    out.extend_from_slice(b"{\"sku\":");
    json::write_string(out, sku);
    rest(&mut Members { out });
    out.push(b'}');
}
