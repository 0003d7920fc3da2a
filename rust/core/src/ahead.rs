//! Reading ahead: what the next texts will need is fetched kind by kind, before each is read in full.
//!
//! In: request bodies or facts, not yet parsed. Out: nothing but a warm cache: one text after the other would wait for a
//! dozen cache misses in turn, this way the processor waits for many at once. Always: changes nothing and decides nothing;
//! a SKU that it overlooks or mistakes costs time only.

use std::hint::black_box;

use memchr::memmem::Finder;

use crate::ids::SkuId;
use crate::state::State;

/// As many at a time as stay in the nearest caches until they are used.
pub(crate) const TEXTS_MAX: usize = 64;

/// Touches the SKUs that the texts name, and their cells. Each loop waits for one kind of miss.
pub(crate) fn look<'t>(state: &State, texts: impl Iterator<Item = &'t [u8]>) {
    let key = Finder::new(b"\"sku\":\"");
    let symbols = &state.catalogue.sku_names;
    let tags: Vec<u32> = texts
        .flat_map(|text| skus(&key, text))
        .map(|name| symbols.tag(name))
        .collect();
    let likely: Vec<u32> = tags.iter().filter_map(|&tag| symbols.likely(tag)).collect();
    let mut touched = 0;
    for &number in &likely {
        touched ^= i64::from(symbols.end(number)) ^ state.catalogue.skus[number as usize].at_hand;
    }
    for &number in &likely {
        for cell in state.cells(SkuId(number)) {
            touched ^= cell.on_hand ^ cell.safety;
        }
        touched ^= i64::from(symbols.name(number).as_bytes().first().copied().unwrap_or(0));
    }
    black_box(touched);
}

/// What stands behind each key. An escape in a name only makes it unknown here.
fn skus<'t>(key: &'t Finder<'t>, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
    let length = key.needle().len();
    key.find_iter(text).filter_map(move |at| {
        let rest = &text[at + length..];
        rest.iter().position(|&byte| byte == b'"').map(|end| &rest[..end])
    })
}
