"""What an ERP is to holdfast: the one interface that every adapter has (docs/erp.md).

In: questions, and orders to take. Out: facts as docs/facts.md has them, and what became of the orders. Always: an
adapter knows its ERP and no more: it neither sends facts, nor stores positions, nor repeats a call that failed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from holdfast.erp.amounts import whole

Fact = dict[str, Any]

EXPERIMENTAL = "experimental: it was never run on a real one (docs/erp.md says what was not proven)"
"""The remark of an adapter that was written from documents alone."""


class ErpError(Exception):
    """A call of the ERP that came to nothing; the text says why."""


class ErpDownError(ErpError):
    """The ERP does not answer, or not now: every order may meet that. Whether it did what was asked is not known."""


class RefusedError(ErpError):
    """The ERP will not take this order as it is. `final`: trying again cannot help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class UnusableError(ErpError):
    """What the ERP gave cannot be used; nothing goes on before a person has looked. `where`: the file or document."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What answers there. `locations`: codes of holdfast whose stock it states; empty: not known beforehand.

    `orders_together`: how many orders one `push` takes.
    """

    product: str
    version: str = ""
    locations: tuple[str, ...] = ()
    orders_together: int = 1
    remarks: tuple[str, ...] = ()


class OrderLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base units that leave from one place; `location` None: no stock is there for them yet.

    `due`: they come with a supply of that day. `kit`: they were sold as a part of it.
    """

    sku: str
    quantity: int
    location: str | None = None
    due: str | None = None
    kit: str | None = None


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """A confirmed order. `key` is its name for ever: the ERP stores it, and is asked for it before anything is made.

    `trace`: of the request that confirmed it, where it named one; it stands in the ERP's document.
    """

    key: str
    reservation: str
    channel: str
    order_ref: str | None
    at: str
    lines: tuple[OrderLine, ...]
    trace: str = ""

    @property
    def named(self) -> dict[str, str]:
        """How a fact names it."""
        return {"reservation": self.reservation, "channel": self.channel}


class Pulled(NamedTuple):
    """Facts that were read together, in their order.

    `name` is the same whenever they are read again, so that they count once; "": facts that may count again, like
    levels with their `as_of`. `position` is what to ask from next time. `settle` is called once they were taken.
    """

    facts: Sequence[Fact]
    name: str = ""
    position: str | None = None
    settle: Callable[["Taken"], Awaitable[None]] | None = None


class Taken(msgspec.Struct):
    """What became of facts that were sent."""

    accepted: int = 0
    ignored: int = 0
    created: list[str] = msgspec.field(default_factory=list)
    rejected: list[tuple[int, str]] = msgspec.field(default_factory=list)


class OrderStatus(msgspec.Struct, frozen=True):
    """Of an order that is in the ERP. `facts` say what became of it there; `counted`: its levels count it."""

    key: str
    document: str
    counted: bool
    facts: tuple[Fact, ...] = ()


class Counted(NamedTuple):
    """What the ERP has of a SKU at a location, as it counts it: parts of a unit too. `allocated` None: it says nothing.

    `unit`: of `on_hand`, where it is not the base unit.
    """

    sku: str
    location: str
    on_hand: float
    allocated: float | None
    as_of: int | str
    basis: str = "gross"
    unit: str | None = None


class Inventory(msgspec.Struct):
    """All of them. `is_whole`: what is left out is not there; else only what was stated is in it. `waits`: what of it
    has arrived, and may still be left alone by `levels`.
    """

    cells: list[Counted] = msgspec.field(default_factory=list)
    is_whole: bool = False
    waits: str = ""


class Document(msgspec.Struct, frozen=True):
    """An order in the ERP. `key` is that of an order of holdfast, "" of any other; `place` is where it ships from.

    `units` by SKU are those that it is for, less what was cancelled of it.
    """

    key: str
    number: str
    reference: str
    place: str
    state: Literal["draft", "open", "done", "cancelled"]
    units: dict[str, int] = msgspec.field(default_factory=dict)


class Erp(Protocol):
    """One connection. Every call may raise ErpDownError; what was read is complete or an exception, never a part."""

    async def open(self) -> None:
        """Be ready to be asked."""

    async def close(self) -> None:
        """Let nothing of it stay."""

    async def describe(self) -> Description:
        """What answers, by its own account. Raises UnusableError where it cannot be used."""
        ...

    def levels(self, since: str | None) -> AsyncIterator[Pulled]:
        """Levels that may have changed since the position; all of them for None. May raise UnusableError."""
        ...

    def supply(self, since: str | None) -> AsyncIterator[Pulled]:
        """Lines of purchases and transfers, likewise."""
        ...

    def demand(self, since: str | None) -> AsyncIterator[Pulled]:
        """What is owed outside of holdfast's reservations, likewise."""
        ...

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Have the ERP take these: the document of each, or why not. One that is there already is not made again."""
        ...

    async def find(self, order: Order) -> str | None:
        """The document of an order whose `push` had no clear outcome; None: it is certainly not there."""
        ...

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        """Have the ERP cancel these, as far as it has them and nothing has left."""
        ...

    def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """Orders whose state may have changed since the position, and the next position."""
        ...

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What it has now, of these SKUs or of all: for `holdfast reconcile`. May raise UnusableError."""
        ...

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Orders that are open there, and those of these keys in any state; None: it cannot be asked."""
        ...

    async def news(self) -> None:
        """Return when something new may be there; never, where only asking tells."""


_NONE: tuple[Any, ...] = ()


class Adapter:
    """What an adapter may leave out: an ERP without purchases, demand or states of orders has none of them."""

    async def open(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Nothing stays."""

    async def levels(self, since: str | None) -> AsyncIterator[Pulled]:  # noqa: ARG002
        """None."""
        for none in _NONE:
            yield none

    async def supply(self, since: str | None) -> AsyncIterator[Pulled]:  # noqa: ARG002
        """None."""
        for none in _NONE:
            yield none

    async def demand(self, since: str | None) -> AsyncIterator[Pulled]:  # noqa: ARG002
        """None."""
        for none in _NONE:
            yield none

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:  # noqa: ARG002
        """None."""
        for none in _NONE:
            yield none

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """What `levels` states of all."""
        chosen = None if skus is None else frozenset(skus)
        found = [
            counted_in(fact)
            async for pulled in self.levels(None)
            for fact in pulled.facts
            if fact["kind"] == "stock.level" and (chosen is None or fact["sku"] in chosen)
        ]
        return Inventory(found)

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:  # noqa: ARG002
        """It cannot be asked."""
        return None

    async def news(self) -> None:
        """Only asking tells."""
        await asyncio.Event().wait()


def level_of(one: Counted) -> Fact:
    """It as a gross level: parts of units are not there, and what is owed is in it."""
    return {
        "kind": "stock.level",
        "sku": one.sku,
        "location": one.location,
        "on_hand": whole(one.on_hand),
        "allocated": int(one.allocated or 0),
        "basis": "gross",
        "as_of": one.as_of,
    }


def counted_in(level: Fact) -> Counted:
    """What a level says."""
    where = (level["sku"], level["location"], level["on_hand"], level.get("allocated"))
    return Counted(*where, level["as_of"], level["basis"], level.get("unit"))
