//! The table of documents about orders that are looked at again, by the order that they name; from format 2 on.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId};
use crate::state::order_documents::{About, OrderDocument, Returned};
use crate::state::shares::NOBODY;
use crate::wire::facts::{Condition, UpdateStatus};

const STATUSES: [UpdateStatus; 3] = [UpdateStatus::Cancelled, UpdateStatus::Refused, UpdateStatus::Short];
const CONDITIONS: [Condition; 3] = [Condition::Sellable, Condition::Damaged, Condition::QualityControl];

/// The next to be forgotten first.
pub(super) mod of_orders {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.order_documents.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (whose, order, documents) in state.order_documents.iter() {
            out.text(order).uint(whose).size(documents.len());
            for document in documents {
                put(document, out);
            }
            out.end_entry();
        }
    }

    fn put(document: &OrderDocument, out: &mut Out<'_, '_>) {
        let OrderDocument {
            name,
            key,
            channel,
            source,
            as_of,
            about,
            beyond,
        } = document;
        for part in name {
            out.text(part);
        }
        out.fixed(&key.to_le_bytes()).optional_text(channel.as_deref());
        out.uint(source.0).stamp(*as_of).size(beyond.len());
        for (sku, location, quantity) in beyond {
            out.uint(sku.0).optional_uint(location.map(|l| l.0)).int(*quantity);
        }
        match about {
            About::Shipment => {
                out.byte(0);
            }
            About::Update(status) => {
                out.byte(1).byte(*status as u8);
            }
            About::Return(returned) => put_returned(returned, out),
        }
    }

    fn put_returned(returned: &Returned, out: &mut Out<'_, '_>) {
        let Returned {
            sku,
            quantity,
            unit,
            location,
            condition,
            counted,
        } = returned;
        out.byte(2).uint(sku.0).int(*quantity).optional_text(unit.as_deref());
        out.uint(location.0).byte(*condition as u8).size(counted.len());
        for (sku, sellable, quantity) in counted {
            out.uint(sku.0).flag(*sellable).int(*quantity);
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        for _ in 0..count {
            let order = input.text()?;
            if !state.order_documents.of(&order).is_empty() {
                return Err(input.damaged("an order stands twice"));
            }
            let whose = input.since(3, In::uint)?.unwrap_or(NOBODY);
            let documents = input.list(|i| get(state, i))?;
            state.order_documents.restoring().restore(whose, order, documents);
        }
        Ok(())
    }

    fn get(state: &State, input: &mut In<'_, '_>) -> Result<OrderDocument, SnapshotError> {
        let names = &state.catalogue;
        let (skus, places) = (names.skus.len(), names.locations.len());
        let sku = |i: &mut In<'_, '_>| -> Result<_, SnapshotError> { Ok(SkuId(i.place(skus)? as u32)) };
        let place = |i: &mut In<'_, '_>| -> Result<_, SnapshotError> { Ok(LocationId(i.place(places)? as u16)) };
        let mut name: [Box<str>; 6] = Default::default();
        for part in &mut name {
            *part = input.text()?;
        }
        Ok(OrderDocument {
            name,
            key: u128::from_le_bytes(input.fixed()?),
            channel: input.optional(In::text)?,
            source: SourceId(input.place(names.source_names.len())? as u16),
            as_of: input.stamp()?,
            beyond: input.list(|i| Ok((sku(i)?, i.optional(place)?, i.quantity()?)))?,
            about: match input.byte()? {
                0 => About::Shipment,
                1 => About::Update(input.choice(&STATUSES)?),
                2 => About::Return(Returned {
                    sku: sku(input)?,
                    quantity: input.quantity()?,
                    unit: input.optional(In::text)?,
                    location: place(input)?,
                    condition: input.choice(&CONDITIONS)?,
                    counted: input.list(|i| Ok((sku(i)?, i.flag()?, i.quantity()?)))?,
                }),
                _ => return Err(input.damaged("there is no such kind of document")),
            },
        })
    }
}
