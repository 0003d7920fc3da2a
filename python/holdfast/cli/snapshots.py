"""`holdfast snapshots`: lists them, proves that they can be used, takes one.

In: a data directory. Out: a table or JSON; exit status 1 for one that is damaged. Always: listing reads headers alone;
proving restores into a fresh core and writes nothing; taking reads the log and compares with a running gateway.
"""

from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter
from rich.table import Table

from holdfast._core import Engine, SnapshotError
from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, Json, number, remarks, results, write_json
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.errors import SnapshotStoreError
from holdfast.recovery.snapshotter import SnapshotDiffersError, Snapshotter
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings
from holdfast.storage.snapshot_files import Snapshot, SnapshotStore


def snapshots(
    *,
    data: Data = None,
    take: Annotated[bool, Parameter(negative="", help="Take one now, from the newest one and the log since.")] = False,
    prove: Annotated[bool, Parameter(negative="", help="Restore each one and recount its digest.")] = False,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """List the snapshots of a data directory; prove them; take one.

    A gateway takes them by itself. It works with the gateway stopped or running.

    ```
    holdfast snapshots --data DIR
    holdfast snapshots --data DIR --take --prove
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    scope, settings = loaded.serve.scope, loaded.settings
    differs = ""
    if take:
        with could_not_run():
            differs = uvloop.run(_take(directory, scope, settings))
    store = SnapshotStore(directory / "snapshots", scope, settings.snapshots)
    rows = [_row(store, sequence, prove=prove) for sequence in store.sequences()]
    if json:
        write_json({"scope": scope, "snapshots": rows, "differs": differs or None})
    else:
        _show(rows)
    if differs:
        remarks.print(f"DIFFERENT: {differs}", style="bold red", markup=False)
    return FOUND_WRONG if differs or any(row["fault"] for row in rows) else DONE


async def _take(data: Path, scope: str, settings: Settings) -> str:
    """What differs; "" when nothing does."""
    async with endpoint_at(data, settings) as endpoint:
        snapshotter = Snapshotter(data, scope, endpoint, settings, shared=bool(settings.snapshots.shared))
        await snapshotter.open()
        try:
            taken = await snapshotter.take()
        except SnapshotDiffersError as fault:
            return str(fault)
        finally:
            await snapshotter.close()
    if taken is None:
        remarks.print("The newest one is up to date with the log.")
    else:
        others = ", ".join(taken.compared_with) or "no process: none reported its digest"
        remarks.print(f"Taken at sequence {number(taken.snapshot.header.sequence)}; compared with {others}.")
    return ""


def _row(store: SnapshotStore, sequence: int, *, prove: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"sequence": sequence, "path": str(store.path_of(sequence)), "fault": None, "proven": None}
    try:
        found: Snapshot = store.at(sequence)
        header = found.header
        row |= {"bytes": found.size_bytes, "epoch": header.epoch, "digest": header.digest, "chain": header.chain}
        row |= {"in_upto": header.in_upto, "now_ms": header.now_ms, "tables": dict(header.tables)}
        if prove:
            engine = Engine.restore(store.scope, None, str(found.path))
            row["proven"] = (engine.sequence, engine.digest()) == (sequence, header.digest)
            wrong = engine.check_thoroughly()
            row["fault"] = wrong[0] if wrong else None
    except (SnapshotStoreError, SnapshotError, OSError) as fault:
        row["fault"] = str(fault)
    return row


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        remarks.print("There is none. `--take` takes one.")
        return
    table = Table(box=None, padding=(0, 2))
    for title in ("sequence", "MiB", "SKUs", "reservations", "digest", ""):
        table.add_column(title, justify="left" if title in ("digest", "") else "right")
    for row in rows:
        tables = row.get("tables", {})
        state = f"DAMAGED: {row['fault']}" if row["fault"] else {True: "proven", None: ""}.get(row["proven"], "")
        size = f"{row.get('bytes', 0) / (1 << 20):.1f}"
        counts = [number(tables.get(name, 0)) for name in ("skus", "reservations")]
        table.add_row(number(row["sequence"]), size, *counts, row.get("digest", ""), state)
    results.print(table)
