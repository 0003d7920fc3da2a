"""A whole year of real orders, counted from LOG and again in SQL: `python -m tests.hindsight.business_year FILE`.

In: the file of orders (tests/data/README.md says which). Out: each figure of the year and of each month, as counted and
as recounted; exit status 1 where any differs. Always: as tests/hindsight/test_business.py does it for three days.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.hindsight.business.figures import Range, report
from holdfast.hindsight.business.reading import Counting
from holdfast.hindsight.business.store import MINUTE_MS
from holdfast.recovery.past import Past
from holdfast.settings import Settings
from tests.support.recount import Recount, figures_of
from tests.support.trade import Trade, opening_of, orders_of


def months(begin: int, end: int) -> list[tuple[str, int, int]]:
    """The range, and each calendar month of it, in minutes."""
    found = [("all", begin, end)]
    at = datetime.fromtimestamp(begin * 60, UTC).replace(day=1, hour=0, minute=0)
    while (first := round(at.timestamp() / 60)) < end:
        at = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
        found.append((datetime.fromtimestamp(first * 60, UTC).strftime("%Y-%m"), first, round(at.timestamp() / 60)))
    return found


def main(file: Path) -> int:
    """All of it; how many figures differ."""
    with tempfile.TemporaryDirectory() as name:
        directory, since = Path(name), time.monotonic()
        orders = list(orders_of(file))
        trade = Trade(directory)
        trade.run(orders, opening_of(orders))
        print(
            f"{len(orders):,} invoices are {trade.core.sequence:,} batches, {time.monotonic() - since:.0f} s",
            flush=True,
        )
        since, past, counting = time.monotonic(), Past(directory, "main", Settings()), Counting(directory, "main")
        counting.count(past, [(n, found, 0) for n, found in enumerate(trade.asked, 1)])
        print(f"counted in {time.monotonic() - since:.0f} s, {counting.file.stat().st_size:,} bytes", flush=True)
        recount = Recount(past.messages(0), trade.asked)
        wrong = 0
        for month, begin, end in months(trade.began_ms // MINUTE_MS, trade.now_ms // MINUTE_MS + 1):
            found: dict[str, Any] = report(counting.store, "main", Range(begin, end))
            counted = figures_of(found | {"refused": sum(one["carts"] for one in found["refused"])})
            again = recount.figures(begin * MINUTE_MS, end * MINUTE_MS)
            for figure, value in counted.items():
                wrong += value != again[figure]
                if month == "all" or value != again[figure]:
                    print(f"{month:8} {figure:28} {value:>12,} {again[figure]:>12,}")
        print(f"{wrong} figures differ")
        counting.close()
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
