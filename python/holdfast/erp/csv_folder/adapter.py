"""The adapter of a folder: files in, files out (docs/erp.md, "CSV in a folder").

In: DIR/in. Out: facts; orders in DIR/out. Always: an order counts as taken by the ERP when an acknowledgement of it
(`acks`) came in; until then holdfast deducts it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from holdfast.erp.csv_folder.inbox import Inbox
from holdfast.erp.csv_folder.outbox import Outbox
from holdfast.erp.interface import (
    Adapter,
    Description,
    ErpDownError,
    Inventory,
    Order,
    Pulled,
    RefusedError,
    UnusableError,
)
from holdfast.erp.store import Store
from holdfast.master.maps import Maps
from holdfast.settings import ErpSettings

_TOGETHER = 500
_LOOK_MS = 2000  # how long a file can lie on a drive whose watch reports nothing
_FOLDERS = ("in", "processed", "rejected", "reports", "out")


class CsvFolder(Adapter):
    """One folder, one source."""

    def __init__(self, source: str, settings: ErpSettings, store: Store, maps: Maps | None = None) -> None:
        self.directory = Path(settings.directory)
        self.inbox = Inbox(self.directory, source, settings, store, maps)
        self.outbox = Outbox(self.directory, source, store)

    async def describe(self) -> Description:
        """Make the folders that are missing."""
        if not self.directory.is_dir():
            raise UnusableError(str(self.directory), "there is no such folder; `directory` of the connection names it")
        try:
            for name in _FOLDERS:
                (self.directory / name).mkdir(exist_ok=True)
        except OSError as fault:
            raise UnusableError(str(self.directory), str(fault.strerror)) from fault
        return Description(product="CSV folder", orders_together=_TOGETHER)

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """Files of every kind: they have one order."""
        try:
            async for pulled in self.inbox.read(since):
                yield pulled
        except OSError as fault:
            raise ErpDownError(f"{self.directory}: {fault}") from fault

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """One file for all of them."""
        return self._written("new", orders)

    async def find(self, order: Order) -> str | None:
        """What was decided before a crash."""
        try:
            return self.outbox.find("new", order)
        except OSError as fault:
            raise ErpDownError(f"{self.directory}: {fault}") from fault

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """One file likewise."""
        return self._written("cancel", orders)

    def _written(self, op: str, orders: Sequence[Order]) -> list[str | RefusedError]:
        try:
            return list(self.outbox.write(op, orders))
        except OSError as fault:
            raise ErpDownError(f"{self.directory}: {fault}") from fault

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What the newest row of each cell says, in files that were taken and in those that wait."""
        chosen = None if skus is None else frozenset(skus)
        try:
            found = await asyncio.to_thread(self.inbox.newest)
        except OSError as fault:
            raise ErpDownError(f"{self.directory}: {fault}") from fault
        waiting = sorted(path.name for path in self.inbox.arriving.glob("*.csv"))
        cells = [one for one in found if chosen is None or one.sku in chosen]
        return Inventory(cells, waits=f"{waiting[0]} waits in the folder" if waiting else "")

    async def news(self) -> None:
        """A file came since the call. Before the watch stands, and on drives without one, looking finds it."""
        from watchfiles import awatch  # loads a library, which a process without such a folder does not need

        there = self.inbox.listed()
        async for changes in awatch(self.inbox.arriving, recursive=False, rust_timeout=_LOOK_MS, yield_on_timeout=True):
            if changes or self.inbox.listed() - there:
                return
