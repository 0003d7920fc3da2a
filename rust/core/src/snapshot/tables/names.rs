//! Tables of what has a name: sources, regions, locations, channels, SKUs, items. An entry's number is its place.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::State;
use crate::state::catalogue::{Catalogue, Channel, Item, Location, Sku};
use crate::state::ids::{LocationId, RegionId, SkuId, SourceId, Symbols};
use crate::wire::facts::{ItemStatus, LocationType, Regional, Sourcing};

const LOCATION_TYPES: [LocationType; 3] = [LocationType::Warehouse, LocationType::Store, LocationType::ThirdParty];
const SOURCINGS: [Sourcing; 3] = [Sourcing::Priority, Sourcing::Region, Sourcing::FewestSplits];
const REGIONALS: [Regional; 2] = [Regional::Prefer, Regional::Require];
const STATUSES: [ItemStatus; 2] = [ItemStatus::Active, ItemStatus::Discontinued];
/// All names of one kind stand in one text, and 32 bits say where each ends.
const NAMES_BYTES_MAX: usize = u32::MAX as usize;

/// Reads one name and gives it the next number.
fn named(into: &mut Symbols, bytes: &mut usize, input: &mut In<'_, '_>) -> Result<(), SnapshotError> {
    let name = input.text()?;
    *bytes += name.len();
    if *bytes > NAMES_BYTES_MAX {
        return Err(input.damaged("the names are too long together"));
    }
    match into.intern(&name) {
        (_, true) => Ok(()),
        (_, false) => Err(input.damaged("a name stands twice")),
    }
}

fn fits(count: u64, bound: u64, input: &In<'_, '_>) -> Result<(), SnapshotError> {
    if count > bound {
        return Err(input.damaged(format!("{count} names are too many")));
    }
    Ok(())
}

pub(super) mod sources {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.source_names.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (n, tells_time) in state.source_clock.iter().enumerate() {
            let clock = tells_time.map_or(0, |time| 1 + u8::from(time));
            out.text(state.catalogue.source_names.name(n as u32)).byte(clock);
            out.optional(state.source_newest[n], |out, as_of| {
                out.stamp(as_of);
            });
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        fits(count, u64::from(u16::MAX), input)?;
        let mut bytes = 0;
        for _ in 0..count {
            named(&mut state.catalogue.source_names, &mut bytes, input)?;
            state
                .source_clock
                .restoring()
                .push(input.choice(&[None, Some(false), Some(true)])?);
            let newest = input.since(2, |i| i.optional(In::stamp))?;
            state.source_newest.push(newest.flatten());
        }
        Ok(())
    }
}

pub(super) mod regions {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.region_names.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for n in 0..state.catalogue.region_names.len() {
            out.text(state.catalogue.region_names.name(n as u32)).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        fits(count, u64::from(u16::MAX), input)?;
        let mut bytes = 0;
        (0..count).try_for_each(|_| named(&mut state.catalogue.region_names, &mut bytes, input))
    }
}

pub(super) mod locations {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.locations.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (n, location) in state.catalogue.locations.iter().enumerate() {
            let Location {
                declared,
                r#type,
                regions,
                priority,
                enabled,
                rank: _,
            } = location;
            out.text(state.catalogue.location_names.name(n as u32))
                .flag(*declared)
                .byte(*r#type as u8)
                .size(regions.len());
            for region in regions {
                out.uint(region.0);
            }
            out.int(*priority)
                .flag(*enabled)
                .optional_uint(state.location_owner[n].map(|source| source.0));
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        fits(count, u64::from(u16::MAX), input)?;
        let Catalogue {
            location_names,
            locations,
            region_names,
            source_names,
            ..
        } = &mut state.catalogue;
        let mut bytes = 0;
        for _ in 0..count {
            named(location_names, &mut bytes, input)?;
            locations.restoring().push(Location {
                declared: input.flag()?,
                r#type: input.choice(&LOCATION_TYPES)?,
                regions: input.list(|i| Ok(RegionId(i.place(region_names.len())? as u16)))?,
                priority: input.narrow_int()?,
                enabled: input.flag()?,
                rank: 0,
            });
            let owner = input.optional(|i| Ok(SourceId(i.place(source_names.len())? as u16)))?;
            state.location_owner.restoring().push(owner);
        }
        state.catalogue.rank_locations();
        Ok(())
    }
}

pub(super) mod channels {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.channels.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (n, channel) in state.catalogue.channels.iter().enumerate() {
            let Channel {
                declared,
                locations,
                draws_shared,
                supply_horizon_days,
                sourcing,
                regional,
                priority,
                buffer,
            } = channel;
            out.text(state.catalogue.channel_names.name(n as u32)).flag(*declared);
            out.optional(locations.as_ref(), |out, locations| {
                out.size(locations.len());
                for location in locations {
                    out.uint(location.0);
                }
            });
            out.flag(*draws_shared)
                .int(*supply_horizon_days)
                .byte(*sourcing as u8)
                .byte(*regional as u8)
                .int(*priority)
                .optional_int(*buffer);
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        fits(count, u64::from(u16::MAX), input)?;
        let places = state.catalogue.locations.len();
        let mut bytes = 0;
        for _ in 0..count {
            named(&mut state.catalogue.channel_names, &mut bytes, input)?;
            state.catalogue.channels.restoring().push(Channel {
                declared: input.flag()?,
                locations: input.optional(|i| i.list(|i| Ok(LocationId(i.place(places)? as u16))))?,
                draws_shared: input.flag()?,
                supply_horizon_days: input.narrow_int()?,
                sourcing: input.choice(&SOURCINGS)?,
                regional: input.choice(&REGIONALS)?,
                priority: input.narrow_int()?,
                buffer: input.optional(In::quantity)?,
            });
        }
        Ok(())
    }
}

pub(super) mod skus {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.skus.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for n in 0..state.catalogue.skus.len() {
            out.text(state.catalogue.sku_names.name(n as u32)).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        fits(count, u64::from(u32::MAX), input)?;
        let mut bytes = 0;
        for _ in 0..count {
            named(&mut state.catalogue.sku_names, &mut bytes, input)?;
            let number = state.catalogue.skus.len() as u32;
            let Catalogue {
                sku_names, likeness, ..
            } = &mut state.catalogue;
            likeness.add(number, sku_names.name(number));
            state.catalogue.skus.push(Sku::default());
        }
        Ok(())
    }
}

pub(super) mod items {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.catalogue.details.iter().filter(|d| d.item.is_some()).count() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for sku in (0..state.catalogue.skus.len() as u32).map(SkuId) {
            let Some(item) = state.catalogue.item(sku) else {
                continue;
            };
            let Item {
                base_unit,
                units,
                kit,
                base,
                inner: _,
                aliases,
                sell_multiple,
                tax_class,
                status,
            } = item;
            out.uint(sku.0).text(base_unit).size(units.len());
            for (name, factor) in units {
                out.text(name).int(*factor);
            }
            for parts in [kit, base] {
                out.size(parts.len());
                for (part, quantity) in parts {
                    out.uint(part.0).int(*quantity);
                }
            }
            out.size(aliases.len());
            for alias in aliases {
                out.text(alias);
            }
            out.int(*sell_multiple)
                .optional_text(tax_class.as_deref())
                .byte(*status as u8);
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let skus = state.catalogue.skus.len();
        for _ in 0..count {
            let sku = SkuId(input.place(skus)? as u32);
            let part = |i: &mut In<'_, '_>| Ok((SkuId(i.place(skus)? as u32), i.quantity()?));
            let item = Item {
                base_unit: input.text()?,
                units: input.list(|i| Ok((i.text()?, i.quantity()?)))?,
                kit: input.list(part)?,
                base: input.list(part)?,
                inner: Vec::new(),
                aliases: input.list(In::text)?,
                sell_multiple: input.quantity()?,
                tax_class: input.optional(In::text)?,
                status: input.choice(&STATUSES)?,
            };
            if state.catalogue.detail_mut(sku).item.restoring().replace(item).is_some() {
                return Err(input.damaged("an item stands twice"));
            }
        }
        Ok(())
    }
}
