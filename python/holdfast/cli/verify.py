"""`holdfast verify`: the state rebuilt from LOG in a fresh core, and compared.

In: a data directory, and where its log is. Out: what was found; exit status 1 for any difference.
Always: it only reads.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import Key, checked_url, could_not_run, key_of, reach
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.place import HERE, Place, source_of
from holdfast.client import NO_RETRY, Client, ClientError
from holdfast.nats.connection import Endpoint
from holdfast.node.replay import ReplayProgress
from holdfast.recovery.verify import AskGateway, VerifyReport
from holdfast.recovery.verify import verify as rebuild_and_compare
from holdfast.settings import Settings
from holdfast.supervisor.record import gateway_of


def verify(
    *,
    place: Place = HERE,
    gateway: Annotated[
        str | None,
        Parameter(
            env_var="HOLDFAST_GATEWAY", help="A gateway to compare with, where it is not the one that runs on --data."
        ),
    ] = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Rebuild the state from the log's first message in a fresh core, and compare.

    Checks that the log has no gap and its chain holds, that every invariant does, and that a gateway running on it
    has the same digest. It works with the gateway stopped or running, and changes nothing.

    ```
    holdfast verify --data DIR
    holdfast verify --data DIR --gateway http://127.0.0.1:9000 --json
    holdfast verify --data DIR --nats @address-file
    ```
    """
    directory, loaded = place.settings()
    source = source_of(directory, loaded)
    if source == directory and not (directory / "nats").is_dir():
        raise CouldNotRunError(
            f"there is no log under {directory}", "Give the directory that `serve --data` was given."
        )
    gateway = checked_url(gateway) if gateway is not None else None
    key = key_of(key)
    with could_not_run():
        if gateway is not None:
            uvloop.run(reach(gateway))
        found = uvloop.run(rebuilt(directory, gateway, key, loaded.serve.scope, loaded.settings, source))
    if json:
        write_json(document(found))
    else:
        _show(found)
    return DONE if found.ok else FOUND_WRONG


async def rebuilt(
    data: Path,
    gateway: str | None,
    key: str | None,
    scope: str = "main",
    settings: Settings | None = None,
    source: Path | Endpoint | None = None,
) -> VerifyReport:
    """Rebuilds and compares, with progress on stderr. `source`: where the log is, unless it is that of `data`."""
    ask = _asking(data, gateway, key)
    with LiveWatcher("batches") as watcher:
        report = watcher.phase("rebuilding the state from the log", None)

        def report_progress(progress: ReplayProgress) -> None:
            report(progress.sequence)

        return await rebuild_and_compare(
            source or data, scope, settings, ask_gateway=ask, report_progress=report_progress, directory=data
        )


def _asking(data: Path, gateway: str | None, key: str | None) -> AskGateway | None:
    """How to query the gateway running on this log; None where none runs."""
    running = gateway_of(data)
    if gateway is None and running is None:
        return None
    url = gateway or (running.url if running is not None else "")

    async def ask() -> tuple[int, str] | None:
        async with Client(url, key, retry=NO_RETRY) as client:
            try:
                state = await client.state()
            except ClientError as error:
                if gateway is not None:
                    raise
                remarks.print(f"Not compared with a gateway: {error}. --gateway and --key name it.", markup=False)
                return None
        return state.sequence, state.digest

    return ask


def document(found: VerifyReport) -> dict[str, Any]:
    """The report as JSON has it."""
    fields = asdict(found)
    progress = fields.pop("progress")
    return {
        "ok": found.ok,
        **fields,
        "facts": progress["facts"],
        "seconds": round(progress["elapsed_s"], 3),
        "facts_per_s": round(found.progress.facts_per_s),
    }


def _show(found: VerifyReport) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    took = found.progress
    table.add_row("scope", found.scope)
    table.add_row("batches", f"{number(found.sequence)}, {number(found.void_total)} of them void")
    if found.from_sequence:
        began = f"the root at {number(found.from_sequence)}: what lies before was removed"
        table.add_row("rebuilt from", began)
    table.add_row("facts", f"{number(took.facts)} in {took.elapsed_s:.1f} s, {number(took.facts_per_s)}/s")
    table.add_row("digest", found.digest)
    table.add_row("chain", found.chain)
    compared = "no gateway runs on it" if found.compared_at is None else f"at sequence {number(found.compared_at)}"
    table.add_row("compared", compared)
    results.print(table)
    for difference in found.differences:
        results.print(f"DIFFERENT: {difference}", style="bold red", markup=False)
    if found.ok:
        alone = "the root and the log after it give" if found.from_sequence else "the log alone gives"
        results.print(f"Equal: {alone} this state, and every invariant holds.", style="bold green")
