"""Settings of the WooCommerce connector that are not those of one store (docs/woocommerce.md has these).

In: nothing. Out: WooSettings. Always: sizes and ages count when a stream is made; later they are changed in NATS.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, GIB, MIB, MINUTE_MS, SECOND_MS, TIB


@section("woo", "The process that connects WooCommerce shops ([woocommerce.md](woocommerce.md)).")
@dataclass(frozen=True, slots=True)
class WooSettings:
    """The connector, and what takes its webhooks."""

    enabled: bool = public(
        False,  # noqa: FBT003 - the default of a setting
        "Whether `serve` runs a connector for the stores in DIR/woo. Of several machines one is enough.",
        flag="--woo",
    )
    deliveries_bytes_max: int = public(
        1 * GIB,
        "Size of the stream of deliveries when it is made. A full one drops its oldest, which are found again by "
        "reading the shop's orders.",
        lowest=16 * MIB,
        highest=1024 * TIB,
    )
    deliveries_age_ms_max: int = public(
        3 * DAY_MS, "How long a delivery stays, when the stream is made.", lowest=MINUTE_MS, highest=365 * DAY_MS
    )
    delivery_bytes_max: int = public(4 * MIB, "Body of a webhook. Beyond it: 413.", lowest=1_024, highest=64 * MIB)
    delivery_ms: int = public(
        700,
        "How long a webhook may wait to be stored; then 503. WooCommerce does not send it again, the connector reads "
        "the shop's orders.",
        lowest=50,
        highest=30 * SECOND_MS,
    )
    metrics_port: int = public(
        0, "Port of 127.0.0.1 with the connector's own metrics. 0: none.", lowest=0, highest=65_535
    )
    niceness: int = public(5, "Niceness of the connector, added to that of `serve`.", lowest=0, highest=19, unit="nice")
    reports_bytes_max: int = 64 * MIB
    secrets_ms: int = 1 * SECOND_MS  # how long a file of secrets is not read again
    batch_max: int = 500  # deliveries that are worked off together
    batch_bytes_max: int = 8 * MIB
    facts_max: int = 1_000  # in one body
    settle_ms: int = 2 * SECOND_MS  # a shop's times have whole seconds: younger orders may still change within one
    known_orders_max: int = 200_000  # remembered of each store beside the open ones
    report_ms: int = 2 * SECOND_MS
    retry_ms: int = 1 * SECOND_MS
    retry_ms_max: int = 1 * MINUTE_MS
    guard_ms: int = 1 * MINUTE_MS
    late_ms: int = 5 * MINUTE_MS  # an order that polling alone has found so long after its change was lost by webhooks
    doubt_ms: int = 1 * MINUTE_MS  # after a write without an answer what the shop has is read again
    open_figures_max: int = 1_000  # SKUs that a shop lacks and that a report names; with more the next run compares all
    stores_max: int = 64
