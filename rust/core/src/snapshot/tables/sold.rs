//! How lines were sold and what sources reported of units: parts of a reservation's entry, from format 2 on.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::State;
use crate::state::ids::{LocationId, SkuId, SourceId, SupplyId};
use crate::state::reservations::{Dropped, Evidence, Left, Places, Recipe, Reports, StockNode};
use crate::wire::facts::AsOf;

pub(super) fn put_recipe(recipe: &Recipe, out: &mut Out<'_, '_>) {
    let Recipe {
        line,
        unit,
        parts,
        inner,
    } = recipe;
    out.uint(*line);
    out.optional(unit.as_ref(), |out, (name, factor)| {
        out.text(name).int(*factor);
    });
    out.size(parts.len());
    for &(part, per) in parts {
        out.uint(part.0).int(per);
    }
    out.size(inner.len());
    for &(kit, per, period) in inner {
        out.uint(kit.0).int(per).uint(period);
    }
}

pub(super) fn get_recipe(skus: usize, lines: usize, input: &mut In<'_, '_>) -> Result<Recipe, SnapshotError> {
    let sku = |i: &mut In<'_, '_>| -> Result<_, SnapshotError> { Ok(SkuId(i.place(skus)? as u32)) };
    Ok(Recipe {
        line: input.place(lines)? as u16,
        unit: input.optional(|i| Ok((i.text()?, i.quantity()?)))?,
        parts: input.list(|i| Ok((sku(i)?, i.quantity()?)))?,
        inner: input.list(|i| Ok((sku(i)?, i.quantity()?, i.narrow()?)))?,
    })
}

pub(super) fn put_reports(evidence: &Evidence, out: &mut Out<'_, '_>) {
    put_reports_of(&evidence.reports, out);
    put_arrived(evidence.arrived, out);
    out.optional(evidence.left.as_deref(), |out, left| {
        let Left {
            document,
            node,
            arrived,
            reports,
            since,
        } = left;
        out.fixed(&document.to_le_bytes());
        match node {
            StockNode::Hand(location) => out.byte(0).uint(location.0),
            StockNode::Supply(supply) => out.byte(1).uint(supply.0),
            StockNode::Unsourced => out.byte(2),
        };
        put_reports_of(reports, out);
        put_arrived(*arrived, out);
        out.size(since.len());
        for (source, as_of, places) in since {
            out.uint(source.0);
            put_places(*as_of, places.as_deref().unwrap_or_default(), out);
        }
    });
}

fn put_arrived(arrived: Option<(SourceId, AsOf)>, out: &mut Out<'_, '_>) {
    out.optional(arrived, |out, (source, as_of)| {
        out.uint(source.0).stamp(as_of);
    });
}

fn get_arrived(sources: usize, input: &mut In<'_, '_>) -> Result<Option<(SourceId, AsOf)>, SnapshotError> {
    let arrived = input.since(4, |i| {
        i.optional(|i| Ok((SourceId(i.place(sources)? as u16), i.stamp()?)))
    });
    Ok(arrived?.flatten())
}

fn put_reports_of(all: &[Reports], out: &mut Out<'_, '_>) {
    out.size(all.len());
    for reports in all {
        let Reports {
            source,
            origin,
            since,
            places,
            acks,
        } = reports;
        out.uint(source.0).optional_uint(origin.map(|l| l.0));
        out.optional(*since, |out, since| {
            out.stamp(since);
        });
        out.size(places.len());
        for (as_of, named) in places {
            put_places(*as_of, named, out);
        }
        out.size(acks.len());
        for as_of in acks {
            out.stamp(*as_of);
        }
    }
}

fn put_places(as_of: AsOf, named: &[LocationId], out: &mut Out<'_, '_>) {
    out.stamp(as_of).size(named.len());
    for location in named {
        out.uint(location.0);
    }
}

pub(super) fn get_reports(state: &State, evidence: &mut Evidence, input: &mut In<'_, '_>) -> Result<(), SnapshotError> {
    evidence.reports = get_reports_of(state, input)?;
    evidence.arrived = get_arrived(state.catalogue.source_names.len(), input)?;
    evidence.left = input.optional(|i| Ok(Box::new(get_left(state, i)?)))?;
    Ok(())
}

fn get_reports_of(state: &State, input: &mut In<'_, '_>) -> Result<Vec<Reports>, SnapshotError> {
    let (sources, places) = (state.catalogue.source_names.len(), state.catalogue.locations.len());
    let named = |i: &mut In<'_, '_>| {
        let (as_of, named) = get_places(places, i)?;
        let named = named.ok_or_else(|| i.damaged("a statement of a place names none"))?;
        Ok((as_of, named))
    };
    input.list(|i| {
        Ok(Reports {
            source: SourceId(i.place(sources)? as u16),
            origin: i.optional(|i| Ok(LocationId(i.place(places)? as u16)))?,
            since: i.optional(In::stamp)?,
            places: i.list(named)?,
            acks: i.list(In::stamp)?,
        })
    })
}

fn get_left(state: &State, input: &mut In<'_, '_>) -> Result<Left, SnapshotError> {
    let (sources, places) = (state.catalogue.source_names.len(), state.catalogue.locations.len());
    let document = u128::from_le_bytes(input.fixed()?);
    let node = match input.byte()? {
        0 => StockNode::Hand(LocationId(input.place(places)? as u16)),
        1 => StockNode::Supply(SupplyId(input.place(state.documents.supplies.numbers())? as u32)),
        2 => StockNode::Unsourced,
        _ => return Err(input.damaged("units left from no such node")),
    };
    Ok(Left {
        document,
        node,
        reports: get_reports_of(state, input)?,
        arrived: get_arrived(sources, input)?,
        since: input.list(|i| {
            let source = SourceId(i.place(sources)? as u16);
            let (as_of, named) = get_places(places, i)?;
            Ok((source, as_of, named))
        })?,
    })
}

fn get_places(places: usize, input: &mut In<'_, '_>) -> Result<(AsOf, Option<Places>), SnapshotError> {
    let as_of = input.stamp()?;
    let named: Places = input.list_into(|i| Ok(LocationId(i.place(places)? as u16)))?;
    Ok((as_of, (!named.is_empty()).then_some(named)))
}

pub(super) fn put_dropped(all: &[Dropped], out: &mut Out<'_, '_>) {
    out.size(all.len());
    for dropped in all {
        let Dropped {
            document,
            is_return,
            sku,
            line,
            quantity,
            place,
        } = dropped;
        out.fixed(&document.to_le_bytes()).flag(*is_return);
        out.uint(sku.0)
            .uint(*line)
            .int(*quantity)
            .optional_uint(place.map(|l| l.0));
    }
}

/// `most`: SKUs, lines of the reservation, locations.
pub(super) fn get_dropped(
    (skus, lines, places): (usize, usize, usize),
    input: &mut In<'_, '_>,
) -> Result<Vec<Dropped>, SnapshotError> {
    input.list(|i| {
        Ok(Dropped {
            document: u128::from_le_bytes(i.fixed()?),
            is_return: i.flag()?,
            sku: SkuId(i.place(skus)? as u32),
            line: i.place(lines)? as u16,
            quantity: i.quantity()?,
            place: i.optional(|i| Ok(LocationId(i.place(places)? as u16)))?,
        })
    })
}
