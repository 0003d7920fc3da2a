//! Documents about orders that are looked at again when their order changes: returns, updates, and shipments that named more
//! than was open (docs/rules.md, "Documents").
//!
//! In: documents by the name of the order that they mean. Out: the same, in the order of their names. Always: bounded by orders;
//! the source that named most of them first forgets its own oldest (`shares`), and what its documents did stays.

use hashbrown::HashMap;

use crate::state::digest::Encode;
use crate::state::identities::Moves;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::shares::{Forget, Place, Shares, Whose};
use crate::wire::facts::{AsOf, Condition, UpdateStatus};

/// The name under which is listed what means one reservation. Names of orders, from outside, hold no control characters.
pub(crate) fn name_of_reservation(id: &str) -> String {
    format!("{OF_RESERVATION}{id}")
}

/// The reservation that a name stands for, if it stands for one.
pub(crate) fn reservation_of(name: &str) -> Option<&str> {
    name.strip_prefix(OF_RESERVATION)
}

const OF_RESERVATION: char = '\u{1}';

/// What kind of document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    Shipment,
    Update(UpdateStatus),
    Return(Returned),
}

/// What a return names, and what it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) sku: SkuId,
    pub(crate) quantity: i64,
    pub(crate) unit: Option<Box<str>>,
    pub(crate) location: LocationId,
    pub(crate) condition: Condition,
    /// Base units that it brought on hand so far, by SKU and whether they can be sold.
    pub(crate) counted: Vec<(SkuId, bool, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderDocument {
    /// Source, kind, ref, line and, of a return, SKU and location: documents count in this order.
    pub(crate) name: [Box<str>; 6],
    pub(crate) key: u128,
    /// It means the order of this channel alone.
    pub(crate) channel: Option<Box<str>>,
    pub(crate) source: SourceId,
    pub(crate) as_of: AsOf,
    pub(crate) about: About,
    /// Of a shipment or update: what it named beyond the open units of its order. Of a return: what its SKU was declared to be
    /// when it came (units/recipes.rs, `Declared`).
    pub(crate) beyond: Moves,
}

impl OrderDocument {
    /// Whether it has to be looked at again.
    fn is_needed(&self) -> bool {
        self.about != About::Shipment || !self.beyond.is_empty()
    }

    pub(in crate::state) fn bytes(&self, order: &str) -> Vec<u8> {
        let mut out = Vec::new();
        out.text(order).number(self.key as i64).number((self.key >> 64) as i64);
        for part in &self.name {
            out.text(part);
        }
        out.optional_text(self.channel.as_deref())
            .number(self.source.0.into())
            .stamp(self.as_of);
        for (sku, location, quantity) in &self.beyond {
            out.number(sku.0.into())
                .optional(location.map(|l| l.0.into()))
                .number(*quantity);
        }
        match &self.about {
            About::Shipment => out.push(0),
            About::Update(status) => out.push(1 + *status as u8),
            About::Return(returned) => {
                out.push(8 + returned.condition as u8);
                out.number(returned.sku.0.into())
                    .number(returned.quantity)
                    .optional_text(returned.unit.as_deref())
                    .number(returned.location.0.into());
                for (sku, sellable, quantity) in &returned.counted {
                    out.number(sku.0.into()).number(i64::from(*sellable)).number(*quantity);
                }
            }
        }
        out
    }
}

/// Those of one order, which is of the source that named it first.
#[derive(Debug)]
struct OfOrder {
    place: Place,
    documents: Vec<OrderDocument>,
}

/// All of them, by the name of their order or reservation.
#[derive(Debug, Default)]
pub(crate) struct OrderDocuments {
    by_order: HashMap<Box<str>, OfOrder>,
    orders: Shares<Box<str>>,
    /// Under which of them a document is: a newer version may name another.
    under: HashMap<u128, Box<str>>,
}

impl OrderDocuments {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }

    /// In the order of their names.
    pub(crate) fn of(&self, order: &str) -> &[OrderDocument] {
        self.by_order.get(order).map_or(&[], |of| &of.documents)
    }

    pub(crate) fn find(&self, order: &str, key: u128) -> Option<&OrderDocument> {
        self.of(order).iter().find(|document| document.key == key)
    }

    /// A document by its identity, whatever it names.
    pub(crate) fn held(&self, key: u128) -> Option<&OrderDocument> {
        self.held_under(key).map(|(_, document)| document)
    }

    /// The same, with the name that it is under.
    pub(crate) fn held_under(&self, key: u128) -> Option<(&str, &OrderDocument)> {
        let order = self.under.get(&key)?;
        Some((order, self.find(order, key)?))
    }

    /// Takes a document out; returns it with the order that it named.
    pub(in crate::state) fn take(&mut self, key: u128) -> Option<(Box<str>, OrderDocument)> {
        let order = self.under.remove(&key)?;
        let of = self.by_order.get_mut(&order)?;
        let at = of.documents.iter().position(|d| d.key == key)?;
        let document = of.documents.remove(at);
        if of.documents.is_empty() {
            self.orders.take(of.place, 1);
            self.by_order.remove(&order);
        }
        Some((order, document))
    }

    /// Puts a document of this source in, unless it is not needed; its earlier version was taken out.
    pub(in crate::state) fn put(&mut self, whose: Whose, order: &str, document: OrderDocument) {
        if !document.is_needed() {
            return;
        }
        self.under.insert(document.key, order.into());
        let orders = &mut self.orders;
        let of = self.by_order.entry(order.into()).or_insert_with(|| OfOrder {
            place: orders.push(whose, order.into(), 1),
            documents: Vec::new(),
        });
        let documents = &mut of.documents;
        let at = documents.partition_point(|d| d.name <= document.name);
        documents.insert(at, document);
    }

    /// Forgets those of one order, if there are more orders than `orders_max`.
    pub(in crate::state) fn forget(
        &mut self,
        orders_max: usize,
        which: Forget,
    ) -> Option<(Box<str>, Vec<OrderDocument>)> {
        if self.orders.len() <= orders_max.max(1) {
            return None;
        }
        let order = self.orders.pop(which, |_| 1)?;
        let documents = self.by_order.remove(&order).map_or_else(Vec::new, |of| of.documents);
        for document in &documents {
            self.under.remove(&document.key);
        }
        Some((order, documents))
    }

    /// Puts back those of an order; orders come in the order of forgetting.
    pub(crate) fn restore(&mut self, whose: Whose, order: Box<str>, documents: Vec<OrderDocument>) {
        for document in &documents {
            self.under.insert(document.key, order.clone());
        }
        let place = self.orders.push(whose, order.clone(), 1);
        self.by_order.insert(order, OfOrder { place, documents });
    }

    /// With whose each order is, the one that was named first first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Whose, &str, &[OrderDocument])> {
        self.orders
            .iter()
            .map(|(whose, order)| (whose, &**order, self.of(order)))
    }

    pub(crate) fn len(&self) -> usize {
        self.orders.len()
    }
}
