"""Rehearses a sale, and says whether the promises of slo.toml were kept: `make rehearsal ARGS='--shape flash'`.

In: options; a gateway by --host, else one is started; HOLDFAST_KEY where it asks for one. Out: an HTML report, a few
lines. Exit status: 0 all promises kept, 1 one was missed, 2 it could not be played.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from holdfast.client import ClientError
from holdfast.rehearsal.books import Books
from holdfast.rehearsal.own_gateway import GatewayStartError
from holdfast.rehearsal.stage import RejectedError
from loadtests.accounts import Accounts
from loadtests.promises import PromisesError, judge, read
from loadtests.rehearsal import Choice, LocustError, Played, play
from loadtests.report import as_html, as_text, verdict


def main() -> int:
    """Plays one."""
    options = parsed()
    choice = Choice(
        shape=options.shape,
        seconds=options.seconds,
        peak=options.peak,
        think_s=options.think,
        skus=options.skus,
        hot=options.hot,
        units=options.units,
        hot_units=options.hot_units,
        erp_per_s=options.erp,
        workers=options.workers,
        kill_leader=options.kill_leader,
    )
    try:
        tables = read(options.slo)
        judge(tables, (empty := nothing_played(choice)).accounts, empty.counted)  # names are wrong now, not afterwards
        played = asyncio.run(play(choice, options.host, os.environ.get("HOLDFAST_KEY")))
        promises = judge(tables, played.accounts, played.counted)
    except (ClientError, GatewayStartError, RejectedError, LocustError, PromisesError, OSError) as error:
        print(f"rehearsal: {error}", file=sys.stderr)
        return 2
    options.html.parent.mkdir(parents=True, exist_ok=True)
    options.html.write_text(as_html(played, promises))
    print(as_text(played, promises))
    print(f"The report is {options.html}.")
    return 1 if verdict(promises, played) else 0


def nothing_played(choice: Choice) -> Played:
    """For the names of what is measured."""
    return Played("", "", choice, Accounts(), Books({}), [], [])


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Choice()
    parser.add_argument("--shape", choices=["ramp", "flash", "soak"], default=default.shape)
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--peak", type=int, default=default.peak, help="shoppers at the height of it")
    parser.add_argument("--think", type=float, default=default.think_s, help="seconds before a confirmation, at most")
    parser.add_argument("--skus", type=int, default=default.skus)
    parser.add_argument("--hot", type=int, default=default.hot, help="SKUs that four carts of five have")
    parser.add_argument("--units", type=int, default=default.units, help="of each SKU")
    parser.add_argument("--hot-units", type=int, default=default.hot_units, help="of each hot SKU")
    parser.add_argument(
        "--erp", type=int, default=default.erp_per_s, help="facts a second beside the shoppers; 0: none"
    )
    parser.add_argument("--workers", type=int, default=default.workers, help="processes of locust")
    parser.add_argument("--kill-leader", action="store_true", help="kill -9 in the middle; not with --host")
    parser.add_argument("--host", default="", help="the gateway to rehearse against; without it one is started")
    parser.add_argument("--slo", type=Path, default=Path(__file__).with_name("slo.toml"))
    parser.add_argument("--html", type=Path, default=Path("target/rehearsal.html"))
    options = parser.parse_args()
    if options.host and options.kill_leader:
        parser.error("--kill-leader is for the gateway that is started here; leave --host out")
    return options


if __name__ == "__main__":
    sys.exit(main())
