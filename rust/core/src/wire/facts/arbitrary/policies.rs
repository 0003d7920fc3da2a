//! Random policies.

use std::borrow::Cow;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{maybe, name, names};
use crate::wire::facts::bounds::{AMOUNT_MAX, HORIZON_DAYS_MAX, QUANTITY_MAX};
use crate::wire::facts::*;

pub(super) fn items() -> BoxedStrategy<Fact<'static>> {
    let units = btree_map(name(), 1..=QUANTITY_MAX, 0..3).prop_map(|units| units.into_iter().collect::<Vec<_>>());
    let kit = vec(
        (name(), 1..=QUANTITY_MAX).prop_map(|(sku, quantity)| Component { sku, quantity }),
        0..3,
    );
    let status = prop_oneof![Just(ItemStatus::Active), Just(ItemStatus::Discontinued)];
    let item = (
        name(),
        "base-[a-z]",
        units,
        kit,
        names(0),
        1..=QUANTITY_MAX,
        maybe(),
        status,
    )
        .prop_map(
            |(sku, base_unit, units, kit, aliases, sell_multiple, tax_class, status)| {
                Fact::Item(Item {
                    sku,
                    base_unit: base_unit.into(),
                    units,
                    kit,
                    aliases,
                    sell_multiple,
                    tax_class,
                    status,
                })
            },
        )
        .prop_filter(
            "a base unit that is another unit",
            |fact| matches!(fact, Fact::Item(item) if item.units.iter().all(|(unit, _)| *unit != item.base_unit)),
        );
    item.boxed()
}

pub(super) fn places() -> BoxedStrategy<Fact<'static>> {
    let r#type = prop_oneof![
        Just(LocationType::Warehouse),
        Just(LocationType::Store),
        Just(LocationType::ThirdParty)
    ];
    let location = (name(), r#type, names(0), -1000..=1000, any::<bool>()).prop_map(
        |(location, r#type, regions, priority, enabled)| {
            Fact::Location(Location {
                location,
                r#type,
                regions,
                priority,
                enabled,
            })
        },
    );
    let sourcing = prop_oneof![
        Just(Sourcing::Priority),
        Just(Sourcing::Region),
        Just(Sourcing::FewestSplits)
    ];
    let regional = prop_oneof![Just(Regional::Prefer), Just(Regional::Require)];
    let horizon = 0..=HORIZON_DAYS_MAX as i32;
    let flags = (name(), option::of(names(0)), any::<bool>(), horizon);
    let channel = (flags, sourcing, regional, -1000..=1000, option::of(0..=AMOUNT_MAX)).prop_map(
        |((channel, locations, draws_shared, supply_horizon_days), sourcing, regional, priority, buffer)| {
            Fact::Channel(Channel {
                channel,
                locations,
                draws_shared,
                supply_horizon_days,
                sourcing,
                regional,
                priority,
                buffer,
            })
        },
    );
    prop_oneof![location, channel].boxed()
}

pub(super) fn rules() -> BoxedStrategy<Fact<'static>> {
    let amount = || option::of(0..=AMOUNT_MAX);
    let period = || option::of(prop_oneof![Just(Cow::Borrowed("")), name()]);
    let allocation = (name(), name(), 0..=AMOUNT_MAX, period()).prop_map(|(channel, sku, quantity, period)| {
        Fact::Allocation(Allocation {
            channel,
            sku,
            quantity,
            period,
        })
    });
    let cap = (name(), name(), amount(), period()).prop_map(|(channel, sku, quantity, period)| {
        Fact::Cap(Cap {
            channel,
            sku,
            quantity,
            period,
        })
    });
    let safety = (maybe(), maybe(), amount(), option::of(0..=10_000_i64)).prop_map(
        |(sku, location, absolute, percent_hundredths)| {
            Fact::Safety(Safety {
                sku,
                location,
                absolute,
                percent_hundredths,
            })
        },
    );
    let policy = prop_oneof![
        Just(OversellPolicy::None),
        Just(OversellPolicy::Unlimited),
        (0..=AMOUNT_MAX).prop_map(OversellPolicy::Limit)
    ];
    let oversell = (maybe(), maybe(), option::of(policy))
        .prop_map(|(channel, sku, policy)| Fact::Oversell(Oversell { channel, sku, policy }));
    prop_oneof![allocation, cap, safety, oversell].boxed()
}

pub(super) fn restrictions() -> BoxedStrategy<Fact<'static>> {
    let amount = option::of(0..=AMOUNT_MAX);
    let action = prop_oneof![
        Just(FreshnessAction::Serve),
        Just(FreshnessAction::Widen),
        Just(FreshnessAction::Cap),
        Just(FreshnessAction::Restrict)
    ];
    let freshness = (name(), 1..=AMOUNT_MAX, action, amount).prop_map(|(source, stale_after_ms, action, amount)| {
        Fact::Freshness(Freshness {
            source,
            stale_after_ms,
            action,
            amount,
        })
    });
    let restriction =
        (maybe(), maybe(), any::<bool>(), option::of(name())).prop_map(|(channel, sku, blocked, reason)| {
            Fact::Restriction(Restriction {
                channel,
                sku,
                blocked,
                reason: reason.unwrap_or_default(),
            })
        });
    let reset = (name(), maybe(), maybe())
        .prop_map(|(source, location, sku)| Fact::SourceReset(SourceReset { source, location, sku }));
    let ownership = (name(), name()).prop_map(|(location, source)| Fact::Ownership(Ownership { location, source }));
    prop_oneof![freshness, restriction, reset, ownership].boxed()
}
