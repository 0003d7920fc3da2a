//! The digest: one number over the whole state, kept up to date at the cost of what changed.
//!
//! In: entities before and after they change. Out: a sum of 128-bit hashes modulo 2^128, so the order of changes and the
//! order of hash maps cannot reach it. Always: sequence, epoch, chain and the two clocks are left out; ids are given in
//! the order of LOG and their names are part of the sum. It finds mistakes and damage; it is no signature.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::state::catalogue::Catalogue;
use crate::state::ids::{LocationId, SkuId, Slot, SourceId};
use crate::state::reservations::{Evidence, Line, Owner, Portion, Recipe, Reservation, Reservations, StockNode};
use crate::state::stock::{Cell, Stock, flag};
use crate::wire::facts::AsOf;

/// The sum, and what has left it to enter again.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    sum: u128,
    dirty_cells: Vec<(SkuId, LocationId)>,
    dirty_reservations: Vec<Slot>,
}

/// What kind of entity is hashed: a seed keeps equal bytes of different kinds apart.
#[derive(Debug, Clone, Copy)]
pub(in crate::state) enum Entity {
    Symbol = 1,
    Cell,
    Reservation,
    Movement,
    Conditions,
    Supply,
    Demand,
    Item,
    Location,
    Channel,
    Quota,
    Restriction,
    Oversell,
    Safety,
    Freshness,
    Identity,
    Owner,
    Clock,
    PendingOrderFact,
    Answered,
    OrderDocument,
    Rises,
    FormerOwner,
}

impl Digest {
    pub(crate) fn sum(&self) -> u128 {
        self.sum
    }

    pub(in crate::state) fn add(&mut self, entity: Entity, bytes: &[u8]) {
        self.sum = self.sum.wrapping_add(xxh3_128_with_seed(bytes, entity as u64));
    }

    pub(in crate::state) fn take(&mut self, entity: Entity, bytes: &[u8]) {
        self.sum = self.sum.wrapping_sub(xxh3_128_with_seed(bytes, entity as u64));
    }

    pub(in crate::state) fn add_cell(&mut self, sku: SkuId, cell: &Cell) {
        self.sum = self.sum.wrapping_add(hash_cell(sku, cell));
    }

    pub(in crate::state) fn add_reservation(&mut self, reservation: &Reservation, scratch: &mut Vec<u8>) {
        self.sum = self.sum.wrapping_add(hash_reservation(reservation, scratch));
    }

    pub(in crate::state) fn symbol(&mut self, kind: u8, number: u32, name: &str) {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        self.add(Entity::Symbol, &bytes);
    }

    /// To be called before a cell changes.
    #[inline]
    pub(in crate::state) fn touch_cell(&mut self, sku: SkuId, cell: &mut Cell, is_new: bool) {
        if cell.flags & flag::DIRTY != 0 {
            return;
        }
        if !is_new {
            self.sum = self.sum.wrapping_sub(hash_cell(sku, cell));
        }
        cell.flags |= flag::DIRTY;
        self.dirty_cells.push((sku, cell.location));
    }

    /// To be called before a reservation changes; a new one is marked dirty as it is made.
    pub(in crate::state) fn touch_reservation(
        &mut self,
        slot: Slot,
        reservation: &mut Reservation,
        scratch: &mut Vec<u8>,
    ) {
        if !reservation.dirty {
            self.sum = self.sum.wrapping_sub(hash_reservation(reservation, scratch));
            reservation.dirty = true;
            self.dirty_reservations.push(slot);
        }
    }

    pub(in crate::state) fn new_reservation(&mut self, slot: Slot) {
        self.dirty_reservations.push(slot);
    }

    /// To be called when a reservation is forgotten.
    pub(in crate::state) fn forget_reservation(&mut self, reservation: &Reservation, scratch: &mut Vec<u8>) {
        if !reservation.dirty {
            self.sum = self.sum.wrapping_sub(hash_reservation(reservation, scratch));
        }
    }

    /// Adds the new hash of all that changed.
    pub(in crate::state) fn settle(
        &mut self,
        catalogue: &Catalogue,
        stock: &mut Stock,
        reservations: &mut Reservations,
        scratch: &mut Vec<u8>,
    ) {
        for (sku, location) in self.dirty_cells.drain(..) {
            let block = catalogue.skus[sku.at()].cells;
            let cell = stock
                .cells_mut(block)
                .iter_mut()
                .find(|c| c.location == location)
                .expect("a dirty cell exists");
            cell.flags &= !flag::DIRTY;
            self.sum = self.sum.wrapping_add(hash_cell(sku, cell));
        }
        for slot in self.dirty_reservations.drain(..) {
            if let Some(reservation) = reservations.get_mut_if_taken(slot).filter(|r| r.dirty) {
                reservation.dirty = false;
                self.sum = self.sum.wrapping_add(hash_reservation(reservation, scratch));
            }
        }
    }
}

fn hash_cell(sku: SkuId, cell: &Cell) -> u128 {
    let mut bytes = [0u8; 68];
    let numbers = [
        cell.on_hand,
        cell.unsellable,
        cell.allocated,
        cell.demand,
        cell.committed,
        cell.held,
        cell.raw_as_of(),
    ];
    for (n, number) in numbers.iter().enumerate() {
        bytes[n * 8..n * 8 + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes[56..60].copy_from_slice(&sku.0.to_le_bytes());
    bytes[60..62].copy_from_slice(&cell.location.0.to_le_bytes());
    bytes[62..64].copy_from_slice(&cell.source.0.to_le_bytes());
    bytes[64] = cell.flags & !flag::DIRTY;
    bytes[65] = Entity::Cell as u8;
    xxh3_128(&bytes)
}

/// Appends the parts of an encoding; fixed width, little endian, texts behind their length.
pub(in crate::state) trait Encode {
    fn number(&mut self, number: i64) -> &mut Self;
    fn text(&mut self, text: &str) -> &mut Self;
    fn optional(&mut self, number: Option<i64>) -> &mut Self;
    fn optional_text(&mut self, text: Option<&str>) -> &mut Self;
    fn stamp(&mut self, as_of: AsOf) -> &mut Self;
    fn node(&mut self, node: StockNode) -> &mut Self;
}

impl Encode for Vec<u8> {
    fn number(&mut self, number: i64) -> &mut Self {
        self.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as i64);
        self.extend_from_slice(text.as_bytes());
        self
    }

    fn optional(&mut self, number: Option<i64>) -> &mut Self {
        self.push(u8::from(number.is_some()));
        self.number(number.unwrap_or(0))
    }

    fn optional_text(&mut self, text: Option<&str>) -> &mut Self {
        self.push(u8::from(text.is_some()));
        self.text(text.unwrap_or(""))
    }

    fn node(&mut self, node: StockNode) -> &mut Self {
        match node {
            StockNode::Hand(location) => self.number(0).number(location.0.into()),
            StockNode::Supply(supply) => self.number(1).number(supply.0.into()),
            StockNode::Unsourced => self.number(2),
        }
    }

    fn stamp(&mut self, as_of: AsOf) -> &mut Self {
        match as_of {
            AsOf::Sequence(n) => {
                self.push(0);
                self.number(n)
            }
            AsOf::Time(t) => {
                self.push(1);
                self.number(t)
            }
        }
    }
}

/// Fixed-width records behind the texts; the kind of entity stands in the bytes, because each seed costs a separate secret.
fn hash_reservation(r: &Reservation, out: &mut Vec<u8>) -> u128 {
    out.clear();
    out.extend_from_slice(&reservation_head(r));
    out.extend_from_slice(r.id.as_bytes());
    for text in [r.order_ref.as_deref(), r.superseded_by.as_deref()]
        .into_iter()
        .flatten()
    {
        out.text(text);
    }
    for line in &r.lines {
        out.extend_from_slice(&line_record(line));
    }
    for recipe in r.recipes.iter().flat_map(|all| all.iter()) {
        write_recipe(recipe, out);
    }
    for dropped in r.dropped.iter().flat_map(|all| all.iter()) {
        out.push(3);
        out.number(dropped.document as i64)
            .number(dropped.sku.0.into())
            .number(dropped.line.into())
            .number(dropped.quantity)
            .number(i64::from(dropped.is_return))
            .optional(dropped.place.map(|l| l.0.into()));
    }
    for &(sku, quantity) in r.returned.iter().flat_map(|all| all.iter()) {
        out.push(5);
        out.number(sku.0.into()).number(quantity);
    }
    if r.cancelled_while_held {
        out.push(4);
    }
    for portion in &r.portions {
        out.extend_from_slice(&portion_record(portion));
        if let Some(evidence) = &portion.evidence {
            for (source, as_of) in [evidence.ack, evidence.shipped].into_iter().flatten() {
                out.number(source.0.into()).stamp(as_of);
            }
            write_reports(evidence, out);
        }
    }
    xxh3_128(out)
}

fn write_recipe(recipe: &Recipe, out: &mut Vec<u8>) {
    out.number(recipe.line.into())
        .optional_text(recipe.unit.as_ref().map(|(name, _)| &**name))
        .number(recipe.unit.as_ref().map_or(0, |(_, factor)| *factor));
    for &(part, per) in &recipe.parts {
        out.number(part.0.into()).number(per);
    }
    out.push(1);
    for &(kit, per, period) in &recipe.inner {
        out.number(kit.0.into()).number(per).number(period.into());
    }
    out.push(2);
}

/// Nothing where no source reported anything by the second edition.
fn write_reports(evidence: &Evidence, out: &mut Vec<u8>) {
    for reports in &evidence.reports {
        out.push(1);
        out.number(reports.source.0.into())
            .optional(reports.origin.map(|l| l.0.into()));
        for as_of in reports.since.iter().chain(&reports.acks) {
            out.push(1);
            out.stamp(*as_of);
        }
        for (as_of, places) in &reports.places {
            out.push(2);
            out.stamp(*as_of);
            places.iter().for_each(|place| {
                out.number(place.0.into());
            });
        }
    }
    let arrived = |out: &mut Vec<u8>, at: Option<(SourceId, AsOf)>| {
        if let Some((source, as_of)) = at {
            out.push(4);
            out.number(source.0.into()).stamp(as_of);
        }
    };
    arrived(out, evidence.arrived);
    if let Some(left) = &evidence.left {
        out.push(3);
        out.number(left.document as i64).node(left.node);
        arrived(out, left.arrived);
        for (source, as_of, places) in &left.since {
            out.number(source.0.into()).stamp(*as_of);
            places.iter().flatten().for_each(|place| {
                out.number(place.0.into());
            });
        }
    }
}

fn reservation_head(r: &Reservation) -> [u8; 87] {
    let given = [
        r.owner.is_some(),
        r.region.is_some(),
        r.revision.is_some(),
        r.order_ref.is_some(),
        r.superseded_by.is_some(),
    ];
    let given = given
        .into_iter()
        .fold(u8::from(r.keeps_recipes), |bits, is| bits << 1 | u8::from(is));
    let numbers = [
        r.serial,
        r.expires_at_ms as u64,
        r.closed_at_ms as u64,
        r.revision.unwrap_or(0) as u64,
        r.body,
    ];
    let mut head = [0; 87];
    head[0] = Entity::Reservation as u8;
    head[1] = r.state as u8;
    head[2] = given;
    head[3..19].copy_from_slice(&r.owner.map_or([0; 16], Owner::bytes));
    for (n, number) in numbers.iter().enumerate() {
        head[19 + n * 8..27 + n * 8].copy_from_slice(&number.to_le_bytes());
    }
    let counts = [
        r.renewals,
        r.version,
        r.id.len() as u32,
        r.lines.len() as u32,
        r.portions.len() as u32,
        r.channel.0.into(),
        r.region.map_or(0, |region| region.0.into()),
    ];
    for (n, count) in counts.iter().enumerate() {
        head[59 + n * 4..63 + n * 4].copy_from_slice(&count.to_le_bytes());
    }
    head
}

fn line_record(line: &Line) -> [u8; 27] {
    let mut record = [0; 27];
    record[..4].copy_from_slice(&line.sku.0.to_le_bytes());
    record[4..12].copy_from_slice(&line.quantity.to_le_bytes());
    record[12..20].copy_from_slice(&line.asked.unwrap_or(0).to_le_bytes());
    record[20..22].copy_from_slice(&line.location.map_or(0, |l| l.0).to_le_bytes());
    record[22..26].copy_from_slice(&line.cap_period.to_le_bytes());
    record[26] = u8::from(line.asked.is_some()) | u8::from(line.location.is_some()) << 1;
    record
}

fn portion_record(p: &Portion) -> [u8; 35] {
    let (kind, at) = match p.node {
        StockNode::Hand(location) => (0, location.0.into()),
        StockNode::Supply(supply) => (1, supply.0),
        StockNode::Unsourced => (2, 0),
    };
    let (acked, shipped) = p
        .evidence
        .as_ref()
        .map_or((false, false), |e| (e.ack.is_some(), e.shipped.is_some()));
    let is = [p.fulfilled, p.in_erp_level, acked, shipped];
    let mut record = [0; 35];
    record[0] = is.into_iter().fold(kind, |bits, is| bits << 1 | u8::from(is));
    record[1..5].copy_from_slice(&p.sku.0.to_le_bytes());
    record[5..9].copy_from_slice(&at.to_le_bytes());
    record[9..17].copy_from_slice(&p.quantity.to_le_bytes());
    record[17..25].copy_from_slice(&p.own.to_le_bytes());
    record[25..27].copy_from_slice(&p.line.to_le_bytes());
    record[27..31].copy_from_slice(&p.own_period.to_le_bytes());
    record[31..35].copy_from_slice(&p.cap_period.to_le_bytes());
    record
}
