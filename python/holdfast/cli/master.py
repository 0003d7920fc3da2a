"""`holdfast master`: what a SKU is, what each connection calls it, and what its statuses mean.

In: DIR/master. Out: findings, items, maps, what was applied and used; exit status 1 where something is wrong. Always:
tables are only read; `apply` sends items to the gateway on DIR, and nothing where something is wrong.
"""

from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.connection import Key, could_not_run, key_of, url_on
from holdfast.cli.console import (
    DONE,
    FOUND_WRONG,
    CouldNotRunError,
    Json,
    existing_directory,
    print_whole,
    remarks,
    results,
    write_json,
)
from holdfast.cli.place import HERE, Place
from holdfast.client import Client
from holdfast.contracts.listings import LocationEntry
from holdfast.master import FOLDER
from holdfast.master.applying import Applied, applied_before, differing, digest_of
from holdfast.master.applying import apply as apply_to
from holdfast.master.lint import Connections, overwritten
from holdfast.master.lint import lint as look_at
from holdfast.master.rows import Finding
from holdfast.master.tables import Master, read_master
from holdfast.master.used import VersionError
from holdfast.master.used import history as read_history
from holdfast.settings.resolve import Resolved
from holdfast.supervisor.record import gateway_of
from holdfast.woo.stores import Files, StoreError, names_in

app = App(name="master", help="Master data: check it, show it, have holdfast know it.")


@app.command
def lint(*, key: Key = None, place: Place = HERE, json: Json = False) -> int:
    """Check the files, and the locations of the gateway that runs on DIR. Exit status 1: something is wrong.

    ```
    holdfast master lint --data DIR --config holdfast.toml
    ```
    """
    directory, loaded = _directory(place)
    master = _read(directory)
    found = _findings(directory, loaded, master, key)
    if json:
        write_json([{"where": one.where, "what": one.what} for one in found])
    else:
        for one in found:
            results.print(f"{one.where}: {one.what}", markup=False)
        names = sum(len(names) for names in master.names.values())
        remarks.print(f"version {master.version}: {len(master.items)} items, {names} names, {len(found)} findings.")
    return FOUND_WRONG if found else DONE


@app.command
def show(
    sku: Annotated[str | None, Parameter(help="Only this SKU; without it all.")] = None,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show items: each value, who gave it, and what each connection calls it.

    ```
    holdfast master show MUG-RED --data DIR
    ```
    """
    directory, _ = _directory(place)
    master = _read(directory)
    if sku is not None and sku not in master.items:
        raise CouldNotRunError(f"{sku!r} is no item of {directory / FOLDER}", "`holdfast master show` lists all.")
    shown = [one for one in master.items.values() if sku in {None, one.sku}]
    names = {one.sku: _names(master, one.sku) for one in shown}
    if json:
        write_json(
            {
                "version": master.version,
                "items": [
                    {"sku": one.sku, "values": one.values, "writers": one.writers, "names": names[one.sku]}
                    for one in shown
                ],
                "applied": read_history(directory / FOLDER),
            }
        )
        return DONE
    table = Table("sku", "field", "value", "given by")
    for one in shown:
        for part, value in one.values.items():
            table.add_row(one.sku, part, _text(value), one.writers.get(part, "default"))
        for connection, name in names[one.sku].items():
            table.add_row(one.sku, f"name in {connection}", name, f"names.{connection}.csv")
    print_whole(table)
    return DONE


@app.command
def maps(
    connection: Annotated[str | None, Parameter(help="Only of this connection; without it all.")] = None,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show what each connection calls the states of things, and what that is here.

    ```
    holdfast master maps acme --data DIR
    ```
    """
    directory, _ = _directory(place)
    master = _read(directory)
    found = {name: one for name, one in master.maps.items() if connection in {None, name}}
    if connection is not None and not found:
        raise CouldNotRunError(
            f"{directory / FOLDER} has no map of {connection!r}", "`holdfast master maps` lists all."
        )
    if json:
        write_json({"version": master.version, "maps": {name: one.entries() for name, one in found.items()}})
        return DONE
    table = Table("connection", "entry", "means", "where")
    for name, one in found.items():
        for entry, means in one.entries().items():
            table.add_row(name, entry, means, one.lines[entry])
    print_whole(table)
    return DONE


@app.command
def history(*, place: Place = HERE, json: Json = False) -> int:
    """List what each version changed, the oldest first: items that were applied, tables that connections use.

    ```
    holdfast master history --data DIR
    ```
    """
    directory, _ = _directory(place)
    with could_not_run():
        found = read_history(directory / FOLDER)
    if json:
        write_json(found)
        return DONE
    table = Table("at", "version", "by", "what", "from", "to")
    for one in found:
        by = one.get("connection", "apply")
        for what, change in one["changed"].items():
            rows = change.items() if isinstance(change, dict) else [("", change)]
            for part, (before, after) in rows:
                table.add_row(one["at"], str(one["version"]), by, f"{what} {part}".strip(), _text(before), _text(after))
    print_whole(table)
    return DONE


@app.command
def apply(
    *,
    source: Annotated[str, Parameter(help="The source in whose name items are sent.")] = "master",
    key: Key = None,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Have the gateway on DIR know the items that differ. Exit status 1: it refused some.

    ```
    holdfast master apply --data DIR
    ```
    """
    directory, loaded = _directory(place)
    master = _read(directory)
    url = url_on(directory)
    wrong = [one for one in _findings(directory, loaded, master, key) if one.where != "gateway"]
    if wrong:
        raise CouldNotRunError(
            f"{wrong[0].where}: {wrong[0].what}", f"`holdfast master lint` lists all {len(wrong)}; nothing was sent."
        )

    async def work() -> Applied:
        async with Client(url, key_of(key)) as client:
            return await apply_to(master, directory / FOLDER, client, source)

    with could_not_run():
        try:
            found = uvloop.run(work())
        except VersionError as fault:
            raise CouldNotRunError(str(fault), "`version` is in master.toml.") from fault
    if json:
        write_json({"version": found.version, "changed": found.changed, "refused": found.refused, "same": found.same})
    else:
        for sku, why in found.refused.items():
            results.print(f"{sku}: refused: {why}", markup=False)
        results.print(f"version {found.version}: {len(found.changed)} items changed, {found.same} are as they were.")
    return FOUND_WRONG if found.refused else DONE


def _directory(place: Place) -> tuple[Path, Resolved]:
    directory, loaded = place.settings()
    return existing_directory(directory), loaded


def _read(directory: Path) -> Master:
    if not (directory / FOLDER).is_dir():
        raise CouldNotRunError(f"{directory / FOLDER} is not a directory", "Put master.toml and the tables there.")
    with could_not_run():
        return read_master(directory / FOLDER)


def _findings(directory: Path, loaded: Resolved, master: Master, key: str | None) -> list[Finding]:
    running = gateway_of(directory)
    was_applied = applied_before(directory / FOLDER) == (master.version, digest_of(master))

    async def asked() -> tuple[list[LocationEntry], list[Finding]]:
        assert running is not None, "Invariant: looked at below"
        async with Client(running.url, key_of(key)) as client:
            places = [one async for one in client.locations()]
            others = list(overwritten(master, await differing(master, client))) if was_applied else []
            return places, others

    with could_not_run():
        places, others = uvloop.run(asked()) if running is not None else ([], [])
    return [*look_at(master, _connections(directory, loaded), places), *others]


def _connections(directory: Path, loaded: Resolved) -> Connections:
    stores: dict[str, list[str]] = {}
    for name in names_in(directory):
        try:
            stores[name] = list(Files(directory, name).load_own().statuses)
        except StoreError:  # `holdfast woo` says what is wrong with it
            stores[name] = []
    return Connections(set(loaded.settings.erp), stores)


def _names(master: Master, sku: str) -> dict[str, str]:
    return {
        connection: one.name if one.factor == 1 else f"{one.name} ({one.factor} base units)"
        for connection, names in master.names.items()
        for one in names
        if one.sku == sku
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}={number}" for name, number in value.items())
    if isinstance(value, list):
        return "; ".join(_text(one) for one in value)
    return "" if value is None else str(value)
