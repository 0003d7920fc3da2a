"""The figures of a range of time, as one document: what a report prints and the dashboard shows.

In: the file of counts, two moments. Out: a report. Always: each figure is a sum of what was counted, or a share of two
such sums; shares of nothing are null; quantiles are right to 1 %.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.hindsight.business.lives import middle_of
from holdfast.hindsight.business.store import DAY_MINUTES, MINUTE_MS, Store

TIMES = ("hold_to_order", "order_to_erp", "order_to_first_shipment", "order_to_shipped")
SHARES = (0.5, 0.9, 0.99)
SKUS_SHOWN = 20
_CARTS = ("held", "released", "superseded", "expired", "oversold")
_ORDERS = ("held", "late", "direct", "cancelled", "shipped")
_UNITS = ("reserved", "ordered", "shipped", "cancelled", "returned", "released", "expired", "oversold")


class RangeError(ValueError):
    """A range that the counts cannot answer exactly; the message says why."""


@dataclass(frozen=True, slots=True)
class Range:
    """Minutes since 1970, from one until before another."""

    begin: int
    end: int


def range_of(store: Store, from_ms: int, upto_ms: int) -> Range:
    """Whole minutes, whole days where only these are kept. Raises RangeError."""
    if from_ms >= upto_ms:
        raise RangeError("it ends before it begins")
    found = Range(from_ms // MINUTE_MS, -(-upto_ms // MINUTE_MS))
    if from_ms % MINUTE_MS or upto_ms % MINUTE_MS:
        raise RangeError("it must begin and end on a whole minute")
    days = store.place().days
    for minute in (found.begin, found.end):
        if minute < days * DAY_MINUTES and minute % DAY_MINUTES:
            raise RangeError("older figures are kept by day: there it must begin and end at midnight, UTC")
    return found


def report(store: Store, scope: str, found: Range) -> dict[str, object]:
    """The document, in the shape of contracts.business.Report."""
    by_channel = store.sums(found.begin, found.end, "channel")
    total: Counter[str] = Counter()
    for (what, _), n in by_channel.items():
        total[what] += n
    place = store.place()
    orders = {name: total[f"orders.{name}"] for name in _ORDERS}
    return {
        "scope": scope,
        "from": time_of(found.begin * MINUTE_MS),
        "upto": time_of(found.end * MINUTE_MS),
        "counted_since": time_of(place.since_ms),
        "counted_upto": time_of(place.now_ms or None),
        "sequence": place.sequence,
        "gaps": [{"from": time_of(begin), "upto": time_of(end)} for begin, end in store.gaps()],
        "carts": {name: total[f"carts.{name}"] for name in _CARTS},
        "orders": {"all": total["orders"], **orders},
        "units": {name: total[f"units.{name}"] for name in _UNITS},
        "hold_to_purchase": _share(
            orders["held"] + orders["late"], orders["held"] + total["carts.released"] + total["carts.expired"]
        ),
        "fallout": _share(orders["cancelled"] + total["carts.oversold"], total["orders"] + total["carts.oversold"]),
        "open_orders": _open(store),
        "times": _times(store, found),
        "refused": _refused(total),
        "refusals_left_out": total["refusals.left_out"],
        "lines_left_out": total["lines.left_out"],
        "units_lost": total["units.lost"],
        "units_would_have_oversold": total["units.would_have_oversold"],
        "accuracy": _accuracy(total),
        "channels": _channels(by_channel),
        "skus_lost": _skus(store, found),
    }


def time_of(at_ms: int | None) -> str | None:
    """As every answer has times."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def _share(part: int, all_: int) -> dict[str, object]:
    return {"part": part, "all": all_, "share": round(part / all_, 6) if all_ else None}


def _open(store: Store) -> dict[str, object]:
    count, oldest = store.open_orders()
    return {"orders": count, "oldest": time_of(oldest)}


def _times(store: Store, found: Range) -> list[dict[str, object]]:
    known = store.durations(found.begin, found.end)
    return [{"name": name, **_quantiles(known.get(name, Counter()))} for name in TIMES]


def _quantiles(buckets: Counter[int]) -> dict[str, object]:
    count = buckets.total()
    found: dict[str, object] = {"count": count}
    for share in SHARES:
        name = f"p{round(share * 100)}_ms"
        found[name] = round(middle_of(_at(buckets, share * count))) if count else None
    return found


def _at(buckets: Counter[int], rank: float) -> int:
    """The bucket of the value with that rank, counted from 1 upwards."""
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return bucket
    return max(buckets)


def _refused(total: Counter[str]) -> list[dict[str, object]]:
    found = {what.removeprefix("refused."): n for what, n in total.items() if what.startswith("refused.")}
    return [{"reason": reason, "carts": n} for reason, n in sorted(found.items(), key=lambda one: (-one[1], one[0]))]


def _accuracy(total: Counter[str]) -> dict[str, object]:
    levels, exact = total["levels"], total["levels.exact"]
    return {
        "levels": levels,
        "exact": exact,
        "share": round(exact / levels, 6) if levels else None,
        "units_expected": total["levels.book"],
        "units_up": total["levels.up"],
        "units_down": total["levels.down"],
    }


def _channels(by_channel: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    names = sorted({name for _, name in by_channel if name})
    return [
        {
            "channel": name,
            "orders": by_channel.get(("orders", name), 0),
            "units_ordered": by_channel.get(("units.ordered", name), 0),
            "units_shipped": by_channel.get(("units.shipped", name), 0),
            "units_lost": by_channel.get(("units.lost", name), 0),
        }
        for name in names
    ]


def _skus(store: Store, found: Range) -> list[dict[str, object]]:
    sums = store.sums(found.begin, found.end, "sku")
    lost = {sku: n for (what, sku), n in sums.items() if what == "units.lost" and n}
    most = sorted(lost, key=lambda sku: (-lost[sku], sku))[:SKUS_SHOWN]
    return [
        {
            "sku": sku,
            "units_lost": lost[sku],
            "units_would_have_oversold": sums.get(("units.would_have_oversold", sku), 0),
            "units_ordered": sums.get(("units.ordered", sku), 0),
        }
        for sku in most
    ]
