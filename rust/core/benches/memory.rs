//! How much memory a state takes, counted at the allocator: bytes for each SKU-location cell, all in, and for each reservation.
//!
//! `cargo bench -p holdfast-core --bench memory`. A separate target, because counting slows every allocation.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench reports to people"
)]

mod support;

use std::alloc::System;

use holdfast_core::{Engine, Verb};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::{Figures, LOCATIONS, Random, Shop, carts, skus};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RESERVATIONS: usize = 100_000;
const GROUP: usize = 500;

/// Live bytes on the heap: what was asked for, without the allocator's own overhead.
fn live_bytes() -> f64 {
    let stats = COUNTING.stats();
    // Reallocation is counted separately, as the change of size.
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Resident bytes of the process, or 0 where /proc is missing.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok())
        .unwrap_or(0.0)
        * 4096.0
}

fn main() {
    let cells = f64::from(skus()) * LOCATIONS.len() as f64;
    println!("Counting {} SKUs at {} locations ...", skus(), LOCATIONS.len());
    let mut figures = Figures::default();
    let (live, resident) = (live_bytes(), resident_bytes());
    let mut shop = Shop::stocked(skus(), false);
    let stocked = live_bytes();
    figures.size(
        "bytes per SKU-location cell, all in (live heap)",
        (stocked - live) / cells,
        Some((128.0, "")),
    );
    let grown = resident_bytes() - resident;
    figures.size(
        "bytes per SKU-location cell, resident in the process",
        grown / cells,
        None,
    );
    figures.size(
        "the whole state, MiB (live heap)",
        (stocked - live) / 1_048_576.0,
        Some((1024.0, "")),
    );

    let mut random = Random(3);
    let mut allocations = 0;
    for group in 0..RESERVATIONS / GROUP {
        let requests = carts(&mut random, skus(), group * GROUP, GROUP);
        let before = COUNTING.stats();
        shop.decide_all(Verb::Put, &requests);
        let used = COUNTING.stats() - before;
        allocations += used.allocations + used.reallocations;
    }
    // What loaded it is freed by now: only the engine and the held carts are left.
    let Shop { engine, .. } = shop;
    let held = live_bytes() - stocked;
    figures.size(
        "bytes per held two-line reservation (live heap)",
        held / RESERVATIONS as f64,
        None,
    );
    let each = allocations as f64 / RESERVATIONS as f64;
    figures.size("allocations to decide a two-line reservation", each, None);
    figures.print(&format!(
        "holdfast-core, memory of {} SKUs x {} locations",
        skus(),
        LOCATIONS.len()
    ));
    drop::<Engine>(engine);
}
