"""`holdfast replay`: a past again: into a fresh core, under other rules, or as the log of another scope.

In: a data directory, its gateway running or stopped. Out: the digest, the decisions that would have differed, or
another scope's log. Always: the scope that it reads is not changed.
"""

from pathlib import Path
from typing import Annotated, Any

import orjson
import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, PATH, CouldNotRunError, Json, number, remarks, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.moment import From, Upto, moment_of
from holdfast.cli.replay_onto import Speed, onto_scope, speed_of
from holdfast.cli.replay_view import show_differences, show_replayed
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.hindsight import other_rules, prices
from holdfast.hindsight.differences import document
from holdfast.hindsight.replaying import Moment, Replayed, what_if
from holdfast.hindsight.replaying import replay as replayed
from holdfast.hindsight.what_if import Then, WhatIf
from holdfast.nats.asked import Asked, newest
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.recovery.past import Past
from holdfast.recovery.verify import endpoint_at
from holdfast.settings.resolve import Resolved

REFUSALS_MAX = 1_000_000


Policy = Annotated[
    Path | None,
    PATH,
    Parameter(help='Other rules: {"facts": [...]}, as POST /v1/policies takes them; they hold from the beginning.'),
]
Prices = Annotated[
    Path | None, PATH, Parameter(name="--prices", help="A CSV file with the columns sku and price: sums of money.")
]
WhatThen = Annotated[Then, Parameter(help="What shoppers do whose cart was refused and would have been held.")]
Onto = Annotated[str | None, Parameter(help="Write it as the log of this scope, which is empty.")]
Into = Annotated[Path | None, PATH, Parameter(help="With --onto: the new data directory that gets the log.")]
Elsewhere = Annotated[
    str | None, Parameter(help="With --onto: the NATS that gets the log, instead of a new directory.")
]
Rows = Annotated[int, Parameter(name="--rows", help="Rows of each table.")]


def replay(
    *,
    data: Data = None,
    begin: From = None,
    upto: Upto = None,
    policy: Policy = None,
    prices_file: Prices = None,
    then: WhatThen = Then.BUYS,
    onto: Onto = None,
    into: Into = None,
    nats: Elsewhere = None,
    speed: Speed = "flat-out",
    rows_max: Rows = 20,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Replay what is kept: into a fresh core, under other rules, or onto another scope.

    Under other rules every command is decided again, also those that were refused as long as they are kept
    (`log.refused_age_ms_max`). What depends on a decision that differs is listed as uncertain.

    ```
    holdfast replay --data DIR --upto 2026-11-27T09:30:00Z
    holdfast replay --data DIR --policy limit-5.json --prices prices.csv
    holdfast replay --data DIR --onto rehearsal --into NEW --speed 10
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    first, last = moment_of("--from", begin), moment_of("--upto", upto)
    pace = speed_of(speed)
    if rows_max <= 0:
        raise CouldNotRunError("--rows is above 0")
    if onto is None and (into, nats) != (None, None):
        raise CouldNotRunError("--into and --nats say where another scope's log goes", "Name the scope with --onto.")
    if onto is not None and (policy is not None or not first.is_open):
        raise CouldNotRunError("--onto writes everything from the first message on", "Leave --policy and --from out.")
    with could_not_run():
        if onto is not None:
            return onto_scope(directory, loaded, onto, into, nats, last, pace, json=json)
        money = prices.read(prices_file) if prices_file is not None else None
        if policy is None:
            with LiveWatcher("messages") as watcher:
                found = replayed(_past(directory, loaded), first, last, watcher.phase("replaying", None))
            _say(replay_document(found), json=json, shown=lambda: show_replayed(found))
            return DONE
        rules = other_rules.read(policy)
        asked, asking, run = ask_again(directory, loaded, first, last, rules, then)
        written = replay_document(run) | what_if_document(asked, asking) | document(asking.found, money)
    _say(written, json=json, shown=lambda: show_differences(written, rows_max))
    return DONE


def _say(written: dict[str, Any], *, json: bool, shown: Any) -> None:
    if json:
        write_json(written)
    else:
        shown()


def _past(directory: Path, loaded: Resolved) -> Past:
    return Past(directory, loaded.serve.scope, loaded.settings)


def ask_again(
    directory: Path, loaded: Resolved, first: Moment, last: Moment, rules: other_rules.OtherRules, then: Then
) -> tuple[Asked, WhatIf, Replayed]:
    """Everything under other rules, with progress on stderr. Raises LogError."""

    async def refused() -> Asked:
        async with endpoint_at(directory, loaded.settings) as endpoint:
            connection = Connection(endpoint, loaded.settings.log, f"holdfast {loaded.serve.scope} replay")
            await connection.open()
            try:
                return await newest(connection, Names(loaded.serve.scope), 0, REFUSALS_MAX)
            finally:
                await connection.close()

    asked = uvloop.run(refused())
    with LiveWatcher("messages") as watcher:
        report = watcher.phase("deciding again", None)
        run, asking = what_if(_past(directory, loaded), first, last, rules, reversed(asked.refusals), then, report)
    for fact, why in rules.waiting:
        remarks.print(f"Never taken: {fact} ({why})", markup=False, style="yellow")
    if asked.left_out or asked.more:
        remarks.print(f"Of the refusals {number(asked.left_out)} were only counted, and are not decided again.")
    return asked, asking, run


def replay_document(found: Replayed) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "from": found.began + 1,
        "upto": found.sequence,
        "batches": found.batches,
        "void": found.void,
        "digest": found.digest,
        "seconds": round(found.seconds, 3),
    }


def what_if_document(asked: Asked, asking: WhatIf) -> dict[str, Any]:
    """What could be decided again, as JSON has it."""
    refused = asking.refused
    return {
        "then": asking.then.value,
        "decided_again": asking.decisions + refused.decided,
        "refusals": {
            "kept_since_ms": asked.kept_since_ms,
            "left_out": asked.left_out,
            "more": asked.more,
            "decided_again": refused.decided,
            "other_reason": refused.other_reason,
            "without_cart": refused.without_cart,
            "place_unclear": refused.place_unclear,
        },
        "rules_replaced": asking.rules.replaced_total,
        "rules_not_taken": [{"fact": fact, "why": why} for fact, why in asking.rules.waiting],
        "unsourced": {"was": unsourced(asking.was.core), "would_be": unsourced(asking.would.core)},
    }


def unsourced(core: Any) -> int:
    """Units that are sold and bound to nothing."""
    return int(orjson.loads(core.totals())["units_unsourced"])
