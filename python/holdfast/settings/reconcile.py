"""Settings of comparisons between ERP, shop and holdfast (docs/reconcile.md).

In: nothing. Out: ReconcileSettings. Always: without `every_ms` only `holdfast reconcile` compares.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_TYPES = "missing-event|manual-edit|deleted-sku"


@section("reconcile", "Comparing ERPs, shops and holdfast ([reconcile.md](reconcile.md)).")
@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """When it is compared, and what is put right without asking."""

    every_ms: int = public(
        0, "How often `serve` compares, in a separate process. 0: never by itself.", lowest=0, highest=30 * DAY_MS
    )
    apply: str = public(
        "",
        "Types of differences whose corrections `serve` sends, with commas: `missing-event`, `manual-edit`, "
        "`deleted-sku`.",
        unset="none",
        pattern=rf"({_TYPES})(,({_TYPES}))*",
        form="types with commas",
    )
    settle_ms: int = public(
        2 * MINUTE_MS,
        "How long a comparison waits until a connection has looked again. Longer than twice its `every_ms` is never "
        "needed.",
        lowest=SECOND_MS,
        highest=HOUR_MS,
    )
    order_days: int = public(
        3, "Orders of a shop that changed within so many days are compared.", lowest=1, highest=365, unit="days"
    )
    key: str = public(
        "",
        "API key that may read, of all channels; `@FILE` reads it from a file. Corrections go under the keys of the "
        "connections.",
        unset="none",
        secret=True,
    )
    niceness: int = 10
