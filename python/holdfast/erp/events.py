"""Confirmed and cancelled orders, out of the stream OUT into the queue.

In: a connection to NATS whose user may view streams, a store. Out: entries of the queue. Always: the place in OUT moves
in the transaction of the orders that were read; an event that is read twice changes nothing; where events are missing
(a `gap`, a stream that was cut or made again), the gateway's own list of orders fills the hole. Of events from before a
connection began only orders that are open still count: others are done, maybe in the ERP that was there before.
"""

import asyncio
import base64
from collections.abc import Sequence

import msgspec
import structlog

from holdfast.client import Client
from holdfast.client.errors import NotFoundError
from holdfast.contracts.answers import Reservation
from holdfast.erp.interface import Order, OrderLine
from holdfast.erp.store import Store
from holdfast.errors import ApiError, LogError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import stream_state
from holdfast.traces import joined

log = structlog.get_logger(__name__)

POSITION = "out"
_BEGAN = "out-began"
_COMMITTED = ("committed",)
_OPEN = ("in_erp", *_COMMITTED)
_ENDED = frozenset({"cancelled", "released", "expired"})
_TOGETHER = 128
_WAITING_MAX = 1_000_000
_STREAM_NOT_FOUND = 10059
_MESSAGE_NOT_FOUND = 10037


class _Event(msgspec.Struct):
    kind: str
    at: str = ""
    sequence: int = 0
    trace: str = ""
    span: str = ""
    reservation: Reservation | None = None


def order_of(reservation: Reservation, at: str, trace: str = "") -> Order:
    """What goes to an ERP: the units that have not left, each where it leaves from."""
    lines: list[OrderLine] = []
    for line in reservation.lines:
        is_kit = isinstance(line.components, list)
        for part in line.allocations:
            sku = part.sku if isinstance(part.sku, str) else line.sku
            due = part.due.isoformat() if not isinstance(part.due, msgspec.UnsetType) else None
            lines.append(OrderLine(sku, part.quantity, part.location, due, line.sku if is_kit else None))
        if line.unsourced and not is_kit:
            lines.append(OrderLine(line.sku, line.unsourced))
        elif is_kit and isinstance(line.components, list):
            lines += [OrderLine(one.sku, one.unsourced, kit=line.sku) for one in line.components if one.unsourced]
    names = (reservation.id, reservation.id, reservation.channel, reservation.order_ref)
    return Order(*names, at, tuple(lines), trace)


class OrderReader:
    """Reads on from the stored place. `channels`: whose orders go to the ERP; empty: all."""

    def __init__(
        self, connection: Connection, scope: str, store: Store, client: Client, channels: frozenset[str] = frozenset()
    ) -> None:
        self._connection = connection
        self._stream = f"HF_{scope}_OUT"
        self._store = store
        self._client = client
        self._channels = channels
        self.behind = 0
        self.fault = ""

    async def read(self) -> int:
        """Take what has arrived, while the queue has room; how many events. Raises LogError, ClientError."""
        if self._store.waiting() >= _WAITING_MAX:
            self.fault = f"{_WAITING_MAX:,} orders wait; OUT keeps the next ones"
            return 0
        try:
            state = await stream_state(self._connection, self._stream)
        except ApiError as error:
            if error.code != _STREAM_NOT_FOUND:
                raise
            self.fault = "there are no events: the publisher makes them (publisher.enabled)"
            return 0
        self.fault = ""
        stored = self._store.position(POSITION)
        place = int(stored) if stored is not None else -1
        if place < max(0, state.first_sequence - 1) or place > state.last_sequence:
            await self._fill(_OPEN if stored is None else _COMMITTED)
            place = max(0, state.first_sequence - 1)
            with self._store.together():
                self._store.set_position(_BEGAN, str(state.last_sequence))
                self._store.set_position(POSITION, str(place))
        end = min(state.last_sequence, place + _TOGETHER)
        bodies = await asyncio.gather(*(self._message(number) for number in range(place + 1, end + 1)))
        events = [
            (place + 1 + at, msgspec.json.decode(body, type=_Event))
            for at, body in enumerate(bodies)
            if body is not None
        ]
        if any(event.kind == "gap" for _, event in events):
            await self._fill(_COMMITTED)
        began = int(self._store.position(_BEGAN) or 0)
        events = [(number, event) for number, event in events if number > began or await self._is_open(event)]
        with self._store.together():
            for number, event in events:
                self._take(number, event)
            self._store.set_position(POSITION, str(end))
        self.behind = state.last_sequence - end
        return end - place

    async def _message(self, number: int) -> bytes | None:
        """None: it was removed."""
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", {"seq": number})
        except ApiError as error:
            if error.code != _MESSAGE_NOT_FOUND:
                raise
            return None
        message = answer["message"]
        if message["seq"] != number:
            raise LogError(f"{self._stream}: asked for message {number}, got {message['seq']}")
        return base64.b64decode(message.get("data", ""))

    def _take(self, number: int, event: _Event) -> None:
        reservation = event.reservation
        if reservation is None or not self._wants(reservation.channel):
            return
        if event.kind == "confirmed":
            self._store.add(order_of(reservation, event.at, joined(event.trace, event.span)), number)
        elif event.kind in _ENDED:
            self._store.cancel(reservation.id)

    async def _is_open(self, event: _Event) -> bool:
        """Whether an order of before is one still."""
        reservation = event.reservation
        if event.kind != "confirmed" or reservation is None or not self._wants(reservation.channel):
            return True
        if self._store.entry(reservation.id) is not None:
            return True
        try:
            found = await self._client.reservation(reservation.id, min_sequence=event.sequence)
        except NotFoundError:
            return False
        return found.state in _OPEN

    def _wants(self, channel: str) -> bool:
        return not self._channels or channel in self._channels

    async def _fill(self, states: Sequence[str]) -> None:
        """Orders that the gateway lists in these states; and those of ours that ended."""
        found: list[Reservation] = [
            one for state in states async for one in self._client.reservations(state=state) if self._wants(one.channel)
        ]
        log.info("erp-orders-listed", stream=self._stream, orders=len(found))
        ended = [one.id async for one in self._client.reservations(state="cancelled")]
        with self._store.together():
            for one in found:
                self._store.add(order_of(one, ""), 0, "unclear")
            for key in ended:
                self._store.cancel(key)
