"""What holdfast has, read from a gateway.

In: a client. Out: levels by cell, orders, demand, figures. Always: lists are read to their end; single records, some at
a time.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from msgspec import UNSET

from holdfast.client import Client
from holdfast.client.errors import NotFoundError
from holdfast.contracts.answers import Reservation
from holdfast.contracts.listings import DemandEntry, SkuRecord
from holdfast.reconcile.cells import AsOf, HeldCell

_AT_ONCE = 16
_ASKED_MAX = 1_000


@dataclass(slots=True)
class Levels:
    """By SKU and location; `foreign` cells have another owner. `units` by SKU: how many base units each has."""

    cells: dict[tuple[str, str], HeldCell] = field(default_factory=dict)
    foreign: set[tuple[str, str]] = field(default_factory=set)
    units: dict[str, dict[str, int]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The SKU of each alias."""


class GatewaySide:
    """One gateway. Raises ClientError."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def moment(self) -> str:
        """The LOG sequence that answers reflect."""
        return f"sequence {self.client.sequence}"

    async def skus(self) -> list[str]:
        """All."""
        return [one.sku async for one in self.client.skus()]

    async def levels(self, source: str, skus: Collection[str]) -> Levels:
        """Of a source, at the locations that it owns."""
        found = Levels()
        ready = asyncio.Semaphore(_AT_ONCE)

        async def record(sku: str) -> SkuRecord | None:
            async with ready:
                try:
                    return await self.client.sku(sku)
                except NotFoundError:
                    return None

        for one in await asyncio.gather(*(record(sku) for sku in skus)):
            if one is not None:
                _add(found, one, source)
        return found

    async def orders(self) -> dict[str, Reservation]:
        """Those that are open."""
        found: dict[str, Reservation] = {}
        for state in ("committed", "in_erp"):
            found |= {one.id: one async for one in self.client.reservations(state=state)}
        return found

    async def reservations(self, keys: Collection[str]) -> dict[str, Reservation]:
        """These, as far as they are known."""
        found = {}
        for key in keys:
            try:
                found[key] = await self.client.reservation(key)
            except NotFoundError:
                continue
        return found

    async def demands(self, source: str) -> dict[str, list[DemandEntry]]:
        """Of a source, by document."""
        found: dict[str, list[DemandEntry]] = {}
        async for one in self.client.demands():
            if one.source == source:
                found.setdefault(one.ref, []).append(one)
        return found

    async def published(self, channel: str, skus: Sequence[str]) -> dict[str, int]:
        """The figure of each that holdfast knows, with the channel's buffer taken off; never more than can be sold."""
        found: dict[str, int] = {}
        for at in range(0, len(skus), _ASKED_MAX):
            for one in await self.client.availabilities(channel, skus[at : at + _ASKED_MAX], published=True):
                if one.sellable is not UNSET:
                    found[one.sku] = int(one.sellable)
        return found

    async def known(self, channel: str, skus: Sequence[str]) -> set[str]:
        """Those that holdfast knows, by any of their names."""
        found: set[str] = set()
        for at in range(0, len(skus), _ASKED_MAX):
            items = await self.client.availabilities(channel, skus[at : at + _ASKED_MAX])
            found |= {one.sku for one in items if one.error != "unknown-sku"}
        return found


def _add(found: Levels, record: SkuRecord, source: str) -> None:
    if record.item is not None:
        found.units[record.sku] = {record.item.base_unit: 1, **record.item.units}
        found.names |= dict.fromkeys(record.item.aliases, record.sku)
    for one in record.levels:
        cell = (record.sku, one.location)
        if one.owner is not None and one.owner != source:
            found.foreign.add(cell)
        elif one.owner == source:
            found.cells[cell] = HeldCell(one.on_hand - one.moved, one.allocated, as_of_text(one.as_of))


def as_of_text(value: object) -> AsOf:
    """As facts have it."""
    return value if value is None or isinstance(value, int) else value.isoformat()  # type: ignore[attr-defined]


def units_of(reservation: Reservation) -> dict[str, int]:
    """Base units by SKU that it is for, less what was cancelled; kits by their components."""
    units: dict[str, int] = {}
    for line in reservation.lines:
        parts = [line] if line.components is UNSET else line.components
        for one in parts:
            units[one.sku] = units.get(one.sku, 0) + one.open + one.fulfilled
    return {sku: quantity for sku, quantity in units.items() if quantity}
