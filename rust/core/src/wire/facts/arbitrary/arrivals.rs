//! Random receipts and transfers.

use super::*;

pub(super) fn facts() -> BoxedStrategy<Fact<'static>> {
    let receipt = (
        (name(), name(), version(), name(), name()),
        0..=AMOUNT_MAX,
        as_of(),
        maybe(),
    )
        .prop_map(|((reference, line, version, sku, location), quantity, as_of, unit)| {
            Fact::Receipt(Receipt {
                reference,
                line,
                version,
                sku,
                location,
                quantity,
                as_of,
                unit,
            })
        });
    let status = prop_oneof![
        Just(TransferStatus::Shipped),
        Just(TransferStatus::Received),
        Just(TransferStatus::Cancelled)
    ];
    let transfer = (
        (name(), maybe(), version(), name(), name(), name()),
        0..=AMOUNT_MAX,
        status,
        option::of(day()),
        as_of(),
        maybe(),
    )
        .prop_filter("two locations", |((.., from, to), ..)| from != to)
        .prop_map(
            |((reference, line, version, sku, from, to), quantity, status, due, as_of, unit)| {
                Fact::Transfer(Transfer {
                    reference,
                    line,
                    version,
                    sku,
                    from,
                    to,
                    quantity,
                    status,
                    due,
                    as_of,
                    unit,
                })
            },
        );
    prop_oneof![receipt, transfer].boxed()
}
