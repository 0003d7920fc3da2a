//! Which tables there are, in which order, and that none of the state is forgotten.
//!
//! In: the state, field by field. Out: its tables. Always: every field of the state is named in [`every_field`], so that a
//! new one does not compile until somebody decided whether it is stored, derived or left out; a table names only what
//! earlier tables hold.

mod documents;
mod memory;
mod names;
mod policies;
mod reservations;
mod stock;

use super::SnapshotError;
use super::wire::{In, Out};
use crate::catalogue::Catalogue;
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

/// The body, in order.
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
    "at_cell" => reservations::at_cell,
    "closed" => reservations::closed,
    "early" => memory::early,
    "counters" => memory::counters,
];

/// Names every field of the state and what becomes of it. It does nothing: it is there to be compiled.
#[allow(dead_code, reason = "it is there to be compiled")]
fn every_field(state: &State) {
    let State {
        scope: _,    // header
        position: _, // header
        rules: _,    // header
        catalogue,
        stock: _,           // cells, conditions, movements; the memory behind them is laid out anew
        documents: _,       // supplies, demands and their closed ones; by key and by order: derived
        policies: _,        // restrictions, oversell, safety, freshness; counts: derived
        reservations: _,    // slots, reservations, at_cell, closed, early; due, by id, owner, order, state: derived
        identities: _,      // identities
        answered: _,        // answered
        location_owner: _,  // locations
        source_clock: _,    // sources
        counters: _,        // counters
        digest: _,          // counted anew
        units_in_cells: _,  // derived
        units_on_supply: _, // derived
        units_unsourced: _, // derived
        unsourced_skus: _,  // derived
        to_bind: _,         // empty between batches
        is_looking: _,      // false between questions
        scratch: _,         // holds nothing
    } = state;
    let Catalogue {
        sku_names: _,      // skus
        skus: _,           // at hand: derived; the rest says where things lie
        details: _,        // items, lists, allocations, caps; unsourced: derived
        aliases: _,        // derived from items
        location_names: _, // locations
        locations: _,      // locations; rank: derived
        channel_names: _,  // channels
        channels: _,       // channels
        source_names: _,   // sources
        region_names: _,   // regions
    } = catalogue;
}
