"""An ERP with its own names, units and statuses.

In: an adapter, the names and maps of its connection (DIR/master). Out: the same adapter with holdfast's SKUs, base
units, statuses and conditions. Always: a quantity is converted exactly; an order that is no whole number of the ERP's
units is refused; a name or status that is not in the tables stays as it is.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from holdfast.erp.interface import (
    Counted,
    Description,
    Document,
    Erp,
    Fact,
    Inventory,
    Order,
    OrderStatus,
    Pulled,
    RefusedError,
)
from holdfast.master.maps import Maps
from holdfast.master.tables import Named

_QUANTITIES = ("on_hand", "allocated", "quantity")


class Renamed:
    """See Erp."""

    def __init__(self, erp: Erp, names: Iterable[Named], maps: Maps | None = None) -> None:
        self._erp = erp
        self._maps = maps if maps is not None else Maps()
        self._ours = {one.name: one for one in names}
        self._theirs = {one.sku: one for one in self._ours.values()}

    async def open(self) -> None:
        """As it is."""
        await self._erp.open()

    async def close(self) -> None:
        """As it is."""
        await self._erp.close()

    async def describe(self) -> Description:
        """As it is, with how many names are translated."""
        found = await self._erp.describe()
        return msgspec.structs.replace(found, remarks=(*found.remarks, f"{len(self._ours)} names are translated"))

    # ---- in

    def fact(self, fact: Fact) -> Fact:
        """With holdfast's names, units and statuses, its lines too."""
        found = self._named(self._maps.fact(fact))
        if isinstance(found.get("lines"), list):
            found["lines"] = [self._named(line) for line in found["lines"]]
        return found

    def _named(self, fact: Fact) -> Fact:
        found = dict(fact)
        one = self._ours.get(str(found.get("sku", "")))
        if one is None:
            return found
        found["sku"] = one.sku
        if "unit" in found:  # holdfast converts it by the item's own units
            return found
        for name in _QUANTITIES:
            if isinstance(found.get(name), int):
                found[name] *= one.factor
        if isinstance(found.get("unsellable"), dict):
            found["unsellable"] = {name: units * one.factor for name, units in found["unsellable"].items()}
        return found

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """Translated."""
        async for pulled in self._erp.levels(since):
            yield self._pulled(pulled)

    async def supply(self, since: str | None) -> AsyncIterator[Pulled]:
        """Translated."""
        async for pulled in self._erp.supply(since):
            yield self._pulled(pulled)

    async def demand(self, since: str | None) -> AsyncIterator[Pulled]:
        """Translated."""
        async for pulled in self._erp.demand(since):
            yield self._pulled(pulled)

    def _pulled(self, pulled: Pulled) -> Pulled:
        return pulled._replace(facts=[self.fact(one) for one in pulled.facts])

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """Translated."""
        async for found, position in self._erp.statuses(since):
            yield (
                [msgspec.structs.replace(one, facts=tuple(self.fact(fact) for fact in one.facts)) for one in found],
                position,
            )

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """Translated."""
        asked = None if skus is None else [self._theirs[sku].name if sku in self._theirs else sku for sku in skus]
        found = await self._erp.inventory(asked)
        return msgspec.structs.replace(found, cells=[self._counted(one) for one in found.cells])

    def _counted(self, one: Counted) -> Counted:
        named = self._ours.get(one.sku)
        if named is None:
            return one
        factor = 1 if one.unit is not None else named.factor
        allocated = None if one.allocated is None else one.allocated * factor
        return one._replace(sku=named.sku, on_hand=one.on_hand * factor, allocated=allocated)

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Translated."""
        found = await self._erp.documents(keys)
        return None if found is None else [self._document(one) for one in found]

    def _document(self, one: Document) -> Document:
        units: dict[str, int] = {}
        for name, quantity in one.units.items():
            named = self._ours.get(name)
            sku, factor = (named.sku, named.factor) if named is not None else (name, 1)
            units[sku] = units.get(sku, 0) + quantity * factor
        return msgspec.structs.replace(one, units=units)

    # ---- out

    def order(self, order: Order) -> Order:
        """With the ERP's names and units. Raises RefusedError."""
        lines = []
        for line in order.lines:
            one = self._theirs.get(line.sku)
            if one is None:
                lines.append(line)
                continue
            quantity, rest = divmod(line.quantity, one.factor)
            if rest:
                why = f"{line.quantity} of {line.sku} is no whole number of {one.name}, which is {one.factor} of them"
                raise RefusedError(why, final=True)
            lines.append(msgspec.structs.replace(line, sku=one.name, quantity=quantity))
        return msgspec.structs.replace(order, lines=tuple(lines))

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Those that can be translated; the others are refused."""
        return await self._each(orders, self._erp.push)

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Likewise."""
        return await self._each(orders, self._erp.cancel)

    async def _each(self, orders: Sequence[Order], call: Any) -> list[str | RefusedError]:
        translated: list[Order] = []
        answers: list[str | RefusedError | None] = []
        for one in orders:
            try:
                translated.append(self.order(one))
                answers.append(None)
            except RefusedError as refused:
                answers.append(refused)
        rest = iter(await call(translated) if translated else [])
        return [next(rest) if answer is None else answer for answer in answers]

    async def find(self, order: Order) -> str | None:
        """By its key."""
        return await self._erp.find(self.order(order))

    async def news(self) -> None:
        """As it is."""
        await self._erp.news()
