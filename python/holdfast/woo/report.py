"""What a connector reports of one store: for `holdfast woo status`, and for its own next start.

In: counts of the parts. Out: one message, the newest counts. Always: it holds the places from which a later run goes
on; an older one only means more to read again.
"""

from typing import Any

import msgspec


class StoreReport(msgspec.Struct, omit_defaults=True):
    """Times are seconds since 1970; `deliveries_taken` and `figures_done` are places in streams."""

    store: str
    run: str = ""
    """Of which run of a connector it is."""
    ended: bool = False
    """That run has ended."""
    at_s: float = 0.0
    started_s: float = 0.0
    state: str = "starting"
    """starting, working, paused, waiting (the shop or the gateway does not answer)"""
    shop: dict[str, Any] = {}
    """What the shop said of itself: versions, plugin."""
    deliveries_taken: int = 0
    deliveries_waiting: int = 0
    deliveries_total: int = 0
    deliveries_unreadable: int = 0
    deliveries_lost: int = 0
    """Dropped from the full stream before they were read."""
    last_delivery_s: float = 0.0
    delivery_lag_s: float = 0.0
    """How long after its change the newest order came."""
    orders: dict[str, int] = {}
    orders_known: int = 0
    orders_open: int = 0
    read_upto_s: int = 0
    """Up to this time of the shop's clock changed orders have been read."""
    backfills_total: int = 0
    found_by_reading: int = 0
    """Orders of which no webhook came within five minutes of their change."""
    unknown_statuses: dict[str, int] = {}
    unknown_skus: list[str] = []
    """Of lines of orders that holdfast does not know; they are not counted."""
    rejected: list[dict[str, Any]] = []
    short: dict[str, int] = {}
    """Units by SKU that orders without a reservation are owed, and that are not there."""
    webhooks_active: int = 0
    webhooks_wrong: list[str] = []
    webhooks_repaired: int = 0
    webhooks_ended_by_shop: int = 0
    figures_done: int = 0
    """The place in AVAILABLE up to which the shop has all figures, but those of `figures_open`."""
    figures_open: list[str] = []
    figures_more: bool = False
    """There are others, which are not named."""
    figures_taken: int = 0
    """The place in AVAILABLE up to which figures were read."""
    push_waiting: int = 0
    push_set_aside: int = 0
    """SKUs beside these that could not be written, and are tried again."""
    push_in_flight: int = 0
    push_known: int = 0
    push_written: int = 0
    push_same: int = 0
    push_coalesced: int = 0
    push_calls: int = 0
    push_batch: int = 0
    push_answer_s: float = 0.0
    last_push_s: float = 0.0
    push_problems: dict[str, str] = {}
    errors: list[str] = []
    requests_total: int = 0

    @property
    def units_short(self) -> int:
        """Of all SKUs."""
        return sum(self.short.values())


def report_of(payload: bytes) -> StoreReport | None:
    """The report in a message; None for what is not one."""
    try:
        return msgspec.json.decode(payload, type=StoreReport)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
