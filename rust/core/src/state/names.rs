//! The tables of names, and how much each may hold.
//!
//! In: nothing. Out: kinds of names, with their bounds. Always: a bound lies below what the numbers of its kind can count.

use crate::state::catalogue::Catalogue;

/// A table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sku,
    Location,
    Channel,
    Source,
    Region,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Sku, Kind::Location, Kind::Channel, Kind::Source, Kind::Region];

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Kind::Sku => "skus",
            Kind::Location => "locations",
            Kind::Channel => "channels",
            Kind::Source => "sources",
            Kind::Region => "regions",
        }
    }

    /// Names that a scope may have; numbers of SKUs are 32 bits wide, the others 16.
    pub(crate) fn most(self) -> usize {
        match self {
            Kind::Sku => 10_000_000,
            _ => 60_000,
        }
    }

    pub(crate) fn known(self, catalogue: &Catalogue) -> usize {
        match self {
            Kind::Sku => catalogue.sku_names.len(),
            Kind::Location => catalogue.location_names.len(),
            Kind::Channel => catalogue.channel_names.len(),
            Kind::Source => catalogue.source_names.len(),
            Kind::Region => catalogue.region_names.len(),
        }
    }
}
