//! The digest: one number over the whole state, kept up to date at the cost of what changed.
//!
//! In: entities before and after they change. Out: a sum of 128-bit hashes modulo 2^128, so the order of changes and the
//! order of hash maps cannot reach it. Always: sequence, epoch, chain and the two clocks are left out; ids are given in
//! the order of LOG and their names are part of the sum. It finds mistakes and damage; it is no signature.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::catalogue::Catalogue;
use crate::facts::AsOf;
use crate::ids::{LocationId, SkuId, Slot};
use crate::reservations::{Node, Owner, Reservation, Reservations};
use crate::stock::{Cell, Stock, flag};

/// The sum, and what has left it to enter again.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    sum: u128,
    dirty_cells: Vec<(SkuId, LocationId)>,
    dirty_reservations: Vec<Slot>,
}

/// What kind of entity is hashed: a seed keeps equal bytes of different kinds apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entity {
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
    Ration,
    Restriction,
    Oversell,
    Safety,
    Freshness,
    Identity,
    Owner,
    Clock,
    Early,
}

impl Digest {
    pub(crate) fn sum(&self) -> u128 {
        self.sum
    }

    pub(crate) fn add(&mut self, entity: Entity, bytes: &[u8]) {
        self.sum = self.sum.wrapping_add(xxh3_128_with_seed(bytes, entity as u64));
    }

    pub(crate) fn take(&mut self, entity: Entity, bytes: &[u8]) {
        self.sum = self.sum.wrapping_sub(xxh3_128_with_seed(bytes, entity as u64));
    }

    pub(crate) fn symbol(&mut self, kind: u8, number: u32, name: &str) {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        self.add(Entity::Symbol, &bytes);
    }

    /// To be called before a cell changes.
    #[inline]
    pub(crate) fn touch_cell(&mut self, sku: SkuId, cell: &mut Cell, is_new: bool) {
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
    pub(crate) fn touch_reservation(&mut self, slot: Slot, reservation: &mut Reservation, scratch: &mut Vec<u8>) {
        if !reservation.dirty {
            self.sum = self.sum.wrapping_sub(hash_reservation(reservation, scratch));
            reservation.dirty = true;
            self.dirty_reservations.push(slot);
        }
    }

    pub(crate) fn new_reservation(&mut self, slot: Slot) {
        self.dirty_reservations.push(slot);
    }

    /// To be called when a reservation is forgotten.
    pub(crate) fn forget_reservation(&mut self, reservation: &Reservation, scratch: &mut Vec<u8>) {
        if !reservation.dirty {
            self.sum = self.sum.wrapping_sub(hash_reservation(reservation, scratch));
        }
    }

    /// Adds the new hash of all that changed.
    pub(crate) fn settle(
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
            if let Some(reservation) = reservations.get_if_taken(slot).filter(|r| r.dirty) {
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
pub(crate) trait Encode {
    fn number(&mut self, number: i64) -> &mut Self;
    fn text(&mut self, text: &str) -> &mut Self;
    fn optional(&mut self, number: Option<i64>) -> &mut Self;
    fn optional_text(&mut self, text: Option<&str>) -> &mut Self;
    fn stamp(&mut self, as_of: AsOf) -> &mut Self;
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

fn hash_reservation(r: &Reservation, out: &mut Vec<u8>) -> u128 {
    out.clear();
    out.push(r.state as u8);
    out.extend_from_slice(&r.owner.map_or([0; 16], Owner::bytes));
    out.text(&r.id).number(r.serial as i64).number(r.channel.0.into());
    out.optional(r.region.map(|g| g.0.into()))
        .optional(r.owner.map(|_| 1))
        .optional_text(r.order_ref.as_deref());
    out.optional_text(r.superseded_by.as_deref())
        .number(r.expires_at_ms)
        .number(r.closed_at_ms);
    out.number(r.renewals.into())
        .optional(r.revision)
        .number(r.body as i64)
        .number(r.version.into());
    out.number(r.lines.len() as i64);
    for line in &r.lines {
        out.number(line.sku.0.into()).number(line.quantity).optional(line.asked);
        out.optional(line.location.map(|l| l.0.into()))
            .number(line.cap_period.into());
    }
    for p in &r.portions {
        let (kind, at) = match p.node {
            Node::Hand(location) => (0, i64::from(location.0)),
            Node::Supply(supply) => (1, i64::from(supply.0)),
            Node::Unsourced => (2, 0),
        };
        out.push(kind | u8::from(p.fulfilled) << 2 | u8::from(p.inside) << 3);
        out.number(p.sku.0.into())
            .number(p.line.into())
            .number(at)
            .number(p.quantity)
            .number(p.own);
        out.number(p.own_period.into()).number(p.cap_period.into());
        if let Some(evidence) = &p.evidence {
            for (source, as_of) in [evidence.ack, evidence.shipped].into_iter().flatten() {
                out.number(source.0.into()).stamp(as_of);
            }
            out.push(u8::from(evidence.ack.is_some()));
        }
    }
    xxh3_128_with_seed(out, Entity::Reservation as u64)
}
