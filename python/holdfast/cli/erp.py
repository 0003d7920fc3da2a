"""`holdfast erp`: a connection to an ERP: run it, check it, see how it goes, give parked orders back.

In: the settings' tables `[erp.NAME]`, a data directory. Out: tables or JSON; exit status 1 where something is wrong.
Always: `status`, `parked`, `resume` and `skip` work while the connection runs, and while it does not.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import uvloop
from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.connection import could_not_run, url_on
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, print_whole, remarks, results, write_json
from holdfast.cli.place import HERE, Place
from holdfast.cli.stopping import until_stopped
from holdfast.erp import made
from holdfast.erp.checks import Finding, check_connection
from holdfast.erp.interface import ErpError
from holdfast.erp.made import STATUS_FILE
from holdfast.erp.store import directory_of, now_ms, opened
from holdfast.errors import StoreInUseError
from holdfast.nats.connection import endpoint_of
from holdfast.nats_server.server import runtime_of
from holdfast.settings import ErpSettings
from holdfast.settings.resolve import Resolved

_FRESH_MS = 10_000
_STATES = ("waiting", "unclear", "exported", "acknowledged", "parked", "cancelled")

Name = Annotated[str, Parameter(help="The connection: NAME of the table `[erp.NAME]` in the settings.")]
Keys = Annotated[list[str] | None, Parameter(help="Only these orders, by their key; without it all.", negative="")]

app = App(name="erp", help="Connections to ERPs: run one, see how it goes, give parked orders back.")


@app.command
def run(name: Name, /, *, place: Place = HERE) -> int:
    """Run a connection until it is stopped. `serve` does the same for each that is enabled.

    ```
    holdfast erp run acme --data DIR --config holdfast.toml
    ```
    """
    directory, loaded, settings = _named(name, place)
    connection = _place(directory, loaded, settings)
    with could_not_run():
        try:
            uvloop.run(until_stopped(made.run(name, settings, connection, loaded.settings.log)))
        except (StoreInUseError, ErpError, ValueError) as fault:
            raise CouldNotRunError(str(fault), f"`holdfast erp check {name}` looks at each part.") from fault
    return DONE


@app.command
def check(
    name: Name,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Look at each part that the connection needs. Nothing is sent and nothing changed.

    ```
    holdfast erp check acme --data DIR --config holdfast.toml
    ```
    """
    directory, loaded, settings = _named(name, place)
    found = uvloop.run(check_connection(name, settings, _place(directory, loaded, settings), loaded.settings))
    if json:
        write_json([{"part": one.part, "ok": one.ok, "what": one.what} for one in found])
    else:
        _show(found)
    return DONE if all(one.ok for one in found) else FOUND_WRONG


def _show(found: list[Finding]) -> None:
    table = Table("part", "", "what")
    for one in found:
        table.add_row(one.part, "ok" if one.ok else "WRONG", one.what)
    print_whole(table)


@app.command
def status(
    name: Name,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show how a connection goes: orders by their state, what waits and why. Exit status 1: something is wrong.

    ```
    holdfast erp status acme --data DIR --config holdfast.toml
    ```
    """
    directory, _, _ = _named(name, place)
    where = directory_of(directory, name)
    with _store(where, name) as store:
        counts, waiting, oldest_ms = store.counts(), store.waiting(), store.oldest_waiting_ms()
        positions = {kind: store.position(kind) for kind in ("levels", "supply", "demand", "statuses", "out")}
    process = _process(where / STATUS_FILE)
    document = {
        "name": name,
        "runs": process is not None,
        "orders": {state: counts.get(state, 0) for state in _STATES},
        "waiting": waiting,
        "oldest_waiting_ms": oldest_ms,
        "positions": positions,
        "process": process,
    }
    faults = dict(process["faults"]) if process is not None else {}
    wrong = bool(faults) or process is None or counts.get("parked", 0) > 0
    if json:
        write_json(document)
        return FOUND_WRONG if wrong else DONE
    if process is None:
        results.print(f"{name} does not run.")
    else:
        down = ", which counts as down" if process["down"] else ""
        results.print(
            f"{name} runs (process {process['pid']}), connected to {process['product'] or 'nothing yet'}{down}."
        )
    table = Table("orders", "number")
    for state in _STATES:
        table.add_row(state, str(counts.get(state, 0)))
    print_whole(table)
    if oldest_ms is not None:
        results.print(f"The oldest order that waits has waited {oldest_ms / 1000:.0f} s.")
    for remark in process["remarks"] if process is not None else ():
        results.print(remark, markup=False)
    for kind, why in faults.items():
        results.print(f"{kind}: {why}", markup=False)
    return FOUND_WRONG if wrong else DONE


def _process(file: Path) -> dict[str, Any] | None:
    """What the process that runs now says; None where none does."""
    try:
        found: dict[str, Any] = msgspec.json.decode(file.read_bytes())
        os.kill(found["pid"], 0)
    except (OSError, msgspec.DecodeError, KeyError):
        return None
    return found if now_ms() - found["at_ms"] < _FRESH_MS else None


@app.command
def parked(
    name: Name,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """List orders that the ERP refuses, with its reason, the oldest first. Exit status 1: there are some.

    ```
    holdfast erp parked acme --data DIR --config holdfast.toml
    ```
    """
    directory, _, _ = _named(name, place)
    with _store(directory_of(directory, name), name) as store:
        found = store.of("parked")
    if json:
        write_json([{"key": one.order.key, "order_ref": one.order.order_ref, "why": one.why} for one in found])
        return FOUND_WRONG if found else DONE
    table = Table("key", "order", "why")
    for one in found:
        table.add_row(one.order.key, one.order.order_ref or "", one.why)
    print_whole(table)
    if found:
        remarks.print(f"`holdfast erp resume {name}` has them tried again.", markup=False)
    return FOUND_WRONG if found else DONE


@app.command
def resume(
    name: Name,
    keys: Keys = None,
    /,
    *,
    place: Place = HERE,
) -> int:
    """Have parked orders tried again: each is looked for in the ERP first.

    ```
    holdfast erp resume acme --data DIR --config holdfast.toml
    ```
    """
    directory, _, _ = _named(name, place)
    with _store(directory_of(directory, name), name) as store:
        number = store.resume(keys)
    remarks.print(f"{number} orders are tried again.")
    if keys and number < len(set(keys)):
        raise CouldNotRunError(
            f"{len(set(keys)) - number} of them are not parked", "`holdfast erp parked` lists those that are."
        )
    return DONE


@app.command
def skip(
    name: Name,
    number: Annotated[int, Parameter(help="The number of the file that will not come.")],
    /,
    *,
    place: Place = HERE,
) -> int:
    """Go on without a file whose number is missing: what it had to say is lost.

    ```
    holdfast erp skip acme 42 --data DIR --config holdfast.toml
    ```
    """
    directory, _, settings = _named(name, place)
    with _store(directory_of(directory, name), name) as store:
        stored = store.position("levels")
        awaited = int(stored) + 1 if stored is not None else settings.first_sequence
        if settings.kind != "csv" or number != awaited:
            raise CouldNotRunError(f"{number} is not the file that is waited for", f"That is {awaited}.")
        store.set_position("levels", str(number))
    remarks.print(f"File {number} is not waited for any more.")
    return DONE


def _named(name: str, place: Place) -> tuple[Path, Resolved, ErpSettings]:
    directory, loaded = place.settings()
    found = loaded.settings.erp.get(name)
    if found is None:
        there = ", ".join(loaded.settings.erp) or "none"
        raise CouldNotRunError(
            f"there is no connection {name!r} in the settings", f"There is: {there}; --config names the file."
        )
    return directory, loaded, found


def _place(directory: Path, loaded: Resolved, settings: ErpSettings) -> made.Place:
    """Raises CouldNotRunError where no gateway runs there, and none is named."""
    serve, log = loaded.serve, loaded.settings.log
    gateway = settings.gateway or url_on(directory)
    if serve.nats:
        return made.Place(directory, gateway, serve.scope, endpoint_of(serve.nats, log))
    runtime = runtime_of(directory)
    endpoint = made.reading(runtime.endpoint, directory) if runtime is not None else None
    return made.Place(directory, gateway, serve.scope, endpoint)


def _store(where: Path, name: str) -> Any:
    if not (where / "store.sqlite3").exists():
        raise CouldNotRunError(
            f"the connection {name} has never run on this data directory", f"`holdfast erp run {name}` runs it."
        )
    return opened(where, reads=True)
