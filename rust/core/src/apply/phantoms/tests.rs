//! A name that becomes an alias, at any moment of a history: on a follower, from a snapshot and in a replay alike.

use proptest::prelude::*;
use serde_json::json;

use crate::engine::Engine;
use crate::testing::World;
use crate::testing::history::{lived, steps};

/// What a history says of the phantom before its name becomes an alias, and after.
#[derive(Debug, Clone)]
enum Said {
    Level(&'static str, i64),
    Delta(&'static str, i64),
    Alias(bool),
    Snapshot,
}

fn said() -> impl Strategy<Value = Said> {
    let place = prop::sample::select(vec!["A", "B"]);
    prop_oneof![
        3 => (place.clone(), 0i64..9).prop_map(|(l, n)| Said::Level(l, n)),
        2 => (place, -3i64..4).prop_map(|(l, n)| Said::Delta(l, n)),
        2 => any::<bool>().prop_map(Said::Alias),
        1 => Just(Said::Snapshot),
    ]
}

fn restored(world: &mut World) -> Engine {
    let mut file = Vec::new();
    world.engine.snapshot(&mut file).unwrap();
    let mut again = Engine::restore("main", None, &mut file.as_slice()).unwrap();
    assert_eq!(again.digest(), world.engine.digest());
    assert_eq!(again.check_thoroughly(), Vec::<String>::new());
    again
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_name_means_one_sku_everywhere(before in steps(12), story in prop::collection::vec(said(), 1..14)) {
        let mut world = lived(&before);
        let mut is_alias = false;
        for (n, said) in story.iter().enumerate() {
            match *said {
                Said::Level(location, on_hand) => world.level("PHANTOM", location, on_hand),
                Said::Delta(location, quantity) => {
                    let fields = json!({"sku": "PHANTOM", "location": location, "quantity": quantity, "reason": "",
                        "ref": format!("d{n}")});
                    world.next("stock.delta", fields);
                }
                Said::Alias(on) => {
                    let aliases = if on { json!(["PHANTOM"]) } else { json!([]) };
                    world.fact("item", json!({"sku": "S", "base_unit": "each", "aliases": aliases}));
                    is_alias = on;
                }
                Said::Snapshot => world.engine = restored(&mut world),
            }
            if is_alias {
                for channel in ["web", "shop"] {
                    prop_assert_eq!(world.sellable("PHANTOM", channel), world.sellable("S", channel));
                }
            }
        }
        restored(&mut world);
    }
}

#[test]
fn the_levels_of_the_phantom_are_gone_though_the_name_comes_back() {
    let mut world = World::new();
    world.level("S", "A", 5);
    world.level("PHANTOM", "A", 3);
    world.fact("item", json!({"sku": "S", "base_unit": "each", "aliases": ["PHANTOM"]}));
    assert_eq!(world.sellable("PHANTOM", "web"), 5);
    world.fact("item", json!({"sku": "S", "base_unit": "each"}));
    assert_eq!(world.sellable("PHANTOM", "web"), 0);
    assert_eq!(world.sellable("S", "web"), 5);
}
