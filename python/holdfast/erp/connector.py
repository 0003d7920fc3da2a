"""One connection to an ERP, at work: what it states comes in, what was sold goes out.

In: an adapter, a store, a gateway, events. Out: facts and orders; a status for people. Always: an order's
acknowledgement is sent before the levels that are read after it, so that both together count it once; what fails is
tried again at the next turn, and stops nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog

from holdfast.client.errors import ClientError
from holdfast.erp.breaker import Breaker, wait_ms
from holdfast.erp.events import OrderReader
from holdfast.erp.exporter import Exporter
from holdfast.erp.feed import Feed
from holdfast.erp.interface import (
    Description,
    Erp,
    ErpDownError,
    ErpError,
    Fact,
    OrderStatus,
    Pulled,
    Taken,
    UnusableError,
)
from holdfast.erp.store import Entry, StatedLevel, Store, now_ms
from holdfast.erp.turns import asked_for_turn, turn_mark
from holdfast.erp.versions import Versions
from holdfast.errors import LogError
from holdfast.settings import ErpSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_EVENTS_IDLE_S = 0.1
_KEPT_MS = 90 * 24 * 3600 * 1000
Pull = Callable[[str | None], AsyncIterator[Pulled]]


class Connector:
    """Runs until it is cancelled, or one turn with `once`."""

    def __init__(
        self, erp: Erp, store: Store, feed: Feed, settings: ErpSettings, orders: OrderReader | None = None
    ) -> None:
        self._erp = erp
        self.store = store
        self.feed = feed
        self._settings = settings
        self.orders = orders
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_rest_ms)
        self.exporter = Exporter(erp, store, settings, self.breaker)
        self.description: Description | None = None
        self.faults: dict[str, str] = {}
        self.turns_total = 0
        self.behind = 0

    async def run(self) -> None:
        """Everything, side by side."""
        description = await self._described()
        tasks = [asyncio.create_task(self._pull_for_ever())]
        if self.orders is not None:
            tasks.append(asyncio.create_task(self._read_for_ever(self.orders)))
            tasks.append(asyncio.create_task(self.exporter.run(description)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await cancel_and_wait(*tasks)

    async def _described(self) -> Description:
        tries = 0
        while self.description is None:
            try:
                self.description = await self._erp.describe()
            except ErpError as fault:
                self._note("describe", str(fault))
                wait = wait_ms(tries, self._settings.retry_first_ms, self._settings.retry_wait_ms_max)
                await asyncio.sleep(wait / 1000)
                tries += 1
        self._note("describe", "")
        return self.description

    # ---- orders out of holdfast

    async def _read_for_ever(self, orders: OrderReader) -> None:
        while True:
            try:
                read = await orders.read()
                self._note("events", orders.fault)
                self.behind = orders.behind
            except (LogError, ClientError) as fault:
                self._note("events", str(fault))
                read = 0
            if not read:
                await asyncio.sleep(_EVENTS_IDLE_S)

    # ---- out of the ERP

    async def _pull_for_ever(self) -> None:
        while True:
            news = asyncio.create_task(self._erp.news())
            asked = asyncio.create_task(asked_for_turn(self.store.directory, turn_mark(self.store.directory)))
            try:
                await asyncio.sleep(0)  # what comes from here on is news, while the turn looks and after it
                await self.turn()
                await asyncio.wait(
                    {news, asked}, timeout=self._settings.every_ms / 1000, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                await cancel_and_wait(news, asked)
            if news.cancelled():
                continue
            if (fault := news.exception()) is not None:
                self._note("news", str(fault))
                await asyncio.sleep(self._settings.every_ms / 1000)
            else:
                self._note("news", "")

    async def turn(self) -> None:
        """Everything that is new: the orders first, then the levels that may count them."""
        await self._try("statuses", self._pull_statuses())
        await self._try("levels", self._pull("levels", self._erp.levels))
        await self._try("supply", self._pull("supply", self._erp.supply))
        await self._try("demand", self._pull("demand", self._erp.demand))
        self.store.forget(now_ms() - _KEPT_MS)
        self.turns_total += 1

    async def _try(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ErpDownError as fault:
            self._note(name, str(fault))
        except UnusableError as fault:
            if self.faults.get(name) != str(fault):
                log.error("alarm", alarm="erp-stopped", what=name, where=fault.where, why=fault.why)
            self._note(name, str(fault))
        except ClientError as fault:
            self._note(name, str(fault))
        else:
            self._note(name, "")

    async def _pull(self, name: str, pull: Pull) -> None:
        async for pulled in pull(self.store.position(name)):
            fresh = Versions(self.store, pulled.facts) if not pulled.name else None
            taken = await self.feed.send(pulled.facts if fresh is None else fresh.facts, pulled.name)
            with self.store.together():
                if fresh is not None:
                    fresh.note()
                if pulled.position is not None:
                    self.store.set_position(name, pulled.position)
                self.store.note_stated(_levels_in(pulled.facts if fresh is None else fresh.facts, taken))
                self._note_acknowledged(pulled)
            if pulled.settle is not None:
                await pulled.settle(taken)

    def _note_acknowledged(self, pulled: Pulled) -> None:
        """Of files, which state acknowledgements among the rest."""
        for fact in pulled.facts:
            if fact["kind"] == "order.ack":
                self.store.acknowledged(fact.get("reservation"), fact.get("order_ref"), fact.get("channel"))

    async def _pull_statuses(self) -> None:
        async for statuses, position in self._erp.statuses(self.store.position("statuses")):
            known: list[OrderStatus] = [
                _traced(one, entry) for one in statuses if (entry := self.store.entry(one.key)) is not None
            ]
            fresh = Versions(self.store, [fact for one in known for fact in one.facts])
            taken = await self.feed.send([*fresh.facts, *_acknowledged_again(known, fresh.facts)])
            refused = {at for at, _ in taken.rejected}
            unknown = {fresh.facts[at].get("reservation") for at in refused if at < len(fresh.facts)}
            with self.store.together():
                fresh.note(refused)
                for one in known:
                    if one.counted and one.key not in unknown:
                        self.store.acknowledge(one.key, one.document)
                if position is not None:
                    self.store.set_position("statuses", position)

    def _note(self, name: str, fault: str) -> None:
        if fault and self.faults.get(name) != fault:
            log.warning("erp-waits", what=name, why=fault)
        if fault:
            self.faults[name] = fault
        else:
            self.faults.pop(name, None)


def _acknowledged_again(statuses: Sequence[OrderStatus], fresh: Sequence[Fact]) -> list[Fact]:
    """Acknowledgements of orders of which something new is stated: what that puts back on an order is there unknown.

    One that says what is known already changes nothing.
    """
    changed = {fact.get("reservation") for fact in fresh if fact["kind"] != "order.ack"}
    acks = [fact for one in statuses for fact in one.facts if fact["kind"] == "order.ack"]
    return [fact for fact in acks if fact.get("reservation") in changed]


def _traced(status: OrderStatus, entry: Entry) -> OrderStatus:
    """What an ERP says of an order belongs to the trace of the checkout that made it."""
    if not entry.order.trace:
        return status
    facts = tuple(fact | {"trace": entry.order.trace} for fact in status.facts)
    return msgspec.structs.replace(status, facts=facts)


def _levels_in(facts: Sequence[Fact], taken: Taken) -> list[StatedLevel]:
    refused = dict(taken.rejected)
    return [
        StatedLevel(
            fact["sku"],
            fact["location"],
            fact["on_hand"],
            fact["as_of"],
            fact.get("allocated"),
            fact.get("unit"),
            refused.get(at, ""),
        )
        for at, fact in enumerate(facts)
        if fact["kind"] == "stock.level"
    ]
