//! Which tables there are, in which order, and that none of the state is forgotten.
//!
//! In: the state, field by field. Out: its tables. Always: every field of the state is named in [`every_field`], so that a
//! new one does not compile until somebody decided whether it is stored, derived or left out; a table names only what
//! earlier tables hold.

mod documents;
mod memory;
mod names;
mod order_documents;
mod policies;
mod reservation_lists;
mod reservations;
mod sold;
mod stock;

use super::SnapshotError;
use super::wire::{In, Out};
use crate::state::State;

type Read = fn(&mut State, &mut In<'_, '_>, u64) -> Result<(), SnapshotError>;

/// One table: how many entries it has, how they are written, how they are read.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) count: fn(&State) -> u64,
    pub(super) write: fn(&State, &mut Out<'_, '_>),
    pub(super) read: Read,
}

macro_rules! tables {
    ($($name:literal => $module:ident :: $part:ident),* $(,)?) => {
        &[$(Table {
            name: $name,
            count: $module::$part::count,
            write: $module::$part::write,
            read: $module::$part::read,
        }),*]
    };
}

/// The body, in order; newer formats add at the end.
pub(super) const TABLES: &[Table] = tables![
    "sources" => names::sources,
    "regions" => names::regions,
    "locations" => names::locations,
    "channels" => names::channels,
    "skus" => names::skus,
    "items" => names::items,
    "cells" => stock::cells,
    "conditions" => stock::conditions,
    "movements" => stock::movements,
    "supplies" => documents::supplies,
    "demands" => documents::demands,
    "closed_supplies" => documents::closed_supplies,
    "closed_demands" => documents::closed_demands,
    "lists" => documents::lists,
    "allocations" => policies::allocations,
    "caps" => policies::caps,
    "restrictions" => policies::restrictions,
    "oversell" => policies::oversell,
    "safety" => policies::safety,
    "freshness" => policies::freshness,
    "identities" => memory::identities,
    "answered" => memory::answered,
    "slots" => reservations::slots,
    "reservations" => reservations::records,
    "at_cell" => reservation_lists::at_cell,
    "closed" => reservation_lists::closed,
    "early" => memory::pending_orders,
    "counters" => memory::counters,
    "order_documents" => order_documents::of_orders,
    "rises" => stock::rises,
    "former_owners" => stock::former_owners,
];

/// The tables of a file of this format.
pub(super) fn tables_of(format: u32) -> &'static [Table] {
    match format {
        1 => &TABLES[..TABLES.len() - 3],
        _ => TABLES,
    }
}
