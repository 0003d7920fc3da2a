"""Having holdfast know the items of the master data.

In: the tables, a gateway. Out: `item` facts for what differs, and a line of the audit. Always: a version is applied
with one content; a lower one, or the same with another content, is refused; what is not in the tables stays as it is.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.client import Client
from holdfast.client.errors import InvalidError, NotFoundError
from holdfast.contracts.listings import ItemRecord
from holdfast.master.tables import Item, Master
from holdfast.master.used import VersionError, history, note

_TOGETHER = 1_000
_AT_ONCE = 16


Changed = dict[str, tuple[Any, Any]]
"""By field: from, to."""


@dataclass(slots=True)
class Applied:
    """`changed` by SKU: field, from, to. `refused` by SKU: why the gateway did not take it."""

    version: int
    changed: dict[str, Changed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    same: int = 0


def digest_of(master: Master) -> str:
    """Of all files."""
    whole = hashlib.sha256()
    for name, content in sorted(master.files.items()):
        whole.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return whole.hexdigest()


def applied_before(directory: Path) -> tuple[int, str] | None:
    """The version that was applied last, and the digest of its files. Raises OSError."""
    found = [one for one in history(directory) if "digest" in one]
    return (int(found[-1]["version"]), str(found[-1]["digest"])) if found else None


def fact_of(item: Item) -> dict[str, Any]:
    """An item as holdfast knows it. A barcode is a name of its SKU."""
    values = item.values
    fact: dict[str, Any] = {
        "kind": "item",
        "sku": item.sku,
        "base_unit": values["base_unit"],
        "units": values.get("units", {}),
        "aliases": [*values.get("aliases", []), *values.get("barcodes", [])],
        "sell_multiple": values.get("sell_multiple", 1),
        "status": values.get("status", "active"),
    }
    if values.get("tax_class"):
        fact["tax_class"] = values["tax_class"]
    if values.get("kit"):
        fact["kit"] = [{"sku": sku, "quantity": quantity} for sku, quantity in values["kit"].items()]
    return fact


async def apply(master: Master, directory: Path, client: Client, source: str) -> Applied:
    """Raises VersionError, ClientError, OSError."""
    before, digest = applied_before(directory), digest_of(master)
    if before is not None and before != (master.version, digest) and master.version <= before[0]:
        raise VersionError(f"version {before[0]} was applied with another content: give this one a higher `version`")
    found = Applied(master.version)
    facts = []
    for item, changed in zip(master.items.values(), await differing(master, client), strict=True):
        if changed:
            facts.append(fact_of(item) | {"trace": f"master-{master.version}"})
            found.changed[item.sku] = changed
        else:
            found.same += 1
    for at in range(0, len(facts), _TOGETHER):
        await _send(client, source, facts[at : at + _TOGETHER], found)
    note(
        directory,
        {"version": master.version, "digest": digest, "changed": found.changed, "refused": found.refused},
    )
    return found


async def differing(master: Master, client: Client) -> list[Changed]:
    """For each item, in their order: what the gateway has otherwise, from there and to here. Raises ClientError."""
    ready = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> Changed:
        async with ready:
            return _changed(fact_of(item), await _known(client, item.sku))

    return await asyncio.gather(*(one(item) for item in master.items.values()))


async def _known(client: Client, sku: str) -> ItemRecord | None:
    try:
        record = await client.sku(sku)
    except NotFoundError:
        return None
    return record.item if record.sku == sku else None


def _changed(fact: dict[str, Any], known: ItemRecord | None) -> Changed:
    wanted = {name: value for name, value in fact.items() if name not in {"kind", "sku"}}
    wanted |= {"kit": fact.get("kit", []), "tax_class": fact.get("tax_class")}
    if known is None:
        return {name: (None, value) for name, value in wanted.items() if value not in (None, [], {})}
    there: dict[str, Any] = {
        "base_unit": known.base_unit,
        "units": {name: factor for name, factor in known.units.items() if name != known.base_unit},
        "aliases": sorted(known.aliases),
        "sell_multiple": known.sell_multiple,
        "status": known.status,
        "kit": [{"sku": one.sku, "quantity": one.quantity} for one in known.kit],
        "tax_class": known.tax_class,
    }
    wanted["aliases"] = sorted(wanted["aliases"])
    wanted["kit"] = sorted(wanted["kit"], key=lambda one: str(one["sku"]))
    there["kit"] = sorted(there["kit"], key=lambda one: str(one["sku"]))
    return {name: (there[name], value) for name, value in wanted.items() if there[name] != value}


async def _send(client: Client, source: str, facts: list[dict[str, Any]], found: Applied) -> None:
    try:
        rejected = (await client.facts(source, facts)).rejected
    except InvalidError as refusal:
        if not isinstance(refusal.problem.rejected, list):
            raise
        rejected = refusal.problem.rejected
    for one in rejected:
        sku = facts[one.index]["sku"]
        found.refused[sku] = one.reason
        found.changed.pop(sku, None)
