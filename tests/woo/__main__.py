"""The connector at full size: `python -m tests.woo deliveries --orders 100000`, `... figures --skus 100000`, and a day
of real orders with all faults: `... day --file ORDERS.csv.gz --orders 1500`.

In: what, and how many. Out: what was counted; exit status 1 where something was not as it must be. Always: the same
functions as in the tests, which run them with less.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.woo import day, scale

ORDERS = Path(__file__).parents[1] / "data" / "online-retail-3-days.csv.gz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.woo", description=__doc__)
    parser.add_argument("what", choices=["deliveries", "figures", "day"])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--down", type=float, default=60.0, help="seconds for which the shop is down")
    parser.add_argument("--rest", action="store_true", help="a shop without the plugin")
    parser.add_argument("--file", type=Path, default=ORDERS, help="real orders, with the columns of that file")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        if given.what == "deliveries":
            found = asyncio.run(scale.deliveries(Path(directory), given.orders, seed=given.seed))
        elif given.what == "day":
            lived = asyncio.run(day.day(Path(directory), given.file, given.orders, seed=given.seed))
            found = scale.Outcome(figures=lived.figures, wrong=lived.wrong)
        else:
            rest = {"down_s": given.down, "plugin": not given.rest}
            found = asyncio.run(scale.figures(Path(directory), given.skus, **rest))
    figures = {**found.figures, "statuses": dict(found.statuses), "slowest_s": round(found.slowest_s, 3)}
    print(json.dumps(figures | {"took_s": round(time.monotonic() - began, 1), "wrong": found.wrong}, indent=1))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
