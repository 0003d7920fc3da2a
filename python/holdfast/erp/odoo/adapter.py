"""The adapter of an Odoo (docs/erp.md, "Odoo").

In: the settings of a connection. Out: what the interface asks for. Always: it is experimental, and says so.
"""

from collections.abc import AsyncIterator, Sequence

from holdfast.erp.interface import (
    EXPERIMENTAL,
    Adapter,
    Description,
    Document,
    Inventory,
    Order,
    OrderStatus,
    Pulled,
    RefusedError,
    UnusableError,
)
from holdfast.erp.moments import Moments
from holdfast.erp.odoo.calls import Calls
from holdfast.erp.odoo.layout import Layout, read_layout
from holdfast.erp.odoo.orders import Sales
from holdfast.erp.odoo.statuses import Statuses
from holdfast.erp.odoo.stock import Stock
from holdfast.erp.parts import names_of
from holdfast.settings import ErpSettings


class Odoo(Adapter):
    """One database of one server."""

    def __init__(self, settings: ErpSettings, moments: Moments) -> None:
        for name, value in (("url", settings.url), ("database", settings.database), ("token", settings.token)):
            if not value:
                raise UnusableError(name, "a connection of kind `odoo` needs it")
        self._calls = Calls(settings.url, settings.database, settings.user, settings.token, settings.timeout_ms)
        self._names = names_of(settings.warehouses)
        self._stock = Stock(self._calls, moments, settings.overlap_ms)
        self._statuses = Statuses(self._calls, moments, settings.overlap_ms)
        self._sales = Sales(self._calls, settings.customer)
        self._layout: Layout | None = None

    async def open(self) -> None:
        """Be ready to call."""
        await self._calls.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    async def describe(self) -> Description:
        """Which interface there is, and which warehouses."""
        layout = await self._read_layout()
        remarks = (f"over {self._calls.interface}", EXPERIMENTAL)
        return Description(product="Odoo", locations=tuple(layout.warehouses), remarks=remarks)

    async def _read_layout(self) -> Layout:
        self._layout = await read_layout(self._calls, self._names)
        return self._layout

    async def _known_layout(self) -> Layout:
        return self._layout if self._layout is not None else await self._read_layout()

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is on hand, and owed."""
        async for pulled in self._stock.levels(since, await self._read_layout()):
            yield pulled

    async def supply(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is expected from suppliers and other warehouses."""
        async for pulled in self._stock.supply(since, await self._known_layout()):
            yield pulled

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """As sales."""
        layout = await self._known_layout()
        return [await self._sales.push(order, layout) for order in orders]

    async def find(self, order: Order) -> str | None:
        """Its sales."""
        return await self._sales.find(order, await self._known_layout())

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Its sales, or what has not left of them."""
        return [await self._sales.cancel(order) for order in orders]

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """What became of them."""
        async for found in self._statuses.read(since, await self._known_layout()):
            yield found

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What is there now, in every warehouse."""
        return await self._stock.inventory(skus, await self._read_layout())

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Sales, those of others too."""
        return await self._statuses.documents(list(keys), await self._known_layout())
