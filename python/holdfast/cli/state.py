"""`holdfast state`: the state of a running gateway. In: its address. Out: sequence, digest, role, totals."""

import asyncio

import msgspec
from rich.table import Table

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import DONE, Json, number, results, write_json
from holdfast.client import Client
from holdfast.contracts.answers import StateAnswer


def state(*, gateway: Gateway = None, data: GatewayData = None, key: Key = None, json: Json = False) -> int:
    """Show the state of a running gateway: sequence, digest, totals.

    Two processes that applied the same log show the same digest.

    ```
    holdfast state
    holdfast state --json --gateway http://127.0.0.1:9000
    ```
    """
    with could_not_run():
        found = asyncio.run(_ask(url_of(gateway, data), key_of(key)))
    if json:
        write_json(msgspec.to_builtins(found))
    else:
        _show(found)
    return DONE


async def _ask(url: str, key: str | None) -> StateAnswer:
    async with Client(url, key) as client:
        return await client.state()


def _show(found: StateAnswer) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("scope", found.scope)
    table.add_row("sequence", number(found.sequence))
    table.add_row("digest", found.digest)
    table.add_row("role", found.role)
    table.add_row("lag", f"{number(found.lag_facts)} facts")
    table.add_row("as of", f"{found.as_of.mode}, {number(found.as_of.age_ms)} ms old")
    table.add_row("pid", str(found.pid))
    for name, total in found.totals.items():
        shown = number(total) if isinstance(total, int) else _counts(total)
        table.add_row(name.replace("_", " "), shown)
    results.print(table)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items() if count) or "none"
