"""`holdfast explain`: the waterfall from what is on hand to what can be sold.

In: a SKU and a channel. Out: each term with its rule and the LOG sequence that last changed it, and the running sum.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec import UNSET
from rich.table import Table
from rich.text import Text

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import (
    DONE,
    FOUND_WRONG,
    CouldNotRunError,
    Json,
    number,
    print_whole,
    remarks,
    results,
    write_json,
)
from holdfast.cli.moment import moment_of
from holdfast.cli.settings_options import settings_of_data, text_of
from holdfast.client import Client
from holdfast.contracts.answers import Explanation
from holdfast.peers.freshness import as_of

OK = 200


def explain(
    sku: Annotated[str, Parameter(help="The SKU, byte by byte.")],
    /,
    *,
    channel: Annotated[str, Parameter(help="The channel that would sell it.")],
    region: Annotated[str | None, Parameter(help="The shopper's region, for a regional channel.")] = None,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    at: Annotated[
        str | None,
        Parameter(
            help="How it was after this LOG sequence, or at this time (with its zone), from the files under --data."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Show how the sellable figure comes about: every term, its rule, and the fact that last changed it.

    The quantities are signed and add up to what can be sold.

    ```
    holdfast explain MUG-BLUE --channel web
    holdfast explain MUG-BLUE --channel web --json
    holdfast explain MUG-BLUE --channel web --at 2026-11-27T09:30:00Z --data DIR
    ```
    """
    with could_not_run():
        if at is not None:
            found = _as_it_was(sku, channel, region, at, data)
        else:
            found = asyncio.run(_ask(sku, channel, region, url_of(gateway, data), key_of(key)))
    if json:
        write_json(msgspec.to_builtins(found))
    else:
        print_whole(_waterfall(found))
        for one in found.deficits:
            where = f"at {one.location}" if one.location is not None else "bound to nothing"
            results.print(
                f"Covered by nothing: {number(one.quantity)} {one.sku} of {one.reservation} ({one.channel}), {where}.",
                style="yellow",
                markup=False,
            )
    total = sum(term.quantity for term in found.terms)
    if total != found.sellable:
        remarks.print(f"The terms add up to {total}, not to {found.sellable}: please report this.", style="bold red")
        return FOUND_WRONG
    return DONE


def _as_it_was(sku: str, channel: str, region: str | None, at: str, data: Path | None) -> Explanation:
    """From what is kept on the disk, in this process: the gateway is not asked."""
    from holdfast.recovery.past import Past

    moment = moment_of("--at", at)
    directory, loaded = settings_of_data(None, {"serve.data": text_of(data)})
    core = Past(directory, loaded.serve.scope, loaded.settings).core(moment.sequence, before_ms=moment.before_ms)
    made = datetime.fromtimestamp(core.now_ms / 1000, UTC).isoformat()
    remarks.print(f"As it was after message {number(core.sequence)}, made at {made}.", markup=False)
    status, body = core.explain(sku, channel, region, as_of(core.sequence, 0, "stale"))
    if status != OK:
        raise CouldNotRunError(msgspec.json.decode(body).get("detail", f"no {sku} on {channel}"), "")
    return msgspec.json.decode(body, type=Explanation)


async def _ask(sku: str, channel: str, region: str | None, url: str, key: str | None) -> Explanation:
    async with Client(url, key) as client:
        return await client.explain(sku, channel, region=region)


def _waterfall(found: Explanation) -> Table:
    table = Table(title=f"{found.sku} on {found.channel}", title_justify="left", title_style="bold")
    table.add_column("term")
    parts = any(term.component is not UNSET for term in found.terms)
    if parts:
        table.add_column("component")
    table.add_column("location")
    table.add_column("quantity", justify="right")
    table.add_column("so far", justify="right", style="dim")
    table.add_column("rule")
    table.add_column("changed at", justify="right", style="dim")
    total = 0
    for term in found.terms:
        total += term.quantity
        table.add_row(
            term.name.replace("_", " "),
            *([_shown(term.component)] if parts else []),
            _shown(term.location),
            Text(f"{term.quantity:+,}", style="red" if term.quantity < 0 else ""),
            number(total),
            ", ".join(text for text in map(_shown, (term.rule, term.channel, term.document)) if text),
            _shown(term.sequence),
        )
    table.add_section()
    table.add_row(
        *("sellable", *([""] if parts else []), ""),
        *(Text(number(found.sellable), style="bold"), "", "", number(found.as_of.sequence)),
    )
    return table


def _shown(value: object) -> str:
    return "" if value is UNSET else str(value)
