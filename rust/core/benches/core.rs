//! The core's figures on one core: reservations through `decide`, `sellable` reads, replay of LOG.
//!
//! `cargo bench -p holdfast-core` runs all; `cargo bench -p holdfast-core --bench core -- sellable` some (one of decide, sellable,
//! replay, claims). `HOLDFAST_BENCH_SKUS=50000` makes a smaller shop for a quick look. Small operations are criterion's;
//! what fills memory as it runs is timed in slices, each on the state that the slices before it left; the median is reported.
#![allow(clippy::print_stdout, reason = "a bench reports to people")]
#![allow(clippy::cast_precision_loss, reason = "figures are read with three digits")]

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use holdfast_core::claims::{Claim, NodeSet, reachable};
use holdfast_core::ids::{ChannelId, SkuId};
use holdfast_core::{Engine, Verb};
use support::{Figures, Random, Shop, Stopwatch, carts, median, sku_name, skus};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RESERVATIONS: usize = 1_000_000;
const GROUP: usize = 500;
const SLICES: usize = 20;
const READS: u32 = 1_000_000;

fn main() {
    // Criterion reads its own options; an argument without a dash selects benches.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| name.contains(c.as_str()) || c.contains(name));
    let quick = |ms| Duration::from_millis(ms);
    let mut criterion = Criterion::default()
        .warm_up_time(quick(500))
        .measurement_time(quick(1_500))
        .configure_from_args();
    let mut figures = Figures::default();
    if wanted("claims") {
        claims(&mut criterion);
    }
    if wanted("decide") || wanted("sellable") {
        let mut shop = stocked(false);
        if wanted("sellable") {
            sellable(&mut criterion, &shop, &mut figures);
        }
        if wanted("decide") {
            decide(&mut shop, &mut figures);
        }
    }
    if wanted("replay") {
        let mut shop = stocked(true);
        println!("Writing a LOG of {RESERVATIONS} reservations and as many confirmations ...");
        decide(&mut shop, &mut Figures::default());
        let (log, digest) = (shop.log.take().expect("it was kept"), shop.engine.digest());
        drop(shop);
        replay(&log, &digest, &mut figures);
    }
    let places = support::LOCATIONS.len();
    figures.print(&format!(
        "holdfast-core, one core, {} SKUs x {places} locations",
        skus()
    ));
    criterion.final_summary();
}

/// A gateway keeps no LOG in memory, so only the bench of replay does.
fn stocked(keep_log: bool) -> Shop {
    println!("Counting {} SKUs at {} locations ...", skus(), support::LOCATIONS.len());
    Shop::stocked(skus(), keep_log)
}

/// Two-line reservations in groups, strings in, answers and batch bytes out; then their confirmations.
fn decide(shop: &mut Shop, figures: &mut Figures) {
    let target = Some((400_000.0, ", aim 1,000,000"));
    let mut random = Random(1);
    let mut run = |verb: Verb| {
        let slice = RESERVATIONS / SLICES;
        let mut rates = Vec::new();
        for first in (0..RESERVATIONS).step_by(slice) {
            let mut requests = carts(&mut random, skus(), first, slice);
            if verb == Verb::Confirm {
                for request in &mut requests {
                    request.body = format!(r#"{{"order_ref":"order-{}"}}"#, request.id).into_bytes();
                }
            }
            let watch = Stopwatch::start();
            for group in requests.chunks(GROUP) {
                black_box(shop.decide_all(verb, group));
            }
            rates.push(slice as f64 / watch.seconds());
        }
        median(rates)
    };
    figures.rate("decide: two-line reservations per second", run(Verb::Put), target);
    figures.rate("decide: confirmations per second", run(Verb::Confirm), None);
}

fn sellable(criterion: &mut Criterion, shop: &Shop, figures: &mut Figures) {
    let mut random = Random(2);
    let (engine, web) = (&shop.engine, Some(ChannelId(0)));
    let asked: Vec<u32> = (0..READS).map(|_| random.below(skus())).collect();
    let names: Vec<String> = asked.iter().take(100_000).map(|&n| sku_name(n)).collect();
    let by_id = |asked: &[u32]| asked.iter().map(|&n| engine.sellable_by_id(SkuId(n), web)).sum::<i64>();
    let by_name = |names: &[String]| {
        names
            .iter()
            .filter_map(|n| engine.sellable(n, "web", None))
            .sum::<i64>()
    };
    let page = |names: &[String]| {
        names
            .iter()
            .map(|n| engine.availability(n, "web", None, None, b"").1.len())
            .sum::<usize>()
    };

    let mut group = criterion.benchmark_group("sellable");
    group.throughput(Throughput::Elements(1_000));
    let mut blocks = asked.chunks_exact(1_000).cycle();
    group.bench_function("by id, 1,000 at random", |b| {
        b.iter(|| by_id(blocks.next().expect("endless")));
    });
    let mut blocks = names.chunks_exact(1_000).cycle();
    group.bench_function("by name, 1,000 at random", |b| {
        b.iter(|| by_name(blocks.next().expect("endless")));
    });
    group.finish();

    // The kernel reports processor time in steps of some milliseconds, so a slice is long.
    let rate = |count: usize, run: &dyn Fn() -> i64| {
        let passes = 10_000_000 / count;
        let slice = |_| {
            let watch = Stopwatch::start();
            for _ in 0..passes {
                black_box(run());
            }
            (count * passes) as f64 / watch.seconds()
        };
        median((0..5).map(slice).collect())
    };
    let per_second = rate(asked.len(), &|| by_id(&asked));
    figures.rate(
        "sellable: reads per second by interned id",
        per_second,
        Some((10_000_000.0, "")),
    );
    figures.rate(
        "sellable: reads per second by name",
        rate(names.len(), &|| by_name(&names)),
        None,
    );
    figures.rate(
        "sellable: JSON answers per second",
        rate(names.len(), &|| page(&names) as i64),
        None,
    );
}

/// Parse and apply, from the messages as LOG holds them: what a restart does.
fn replay(log: &[Vec<u8>], digest: &str, figures: &mut Figures) {
    let mut engine = Engine::new("main", None);
    let mut sequence = 0;
    let kinds = [
        (
            "reservations",
            "\"kind\":\"reservation.held\"",
            Some((300_000.0, ", aim 700,000 (parse and apply on two cores)")),
        ),
        ("confirmations", "\"kind\":\"reservation.confirmed\"", None),
        ("stock levels", "\"kind\":\"stock.level\"", None),
    ];
    let kind_of = |message: &[u8]| {
        let text = std::str::from_utf8(message).expect("LOG is JSON");
        kinds.iter().position(|(_, kind, _)| text.contains(kind))
    };
    let mut totals = [(0_usize, 0.0); 3];
    for run in log.chunk_by(|before, after| kind_of(before) == kind_of(after)) {
        let watch = Stopwatch::start();
        for message in run {
            sequence += 1;
            assert_eq!(engine.apply(sequence, message), Ok(true));
        }
        let seconds = watch.seconds();
        if let Some(kind) = kind_of(&run[0]) {
            let marked = |message: &Vec<u8>| String::from_utf8_lossy(message).matches(kinds[kind].1).count();
            totals[kind] = (run.iter().map(marked).sum(), seconds);
        }
    }
    assert_eq!(
        engine.digest(),
        digest,
        "the replayed state is the state that wrote the LOG"
    );
    for ((name, _, target), (facts, seconds)) in kinds.into_iter().zip(totals) {
        let what = format!("replay: facts per second, {} {name}", support::grouped(facts as f64));
        figures.rate(&what, facts as f64 / seconds, target);
    }
}

/// F beside so many claims over distinct sets, on eight nodes: closed form, table of subsets, flow.
fn claims(criterion: &mut Criterion) {
    let stock: Vec<i64> = (1..=8).map(|n| n * 10).collect();
    let taker: NodeSet = [0, 1, 2, 3].into_iter().collect();
    let mut group = criterion.benchmark_group("claims");
    for count in [0_usize, 1, 2, 4, 6, 8, 12, 24] {
        let claim = |n: usize| Claim {
            quantity: 5,
            nodes: [n % 8, (n + 1 + n / 8) % 8, 3].into_iter().collect(),
        };
        let claims: Vec<Claim> = (0..count).map(claim).collect();
        group.bench_function(format!("reachable beside {count}"), |b| {
            b.iter(|| reachable(black_box(&stock), black_box(&taker), black_box(&claims)));
        });
    }
    group.finish();
}
