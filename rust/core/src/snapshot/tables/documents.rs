//! Tables of supply and demand: documents by number, which closed ones are to be forgotten first, each SKU's lists.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::catalogue::Detail;
use crate::state::ids::{ChannelId, DemandId, LocationId, SkuId, SourceId, SupplyId};
use crate::state::shares::NOBODY;
use crate::state::supply::{Arrival, Demand, DocumentKey, Leg, Register, Supply, Transfer};
use crate::state::{Position, State};
use crate::wire::facts::{DemandClass, SupplyStatus};

const STATUSES: [SupplyStatus; 3] = [SupplyStatus::Open, SupplyStatus::Received, SupplyStatus::Cancelled];
const CLASSES: [DemandClass; 4] = [
    DemandClass::Marketplace,
    DemandClass::Replenishment,
    DemandClass::B2b,
    DemandClass::Other,
];

fn put_key(out: &mut Out<'_, '_>, (source, reference, line): &DocumentKey) {
    out.uint(source.0).text(reference).text(line);
}

fn get_key(sources: usize, input: &mut In<'_, '_>) -> Result<DocumentKey, SnapshotError> {
    let source = SourceId(input.place(sources)? as u16);
    Ok((source, input.text()?, input.text()?))
}

/// Documents by number: the numbers given so far, then each that is remembered by the distance to the one before.
fn put_all<T>(register: &Register<T>, out: &mut Out<'_, '_>, mut put: impl FnMut(&mut Out<'_, '_>, &T)) {
    out.size(register.numbers());
    let mut next = 0;
    for (number, record) in register.iter() {
        out.uint(number - next);
        next = number + 1;
        put(out, record);
        out.end_entry();
    }
}

fn get_all<T>(
    register: &mut Register<T>,
    (count, most): (u64, u64),
    input: &mut In<'_, '_>,
    mut get: impl FnMut(&mut In<'_, '_>) -> Result<(DocumentKey, T), SnapshotError>,
) -> Result<(), SnapshotError> {
    let numbers: u32 = input.narrow()?;
    if u64::from(numbers) > most {
        return Err(input.damaged("LOG was too short for so many documents"));
    }
    let mut next = 0u64;
    for _ in 0..count {
        let number = next.saturating_add(input.uint()?);
        if number >= u64::from(numbers) {
            return Err(input.damaged("a document's number was never given"));
        }
        next = number + 1;
        let (key, record) = get(input)?;
        if register.find(&key).is_some() {
            return Err(input.damaged("a document stands twice"));
        }
        register.restore(number as u32, key, record);
    }
    register.restore_numbers(numbers);
    Ok(())
}

/// More documents than messages of this length could have brought: numbers beyond it are damage, and take no memory.
fn documents_most(position: &Position) -> u64 {
    const FACTS_OF_A_MESSAGE: u64 = 512 * 1024 / 32;
    position.sequence.saturating_mul(FACTS_OF_A_MESSAGE)
}

fn put_closed<T>(register: &Register<T>, out: &mut Out<'_, '_>) {
    for (whose, number) in register.closed() {
        out.uint(number).uint(whose).end_entry();
    }
}

fn get_closed<T>(register: &mut Register<T>, count: u64, input: &mut In<'_, '_>) -> Result<(), SnapshotError> {
    for _ in 0..count {
        let number = input.place(register.numbers())? as u32;
        let whose = input.since(3, In::uint)?.unwrap_or(NOBODY);
        register.restore_closed(whose, number);
    }
    Ok(())
}

pub(super) mod supplies {
    use super::*;

    fn put_transfer(out: &mut Out<'_, '_>, transfer: Option<&Transfer>) {
        out.byte(u8::from(transfer.is_some()));
        let Some(transfer) = transfer else { return };
        out.uint(transfer.from.0).byte(u8::from(transfer.is_shipped));
        out.size(transfer.legs.len());
        for leg in &transfer.legs {
            out.uint(leg.sku.0).uint(leg.location.0).int(leg.units).stamp(leg.as_of);
        }
    }

    fn get_transfer((skus, places): (usize, usize), input: &mut In<'_, '_>) -> Result<Transfer, SnapshotError> {
        Ok(Transfer {
            from: LocationId(input.place(places)? as u16),
            is_shipped: input.flag()?,
            legs: input.list(|i| {
                Ok(Leg {
                    sku: SkuId(i.place(skus)? as u32),
                    location: LocationId(i.place(places)? as u16),
                    units: i.quantity()?,
                    as_of: i.stamp()?,
                })
            })?,
        })
    }

    /// What format 2 adds to an entry.
    fn second_edition(supply: Supply, bounds: (usize, usize), input: &mut In<'_, '_>) -> Result<Supply, SnapshotError> {
        let skus = bounds.0;
        Ok(Supply {
            stated: input.quantity()?,
            lowered: input.quantity()?,
            presumed: input.quantity()?,
            as_of: input.optional(In::stamp)?,
            since: input.optional(In::stamp)?,
            keeps_moment: input.since(4, In::flag)?.unwrap_or(false),
            arrivals: input.list(|i| {
                Ok(Arrival {
                    units: i.quantity()?,
                    as_of: i.stamp()?,
                    sku: i.since(4, |i| Ok(SkuId(i.place(skus)? as u32)))?.unwrap_or(supply.sku),
                })
            })?,
            transfer: input.optional(|i| get_transfer(bounds, i).map(Box::new))?,
            ..supply
        })
    }

    pub(crate) fn count(state: &State) -> u64 {
        state.documents.supplies.iter().count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_all(&state.documents.supplies, out, |out, supply| {
            let Supply {
                key,
                version,
                sku,
                location,
                quantity,
                stated,
                as_of,
                since,
                keeps_moment,
                arrivals,
                lowered,
                presumed,
                transfer,
                due,
                status,
                confidence,
                bound: _,
                holders: _,
                sequence,
            } = supply;
            put_key(out, key);
            out.optional_int(*version).uint(sku.0).uint(location.0).int(*quantity);
            out.int(*due).byte(*status as u8).byte(*confidence).uint(*sequence);
            out.int(*stated)
                .int(*lowered)
                .int(*presumed)
                .optional_stamp(*as_of)
                .optional_stamp(*since)
                .byte(u8::from(*keeps_moment));
            out.size(arrivals.len());
            for arrival in arrivals {
                out.int(arrival.units).stamp(arrival.as_of).uint(arrival.sku.0);
            }
            put_transfer(out, transfer.as_deref());
        });
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let names = &state.catalogue;
        let (sources, skus, places) = (names.source_names.len(), names.skus.len(), names.locations.len());
        let bounds = (count, documents_most(&state.position));
        get_all(&mut state.documents.supplies, bounds, input, |input| {
            let key = get_key(sources, input)?;
            let supply = Supply {
                key: key.clone(),
                version: input.optional(In::int)?,
                sku: SkuId(input.place(skus)? as u32),
                location: LocationId(input.place(places)? as u16),
                quantity: input.quantity()?,
                stated: 0,
                as_of: None,
                since: None,
                keeps_moment: false,
                arrivals: Vec::new(),
                lowered: 0,
                presumed: 0,
                transfer: None,
                due: input.narrow_int()?,
                status: input.choice(&STATUSES)?,
                confidence: input.byte()?,
                bound: 0,
                holders: std::collections::BTreeSet::new(),
                sequence: input.uint()?,
            };
            let first = Supply {
                stated: supply.quantity,
                ..supply.clone()
            };
            let second = input.since(2, |input| second_edition(supply, (skus, places), input))?;
            Ok((key, second.unwrap_or(first)))
        })
    }
}

pub(super) mod demands {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.documents.demands.iter().count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_all(&state.documents.demands, out, |out, demand| {
            let Demand {
                key,
                version,
                sku,
                locations,
                quantity,
                class,
                due,
                as_of,
                order_ref,
                reservation,
                channel,
                covered,
                sequence,
            } = demand;
            put_key(out, key);
            out.optional_int(*version).uint(sku.0).size(locations.len());
            for location in locations {
                out.uint(location.0);
            }
            out.int(*quantity)
                .byte(*class as u8)
                .optional_int(*due)
                .stamp(*as_of)
                .optional_text(order_ref.as_deref())
                .int(*covered)
                .uint(*sequence)
                .optional_text(reservation.as_deref())
                .optional_uint(channel.map(|c| c.0));
        });
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let names = &state.catalogue;
        let (sources, skus, places) = (names.source_names.len(), names.skus.len(), names.locations.len());
        let channels = names.channels.len();
        let bounds = (count, documents_most(&state.position));
        get_all(&mut state.documents.demands, bounds, input, |input| {
            let key = get_key(sources, input)?;
            let demand = Demand {
                key: key.clone(),
                version: input.optional(In::int)?,
                sku: SkuId(input.place(skus)? as u32),
                locations: input.list(|i| Ok(LocationId(i.place(places)? as u16)))?,
                quantity: input.quantity()?,
                class: input.choice(&CLASSES)?,
                due: input.optional(In::narrow_int)?,
                as_of: input.stamp()?,
                order_ref: input.optional(In::text)?,
                covered: input.quantity()?,
                sequence: input.uint()?,
                reservation: None,
                channel: None,
            };
            let second = |input: &mut In<'_, '_>| {
                let reservation = input.optional(In::text)?;
                let channel = input.optional(|i| Ok(ChannelId(i.place(channels)? as u16)))?;
                Ok((reservation, channel))
            };
            let (reservation, channel) = input.since(2, second)?.unwrap_or_default();
            let demand = Demand {
                reservation,
                channel,
                ..demand
            };
            Ok((key, demand))
        })
    }
}

pub(super) mod closed_supplies {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.documents.supplies.closed_count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_closed(&state.documents.supplies, out);
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        get_closed(&mut state.documents.supplies, count, input)
    }
}

pub(super) mod closed_demands {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.documents.demands.closed_count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        put_closed(&state.documents.demands, out);
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        get_closed(&mut state.documents.demands, count, input)
    }
}

/// Of each SKU that has any: the kits that use it, its open supplies, its open demands; each in the order in which they came.
pub(super) mod lists {
    use super::*;

    /// Each SKU with rarer facts, and whether one of its lists has entries.
    fn listed(state: &State) -> impl Iterator<Item = (SkuId, &Detail)> {
        let skus = (0..state.catalogue.skus.len() as u32).map(SkuId);
        skus.filter_map(|sku| state.catalogue.detail(sku).map(|detail| (sku, detail)))
            .filter(|(_, d)| !(d.used_in.is_empty() && d.flow.supplies.is_empty() && d.flow.demands.is_empty()))
    }

    pub(crate) fn count(state: &State) -> u64 {
        listed(state).count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (sku, detail) in listed(state) {
            let Detail {
                item: _,
                used_in,
                flow,
                allocations: _,
                caps: _,
            } = detail;
            out.uint(sku.0).size(used_in.len());
            for kit in used_in {
                out.uint(kit.0).end_entry();
            }
            out.size(flow.supplies.len());
            for supply in &flow.supplies {
                out.uint(supply.0).end_entry();
            }
            out.size(flow.demands.len());
            for demand in &flow.demands {
                out.uint(demand.0).end_entry();
            }
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let skus = state.catalogue.skus.len();
        let State {
            catalogue, documents, ..
        } = state;
        for _ in 0..count {
            let sku = SkuId(input.place(skus)? as u32);
            let used_in = input.list(|i| Ok(SkuId(i.place(skus)? as u32)))?;
            let supplies = input.list(|i| Ok(SupplyId(i.place(documents.supplies.numbers())? as u32)))?;
            let demands = input.list(|i| Ok(DemandId(i.place(documents.demands.numbers())? as u32)))?;
            let known = supplies.iter().all(|id| documents.supplies.try_get(id.0).is_some())
                && demands.iter().all(|id| documents.demands.try_get(id.0).is_some());
            if !known {
                return Err(input.damaged("it lists a document that is not there"));
            }
            let detail = catalogue.detail_mut(sku);
            detail.used_in = used_in;
            detail.flow.supplies = supplies;
            detail.flow.demands = demands;
        }
        Ok(())
    }
}
