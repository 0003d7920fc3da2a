//! What an owner holds already, and questions asked as if it were not held.

use crate::ids::{ChannelId, SkuId, Slot};
use crate::reservations::{Node, Owner};
use crate::state::State;

/// 128 bits instead of a name: raw customer data never enters LOG.
pub(crate) fn keyed_hash(key: Option<&[u8; 32]>, owner: &str) -> Owner {
    let hash = blake3::keyed_hash(key.unwrap_or(&[0; 32]), owner.as_bytes());
    let (first, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    Owner::from_bytes(*first)
}

/// The holds of an owner on a channel.
pub(crate) fn holds_of(state: &State, owner: Option<Owner>, channel: Option<ChannelId>) -> Vec<Slot> {
    let all = owner
        .map(|owner| state.reservations.of_owner(owner))
        .unwrap_or_default();
    all.into_iter()
        .filter(|&slot| Some(state.reservations.get(slot).channel) == channel)
        .collect()
}

/// Asks a question as if some holds were not there; they are put back as they were, to the last unit.
pub(crate) fn without<R>(state: &mut State, slots: &[Slot], ask: impl FnOnce(&State) -> R) -> R {
    if slots.is_empty() {
        return ask(state);
    }
    let toggle = |state: &mut State, sign: i64| {
        for &slot in slots {
            let r = state.reservations.get(slot);
            let channel = r.channel;
            let portions: Vec<_> = r
                .portions
                .iter()
                .map(|p| (p.sku, p.node, p.quantity, p.own, p.own_period, p.cap_period))
                .collect();
            let kits: Vec<_> = r
                .lines
                .iter()
                .filter(|l| l.cap_period != 0)
                .map(|l| (l.sku, l.quantity, l.cap_period))
                .collect();
            for (sku, node, quantity, own, own_period, cap_period) in portions {
                crate::sourcing::occupy(state, sku, node, sign * quantity, false);
                crate::rations::consume(
                    state,
                    sku,
                    channel,
                    crate::rations::Kind::Allocation,
                    sign * own,
                    own_period,
                );
                crate::rations::consume(
                    state,
                    sku,
                    channel,
                    crate::rations::Kind::Cap,
                    sign * quantity,
                    cap_period,
                );
                if node == Node::Unsourced {
                    hide_unsourced(state, sku, slot, sign < 0);
                }
            }
            for (sku, quantity, period) in kits {
                crate::rations::consume(state, sku, channel, crate::rations::Kind::Cap, sign * quantity, period);
            }
        }
    };
    state.is_looking = true;
    toggle(state, -1);
    let answer = ask(state);
    toggle(state, 1);
    state.is_looking = false;
    state.to_bind.clear();
    answer
}

fn hide_unsourced(state: &mut State, sku: SkuId, slot: Slot, hide: bool) {
    let age = state.reservations.get(slot).age(slot);
    let listed = &mut state.catalogue.detail_mut(sku).flow.unsourced;
    if hide {
        listed.remove(&age)
    } else {
        listed.insert(age)
    };
}
