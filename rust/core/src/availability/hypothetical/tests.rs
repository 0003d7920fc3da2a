//! What can be sold as if holds were away is what giving them back really leaves.

use proptest::prelude::*;

use crate::availability::hypothetical::Away;
use crate::availability::pool::SaleContext;
use crate::availability::sellable::{base, cap_rest, sellable};
use crate::engine::Engine;
use crate::state::State;
use crate::state::ids::{SkuId, Slot};
use crate::state::reservations::ReservationState;
use crate::testing::World;
use crate::testing::history::{CHANNELS, LOCATIONS, RESERVATIONS, SKUS, lived, steps};
use crate::units::{indexes, kits, ledger};

/// What a channel is answered about a SKU, everywhere or at one location.
type Seen = (i64, bool, i64, i64, Option<i64>);

fn seen(state: &State, sku: SkuId, asking: &SaleContext) -> Seen {
    let all = sellable(state, sku, asking);
    let stock = base(state, sku, asking);
    (
        all.quantity,
        all.unlimited,
        stock.own,
        stock.free,
        cap_rest(state, sku, asking),
    )
}

/// The same question about every SKU, of every channel, everywhere and at each location.
fn all_seen(state: &State, away: Option<&Away>) -> Vec<(String, Seen)> {
    let mut all = Vec::new();
    for (sku, channel) in SKUS
        .iter()
        .flat_map(|sku| CHANNELS.iter().map(move |channel| (sku, channel)))
    {
        let Some(id) = state.catalogue.sku(sku) else { continue };
        for only in [None, Some(LOCATIONS[0]), Some(LOCATIONS[1])] {
            let mut asking = SaleContext::of(state.catalogue.channel(channel), None);
            asking = asking.at(only.and_then(|name| state.catalogue.location(name)));
            if let Some(away) = away {
                asking = asking.without(away);
            }
            all.push((format!("{sku} on {channel} at {only:?}"), seen(state, id, &asking)));
        }
    }
    all
}

fn holds_among(world: &World, chosen: &[bool]) -> Vec<Slot> {
    let slots = RESERVATIONS.iter().zip(chosen).filter(|(_, is)| **is);
    let slots = slots.filter_map(|(id, _)| world.state().reservations.find(id));
    slots
        .filter(|slot| world.state().reservations.get(*slot).state == ReservationState::Held)
        .collect()
}

/// Gives a hold's units back for certain; what could bind now is left for later, as while a hold is decided.
fn give_back(state: &mut State, slot: Slot) {
    ledger::give_back_all(state, slot);
    kits::give_back_caps(state, slot);
    indexes::end_hold(state, slot);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn looking_past_holds_shows_what_giving_them_back_leaves(
        history in steps(60),
        chosen in prop::collection::vec(any::<bool>(), RESERVATIONS.len()),
    ) {
        let mut world = lived(&history);
        let slots = holds_among(&world, &chosen);
        let away = Away::of(world.state(), &slots);
        let shown = all_seen(world.state(), Some(&away));
        let Engine { state, .. } = &mut world.engine;
        for slot in slots {
            give_back(state, slot);
        }
        prop_assert_eq!(shown, all_seen(state, None));
    }

    #[test]
    fn looking_past_nothing_shows_what_there_is(history in steps(40)) {
        let world = lived(&history);
        let nothing = Away::of(world.state(), &[]);
        prop_assert_eq!(all_seen(world.state(), Some(&nothing)), all_seen(world.state(), None));
    }
}

#[test]
fn a_hold_that_is_looked_past_frees_its_node_its_quotas_and_its_kits_cap() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.allocation("web", "S", 2);
    world.kit("K", &[("S", 2)]);
    world.cap("web", "K", 2);
    world.hold("cart", "web", &[("K", 2)]);
    assert_eq!((world.sellable("S", "web"), world.sellable("K", "web")), (1, 0));
    let away = Away::of(world.state(), &[world.slot("cart")]);
    let asking = SaleContext::of(Some(world.channel_id("web")), None).without(&away);
    let units = |sku: &str| sellable(world.state(), world.sku(sku), &asking).quantity;
    assert_eq!((units("S"), units("K")), (5, 2));
    let stock = base(world.state(), world.sku("S"), &asking);
    assert_eq!((stock.own, stock.free), (2, 5));
    assert_eq!(world.sellable("S", "web"), 1, "nothing has changed");
}
