//! Reading ahead: what the next texts will need is fetched kind by kind, before each is decided or applied in full.
//!
//! In: commands or facts. Out: nothing but a warm cache: one text after the other would wait for a dozen cache misses in
//! turn, this way the processor waits for many at once. Always: changes nothing and decides nothing; a name that it
//! overlooks or mistakes costs time only.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::state::State;
use crate::state::ids::SkuId;
use crate::state::reservations::{Owner, StockNode, Wanted};
use crate::verbs::{Body, Command};
use crate::wire::facts::{Fact, Statement};

/// As many at a time as stay in the nearest caches until they are used.
pub(crate) const TEXTS_MAX: usize = 64;

/// Room for what a group of texts usually names.
type Few<T> = SmallVec<[T; 2 * TEXTS_MAX]>;

/// Fetches what commands will need: the SKUs that carts name, the reservations of the others.
pub(crate) fn look_for(state: &State, commands: &[Command<'_>], bodies: &[Body<'_>]) {
    let mut names = Few::new();
    let mut wanted = Wanted::default();
    for (command, body) in commands.iter().zip(bodies) {
        wanted.ids.push(command.id);
        match body {
            Body::Put(Ok(body), owner) => {
                names.extend(body.lines.iter().map(|line| line.sku.as_bytes()));
                wanted.owners.extend(owner.map(|keyed| keyed.owner));
            }
            Body::Confirm(Ok(body)) => wanted.orders.extend(body.order_ref.as_deref()),
            _ => {}
        }
    }
    look(state, &names, &wanted);
}

/// Fetches what facts will need.
pub(crate) fn look_into<'t>(state: &State, facts: impl Iterator<Item = &'t Statement<'t>>) {
    let mut names = Few::new();
    let mut wanted = Wanted::default();
    for statement in facts {
        match &statement.fact {
            Fact::ReservationHeld(held) => {
                names.extend(held.lines.iter().map(|line| line.sku.as_bytes()));
                wanted.ids.push(&held.id);
                wanted.owners.extend(held.owner.as_deref().map(Owner::of));
            }
            Fact::ReservationConfirmed(confirmed) => {
                wanted.ids.push(&confirmed.id);
                wanted.orders.extend(confirmed.order_ref.as_deref());
            }
            Fact::ReservationReleased(id) | Fact::ReservationCancelled(id) => wanted.ids.push(id),
            Fact::StockLevel(level) => names.push(level.sku.as_bytes()),
            _ => {}
        }
    }
    look(state, &names, &wanted);
}

/// Touches the SKUs and reservations, and what these lead to. Each loop waits for one kind of miss.
fn look(state: &State, names: &[&[u8]], wanted: &Wanted<'_>) {
    let symbols = &state.catalogue.sku_names;
    let tags: Few<u32> = names.iter().map(|name| symbols.tag(name)).collect();
    let mut skus: Few<SkuId> = tags.iter().filter_map(|&tag| symbols.likely(tag).map(SkuId)).collect();
    let (slots, mut touched) = state.reservations.look_ahead(wanted);
    for sku in &skus {
        touched ^= i64::from(symbols.end(sku.0)) ^ state.catalogue.skus[sku.at()].at_hand;
    }
    for &slot in &slots {
        for portion in &state.reservations.get(slot).portions {
            if let StockNode::Hand(location) = portion.node {
                skus.push(portion.sku);
                touched ^= i64::from(state.reservations.at_cell.contains_key(&(portion.sku, location)));
            }
        }
    }
    for &sku in &skus {
        for cell in state.cells(sku) {
            touched ^= cell.on_hand ^ cell.safety;
        }
        touched ^= i64::from(symbols.name(sku.0).as_bytes().first().copied().unwrap_or(0));
    }
    black_box(touched);
}
