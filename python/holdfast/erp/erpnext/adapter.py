"""The adapter of an ERPNext (docs/erp.md, "ERPNext").

In: the settings of a connection. Out: what the interface asks for. Always: it is experimental, and says so.
"""

from collections.abc import AsyncIterator, Sequence

from holdfast.erp.erpnext.calls import Calls
from holdfast.erp.erpnext.orders import Orders
from holdfast.erp.erpnext.statuses import Statuses
from holdfast.erp.erpnext.stock import Places, Stock, read_places
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
from holdfast.erp.parts import names_of
from holdfast.settings import ErpSettings


class ErpNext(Adapter):
    """One company of one site."""

    def __init__(self, settings: ErpSettings, moments: Moments) -> None:
        for name, value in (("url", settings.url), ("token", settings.token)):
            if not value:
                raise UnusableError(name, "a connection of kind `erpnext` needs it")
        self._settings, self._moments = settings, moments
        self._calls = Calls(settings.url, settings.token, settings.timeout_ms)
        self._names = names_of(settings.warehouses)
        self._stock = Stock(self._calls, moments, settings.overlap_ms)
        self._company = settings.company
        self._orders: Orders | None = None
        self._statuses: Statuses | None = None
        self._places: Places | None = None

    async def open(self) -> None:
        """Be ready to call."""
        await self._calls.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    async def describe(self) -> Description:
        """The company, and its warehouses."""
        places, _, _ = await self._ready()
        return Description(product="ERPNext", locations=tuple(places.warehouses), remarks=(self._company, EXPERIMENTAL))

    async def _ready(self) -> tuple[Places, Orders, Statuses]:
        """Asked for until they are known once."""
        if not self._company:
            companies = await self._calls.rows("Company", [], [])
            if len(companies) != 1:
                raise UnusableError(
                    "company", f"the key's user sees {len(companies)} companies: name the one that sells"
                )
            self._company = companies[0]["name"]
        if self._places is None or self._orders is None or self._statuses is None:
            self._places = await read_places(self._calls, self._company, self._names)
            self._orders = Orders(self._calls, self._company, self._settings.customer)
            self._statuses = Statuses(self._calls, self._orders, self._moments, self._settings.overlap_ms)
        return self._places, self._orders, self._statuses

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is on hand, and owed."""
        places, _, _ = await self._ready()
        async for pulled in self._stock.levels(since, places):
            yield pulled

    async def supply(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is expected from suppliers."""
        places, _, _ = await self._ready()
        async for pulled in self._stock.supply(since, places):
            yield pulled

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """As Sales Orders."""
        places, sales, _ = await self._ready()
        return [await sales.push(order, places) for order in orders]

    async def find(self, order: Order) -> str | None:
        """Its Sales Order."""
        _, sales, _ = await self._ready()
        return await sales.find(order)

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Its Sales Order, or what has not left of it."""
        _, sales, _ = await self._ready()
        return [await sales.cancel(order) for order in orders]

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """What became of them."""
        places, _, read = await self._ready()
        async for found in read.read(since, places):
            yield found

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What is there now."""
        places, _, _ = await self._ready()
        return await self._stock.inventory(skus, places)

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Sales Orders, those of others too."""
        places, _, read = await self._ready()
        return await read.documents(keys, places)
