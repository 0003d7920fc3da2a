//! What makes two PUT bodies of one reservation the same.

use xxhash_rust::xxh3::xxh3_64;

use crate::wire::facts::{ReservationHeld, Text};

/// A text's bytes and one; 0: there is none. Names are short.
fn length(text: Option<&Text<'_>>) -> [u8; 2] {
    text.map_or(0, |text| text.len() as u16 + 1).to_le_bytes()
}

/// What makes two bodies the same, once defaults are filled in. `requested`: base units of each line.
pub(super) fn hash(held: &ReservationHeld<'_>, requested: impl Fn(usize) -> i64) -> u64 {
    // A guess that most carts stay within.
    let mut bytes = Vec::with_capacity(128 + held.lines.len() * 48);
    let mut fixed = [0; 27];
    fixed[0] = u8::from(held.partial) | u8::from(held.supersede) << 1 | u8::from(held.revision.is_some()) << 2;
    fixed[1..9].copy_from_slice(&held.ttl_ms.to_le_bytes());
    fixed[9..17].copy_from_slice(&held.revision.unwrap_or(0).to_le_bytes());
    fixed[17..19].copy_from_slice(&length(Some(&held.channel)));
    fixed[19..21].copy_from_slice(&length(held.region.as_ref()));
    fixed[21..23].copy_from_slice(&length(held.owner.as_ref()));
    fixed[23..27].copy_from_slice(&(held.lines.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&fixed);
    for text in [Some(&held.channel), held.region.as_ref(), held.owner.as_ref()]
        .into_iter()
        .flatten()
    {
        bytes.extend_from_slice(text.as_bytes());
    }
    for (n, line) in held.lines.iter().enumerate() {
        let mut record = [0; 12];
        record[..8].copy_from_slice(&requested(n).to_le_bytes());
        record[8..10].copy_from_slice(&length(Some(&line.sku)));
        record[10..].copy_from_slice(&length(line.location.as_ref()));
        bytes.extend_from_slice(&record);
        bytes.extend_from_slice(line.sku.as_bytes());
        if let Some(location) = &line.location {
            bytes.extend_from_slice(location.as_bytes());
        }
    }
    xxh3_64(&bytes)
}
