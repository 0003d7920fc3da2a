"""`holdfast master`: what a SKU is, and what each connection calls it.

In: DIR/master. Out: findings, items, what was applied; exit status 1 where something is wrong. Always: files are only
read; `apply` sends items to the gateway on DIR, and nothing where something is wrong.
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
from holdfast.master.applying import Applied, VersionError, history
from holdfast.master.applying import apply as apply_to
from holdfast.master.lint import lint as look_at
from holdfast.master.tables import Finding, Master, read_master
from holdfast.settings.resolve import Resolved
from holdfast.supervisor.record import gateway_of
from holdfast.woo.stores import names_in

app = App(name="master", help="Master data: check it, show an item, have holdfast know it.")


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
                "applied": history(directory / FOLDER),
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

    async def places() -> list[LocationEntry]:
        assert running is not None, "Invariant: looked at below"
        async with Client(running.url, key_of(key)) as client:
            return [one async for one in client.locations()]

    with could_not_run():
        found = uvloop.run(places()) if running is not None else []
    return look_at(master, {*loaded.settings.erp, *names_in(directory)}, found)


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
    return "; ".join(value) if isinstance(value, list) else str(value)
