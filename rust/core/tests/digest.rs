//! The maintained digest equals the recounted one after any history (docs/log.md, "Digest").

mod support;

use holdfast_core::Verb;
use support::{Node, PLACES};

/// Six calls after which it once did not: unsourced units were put in another order without updating the digest.
#[test]
fn units_of_a_cancelled_supply_beside_units_beyond_any_node() {
    for first in ["CUP", "SAUCER"] {
        cancelled_supply(first);
    }
}

/// SKUs have numbers in the order in which they were first named, and the order of units follows from these.
fn cancelled_supply(first: &str) {
    let mut node = Node::new();
    node.facts(PLACES);
    node.facts(&format!(r#"{{"kind":"item","sku":"{first}","base_unit":"each"}}"#));
    node.facts(r#"{"kind":"channel","channel":"web","locations":"*","supply_horizon_days":30}"#);
    node.facts(r#"{"kind":"oversell","channel":"web","policy":"unlimited"}"#);
    node.facts(
        r#"{"kind":"item","sku":"SET","base_unit":"each","kit":[{"sku":"CUP","quantity":2},{"sku":"SAUCER","quantity":1}]}"#,
    );
    let cart = r#"{"channel":"web","ttl_ms":600000,"lines":[{"sku":"SET","quantity":1},{"sku":"CUP","quantity":3}]}"#;
    assert_eq!(node.ask(Verb::Put, "cart", cart).0, 201);
    let supply = |status| {
        format!(
            r#"{{"kind":"supply","ref":"po","line":"1","sku":"SAUCER","location":"A","quantity":6,"due":"2023-11-20","status":"{status}"}}"#
        )
    };
    node.facts(&supply("open"));
    assert_eq!(node.ask(Verb::Confirm, "cart", r#"{"order_ref":"o1"}"#).0, 200);
    node.facts(&supply("cancelled"));
    node.facts(
        r#"{"kind":"stock.delta","sku":"CUP","location":"A","quantity":1,"reason":"count","ref":"d1","as_of":5}"#,
    );
    assert_eq!(node.replay().digest(), node.engine.digest());
}
