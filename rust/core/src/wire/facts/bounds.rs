//! The bounds of the contract (docs/http.md, "Bounds", and docs/facts.md). All are inclusive.

/// Characters of a SKU, id, location, channel, reference, owner and the like.
pub const NAME_CHARS_MAX: usize = 128;
/// Characters of a `line` of a movement, a shipment, a return or an update.
pub const LINE_CHARS_MAX: usize = 64;
/// Characters of a `reason`.
pub const REASON_CHARS_MAX: usize = 512;
/// `on_hand` and signed quantities lie within plus and minus this.
pub const ON_HAND_MAX: i64 = 1_000_000_000_000;
/// The least `on_hand`.
pub const ON_HAND_MIN: i64 = -ON_HAND_MAX;
/// Quantities that a policy or a document states: supply, demand, allocation, cap, safety, buffer.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// Quantity of one line, factor of a unit, sell multiple, quantity of a component.
pub const QUANTITY_MAX: i64 = 1_000_000_000;
/// Base units of one held line: a quantity times the factor of its unit.
pub const HELD_MAX: i64 = QUANTITY_MAX * QUANTITY_MAX;
/// Lines of a cart, an order, a shipment.
pub const LINES_MAX: usize = 2_000;
/// Components of a kit.
pub const COMPONENTS_MAX: usize = 1_000;
/// Units of an item.
pub const UNITS_MAX: usize = 100;
/// Aliases of an item.
pub const ALIASES_MAX: usize = 1_000;
/// Locations of a channel or a demand.
pub const LOCATIONS_MAX: usize = 1_000;
/// Regions of a location.
pub const REGIONS_MAX: usize = 1_000;
/// Days a channel may look ahead.
pub const HORIZON_DAYS_MAX: i64 = 3_650;
/// Priorities lie within plus and minus this.
pub const PRIORITY_MAX: i64 = 1_000_000;
/// The least priority number.
pub const PRIORITY_MIN: i64 = -PRIORITY_MAX;
/// Longest `stale_after_ms`: a hundred years.
pub const STALE_AFTER_MS_MAX: i64 = 3_155_760_000_000;
/// Longest time a hold lasts.
pub const TTL_MS_MAX: i64 = 14_400_000;
/// Highest `revision`: what every JSON reader can hold exactly.
pub const REVISION_MAX: i64 = 1 << 53;
/// SKUs of one POST /v1/availability.
pub const SKUS_MAX: usize = 1_000;
/// Requests of one POST /v1/reservations:batch.
pub const REQUESTS_MAX: usize = 500;
