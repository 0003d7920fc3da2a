//! Interned names. In: strings of facts. Out: dense numbers, given in order of first mention in LOG.
//!
//! Always: a name keeps its number for ever, and only `apply` gives numbers, so every node gives the same ones.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $raw:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $raw);

        impl $name {
            /// Position in the flat array of its kind.
            #[inline]
            pub fn at(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A stock keeping unit.
    SkuId, u32
);
id!(
    /// A warehouse, store or 3PL.
    LocationId, u16
);
id!(
    /// Where orders come from.
    ChannelId, u16
);
id!(
    /// Who sends facts (an ERP, a shop, a warehouse system).
    SourceId, u16
);
id!(
    /// A part of the world that locations serve.
    RegionId, u16
);
id!(
    /// A dated incoming quantity.
    SupplyId, u32
);
id!(
    /// Something owed outside of reservations.
    DemandId, u32
);
id!(
    /// The place of a reservation in memory; used again after it is forgotten.
    Slot, u32
);

impl From<LocationId> for u16 {
    fn from(id: LocationId) -> u16 {
        id.0
    }
}

impl From<ChannelId> for u16 {
    fn from(id: ChannelId) -> u16 {
        id.0
    }
}

impl RegionId {
    /// A region that no location serves.
    pub(crate) const NOWHERE: RegionId = RegionId(u16::MAX);
}

/// A symbol table: all names in one string, found by hash.
#[derive(Default)]
pub struct Symbols {
    text: String,
    ends: Vec<u32>,
    table: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols")
            .field("names", &self.ends.len())
            .finish_non_exhaustive()
    }
}

impl Symbols {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name of a number that this table gave.
    pub fn name(&self, number: u32) -> &str {
        name_in(&self.text, &self.ends, number)
    }

    pub fn get(&self, name: &str) -> Option<u32> {
        let tag = tag(&self.hasher, name.as_bytes());
        self.table
            .find(spread(tag), |&(t, n)| {
                t == tag && name_in(&self.text, &self.ends, n) == name
            })
            .map(|&(_, number)| number)
    }

    /// What the table looks for to find a name.
    pub(crate) fn tag(&self, name: &[u8]) -> u32 {
        tag(&self.hasher, name)
    }

    /// The number of the name that most likely has this tag.
    pub(crate) fn likely(&self, tag: u32) -> Option<u32> {
        self.table
            .find(spread(tag), |&(t, _)| t == tag)
            .map(|&(_, number)| number)
    }

    /// Where a name ends in the text of all names.
    pub(crate) fn end(&self, number: u32) -> u32 {
        self.ends[number as usize]
    }

    /// The number of a name, and whether it is new.
    pub fn intern(&mut self, name: &str) -> (u32, bool) {
        if let Some(number) = self.get(name) {
            return (number, false);
        }
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends
            .push(u32::try_from(self.text.len()).expect("names take less than 4 GiB"));
        let tag = tag(&self.hasher, name.as_bytes());
        self.table
            .insert_unique(spread(tag), (tag, number), |&(t, _)| spread(t));
        (number, true)
    }
}

/// Half a hash, kept in a table beside what it finds: growing the table then reads no names.
pub(crate) fn tag(hasher: &DefaultHashBuilder, name: &[u8]) -> u32 {
    hasher.hash_one(name) as u32
}

/// A tag as the whole hash that the table asks for: it looks at both ends.
pub(crate) fn spread(tag: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(tag)
}

fn name_in<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] as usize };
    &text[start..ends[number] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut symbols = Symbols::default();
        for n in 0..1000u32 {
            assert_eq!(symbols.intern(&format!("sku-{n}")), (n, true));
        }
        assert_eq!(symbols.intern("sku-7"), (7, false));
        assert_eq!(symbols.name(999), "sku-999");
        assert_eq!(symbols.get("sku-1000"), None);
    }
}
