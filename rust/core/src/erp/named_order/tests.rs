//! Documents whose newer version names another order count as if the older one had never come (docs/rules.md, "Documents").

use serde_json::{Value, json};

use crate::Engine;
use crate::testing::{NOW_MS, World};

/// Two orders at A, of which the first has shipped 2 of 4.
fn two_orders() -> World {
    let mut world = World::new();
    world.level("S", "A", 20);
    world.order("o", "web", &[("S", 4)]);
    world.order("p", "web", &[("S", 5)]);
    let shipped = json!({"ref": "s0", "order_ref": "o", "lines": [{"sku": "S", "location": "A", "quantity": 2}]});
    world.next("shipment", shipped);
    world
}

fn version(world: &mut World, kind: &str, number: i64, order: Option<&str>, mut body: Value) {
    body["ref"] = json!("b");
    body["version"] = json!(number);
    if let Some(order) = order {
        body["order_ref"] = json!(order);
    }
    world.next(kind, body);
}

/// What can be sold, and the units of each order, in whatever order they are listed.
fn come_to(world: &World) -> (i64, [Vec<String>; 2]) {
    let units = |order: &str| {
        let mut all: Vec<String> = world.units(order).split(", ").map(ToOwned::to_owned).collect();
        all.sort();
        all
    };
    (world.sellable("S", "web"), [units("o"), units("p")])
}

#[test]
fn what_the_version_before_did_to_another_order_is_undone() {
    let lines = json!([{"sku": "S", "quantity": 2}]);
    let bodies = [
        (
            "return",
            json!({"sku": "S", "location": "A", "quantity": 3, "condition": "sellable"}),
        ),
        ("shipment", json!({"lines": lines})),
        ("order.update", json!({"lines": lines, "status": "cancelled"})),
        ("order.update", json!({"lines": lines, "status": "short"})),
    ];
    let orders = [Some("o"), Some("p"), Some("of nobody"), None];
    for (kind, body) in bodies {
        let named = if kind == "return" { &orders[..] } else { &orders[..3] };
        for (first, second) in named.iter().flat_map(|f| named.iter().map(move |s| (*f, *s))) {
            if first == second {
                continue;
            }
            let (mut both, mut alone) = (two_orders(), two_orders());
            version(&mut both, kind, 1, first, body.clone());
            version(&mut both, kind, 2, second, body.clone());
            version(&mut alone, kind, 2, second, body.clone());
            assert_eq!(
                come_to(&both),
                come_to(&alone),
                "{kind} of {first:?}, then of {second:?}"
            );
        }
    }
}

#[test]
fn a_return_that_gets_its_order_later_counts_once() {
    let mut world = two_orders();
    let body = json!({"sku": "S", "location": "A", "quantity": 2, "condition": "sellable"});
    let before = world.sellable("S", "web");
    version(&mut world, "return", 1, None, body.clone());
    assert_eq!(world.sellable("S", "web"), before + 2);
    version(&mut world, "return", 2, Some("o"), body.clone());
    assert_eq!(world.sellable("S", "web"), before + 2);
    version(&mut world, "return", 3, None, body);
    assert_eq!(world.sellable("S", "web"), before + 2);
}

#[test]
fn before_the_third_edition_versions_are_compared_whatever_they_name() {
    let lead = String::from_utf8(Engine::new("main", None).lead_batch("n1", NOW_MS, "{}").unwrap()).unwrap();
    let mut world = World::led_by(lead.replace(r#""edition":3"#, r#""edition":2"#).into_bytes());
    world.location("A", json!({}));
    world.channel("web", json!({}));
    world.level("S", "A", 20);
    let body = json!({"sku": "S", "location": "A", "quantity": 2, "condition": "sellable"});
    version(&mut world, "return", 1, None, body.clone());
    version(&mut world, "return", 2, Some("o"), body);
    assert_eq!(world.sellable("S", "web"), 24);
}
