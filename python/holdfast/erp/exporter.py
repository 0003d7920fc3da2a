"""Orders on their way to the ERP.

In: the queue, an adapter. Out: orders in the ERP, cancelled there, or parked with a reason. Always: the oldest go
first; an order that was sent without a clear outcome is looked for before it is sent again; one that the ERP
refuses stands in nobody's way; while the ERP is down nothing is counted against any order; once the ERP has answered a
cancellation, what it shipped before is looked for at once, since holdfast gave the units back when the shop cancelled.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from holdfast.erp.breaker import Breaker, wait_ms
from holdfast.erp.interface import Description, Erp, ErpDownError, RefusedError, UnusableError
from holdfast.erp.store import Entry, Store
from holdfast.erp.turns import ask_for_turn
from holdfast.settings import ErpSettings
from holdfast.spans import spans
from holdfast.tasks import cancel_and_wait
from holdfast.traces import id_of

log = structlog.get_logger(__name__)

_IDLE_S = 0.1


class Exporter:
    """Runs until it is cancelled."""

    idle_s = _IDLE_S

    def __init__(self, erp: Erp, store: Store, settings: ErpSettings, breaker: Breaker) -> None:
        self._erp = erp
        self._store = store
        self._settings = settings
        self._breaker = breaker
        self._under_way: set[str] = set()
        self.exported_total = 0
        self.looked_up_total = 0

    async def run(self, description: Description) -> None:
        """Carry out what is due, `orders_at_once` calls at a time."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                tasks = {task for task in tasks if not self._ended(task)}
                entries = self._next(description.orders_together) if len(tasks) < self._at_once() else []
                if entries:
                    self._under_way |= {one.order.key for one in entries}
                    tasks.add(asyncio.create_task(self._carry_out(entries)))
                elif tasks:
                    await asyncio.wait(tasks, timeout=self.idle_s, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(self.idle_s)
        finally:
            await cancel_and_wait(*tasks)

    @staticmethod
    def _ended(task: "asyncio.Task[None]") -> bool:
        if task.done():
            task.result()
        return task.done()

    def _at_once(self) -> int:
        return 1 if self._breaker.is_open else self._settings.orders_at_once

    def _next(self, most: int) -> list[Entry]:
        """The oldest that are due and of one kind: new ones, or ones to cancel, or one whose state is unclear."""
        due = self._store.due(most, self._under_way)
        if not due or not self._breaker.may_call():
            return []
        first = due[0]
        if first.state == "unclear" or most == 1:
            return [first]
        return [one for one in due if (one.wish, one.state == "unclear") == (first.wish, False)]

    async def _carry_out(self, entries: Sequence[Entry]) -> None:
        try:
            if entries[0].state == "unclear":
                await self._look_up(entries[0])
            elif entries[0].wish == "cancel":
                await self._cancel(entries)
            else:
                await self._push(entries)
        except (ErpDownError, UnusableError) as fault:
            if self._breaker.failed(str(fault)):
                log.error("alarm", alarm="erp-down", why=str(fault), waiting=self._store.waiting())
            settings = self._settings
            for one in entries:
                wait = wait_ms(0, settings.retry_first_ms, settings.retry_wait_ms_max)
                self._store.put_off(one.order.key, wait, str(fault), counts=False)
        else:
            if self._breaker.worked():
                log.info("erp-up", waiting=self._store.waiting())
        finally:
            self._under_way -= {one.order.key for one in entries}

    async def _push(self, entries: Sequence[Entry]) -> None:
        keys = [one.order.key for one in entries]
        with self._store.together():
            self._store.set_state(keys, "unclear")
        with _recorded(entries):
            found = await self._erp.push([one.order for one in entries])
        with self._store.together():
            for entry, document in zip(entries, found, strict=True):
                if isinstance(document, RefusedError):
                    self._refused(entry, document)
                else:
                    self._store.set_state([entry.order.key], "exported", document=document)
                    self.exported_total += 1

    async def _look_up(self, entry: Entry) -> None:
        """Whether the ERP has it; if not, it is new again."""
        self.looked_up_total += 1
        try:
            document = await self._erp.find(entry.order)
        except RefusedError as refused:  # it cannot even be looked for, as one for a place that the ERP does not have
            with self._store.together():
                self._refused(entry, refused)
            return
        if document is not None:
            with self._store.together():
                self._store.set_state([entry.order.key], "exported", document=document)
                self._store.forget_position("statuses")  # its status may have been read before it was known here
        elif entry.wish == "cancel":
            self._store.set_state([entry.order.key], "cancelled")
        else:
            await self._push([entry])

    async def _cancel(self, entries: Sequence[Entry]) -> None:
        found = await self._erp.cancel([one.order for one in entries])
        with self._store.together():
            for entry, document in zip(entries, found, strict=True):
                if isinstance(document, RefusedError):
                    self._refused(entry, document)
                else:
                    self._store.set_state([entry.order.key], "cancelled", document=document)
        with contextlib.suppress(OSError):  # then the next turn comes when it would
            ask_for_turn(self._store.directory)

    def _refused(self, entry: Entry, why: RefusedError) -> None:
        settings, key = self._settings, entry.order.key
        if why.final or entry.tries + 1 >= settings.tries_max:
            self._store.set_state([key], "parked", why=str(why))
            log.error(
                "alarm",
                alarm="erp-order-parked",
                order=entry.order.order_ref or key,
                why=str(why),
                trace=id_of(entry.order.trace) or None,
            )
            return
        wait = wait_ms(entry.tries, settings.retry_first_ms, settings.retry_wait_ms_max)
        self._store.put_off(key, wait, str(why), counts=True)


@contextmanager
def _recorded(entries: Sequence[Entry]) -> Iterator[None]:
    """How long the ERP takes, for each order whose checkout is recorded."""
    recording = spans()
    began = [] if recording is None else [recording.begin("erp", one.order.trace) for one in entries]
    fault = "it did not answer"
    try:
        yield
        fault = ""
    finally:
        for span in began:
            if span is not None:
                span.end(fault=fault)
