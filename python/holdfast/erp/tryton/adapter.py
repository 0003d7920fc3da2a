"""The adapter of a Tryton (docs/erp.md, "Tryton").

In: the settings of a connection. Out: what the interface asks for. Always: demand of other sales is in the levels, as
`allocated`, and not stated again.
"""

from collections.abc import AsyncIterator, Sequence

from holdfast.erp.interface import (
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
from holdfast.erp.parts import names_of
from holdfast.erp.tryton.documents import documents
from holdfast.erp.tryton.layout import Layout, read_layout
from holdfast.erp.tryton.orders import Sales
from holdfast.erp.tryton.rest import Rest
from holdfast.erp.tryton.statuses import Statuses
from holdfast.erp.tryton.stock import Stock
from holdfast.settings import ErpSettings

_TOGETHER = 20


class Tryton(Adapter):
    """One database of one server."""

    def __init__(self, settings: ErpSettings, moments: Moments) -> None:
        for name, value in (("url", settings.url), ("database", settings.database), ("token", settings.token)):
            if not value:
                raise UnusableError(name, "a connection of kind `tryton` needs it")
        self._rest = Rest(settings.url, settings.database, settings.token, settings.timeout_ms)
        self._names = names_of(settings.warehouses)
        self._stock = Stock(self._rest, moments, settings.overlap_ms)
        self._statuses = Statuses(self._rest, moments, settings.overlap_ms)
        self._sales = Sales(self._rest, settings.customer)
        self._layout: Layout | None = None

    async def open(self) -> None:
        """Be ready to call."""
        await self._rest.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def describe(self) -> Description:
        """Who the key is, and which warehouses there are."""
        companies = await self._rest.search("company.company", [], ("party.name",), size=2)
        if not companies:
            raise UnusableError("company", "the key's user sees no company")
        self._rest.context = {"company": companies[0]["id"]}
        self._layout = await read_layout(self._rest, self._names)
        more = ("the key sees several companies; the first one is used",) if len(companies) > 1 else ()
        return Description(
            product="Tryton", locations=tuple(self._layout.warehouses), orders_together=_TOGETHER, remarks=more
        )

    async def _read_layout(self) -> Layout:
        self._layout = await read_layout(self._rest, self._names)
        return self._layout

    def _known_layout(self) -> Layout:
        assert self._layout is not None, "Invariant: described before anything is asked"
        return self._layout

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is on hand, and owed."""
        async for pulled in self._stock.levels(since, await self._read_layout()):
            yield pulled

    async def supply(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is expected from suppliers and other warehouses."""
        async for pulled in self._stock.supply(since, self._known_layout()):
            yield pulled

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """As sales."""
        return await self._sales.push(orders, self._known_layout())

    async def find(self, order: Order) -> str | None:
        """Its sales."""
        return await self._sales.find(order, self._known_layout())

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Its sales, or what has not left of them."""
        return [await self._sales.cancel(order) for order in orders]

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """What became of them."""
        async for found in self._statuses.read(since, self._known_layout()):
            yield found

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What is there now, in every warehouse."""
        return await self._stock.inventory(skus, await self._read_layout())

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Sales, those of others too."""
        return await documents(self._rest, keys, self._known_layout())
