"""What of master data would go wrong later.

In: the tables, the connections that there are, what a gateway has. Out: findings, each with its place. Always: pure;
everything is looked at, whatever the rest came to.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.contracts.listings import LocationEntry
from holdfast.master.gtin import fault_of
from holdfast.master.maps import ORDER
from holdfast.master.rows import Finding
from holdfast.master.tables import Item, Master


@dataclass(frozen=True, slots=True)
class Connections:
    """Those that there are: `erps` of the settings, `stores` with the statuses that their own files give."""

    erps: Collection[str] = ()
    stores: Mapping[str, Collection[str]] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.erps or name in self.stores


def lint(master: Master, connections: Connections, places: Sequence[LocationEntry] = ()) -> list[Finding]:
    """All findings."""
    return [
        *master.wrong,
        *_unversioned(master),
        *_barcodes(master),
        *_aliases(master),
        *_units(master),
        *_kits(master),
        *_names(master, connections),
        *_maps(master, connections),
        *_places(places),
    ]


def _unversioned(master: Master) -> Iterator[Finding]:
    if master.files and not master.version:
        yield Finding("master.toml", "it states no `version`: a number that rises with each change")


def _barcodes(master: Master) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for item in master.items.values():
        for barcode in item.values.get("barcodes", []):
            if fault := fault_of(barcode):
                yield Finding(item.where, f"{item.sku}: {fault}")
            number = barcode.zfill(14)  # the same number, whatever its length
            if owner.setdefault(number, item.sku) != item.sku:
                yield Finding(item.where, f"{item.sku} and {owner[number]} have one barcode: {barcode}")


def _aliases(master: Master) -> Iterator[Finding]:
    owner: dict[str, str] = {}
    for item in master.items.values():
        for alias in item.values.get("aliases", []):
            if alias in master.items:
                yield Finding(item.where, f"{alias}, an alias of {item.sku}, is a SKU itself")
            if owner.setdefault(alias, item.sku) != item.sku:
                yield Finding(item.where, f"{item.sku} and {owner[alias]} have one alias: {alias}")


def _units(master: Master) -> Iterator[Finding]:
    for item in master.items.values():
        units = item.values.get("units", {})
        if units.get(item.values["base_unit"], 1) != 1:
            yield Finding(item.where, f"{item.sku}: its base unit {item.values['base_unit']} has a factor other than 1")


def _kits(master: Master) -> Iterator[Finding]:
    for item in master.items.values():
        parts = item.values.get("kit", {})
        for part in parts:
            found = master.items.get(part)
            if found is None:
                yield Finding(item.where, f"the kit {item.sku} has a part that is no item: {part}")
            elif _is_out(found) and not _is_out(item):
                yield Finding(item.where, f"the kit {item.sku} is sold, and its part {part} is discontinued")
        if _contains(master, item.sku, item.sku, set()):
            yield Finding(item.where, f"the kit {item.sku} contains itself")


def _is_out(item: Item) -> bool:
    return bool(item.values.get("status") == "discontinued")


def _contains(master: Master, sku: str, wanted: str, seen: set[str]) -> bool:
    for part in master.items[sku].values.get("kit", {}) if sku in master.items else ():
        if part == wanted:
            return True
        if part not in seen:
            seen.add(part)
            if _contains(master, part, wanted, seen):
                return True
    return False


def _names(master: Master, connections: Connections) -> Iterator[Finding]:
    for connection, names in master.names.items():
        file = f"names.{connection}.csv"
        if connection not in connections:
            yield Finding(file, f"no connection is called {connection}")
        called: dict[str, str] = {}
        for one in names:
            where = master.lines[connection, one.name]
            if master.items and one.sku not in master.items:
                yield Finding(where, f"{one.sku} is no item")
            if called.setdefault(one.sku, one.name) != one.name:
                yield Finding(
                    where, f"{one.sku} has two names there, {called[one.sku]} and {one.name}: orders go out by one"
                )


def _maps(master: Master, connections: Connections) -> Iterator[Finding]:
    """Maps of no connection, entries that it never meets, and what a store's own file says besides."""
    for name, maps in master.maps.items():
        if name not in connections:
            yield Finding(f"statuses.{name}.csv", f"no connection is called {name}")
            continue
        for of, statuses in maps.statuses.items():
            where = maps.lines[f"statuses {of} {next(iter(statuses))}"]
            if of == ORDER and name not in connections.stores:
                yield Finding(where, f"{name} is an ERP: what its orders are, it states itself; `order` is of a shop")
            elif of != ORDER and name not in connections.erps:
                yield Finding(where, f"{name} is a shop, which states no {of}; `order` is what its statuses are of")
        if maps.returns and name not in connections.erps:
            yield Finding(f"returns.{name}.csv", f"{name} is a shop, which states no condition of what came back")
        if maps.statuses.get(ORDER):
            for status in connections.stores.get(name, ()):
                why = f"statuses.{name}.csv owns the statuses of {name}; what stands here does not count"
                yield Finding(f"woo/{name}.toml", f"[statuses] {status}: {why}")


def overwritten(master: Master, differing: Sequence[Mapping[str, tuple[Any, Any]]]) -> Iterator[Finding]:
    """Of items that were applied: values that the gateway has from somebody else."""
    for item, changed in zip(master.items.values(), differing, strict=True):
        for part, (there, here) in changed.items():
            owner = item.writers.get(part) or "the master data"
            why = f"{part} of {item.sku} is owned by {owner}, which says {here!r}; something else wrote {there!r}"
            yield Finding("gateway", f"{why}: `holdfast master apply` puts it right")


def _places(places: Sequence[LocationEntry]) -> Iterator[Finding]:
    for one in places:
        if one.enabled and one.owner is None:
            yield Finding("gateway", f"no source states the levels of the location {one.location}: it sells nothing")
