"""The figures that the shop is to have, as the publisher writes them.

Role: follow AVAILABLE. In: the stream, from a place on; where an earlier run stopped. Out: values in the queue. Always:
the newest figure of a SKU is the one that counts, so a connector that was away reads each SKU once; a figure that ended
is 0; what an earlier run could not write comes behind what has changed since.
"""

import time

import msgspec
import structlog

from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets, last_of
from holdfast.nats.stream_reader import StreamReader
from holdfast.settings import Settings
from holdfast.woo.pusher import Pusher, value_of
from holdfast.woo.queue import Standing
from holdfast.woo.stores import Store

log = structlog.get_logger(__name__)

_CHUNK_MESSAGES, _CHUNK_BYTES = 4_096, 4 * 1024 * 1024


class _Figure(msgspec.Struct):
    sku: str
    channel: str
    published: int
    sequence: int
    unlimited: bool = False
    gone: bool = False


class Figures:
    """Those of one store's channel. `taken`: the place in AVAILABLE up to which they are in the queue."""

    def __init__(
        self, connection: Connection, outlets: Outlets, store: Store, pusher: Pusher, settings: Settings
    ) -> None:
        self._connection = connection
        self._outlets = outlets
        self._store = store
        self._pusher = pusher
        self._settings = settings
        self._prefix = outlets.figure(store.channel, "")
        self.taken = 0
        self.read_total = 0

    async def resume(self, before: Standing) -> int:
        """What an earlier run could not write is in the queue, or will be read: from which place. Raises LogError."""
        if before.more:
            return 0
        for sku in before.open:
            await self.recall(sku)
        return before.done

    async def recall(self, sku: str) -> None:
        """The newest figure of a SKU is in the queue, where there is one. Raises LogError."""
        subject = self._outlets.figure(self._store.channel, sku)
        found = await last_of(self._connection, self._outlets.available, subject)
        if found is not None:
            self._take(found[1], found[0], late=True)

    async def follow(self, after: int, *, late_upto: int = 0) -> None:
        """For ever; what is at or before the place `late_upto` comes behind all else. Raises LogError."""
        self.taken = after
        reader = StreamReader(self._connection, self._outlets.available, after, self._settings.log, is_sparse=True)
        await reader.open()
        try:
            while True:
                for entry in await reader.take(_CHUNK_MESSAGES, _CHUNK_BYTES):
                    if entry.subject.startswith(self._prefix):
                        self._take(entry.payload, entry.sequence, late=entry.sequence <= late_upto)
                    self.taken = entry.sequence
                self._pusher.wake()
        finally:
            await reader.close()

    def _take(self, payload: bytes, place: int, *, late: bool) -> None:
        try:
            figure = msgspec.json.decode(payload, type=_Figure)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("figure-not-understood", payload=payload[:200].decode("utf-8", "replace"))
            return
        self.read_total += 1
        published = 0 if figure.gone else max(0, figure.published)
        value = value_of(self._store, published, unlimited=figure.unlimited, sequence=figure.sequence)
        self._pusher.want(figure.sku, value, place=place, late=late)
        if late:
            self._pusher.queue.look_later(figure.sku, time.monotonic())  # a write of the earlier run may still come
