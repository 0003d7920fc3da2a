"""The connector's own figures, for Prometheus.

In: reports. Out: metrics, which metrics_port.py serves. Always: one label, the store; the figures are those of the
report.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.woo.report import StoreReport

COUNTERS: dict[str, tuple[str, str]] = {
    "deliveries": ("deliveries_total", "Deliveries of webhooks that were worked off."),
    "deliveries_lost": ("deliveries_lost", "Deliveries that the full stream dropped before they were read."),
    "deliveries_unreadable": ("deliveries_unreadable", "Deliveries of orders that were no orders."),
    "orders_found_by_reading": (
        "found_by_reading",
        "Orders that only reading the shop has found: what the webhooks have lost.",
    ),
    "webhooks_ended_by_shop": ("webhooks_ended_by_shop", "How often a webhook was found ended."),
    "stock_written": ("push_written", "SKUs written to the shop."),
    "stock_same": ("push_same", "SKUs that the shop had already."),
    "stock_coalesced": ("push_coalesced", "Figures that a newer one replaced before they were written."),
    "shop_requests": ("requests_total", "Requests to the shop."),
}
GAUGES: dict[str, tuple[str, str]] = {
    "deliveries_waiting": ("deliveries_waiting", "Deliveries that are stored and not worked off."),
    "delivery_lag_seconds": ("delivery_lag_s", "How long after its change the newest order came."),
    "orders_open": ("orders_open", "Orders without a reservation that are owed."),
    "units_short": ("units_short", "Units that orders without a reservation are owed, and that are not there."),
    "orders_read_upto_seconds": ("read_upto_s", "Up to this time (since 1970) changed orders have been read."),
    "webhooks_active": ("webhooks_active", "Webhooks that are as they must be, of 4."),
    "stock_waiting": ("push_waiting", "SKUs that wait to be written."),
    "last_write_seconds": ("last_push_s", "When stock was written last (since 1970)."),
}
ORDERS = ("stated", "repeats", "stale", "asked", "confirmed", "released", "oversold", "rejected", "removed")


class StoreFigures(Collector):
    """Of all stores."""

    def __init__(self, reports: Callable[[], Mapping[str, StoreReport]]) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        reports = dict(self._reports())
        for name, (field, text) in COUNTERS.items():
            counter = CounterMetricFamily(f"holdfast_woo_{name}", text, labels=["store"])
            for store, report in reports.items():
                counter.add_metric([store], getattr(report, field))
            yield counter
        for name, (field, text) in GAUGES.items():
            gauge = GaugeMetricFamily(f"holdfast_woo_{name}", text, labels=["store"])
            for store, report in reports.items():
                gauge.add_metric([store], getattr(report, field))
            yield gauge
        orders = CounterMetricFamily(
            "holdfast_woo_orders", "Snapshots of orders, by what became of them.", labels=["store", "outcome"]
        )
        for store, report in reports.items():
            for outcome in ORDERS:
                orders.add_metric([store, outcome], report.orders.get(outcome, 0))
        yield orders
