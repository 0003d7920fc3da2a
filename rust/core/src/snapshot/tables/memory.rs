//! Tables of what is remembered: identities of documents, answered requests, facts about orders not yet known, counters.

use super::super::SnapshotError;
use super::super::wire::{In, Out};
use crate::state::idempotency::{ANSWER_BYTES_MAX, Bounds, Entry, StoredAnswer};
use crate::state::identities::Remembered;
use crate::state::ids::{LocationId, SkuId, Slot};
use crate::state::reservations::PendingOrderFacts;
use crate::state::shares::{Forget, NOBODY};
use crate::state::{Counters, State};

/// Oldest first: that is the order in which they will be forgotten.
pub(super) mod identities {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.identities.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (key, remembered) in state.identities.iter() {
            let Remembered {
                version,
                body,
                moves,
                whose,
                taken_of,
            } = remembered;
            out.fixed(&key.to_le_bytes()).optional_int(*version);
            out.fixed(&body.to_le_bytes()).size(moves.len());
            for (sku, location, quantity) in moves {
                out.uint(sku.0).optional_uint(location.map(|l| l.0)).int(*quantity);
            }
            out.uint(*whose).optional_uint(taken_of.map(|slot| slot.0));
            out.end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let (skus, places) = (state.catalogue.skus.len(), state.catalogue.locations.len());
        for _ in 0..count {
            let key = u128::from_le_bytes(input.fixed()?);
            let what = Remembered {
                version: input.optional(In::int)?,
                body: u64::from_le_bytes(input.fixed()?),
                moves: input.list(|i| {
                    let sku = SkuId(i.place(skus)? as u32);
                    let location = i.optional(|i| Ok(LocationId(i.place(places)? as u16)))?;
                    Ok((sku, location, i.quantity()?))
                })?,
                whose: input.since(3, In::uint)?.unwrap_or(NOBODY),
                taken_of: input.since(4, |i| i.optional(In::narrow))?.flatten().map(Slot),
            };
            let remember = state.identities.remember(key, what, usize::MAX, Forget::Oldest);
            if !remember.is_empty() {
                return Err(input.damaged("an identity stands twice"));
            }
        }
        Ok(())
    }
}

/// Oldest first, too.
pub(super) mod answered {
    use super::*;

    const ALL: Bounds = Bounds {
        entries_max: usize::MAX,
        bytes_max: usize::MAX,
        which: Forget::Oldest,
    };

    pub(crate) fn count(state: &State) -> u64 {
        state.answered.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (key, entry) in state.answered.iter() {
            let Entry {
                request,
                at_ms,
                status,
                answer,
                whose,
            } = entry;
            out.fixed(&key.to_le_bytes()).fixed(&request.to_le_bytes());
            out.int(*at_ms).uint(*status);
            match answer {
                StoredAnswer::InParts => out.byte(0),
                StoredAnswer::Body(body) => out.byte(1).size(body.len()).fixed(body),
                StoredAnswer::Reservation(id) => out.byte(2).text(id),
            };
            out.uint(*whose).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        for _ in 0..count {
            let key = u128::from_le_bytes(input.fixed()?);
            let entry = Entry {
                request: u128::from_le_bytes(input.fixed()?),
                at_ms: input.int()?,
                status: input.narrow()?,
                answer: match input.byte()? {
                    0 => StoredAnswer::InParts,
                    1 => StoredAnswer::Body(input.text()?.into_boxed_bytes()),
                    2 => StoredAnswer::Reservation(input.text()?),
                    other => return Err(input.damaged(format!("{other} is no way of answering"))),
                },
                whose: input.since(3, In::uint)?.unwrap_or(NOBODY),
            };
            if matches!(&entry.answer, StoredAnswer::Body(body) if body.len() > ANSWER_BYTES_MAX) {
                return Err(input.damaged("an answer is too long"));
            }
            if state.answered.has(key) {
                return Err(input.damaged("a key stands twice"));
            }
            state.answered.remember(key, entry, ALL);
        }
        Ok(())
    }
}

/// In the order in which orders were first named.
pub(super) mod pending_orders {
    use super::*;

    pub(crate) fn count(state: &State) -> u64 {
        state.reservations.pending_orders.len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        for (whose, order) in state.reservations.pending_orders.iter() {
            let facts = state
                .reservations
                .pending_order_facts
                .get(order)
                .map_or(&[][..], |e| &e.raw[..]);
            out.text(order).uint(whose).size(facts.len());
            for fact in facts {
                out.text(fact).end_entry();
            }
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        for _ in 0..count {
            let order = input.text()?;
            let whose = input.since(3, In::uint)?.unwrap_or(NOBODY);
            let raw = input.list(In::text)?;
            let place = state.reservations.pending_orders.push(whose, order.clone(), 1);
            if state
                .reservations
                .pending_order_facts
                .restoring()
                .insert(order, PendingOrderFacts { place, raw })
                .is_some()
            {
                return Err(input.damaged("an order stands twice"));
            }
        }
        Ok(())
    }
}

pub(super) mod counters {
    use super::*;

    fn named(counters: &mut Counters) -> [(&'static str, &mut u64); 10] {
        let Counters {
            stale_levels,
            level_conflicts,
            repeats,
            stale_versions,
            anomalies,
            unlocated,
            periods_left,
            pending_order_facts,
            void_batches,
            answers_dropped,
        } = counters;
        [
            ("stale_levels", stale_levels),
            ("level_conflicts", level_conflicts),
            ("repeats", repeats),
            ("stale_versions", stale_versions),
            ("anomalies", anomalies),
            ("unlocated", unlocated),
            ("periods_left", periods_left),
            // Its name in the file is from an earlier version.
            ("early_words", pending_order_facts),
            ("void_batches", void_batches),
            ("answers_dropped", answers_dropped),
        ]
    }

    pub(crate) fn count(state: &State) -> u64 {
        let mut counters = state.counters;
        named(&mut counters).len() as u64
    }

    pub(crate) fn write(state: &State, out: &mut Out<'_, '_>) {
        let mut counters = state.counters;
        for (name, value) in named(&mut counters) {
            out.text(name).uint(*value).end_entry();
        }
    }

    pub(crate) fn read(state: &mut State, input: &mut In<'_, '_>, count: u64) -> Result<(), SnapshotError> {
        let counters = named(&mut state.counters);
        if count != counters.len() as u64 {
            return Err(input.damaged("the counters are not those of its format"));
        }
        for (name, value) in counters {
            if *input.text()? != *name {
                return Err(input.damaged("the counters are not those of its format"));
            }
            *value = input.uint()?;
        }
        Ok(())
    }
}
