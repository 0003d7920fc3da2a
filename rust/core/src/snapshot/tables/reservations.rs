//! Tables of reservations: which slots are taken, and who is in them.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use super::sold::{get_dropped, get_recipe, get_reports, put_dropped, put_recipe, put_reports};
use crate::state::ids::{ChannelId, LocationId, RegionId, SkuId, Slot, SourceId, SupplyId};

use crate::state::State;
use crate::state::reservations::{
    Evidence, Line, Lines, Owner, Portion, Portions, Recipe, Reservation, ReservationState, StockNode,
};

const STATES: [ReservationState; 8] = [
    ReservationState::Held,
    ReservationState::Committed,
    ReservationState::InErp,
    ReservationState::Fulfilled,
    ReservationState::Released,
    ReservationState::Expired,
    ReservationState::Cancelled,
    ReservationState::Oversold,
];

/// The serial that the next reservation gets, then the free slots: the last one is used next.
pub(super) mod slots {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.reservations.free_slots().len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        out.uint(state.reservations.next_serial);
        for slot in state.reservations.free_slots() {
            out.uint(slot.0).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        state.reservations.next_serial = input.uint()?;
        for _ in 0..count {
            let slot = Slot(input.narrow()?);
            state.reservations.restore_free(slot);
        }
        Ok(())
    }
}

/// The taken slots in ascending order, each with its reservation.
pub(super) mod records {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.reservations.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (_, reservation) in state.reservations.iter() {
            put(reservation, out);
            out.end_entry();
        }
    }

    fn put(reservation: &Reservation, out: &mut Out<'_, '_>) {
        let Reservation {
            id,
            serial,
            state,
            channel,
            region,
            owner,
            order_ref,
            superseded_by,
            expires_at_ms,
            closed_at_ms,
            renewals,
            revision,
            body,
            version,
            sequence,
            lines,
            portions,
            recipes,
            dropped,
            returned,
            cancelled_while_held,
            keeps_recipes,
            dirty: _,
            changed_in: _,
        } = reservation;
        out.text(id).uint(*serial).byte(*state as u8).uint(channel.0);
        out.optional_uint(region.map(|r| r.0));
        out.optional(*owner, |out, owner: Owner| {
            out.fixed(&owner.bytes());
        });
        out.optional_text(order_ref.as_deref())
            .optional_text(superseded_by.as_deref())
            .int(*expires_at_ms)
            .int(*closed_at_ms)
            .uint(*renewals)
            .optional_int(*revision)
            .fixed(&body.to_le_bytes())
            .uint(*version)
            .uint(*sequence);
        out.size(lines.len());
        for line in lines {
            let Line {
                sku,
                quantity,
                asked,
                location,
                cap_period,
            } = line;
            out.uint(sku.0).int(*quantity).optional_int(*asked);
            out.optional_uint(location.map(|l| l.0)).uint(*cap_period);
        }
        out.size(portions.len());
        for portion in portions {
            put_portion(portion, out);
        }
        out.flag(*keeps_recipes).flag(*cancelled_while_held);
        put_dropped(dropped.as_deref().map_or(&[], |all| all), out);
        let returned: &[(SkuId, i64)] = returned.as_deref().map_or(&[], |all| all);
        out.size(returned.len());
        for &(sku, quantity) in returned {
            out.uint(sku.0).int(quantity);
        }
        let recipes: &[Recipe] = recipes.as_deref().map_or(&[], |all| all);
        out.size(recipes.len());
        for recipe in recipes {
            put_recipe(recipe, out);
        }
    }

    /// Bits of a portion: its node's kind in the lowest two, then what is so and what follows.
    const FULFILLED: u8 = 4;
    const IN_ERP_LEVEL: u8 = 8;
    const EVIDENCE: u8 = 16;
    const ACKNOWLEDGED: u8 = 32;
    const SHIPPED: u8 = 64;
    const REPORTED: u8 = 128;

    fn put_portion(portion: &Portion, out: &mut Out<'_, '_>) {
        let Portion {
            sku,
            line,
            fulfilled,
            in_erp_level,
            node,
            quantity,
            own,
            own_period,
            cap_period,
            evidence,
        } = portion;
        let known = evidence.as_deref();
        let reported = known.filter(|e| !e.reports.is_empty() || e.left.is_some() || e.arrived.is_some());
        let (acknowledged, shipped) = (known.and_then(|e| e.ack), known.and_then(|e| e.shipped));
        let (kind, at) = match node {
            StockNode::Hand(location) => (0, u32::from(location.0)),
            StockNode::Supply(supply) => (1, supply.0),
            StockNode::Unsourced => (2, 0),
        };
        let when = |is: bool, bit: u8| if is { bit } else { 0 };
        out.byte(
            kind | when(*fulfilled, FULFILLED)
                | when(*in_erp_level, IN_ERP_LEVEL)
                | when(known.is_some(), EVIDENCE)
                | when(acknowledged.is_some(), ACKNOWLEDGED)
                | when(shipped.is_some(), SHIPPED)
                | when(reported.is_some(), REPORTED),
        );
        out.uint(sku.0).uint(*line);
        if kind != 2 {
            out.uint(at);
        }
        out.int(*quantity).int(*own).uint(*own_period).uint(*cap_period);
        for (source, as_of) in [acknowledged, shipped].into_iter().flatten() {
            out.uint(source.0).stamp(as_of);
        }
        if let Some(evidence) = reported {
            put_reports(evidence, out);
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let mut free = state.reservations.free_slots().to_vec();
        free.sort_unstable();
        let total = count.saturating_add(free.len() as u64);
        let in_order = free.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || total > u64::from(u32::MAX) || free.last().is_some_and(|last| u64::from(last.0) >= total) {
            return Err(input.damaged("a free slot stands twice or was never given"));
        }
        let mut free = free.into_iter().peekable();
        for slot in (0..total as u32).map(Slot) {
            if free.next_if_eq(&slot).is_some() {
                state.reservations.restore(None);
                continue;
            }
            let reservation = get(state, input)?;
            if reservation.serial >= state.reservations.next_serial {
                return Err(input.damaged("a serial was never given"));
            }
            if state.reservations.find(&reservation.id).is_some() {
                return Err(input.damaged("a reservation stands twice"));
            }
            state.reservations.restore(Some(reservation));
        }
        Ok(())
    }

    fn get(state: &State, input: &mut In<'_, '_>) -> Result<Reservation, SnapshotError> {
        let names = &state.catalogue;
        let place = |i: &mut In<'_, '_>| Ok(LocationId(i.place(names.locations.len())? as u16));
        let region = |i: &mut In<'_, '_>| {
            let region = RegionId(i.narrow()?);
            if region != RegionId::NOWHERE && region.at() >= names.region_names.len() {
                return Err(i.damaged("it names a region that is not there"));
            }
            Ok(region)
        };
        let mut reservation = Reservation {
            id: input.text()?,
            serial: input.uint()?,
            state: input.choice(&STATES)?,
            channel: ChannelId(input.place(names.channels.len())? as u16),
            region: input.optional(region)?,
            owner: input.optional(|i| Ok(Owner::from_bytes(i.fixed()?)))?,
            order_ref: input.optional(In::text)?,
            superseded_by: input.optional(In::text)?,
            expires_at_ms: input.int()?,
            closed_at_ms: input.int()?,
            renewals: input.narrow()?,
            revision: input.optional(In::int)?,
            body: u64::from_le_bytes(input.fixed()?),
            version: input.narrow()?,
            sequence: input.uint()?,
            lines: Lines::new(),
            portions: Portions::new(),
            recipes: None,
            dropped: None,
            returned: None,
            cancelled_while_held: false,
            keeps_recipes: false,
            dirty: false,
            changed_in: 0,
        };
        reservation.lines = input.list_into(|i| {
            Ok(Line {
                sku: SkuId(i.place(names.skus.len())? as u32),
                quantity: i.quantity()?,
                asked: i.optional(In::quantity)?,
                location: i.optional(place)?,
                cap_period: i.narrow()?,
            })
        })?;
        let lines = reservation.lines.len();
        reservation.portions = input.list_into(|i| get_portion(state, lines, i))?;
        let skus = names.skus.len();
        let places = names.locations.len();
        input.since(2, |i| {
            reservation.keeps_recipes = i.flag()?;
            reservation.cancelled_while_held = i.flag()?;
            let dropped = get_dropped((skus, lines, places), i)?;
            reservation.dropped = (!dropped.is_empty()).then(|| Box::new(dropped));
            let returned = i.list(|i| Ok((SkuId(i.place(skus)? as u32), i.quantity()?)))?;
            reservation.returned = (!returned.is_empty()).then(|| Box::new(returned));
            let recipes = i.list(|i| get_recipe(skus, lines, i))?;
            reservation.recipes = (!recipes.is_empty()).then(|| Box::new(recipes));
            Ok(())
        })?;
        Ok(reservation)
    }

    fn get_portion(state: &State, lines: usize, input: &mut In<'_, '_>) -> Result<Portion, SnapshotError> {
        let bits = input.byte()?;
        let sku = SkuId(input.place(state.catalogue.skus.len())? as u32);
        let line = input.place(lines)? as u16;
        let node = match bits & 3 {
            0 => {
                let location = LocationId(input.place(state.catalogue.locations.len())? as u16);
                if state.cell(sku, location).is_none() {
                    return Err(input.damaged("a portion lies in a cell that is not there"));
                }
                StockNode::Hand(location)
            }
            1 => {
                let supply = SupplyId(input.place(state.documents.supplies.numbers())? as u32);
                if state.documents.supplies.try_get(supply.0).is_none() {
                    return Err(input.damaged("a portion is bound to a supply that is not there"));
                }
                StockNode::Supply(supply)
            }
            2 => StockNode::Unsourced,
            _ => return Err(input.damaged("a portion has no such node")),
        };
        let (quantity, own) = (input.quantity()?, input.quantity()?);
        let (own_period, cap_period) = (input.narrow()?, input.narrow()?);
        let read = |i: &mut In<'_, '_>, bit: u8| -> Result<_, SnapshotError> {
            if bits & bit == 0 {
                return Ok(None);
            }
            let source = SourceId(i.place(state.catalogue.source_names.len())? as u16);
            Ok(Some((source, i.stamp()?)))
        };
        let mut evidence = Evidence {
            ack: read(input, ACKNOWLEDGED)?,
            shipped: read(input, SHIPPED)?,
            ..Evidence::default()
        };
        if bits & REPORTED != 0 {
            get_reports(state, &mut evidence, input)?;
        }
        let has_evidence = bits & EVIDENCE != 0;
        if quantity <= 0 || own < 0 || own > quantity || (!has_evidence && evidence != Evidence::default()) {
            return Err(input.damaged("a portion contradicts itself"));
        }
        Ok(Portion {
            sku,
            line,
            fulfilled: bits & FULFILLED != 0,
            in_erp_level: bits & IN_ERP_LEVEL != 0,
            node,
            quantity,
            own,
            own_period,
            cap_period,
            evidence: has_evidence.then(|| Box::new(evidence)),
        })
    }
}
