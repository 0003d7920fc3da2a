"""Long random histories that seeds decide, with the digest proven after each step.

`python -m tests.support.many_histories` plays 10,000. In: how many seeds, the first one, steps of each; `--compare`:
every sellable and every reservation are compared with the oracle, too. Out: what was proven and reached; a traceback
where something differs. Always: after each batch the maintained digest, the recounted one and that of an engine
restored from a snapshot are the same, on the leader and on an engine that forgets early; so are those of a follower and
of a replay at the end.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.support.histories import PickBySeed
from tests.support.playing import History
from tests.support.retell import retell, shorten

DEEP = (
    "state committed",
    "state in_erp",
    "state fulfilled",
    "state released",
    "state expired",
    "state cancelled",
    "state oversold",
    "superseded",
    "late confirm",
    "bound to supply",
    "unsourced unit has a node",
    "supply-bound unit on the shelf",
    "supply-bound unit unsourced again",
    "moved elsewhere by an ack or a shipment",
    "sold on own allocation",
    "unsourced on own allocation",
    "cap used",
    "kit of kits sold",
    "partial hold",
    "order twice under one ref",
    "an ack or update waits for its order",
    "hole filled by supply",
    "deducted though shipped",
    "counted repeats",
    "counted anomalies",
    "counted stale_levels",
    "counted stale_versions",
    "counted level_conflicts",
    "counted stale_periods",
    "counted unlocated",
    "409 insufficient-stock",
    "409 reservation-closed",
    "409 stale-revision",
    "409 oversold",
    "422 invalid",
    "404 unknown-reservation",
    "rejected foreign-clock",
    "rejected mixed-clock",
    "rejected kit-has-no-stock",
    "rejected from-the-future",
    "rejected no-effect",
    "rejected ambiguous-order",
    "a closed hold said so",
    "cap of an inner kit used",
    "an older ack or shipment arrived later",
    "an ack of another place waits while shipped",
    "shipped from where its supply comes",
    "acknowledged where its supply comes",
)
# What only thousands of histories reach.
RARE = (
    "a transfer received in part",
    "counted left_before",
)
ARRIVALS = (
    "units off their line by a receipt",
    "a receipt of a line that nobody stated",
    "a transfer on its way",
    "a transfer received",
    "a transfer cancelled",
    "bound to a transfer",
    "a line presumed to have arrived",
    "a transfer presumed to have arrived",
    "a rise that no line explains",
    "a rise that waits for a line",
    "a level that fell beside open supply",
    "a line lowered before a level showed it",
    "brought by a movement since the level",
    "counted explained_later",
    "counted inside_later",
    "counted lowered_explains",
    "counted bound_and_presumed",
    "counted kept_as_received",
    "counted receipts_instead",
    "a level of a new owner",
    "a unit that the new owner counts",
    "a level that waits after a reset",
    "a line whose moment is forgotten",
    "counted stale_supplies",
    "counted closed_supplies",
    "counted covered",
)
KINDS = (
    "stock.level",
    "stock.delta",
    "supply",
    "receipt",
    "transfer",
    "demand",
    "return",
    "order.ack",
    "order.update",
    "shipment",
    "item",
    "location",
    "channel",
    "allocation",
    "cap",
    "safety",
    "oversell",
    "freshness",
    "restriction",
    "ownership",
    "source.reset",
    "reservation.held",
    "reservation.confirmed",
    "reservation.released",
    "reservation.cancelled",
    "reservation.extended",
    "reservation.fulfilled",
    "reservation.oversold",
    "request.answered",
)
PORTIONS = tuple(
    f"{phase}, {line} {place}"
    for phase in ("held", "confirmed")
    for line in ("loose", "of a kit")
    for place in ("on hand", "on supply", "unsourced")
)
OVERSOLD = ("unsourced, oversell limit", "unsourced, oversell unlimited")
SUPPLIES = tuple(
    f"supply {status}, {line} on supply"
    for status in ("open", "received", "cancelled")
    for line in ("loose", "of a kit")
)


def play(seed: int, steps: int, *, compare: bool = True) -> History:
    """A long history that a seed decides: deeper than what hypothesis reaches. A failing one is then shortened."""
    pick, history = PickBySeed(seed), History(compare=compare)
    moves: list[Callable[[], None]] = [
        *history.moves(pick),
        lambda: history.cart_check(pick),
        lambda: history.promise(pick),
    ]
    try:
        history.opening(pick)
        for _ in range(steps):
            pick.one(moves)()
        history.beside.replay()
    except Exception as error:
        if not compare:
            error.add_note(f"seed {seed}: `HOLDFAST_SEED={seed}` for the test of long histories makes it shorter")
            raise
        told, read, rules = history.beside.told, history.read, history.beside.rules
        beside, again = retell(told, read, rules)
        short = shorten(told, again, read, rules) if again is not None else told
        beside.told = list(short)
        error.add_note(f"seed {seed}; the shortest history that fails likewise:\n{beside.history()}\n{again!r}")
        raise
    return history


def missing(*, rare: bool = False) -> list[str]:
    """Which kinds of facts, portions and states no history reached; `rare`: also of those that need thousands."""
    wanted = [*(f"kind {kind}" for kind in KINDS), *PORTIONS, *OVERSOLD, *SUPPLIES, *ARRIVALS, *DEEP]
    wanted += RARE if rare else ()
    return [state for state in wanted if not History.reached[state]]


def main() -> int:
    """Play them, and say what they came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.many_histories", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--compare", action="store_true", help="every sellable and reservation with the oracle, too")
    options = parser.parse_args()
    began, told = time.monotonic(), 0.0
    batches = 0
    for number, seed in enumerate(range(options.first, options.first + options.seeds), start=1):
        batches += len(play(seed, options.steps, compare=options.compare).beside.batches)
        if time.monotonic() - told > 10 or number == options.seeds:
            told = time.monotonic()
            print(f"{number} histories, {batches} batches, {told - began:.0f} s", file=sys.stderr)
    lines = [f"{options.seeds} histories of {options.steps} steps, {batches} batches: every digest right"]
    counted = [*(f"kind {kind}" for kind in KINDS), *PORTIONS, *OVERSOLD, *SUPPLIES, *ARRIVALS, *RARE]
    lines += [f"  {History.reached[name]:>9}  {name}" for name in counted]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
