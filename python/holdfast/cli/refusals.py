"""`holdfast refusals`: what was asked for and refused lately, from the stream ASK.

In: a data directory. Out: a table or JSON, by SKU, channel or reason. Always: it only reads; at most `--most` refusals,
the newest ones.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, PATH, CouldNotRunError, Json, number, remarks, write_json
from holdfast.cli.refusals_again import decided_again
from holdfast.cli.refusals_view import By, document, rows, show
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.nats.asked import Asked, newest
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.streams import Names
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings
from holdfast.settings.units import HOUR_MS

HOURS_MAX = 10 * 365 * 24

WhatIf = Annotated[
    Path | None,
    PATH,
    Parameter(
        help='What would have been decided under other rules: a file {"facts": [...]}, as `replay --policy` takes.'
    ),
]
SumBy = Annotated[By, Parameter(help="What to sum up by.")]
Hours = Annotated[float, Parameter(help="Those of so many hours until now.")]
Most = Annotated[int, Parameter(help="Read at most so many refusals, the newest.")]
Rows = Annotated[int, Parameter(name="rows", help="Rows of the table.")]
Sku = Annotated[str | None, Parameter(help="Those of this SKU alone.")]
Channel = Annotated[str | None, Parameter(help="Those of this channel alone.")]
Reason = Annotated[str | None, Parameter(help="Those for this reason alone, such as insufficient-stock.")]


def refusals(
    *,
    data: Data = None,
    by: SumBy = By.SKU,
    hours: Hours = 24,
    sku: Sku = None,
    channel: Channel = None,
    reason: Reason = None,
    what_if: WhatIf = None,
    most: Most = 100_000,
    rows_max: Rows = 40,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what was asked for and refused: how many carts wanted it, and how many units were missing.

    The process that leads keeps refused reservations and confirmations for a week (`log.refused_age_ms_max`). A cart
    that asked again counts once. What left out counts was more than a process keeps in a second.

    ```
    holdfast refusals --data DIR
    holdfast refusals --data DIR --by channel --hours 2
    holdfast refusals --data DIR --sku MUG --by reason --json
    holdfast refusals --data DIR --what-if limit-5.json
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    if not 0 < hours <= HOURS_MAX or most <= 0 or rows_max <= 0:
        raise CouldNotRunError(f"--hours is above 0 and at most {HOURS_MAX:,}; --most and --rows are above 0", "")
    if not (directory / "nats").is_dir():
        raise CouldNotRunError(
            f"there is no log under {directory}", "Give the directory that `serve --data` was given."
        )
    since_ms = int(time.time() * 1000 - hours * HOUR_MS)
    if what_if is not None:
        with could_not_run():
            return decided_again(directory, loaded, what_if, since_ms, (sku, channel, reason), rows_max, json=json)

    async def read() -> Asked:
        async with endpoint_at(directory, loaded.settings) as endpoint:
            return await read_asked(endpoint, loaded.serve.scope, loaded.settings, since_ms, most)

    with could_not_run():
        found = uvloop.run(read())
    meant = [_only(refusal, sku) for refusal in found.refusals[:most]]
    meant = [one for one in meant if _is_meant(one, sku, channel, reason)]
    groups = rows(meant, by)
    if json:
        write_json(document(groups, by, total=len(meant), left_out=found.left_out, more=found.more))
        return DONE
    if groups:
        show(groups, by, rows_max)
    else:
        remarks.print(f"Nothing was refused in the last {hours:g} h that this asks for.", markup=False)
    _say_what_is_missing(found, most)
    return DONE


def _say_what_is_missing(found: Asked, most: int) -> None:
    if found.left_out:
        remarks.print(f"Further {number(found.left_out)} were only counted: log.refused_per_s_max bounds what is kept.")
    if found.more:
        remarks.print(f"There are older ones: --most reads more than {number(most)}.")


def _only(refusal: dict[str, Any], sku: str | None) -> dict[str, Any]:
    """Of a cart, the lines of that SKU."""
    if sku is None:
        return refusal
    return refusal | {"lines": [line for line in refusal["lines"] if line["sku"] == sku]}


def _is_meant(refusal: dict[str, Any], sku: str | None, channel: str | None, reason: str | None) -> bool:
    reasons = {refusal["reason"], *(line["reason"] for line in refusal["lines"])}
    return (
        (sku is None or bool(refusal["lines"]))
        and channel in {None, refusal["channel"]}
        and (reason is None or reason in reasons)
    )


async def read_asked(endpoint: Endpoint, scope: str, settings: Settings, since_ms: int, most: int) -> Asked:
    """Refusals since a time, the newest first. Raises LogError."""
    connection = Connection(endpoint, settings.log, f"holdfast {scope} refusals")
    await connection.open()
    try:
        return await newest(connection, Names(scope), since_ms, most)
    finally:
        await connection.close()
