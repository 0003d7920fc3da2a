//! The operations whose instructions `benchmarks/gate.py` counts under valgrind: one function each, called once.
//!
//! Prints one JSON object per line: the function's name, and by how many of which unit to divide its count. Preparations
//! stay outside of the functions, and nothing here depends on time or chance. For the gate's own test, the argument
//! `short` ends it after the first reservations, and `slowed` makes each of these do an availability answer's work more.
#![allow(clippy::print_stdout, reason = "its output is what the gate reads")]

#[path = "../../core/benches/support/mod.rs"]
mod support;

use std::hint::black_box;

use holdfast_core::ids::{ChannelId, SkuId};
use holdfast_core::{Engine, Verb};
use support::{LOCATIONS, Random, Request, Shop, carts, level_messages, sku_name};

/// The extension's allocator: the counts are then those of what is shipped, and do not depend on the machine's C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SKUS: u32 = 1_000;
const HOLDS: usize = 1_000;
const GROUP: usize = 500;
/// The first SKUs have allocations and demand.
const CLAIMED: u32 = 200;
const ERP: &str = "hf.main.in.erp.acme";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [short, slowed] = ["short", "slowed"].map(|word| arguments.iter().any(|a| a == word));
    let mut shop = Shop::stocked(SKUS, true);
    shop.take_in("hf.main.in.policy", &allocations());
    shop.take_in(ERP, &demands());
    shop.engine.digest();

    report("gate_sellable_by_id", "read", SKUS - CLAIMED, || {
        gate_sellable_by_id(&shop.engine)
    });
    report("gate_sellable_beside_claims", "read", CLAIMED, || {
        gate_sellable_beside_claims(&shop.engine)
    });
    let names: Vec<String> = (CLAIMED..SKUS).map(sku_name).collect();
    report("gate_availability_answer", "answer", SKUS - CLAIMED, || {
        gate_availability_answer(&shop.engine, &names)
    });

    let mut random = Random(4);
    let plain = |random: &mut Random, first: usize| {
        let mut requests = carts(random, SKUS - CLAIMED, first, HOLDS);
        requests.iter_mut().for_each(move_past_claimed);
        requests
    };
    let holds = plain(&mut random, 0);
    report("gate_hold_two_lines", "reservation", HOLDS, || {
        gate_hold_two_lines(&mut shop, &holds, slowed);
    });
    if short {
        return;
    }
    report("gate_hold_again", "reservation", HOLDS, || {
        gate_hold_again(&mut shop, &holds);
    });
    let mut confirms = holds.clone();
    for confirm in &mut confirms {
        confirm.body = format!(r#"{{"order_ref":"order-{}"}}"#, confirm.id).into_bytes();
    }
    report("gate_confirm", "reservation", HOLDS, || {
        gate_confirm(&mut shop, &confirms);
    });
    let to_let_go = plain(&mut random, HOLDS);
    hold_all("", &mut shop, &to_let_go);
    let releases: Vec<Request> = to_let_go
        .iter()
        .map(|r| Request {
            id: r.id.clone(),
            body: Vec::new(),
        })
        .collect();
    report("gate_release", "reservation", HOLDS, || {
        gate_release(&mut shop, &releases);
    });
    let beside = carts(&mut random, CLAIMED, 2 * HOLDS, GROUP);
    report("gate_hold_beside_claims", "reservation", GROUP, || {
        gate_hold_beside_claims(&mut shop, &beside);
    });
    let cells = SKUS as usize * LOCATIONS.len();
    let levels: Vec<Vec<u8>> = level_messages(SKUS, 2).collect();
    report("gate_take_in_levels", "fact", cells, || {
        gate_take_in_levels(&mut shop, &levels);
    });

    let log = shop.log.take().expect("it was kept");
    let facts: usize = log
        .iter()
        .map(|message| String::from_utf8_lossy(message).matches("\"kind\":\"").count() - 1)
        .sum();
    report("gate_replay", "fact", facts, || gate_replay(&log));
}

/// Runs one operation, and returns what its count is to be divided by.
fn report<R>(operation: &str, unit: &str, count: impl std::fmt::Display, run: impl FnOnce() -> R) {
    black_box(run());
    println!(r#"{{"operation": "{operation}", "unit": "{unit}", "count": {count}}}"#);
}

/// Three channels, each with its own locations, that ring-fence units of the first SKUs.
fn allocations() -> Vec<u8> {
    let mut facts = Vec::new();
    for (n, channel) in ["b2b", "marketplace", "stores"].into_iter().enumerate() {
        let (one, other) = (LOCATIONS[n], LOCATIONS[n + 1]);
        facts.push(format!(
            r#"{{"kind":"channel","channel":"{channel}","locations":["{one}","{other}"]}}"#
        ));
        let allocation = |sku| {
            format!(
                r#"{{"kind":"allocation","channel":"{channel}","sku":"{}","quantity":5000}}"#,
                sku_name(sku)
            )
        };
        facts.extend((0..CLAIMED).map(allocation));
    }
    format!(r#"{{"facts":[{}]}}"#, facts.join(",")).into_bytes()
}

fn demands() -> Vec<u8> {
    let demand = |sku| {
        let name = sku_name(sku);
        format!(
            r#"{{"kind":"demand","ref":"SO-{sku}","line":"1","sku":"{name}","quantity":700,"class":"other","as_of":1}}"#
        )
    };
    let facts: Vec<String> = (0..CLAIMED).map(demand).collect();
    format!(r#"{{"facts":[{}]}}"#, facts.join(",")).into_bytes()
}

/// Renumbers a cart's SKUs so that none has claims on it.
fn move_past_claimed(request: &mut Request) {
    let body = String::from_utf8(std::mem::take(&mut request.body)).expect("made here");
    let mut parts = body.split("SKU-");
    let mut moved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_at(7);
        moved.push_str(&sku_name(number.parse::<u32>().expect("a number") + CLAIMED));
        moved.push_str(rest);
    }
    request.body = moved.into_bytes();
}

/// `operation` only keeps the compiler from making one function of several that are alike.
fn hold_all(operation: &str, shop: &mut Shop, requests: &[Request]) {
    black_box(operation);
    for group in requests.chunks(GROUP) {
        let decision = shop.decide_all(Verb::Put, group);
        assert!(
            decision.answers.iter().all(|(status, _)| *status < 300),
            "the shop has plenty"
        );
    }
}

#[inline(never)]
fn gate_sellable_by_id(engine: &Engine) -> i64 {
    (CLAIMED..SKUS)
        .map(|n| engine.sellable_by_id(SkuId(n), Some(ChannelId(0))))
        .sum()
}

#[inline(never)]
fn gate_sellable_beside_claims(engine: &Engine) -> i64 {
    (0..CLAIMED)
        .map(|n| engine.sellable_by_id(SkuId(n), Some(ChannelId(0))))
        .sum()
}

#[inline(never)]
fn gate_availability_answer(engine: &Engine, names: &[String]) -> usize {
    names
        .iter()
        .map(|name| engine.availability(name, "web", None, None, b"{}").1.len())
        .sum()
}

#[inline(never)]
fn gate_hold_two_lines(shop: &mut Shop, requests: &[Request], slowed: bool) {
    hold_all("gate_hold_two_lines", shop, requests);
    if slowed {
        let name = sku_name(CLAIMED);
        for _ in requests {
            black_box(shop.engine.availability(&name, "web", None, None, b"{}"));
        }
    }
}

#[inline(never)]
fn gate_hold_again(shop: &mut Shop, requests: &[Request]) {
    hold_all("gate_hold_again", shop, requests);
}

#[inline(never)]
fn gate_hold_beside_claims(shop: &mut Shop, requests: &[Request]) {
    hold_all("gate_hold_beside_claims", shop, requests);
}

#[inline(never)]
fn gate_confirm(shop: &mut Shop, requests: &[Request]) {
    for group in requests.chunks(GROUP) {
        black_box(shop.decide_all(Verb::Confirm, group));
    }
}

#[inline(never)]
fn gate_release(shop: &mut Shop, requests: &[Request]) {
    for group in requests.chunks(GROUP) {
        black_box(shop.decide_all(Verb::Release, group));
    }
}

#[inline(never)]
fn gate_take_in_levels(shop: &mut Shop, messages: &[Vec<u8>]) {
    for payload in messages {
        shop.take_in(ERP, payload);
    }
}

#[inline(never)]
fn gate_replay(log: &[Vec<u8>]) -> u64 {
    let mut engine = Engine::new("main", None);
    for (index, message) in log.iter().enumerate() {
        assert_eq!(engine.apply(index as u64 + 1, message), Ok(true));
    }
    log.len() as u64
}
