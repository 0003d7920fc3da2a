//! Random statements for property tests: every kind, every field, names with everything a name may hold.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::bounds::{AMOUNT_MAX, HELD_MAX, ON_HAND_MAX, QUANTITY_MAX, REVISION_MAX, TTL_MS_MAX};
use super::*;

mod arrivals;
mod policies;

type Texts = BoxedStrategy<Text<'static>>;

fn name() -> Texts {
    prop_oneof![4 => "[A-Za-z0-9 _-]{1,12}", 1 => "\\PC{1,128}", 1 => "[\"\\\\/é😀]{1,6}"]
        .prop_filter("no control characters", |text| !text.chars().any(char::is_control))
        .prop_map(Cow::Owned)
        .boxed()
}

fn maybe() -> BoxedStrategy<Option<Text<'static>>> {
    option::of(name()).boxed()
}

fn names(min: usize) -> BoxedStrategy<Vec<Text<'static>>> {
    vec(name(), min..4).boxed()
}

fn as_of() -> BoxedStrategy<AsOf> {
    let years = -62_135_596_800_000_000_i64..=253_402_300_799_999_999;
    prop_oneof![any::<i64>().prop_map(AsOf::Sequence), years.prop_map(AsOf::Time)].boxed()
}

fn day() -> BoxedStrategy<Day> {
    (-719_162..=2_932_896).boxed()
}

fn version() -> BoxedStrategy<Option<i64>> {
    option::of(prop_oneof![4 => any::<i64>(), 1 => Just(0)]).boxed()
}

fn quantity_lines() -> BoxedStrategy<Vec<QuantityLine<'static>>> {
    let line = (name(), maybe(), 1..=QUANTITY_MAX, maybe(), line_name());
    vec(
        line.prop_map(|(sku, location, quantity, unit, line)| QuantityLine {
            sku,
            location,
            quantity,
            unit,
            line,
        }),
        1..4,
    )
    .boxed()
}

fn line_name() -> BoxedStrategy<Option<Text<'static>>> {
    option::of("[A-Za-z0-9 _-]{1,64}".prop_map(Cow::Owned)).boxed()
}

/// What names an order; of a fact that needs it, at least one of the first two.
fn order_name(needed: bool) -> BoxedStrategy<OrderName<'static>> {
    (maybe(), maybe(), maybe())
        .prop_filter("an order or a reservation", move |(order, reservation, _)| {
            !needed || order.is_some() || reservation.is_some()
        })
        .prop_map(|(order_ref, reservation, channel)| OrderName {
            order_ref,
            reservation,
            channel,
        })
        .boxed()
}

fn levels() -> BoxedStrategy<Fact<'static>> {
    let basis = prop_oneof![Just(Basis::Gross), Just(Basis::Net)];
    let unsellable = (0..=AMOUNT_MAX, 0..=2_i64, 0..=2_i64, 0..=AMOUNT_MAX).prop_map(
        |(quality_control, damaged, quarantined, in_transfer)| Unsellable {
            quality_control,
            damaged,
            quarantined,
            in_transfer,
        },
    );
    let on_hand = -ON_HAND_MAX..=ON_HAND_MAX;
    let level = (
        name(),
        name(),
        on_hand.clone(),
        unsellable,
        option::of(0..=AMOUNT_MAX),
        basis,
        as_of(),
        maybe(),
    )
        .prop_map(|(sku, location, on_hand, unsellable, allocated, basis, as_of, unit)| {
            Fact::StockLevel(StockLevel {
                sku,
                location,
                on_hand,
                unsellable,
                allocated,
                basis,
                as_of,
                unit,
            })
        });
    level.boxed()
}

fn movements() -> BoxedStrategy<Fact<'static>> {
    let on_hand = -ON_HAND_MAX..=ON_HAND_MAX;
    let moved = on_hand.prop_filter("not 0", |quantity| *quantity != 0);
    let delta = (
        name(),
        name(),
        moved,
        name(),
        name(),
        line_name(),
        version(),
        as_of(),
        maybe(),
    )
        .prop_map(
            |(sku, location, quantity, reason, reference, line, version, as_of, unit)| {
                Fact::StockDelta(StockDelta {
                    sku,
                    location,
                    quantity,
                    reason,
                    reference,
                    line,
                    version,
                    as_of,
                    unit,
                })
            },
        );
    let status = prop_oneof![
        Just(SupplyStatus::Open),
        Just(SupplyStatus::Received),
        Just(SupplyStatus::Cancelled)
    ];
    let supply = (
        (name(), name(), version(), name(), name()),
        0..=AMOUNT_MAX,
        day(),
        status,
        0..=100_u8,
        option::of(as_of()),
        maybe(),
    )
        .prop_map(
            |((reference, line, version, sku, location), quantity, due, status, confidence, as_of, unit)| {
                Fact::Supply(Supply {
                    reference,
                    line,
                    version,
                    sku,
                    location,
                    quantity,
                    due,
                    status,
                    confidence,
                    as_of,
                    unit,
                })
            },
        );
    prop_oneof![delta, supply].boxed()
}

fn orders() -> BoxedStrategy<Fact<'static>> {
    let class = prop_oneof![
        Just(DemandClass::Marketplace),
        Just(DemandClass::Replenishment),
        Just(DemandClass::B2b),
        Just(DemandClass::Other)
    ];
    let demand = (
        (name(), name(), version(), name(), names(0)),
        0..=AMOUNT_MAX,
        class,
        option::of(day()),
        as_of(),
        order_name(false),
        maybe(),
    )
        .prop_map(
            |((reference, line, version, sku, locations), quantity, class, due, as_of, of, unit)| {
                Fact::Demand(Demand {
                    reference,
                    line,
                    version,
                    sku,
                    locations,
                    quantity,
                    class,
                    due,
                    as_of,
                    of,
                    unit,
                })
            },
        );
    let ack_lines = vec(
        (name(), name()).prop_map(|(sku, location)| AckLine { sku, location }),
        0..3,
    );
    let ack = (order_name(true), as_of(), ack_lines)
        .prop_map(|(of, as_of, lines)| Fact::OrderAck(OrderAck { of, as_of, lines }));
    prop_oneof![demand, ack].boxed()
}

fn parcels() -> BoxedStrategy<Fact<'static>> {
    let status = prop_oneof![
        Just(UpdateStatus::Cancelled),
        Just(UpdateStatus::Refused),
        Just(UpdateStatus::Short)
    ];
    let document = || (name(), line_name(), version());
    let update = (order_name(true), document(), status, quantity_lines(), as_of()).prop_map(
        |(of, (reference, line, version), status, lines, as_of)| {
            Fact::OrderUpdate(OrderUpdate {
                of,
                reference,
                line,
                lines: if version == Some(0) { Vec::new() } else { lines },
                version,
                status,
                as_of,
            })
        },
    );
    let shipment = (document(), order_name(true), quantity_lines(), as_of()).prop_map(
        |((reference, line, version), of, lines, as_of)| {
            Fact::Shipment(Shipment {
                reference,
                line,
                lines: if version == Some(0) { Vec::new() } else { lines },
                version,
                of,
                as_of,
            })
        },
    );
    prop_oneof![update, shipment].boxed()
}

fn returns() -> BoxedStrategy<Fact<'static>> {
    let condition = prop_oneof![
        Just(Condition::Sellable),
        Just(Condition::Damaged),
        Just(Condition::QualityControl)
    ];
    let back = (
        (name(), line_name(), version()),
        order_name(false),
        name(),
        name(),
        0..=QUANTITY_MAX,
        condition,
        as_of(),
        maybe(),
    )
        .prop_map(
            |((reference, line, version), of, sku, location, quantity, condition, as_of, unit)| {
                Fact::Return(Return {
                    reference,
                    line,
                    version,
                    of,
                    sku,
                    location,
                    quantity,
                    condition,
                    as_of,
                    unit,
                })
            },
        );
    back.boxed()
}

fn reservations() -> BoxedStrategy<Fact<'static>> {
    let in_unit = option::of((name(), 1..=QUANTITY_MAX));
    let line = (name(), 0..=HELD_MAX, maybe(), option::of(1..=HELD_MAX), in_unit).prop_map(
        |(sku, quantity, location, asked, in_unit)| {
            let (unit, units) = in_unit.unzip();
            HeldLine {
                sku,
                quantity,
                location,
                asked,
                unit,
                units,
            }
        },
    );
    let who = (name(), name(), maybe(), maybe());
    let held = (
        who,
        1..=TTL_MS_MAX,
        vec(line, 1..4),
        any::<bool>(),
        any::<bool>(),
        option::of(0..=REVISION_MAX),
    )
        .prop_map(
            |((id, channel, region, owner), ttl_ms, lines, partial, supersede, revision)| {
                Fact::ReservationHeld(ReservationHeld {
                    id,
                    channel,
                    region,
                    owner,
                    ttl_ms,
                    lines,
                    partial,
                    supersede,
                    revision,
                })
            },
        );
    prop_oneof![
        4 => held,
        1 => (name(), maybe())
            .prop_map(|(id, order_ref)| Fact::ReservationConfirmed(ReservationConfirmed { id, order_ref })),
        1 => name().prop_map(Fact::ReservationReleased),
        1 => name().prop_map(Fact::ReservationCancelled),
        1 => name().prop_map(Fact::ReservationOversold),
        1 => (name(), 1..=TTL_MS_MAX)
            .prop_map(|(id, ttl_ms)| Fact::ReservationExtended(ReservationExtended { id, ttl_ms })),
        1 => (name(), quantity_lines())
            .prop_map(|(id, lines)| Fact::ReservationFulfilled(ReservationFulfilled { id, lines })),
        1 => requests(),
        1 => any::<u128>().prop_map(|digest| Fact::DigestRecounted(DigestRecounted { digest })),
    ]
    .boxed()
}

fn requests() -> BoxedStrategy<Fact<'static>> {
    let json = prop_oneof![Just("{}"), Just(r#"{"a":[1,"é\"\\"],"b":null}"#)];
    let outcome = prop_oneof![
        Just(Outcome::InParts),
        (200..300_u16, name()).prop_map(|(status, id)| Outcome::Reservation { status, id }),
        (200..600_u16, json).prop_map(|(status, json)| Outcome::Body {
            status,
            json: Cow::Borrowed(json)
        }),
    ];
    let answered = (any::<u128>(), any::<u128>(), outcome)
        .prop_map(|(key, request, outcome)| Fact::RequestAnswered(RequestAnswered { key, request, outcome }));
    answered.boxed()
}

/// Any statement that LOG may hold.
pub(crate) fn statement() -> impl Strategy<Value = Statement<'static>> {
    let fact = prop_oneof![
        levels(),
        movements(),
        arrivals::facts(),
        orders(),
        parcels(),
        returns(),
        policies::items(),
        policies::places(),
        policies::rules(),
        policies::restrictions(),
        reservations()
    ];
    (maybe(), maybe(), maybe(), fact).prop_map(|(source, by, trace, fact)| Statement {
        source: source.unwrap_or_default(),
        by,
        trace,
        fact,
    })
}
