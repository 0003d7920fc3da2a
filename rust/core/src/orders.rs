//! What an ERP says of an order: acknowledged here, moved there, refused, short, shipped.
//!
//! In: order facts, before or after the order itself. Out: units with evidence; `netting` draws the conclusion.

use crate::binding::add_portion;
use crate::binding::reindex;
use crate::digest::Entity;
use crate::facts::{AsOf, OrderAck, OrderUpdate, UpdateStatus};
use crate::ids::{LocationId, SkuId, Slot, SourceId};
use crate::lifecycle::{give_back, give_back_kits_gone, kits_counted};
use crate::netting::{enter_indexes, renew};
use crate::reservations::{ByAge, Node, Portion};
use crate::sourcing::occupy;
use crate::state::State;

/// Gives a confirmed reservation its order's name and tells it what was said of that order before.
pub(crate) fn name_order(state: &mut State, slot: Slot, order_ref: &str) {
    if state.reservations.get(slot).order_ref.as_deref() == Some(order_ref) {
        return;
    }
    state.reservations.name_order(slot, order_ref);
    let Some(early) = state.reservations.early.remove(order_ref) else {
        return;
    };
    state.reservations.early_order.retain(|o| &**o != order_ref);
    for raw in &early.raw {
        state.digest.take(Entity::Early, raw.as_bytes());
        let Ok(word) = crate::facts::parse_logged(raw) else {
            continue;
        };
        let source = state.source(&word.source);
        match &word.fact {
            crate::facts::Fact::OrderAck(ack) => acknowledge_one(state, slot, source, ack),
            crate::facts::Fact::OrderUpdate(update) => {
                let moves = update_moves(state, update);
                update_slots(state, &[slot], source, update.status, update.as_of, &moves);
            }
            _ => {}
        }
    }
}

/// Keeps what was said of an order that no reservation has named yet; bounded, the oldest order is dropped first.
pub(crate) fn keep_early(state: &mut State, order_ref: &str, raw: String) {
    state.counters.early_words += 1;
    state.digest.add(Entity::Early, raw.as_bytes());
    let early = state.reservations.early.entry(order_ref.into()).or_default();
    if early.raw.is_empty() {
        state.reservations.early_order.push_back(order_ref.into());
    }
    early.raw.push(raw.into());
    while state.reservations.early_order.len() > state.rules.identities_max.max(1) {
        let oldest = state.reservations.early_order.pop_front().expect("not empty");
        for gone in state.reservations.early.remove(&oldest).unwrap_or_default().raw {
            state.digest.take(Entity::Early, gone.as_bytes());
        }
    }
}

pub(crate) fn slots_of(state: &State, order_ref: &str) -> ByAge {
    state.reservations.of_order(order_ref)
}

pub(crate) fn acknowledge(state: &mut State, source: SourceId, ack: &OrderAck<'_>) {
    for slot in slots_of(state, &ack.order_ref) {
        acknowledge_one(state, slot, source, ack);
    }
}

fn acknowledge_one(state: &mut State, slot: Slot, source: SourceId, ack: &OrderAck<'_>) {
    let mut named: Vec<(SkuId, Vec<LocationId>)> = Vec::new();
    for line in &ack.lines {
        let (Some(sku), Some(location)) = (state.catalogue.sku(&line.sku), state.catalogue.location(&line.location))
        else {
            continue;
        };
        state.catalogue.for_each_component(sku, |component, _| {
            match named.iter_mut().find(|(s, _)| *s == component) {
                Some((_, places)) => places.push(location),
                None => named.push((component, vec![location])),
            }
        });
    }
    state.touch_reservation(slot);
    state.reservations.get_mut(slot).version += 1;
    let portions = std::mem::take(&mut state.reservations.get_mut(slot).portions);
    let before: Vec<(SkuId, Node)> = portions.iter().map(|p| (p.sku, p.node)).collect();
    for portion in portions {
        let target = if ack.lines.is_empty() {
            where_it_stands(state, source, &portion)
        } else {
            named
                .iter()
                .find(|(s, _)| *s == portion.sku)
                .and_then(|(_, places)| match portion.node {
                    Node::Hand(l) if places.contains(&l) => Some(Node::Hand(l)),
                    // What has left is somewhere else no more, and only who counts its place can say more of it.
                    Node::Unsourced if portion.is_shipped() => Some(Node::Unsourced),
                    _ if portion.is_shipped() => where_it_stands(state, source, &portion),
                    _ => Some(Node::Hand(places[0])),
                })
        };
        match target {
            Some(node) => relocate(state, slot, portion, node, |p| {
                let evidence = p.evidence_mut();
                let earlier = evidence.ack.filter(|(s, old)| *s == source && *old <= ack.as_of);
                evidence.ack = earlier.or(Some((source, ack.as_of)));
            }),
            None => add_portion(state, slot, portion),
        }
    }
    for (sku, node) in before {
        reindex(state, slot, sku, node);
    }
    enter_indexes(state, slot);
    renew(state, slot);
}

/// Where an acknowledgement without lines leaves a portion; None where it says nothing of it.
fn where_it_stands(state: &State, source: SourceId, portion: &Portion) -> Option<Node> {
    let location = location_of(state, portion.node)?;
    state.location_owner[location.at()]
        .is_none_or(|owner| owner == source)
        .then_some(portion.node)
}

fn location_of(state: &State, node: Node) -> Option<LocationId> {
    match node {
        Node::Hand(location) => Some(location),
        Node::Supply(id) => Some(state.documents.supplies.get(id.0).location),
        Node::Unsourced => None,
    }
}

/// Moves a portion (taken out of its reservation) to a node, changes it, and puts it back.
fn relocate(state: &mut State, slot: Slot, mut portion: Portion, node: Node, change: impl FnOnce(&mut Portion)) {
    let (sku, from, quantity) = (portion.sku, portion.node, portion.quantity);
    if from != node {
        if !portion.inside {
            occupy(state, sku, from, -quantity, true);
        }
        portion.inside = false;
        portion.node = node;
        occupy(state, sku, node, quantity, true);
        // What the ERP saw of a unit elsewhere says nothing about this place.
        let elsewhere = location_of(state, from) != location_of(state, node);
        if let (true, Some(evidence)) = (elsewhere, portion.evidence.as_deref_mut()) {
            evidence.ack = None;
        }
    }
    change(&mut portion);
    add_portion(state, slot, portion);
    if from != node {
        reindex(state, slot, sku, from);
        reindex(state, slot, sku, node);
    }
}

/// Units by base SKU and place that an update or a shipment names; kits are taken apart.
pub(crate) type LineMoves = Vec<(SkuId, Option<LocationId>, i64)>;

pub(crate) fn line_moves(state: &State, lines: &[crate::facts::QuantityLine<'_>]) -> LineMoves {
    let mut moves: LineMoves = Vec::new();
    for line in lines {
        let Some(sku) = state.catalogue.sku(&line.sku) else {
            continue;
        };
        let location = line.location.as_deref().and_then(|l| state.catalogue.location(l));
        state.catalogue.for_each_component(sku, |component, per_unit| {
            let units = line.quantity * per_unit;
            match moves.iter_mut().find(|(s, l, _)| *s == component && *l == location) {
                Some((_, _, quantity)) => *quantity += units,
                None => moves.push((component, location, units)),
            }
        });
    }
    moves
}

pub(crate) fn update_moves(state: &State, update: &OrderUpdate<'_>) -> LineMoves {
    line_moves(state, &update.lines)
}

/// Takes units out of an order: cancelled and refused ones are dropped, short ones count as shipped.
pub(crate) fn update_slots(
    state: &mut State,
    slots: &[Slot],
    source: SourceId,
    status: UpdateStatus,
    as_of: AsOf,
    moves: &[(SkuId, Option<LocationId>, i64)],
) {
    let kits: Vec<Vec<i64>> = slots.iter().map(|&slot| kits_counted(state, slot)).collect();
    for &(sku, location, quantity) in moves {
        let mut left = quantity;
        for &slot in slots {
            while left > 0 {
                let Some(portion) = take_open(state, slot, sku, location, left, Taking::Update) else {
                    break;
                };
                left -= portion.quantity;
                match status {
                    UpdateStatus::Cancelled | UpdateStatus::Refused => {
                        let channel = state.reservations.get(slot).channel;
                        give_back(state, slot, channel, &portion);
                    }
                    UpdateStatus::Short => mark_shipped(state, slot, portion, None, source, as_of),
                }
            }
        }
    }
    for (&slot, kits) in slots.iter().zip(&kits) {
        give_back_kits_gone(state, slot, kits);
        enter_indexes(state, slot);
        renew(state, slot);
    }
}

/// Why units are taken out of an order, which decides where from first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taking {
    /// What was told to have left over HTTP, then the named place, then elsewhere, supply, unsourced.
    Shipment,
    /// The named place, then what is least certain: unsourced, supply, then the last cell first.
    Update,
    /// Over HTTP: units not told before, the named place first.
    Fulfil,
}

/// Told to have left or not, how near, the cell's (priority, name), the place in the list.
type Turn = (u8, u8, u16, usize);

fn rank(state: &State, taking: Taking, portion: &Portion, location: Option<LocationId>, at: usize) -> Option<Turn> {
    if portion.is_shipped() || (taking != Taking::Shipment && portion.fulfilled) {
        return None;
    }
    let here = location.is_some_and(|l| portion.node == Node::Hand(l));
    let (class, place) = match portion.node {
        Node::Hand(cell) => (0, state.catalogue.locations[cell.at()].rank),
        Node::Supply(_) => (1, 0),
        Node::Unsourced => (2, 0),
    };
    Some(match taking {
        Taking::Shipment => (
            u8::from(!portion.fulfilled),
            if here { 0 } else { 1 + class },
            place,
            at,
        ),
        Taking::Fulfil => (0, if here { 0 } else { 1 + class }, place, at),
        Taking::Update => (
            u8::from(portion.fulfilled),
            if here { 0 } else { 3 - class },
            u16::MAX - place,
            usize::MAX - at,
        ),
    })
}

/// Takes at most `most` open units of a SKU out of a reservation's list (the books are the caller's).
pub(crate) fn take_open(
    state: &mut State,
    slot: Slot,
    sku: SkuId,
    location: Option<LocationId>,
    most: i64,
    taking: Taking,
) -> Option<Portion> {
    let candidates = state
        .reservations
        .get(slot)
        .portions
        .iter()
        .enumerate()
        .filter(|(_, p)| p.sku == sku);
    let (_, at) = candidates
        .filter_map(|(at, p)| rank(state, taking, p, location, at).map(|r| (r, at)))
        .min()?;
    state.touch_reservation(slot);
    let reservation = state.reservations.get_mut(slot);
    if reservation.portions[at].quantity <= most {
        Some(reservation.portions.remove(at))
    } else {
        Some(reservation.portions[at].split(most, taking != Taking::Update))
    }
}

/// Takes at most `most` units that leave an order: over all its reservations the nearest first, then the oldest. Gives too
/// where they leave from; units without a shelf leave from the order's first cell. None: nothing is left that can leave.
pub(crate) fn take_leaving(
    state: &mut State,
    slots: &[Slot],
    sku: SkuId,
    location: Option<LocationId>,
    most: i64,
    taking: Taking,
) -> Option<(Slot, Portion, Option<LocationId>)> {
    let nearest = |&slot: &Slot| {
        let portions = state.reservations.get(slot).portions.iter().enumerate();
        let ranked = portions
            .filter(|(_, p)| p.sku == sku)
            .filter_map(|(at, p)| rank(state, taking, p, location, at));
        ranked.min().map(|(told, distance, ..)| (told, distance))
    };
    let ranked = slots
        .iter()
        .enumerate()
        .filter_map(|(age, slot)| nearest(slot).map(|near| (near, age)));
    let (_, age) = ranked.min()?;
    let portion = take_open(state, slots[age], sku, location, most, taking)?;
    let home = match portion.node {
        Node::Hand(_) => location,
        _ => location.or_else(|| first_cell(state, slots, sku)),
    };
    Some((slots[age], portion, home))
}

/// Of the cells that serve an order's SKU the first by (priority, name).
fn first_cell(state: &State, slots: &[Slot], sku: SkuId) -> Option<LocationId> {
    let portions = slots.iter().flat_map(|&slot| &state.reservations.get(slot).portions);
    let cells = portions.filter(|p| p.sku == sku).filter_map(|p| match p.node {
        Node::Hand(location) => Some(location),
        _ => None,
    });
    cells.min_by_key(|l| state.catalogue.locations[l.at()].rank)
}

/// Puts a portion back as shipped, at the place that was named.
pub(crate) fn mark_shipped(
    state: &mut State,
    slot: Slot,
    portion: Portion,
    location: Option<LocationId>,
    source: SourceId,
    as_of: AsOf,
) {
    let node = location.map_or(portion.node, Node::Hand);
    relocate(state, slot, portion, node, |p| {
        p.evidence_mut().shipped = Some((source, as_of));
    });
}

/// Puts a portion back as told to have left over HTTP.
pub(crate) fn mark_fulfilled(state: &mut State, slot: Slot, portion: Portion, location: Option<LocationId>) {
    let node = location.map_or(portion.node, Node::Hand);
    relocate(state, slot, portion, node, |p| p.fulfilled = true);
}
