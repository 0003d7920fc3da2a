"""Writing AVAILABLE: the newest figure of each channel and SKU.

Role: bring the stream to the figures of the core, from whatever it holds. In: a publication. Out: one message a
subject. Always: a message expects the one before it on its subject, so that a publisher that was stopped for
a while overwrites nothing that is newer than what it knows; what was not stored waits again.
"""

import contextlib
import uuid
from array import array
from collections import defaultdict
from itertools import count

import msgspec
import structlog

from holdfast._core import Engine, Publication
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets, Way, last_of
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import stream_state
from holdfast.publisher.writing import (
    EXPECTED_OF_SUBJECT,
    ID,
    TOGETHER_MAX,
    Message,
    write,
    write_chained,
    write_together,
)
from holdfast.settings import Settings

log = structlog.get_logger(__name__)

_Key = tuple[int, int]
_CHUNK_MESSAGES = 4_096
_CHUNK_BYTES = 4 * 1024 * 1024


class Figure(msgspec.Struct):
    """A message of AVAILABLE."""

    sku: str
    channel: str
    published: int
    sellable: int
    unlimited: bool
    sequence: int
    gone: bool = False


class Places:
    """The sequence of the newest message of each figure; 0: none. Eight bytes each."""

    def __init__(self) -> None:
        self._by_channel: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))

    def __getitem__(self, key: _Key) -> int:
        places = self._by_channel[key[0]]
        return places[key[1]] if key[1] < len(places) else 0

    def __setitem__(self, key: _Key, sequence: int) -> None:
        places = self._by_channel[key[0]]
        if key[1] >= len(places):
            places.extend([0] * (key[1] + 1 - len(places)))
        places[key[1]] = sequence


class FigureWriter:
    """Writes figures. `load` first, with a core that is at the end of LOG."""

    def __init__(
        self,
        connection: Connection,
        outlets: Outlets,
        core: Engine,
        publication: Publication,
        settings: Settings,
        way: Way,
    ) -> None:
        self._connection = connection
        self._outlets = outlets
        self._core = core
        self._publication = publication
        self._settings = settings
        self._places = Places()
        self._way = way
        writer = uuid.uuid4().hex
        self._ids = (f"{writer}:{n}" for n in count())
        self.end = 0  # where AVAILABLE ends, as far as is known
        self.loaded = False
        self.written_total = 0
        self.behind_total = 0

    async def load(self, *, rebuild: bool = False) -> None:
        """Read what is published. `rebuild`: write every figure again, whatever it is. Raises LogError."""
        self.loaded = True
        state = await stream_state(self._connection, self._outlets.available)
        self.end = state.last_sequence
        if not state.messages:
            return
        reader = StreamReader(
            self._connection,
            self._outlets.available,
            max(0, state.first_sequence - 1),
            self._settings.log,
            is_sparse=True,
        )
        await reader.open()
        try:
            await reader.wait_end()
            while not reader.at_end:
                for entry in await reader.take(_CHUNK_MESSAGES, _CHUNK_BYTES):
                    if entry.subject != self._outlets.checkpoint:
                        await self._note(entry.sequence, entry.subject, entry.payload, rebuild=rebuild)
        finally:
            await reader.close()

    async def _note(self, sequence: int, subject: str, payload: bytes, *, rebuild: bool = False) -> None:
        """A message of the stream."""
        key = None
        with contextlib.suppress(msgspec.MsgspecError):
            found = msgspec.json.decode(payload, type=Figure)
            if self._outlets.figure(found.channel, found.sku) == subject:
                key = self._publication.known(
                    found.channel, found.sku, found.published, found.sellable, found.unlimited, found.gone
                )
                if key is None and not found.gone:
                    await self._end(sequence, subject, found)
        if key is not None:
            self._places[key] = sequence
            if rebuild:
                self._publication.again(key)

    async def _end(self, sequence: int, subject: str, found: Figure) -> None:
        """A figure of a channel or SKU that LOG does not have: say so in its place."""
        found.published = found.sellable = 0
        found.gone, found.unlimited = True, False
        message = Message(subject, msgspec.json.encode(found), {EXPECTED_OF_SUBJECT: str(sequence)})
        await self._write([message])

    async def _write(self, messages: list[Message]) -> list[int | None]:
        """All at once, and where that is refused, a window at a time: what does not fit must not stop the others."""
        settings = self._settings.publisher
        stream, timeout_ms = self._outlets.available, settings.ack_timeout_ms
        stored: list[int | None] | None = None
        if len(messages) > 1 and self._way is Way.CHAINED:
            # Nobody has written since, so each subject is as it was: the end says more than they do.
            chain = [one._replace(headers={ID: next(self._ids)}) for one in messages]
            if await write_chained(self._connection, stream, chain, self.end, timeout_ms):
                stored = list(range(self.end + 1, self.end + 1 + len(messages)))
        elif len(messages) > 1 and self._way is Way.TOGETHER:
            together = await write_together(self._connection, stream, messages, timeout_ms)
            stored = None if together is None else list(together)
        if stored is None:
            stored = []
            for at in range(0, len(messages), settings.window):
                stored += await write(self._connection, stream, messages[at : at + settings.window], timeout_ms)
        self.end = max(self.end, *(one or 0 for one in stored))
        return stored

    async def flush(self) -> int:
        """Write figures that changed, at most `figures_max`; how many were written."""
        settings = self._settings.publisher
        changes = self._publication.figures(settings.figures_max)
        written = 0
        for at in range(0, len(changes), TOGETHER_MAX):
            window = changes[at : at + TOGETHER_MAX]
            messages = [
                Message(self._outlets.figure(channel, sku), body, {EXPECTED_OF_SUBJECT: str(self._places[key])})
                for key, channel, sku, body in window
            ]
            stored = await self._write(messages)
            for (key, *_), message, sequence in zip(window, messages, stored, strict=True):
                if sequence is not None:
                    self._places[key] = sequence
                    written += 1
                else:
                    await self._look_again(key, message.subject)
        self.written_total += written
        return written

    async def _look_again(self, key: _Key, subject: str) -> None:
        """A figure was not stored: somebody else wrote there, or nobody knows."""
        self.behind_total += 1
        found = await last_of(self._connection, self._outlets.available, subject)
        if found is None:
            self._places[key] = 0
            self._publication.again(key)
            return
        sequence, payload = found
        self._places[key] = sequence
        try:
            is_newer = msgspec.json.decode(payload, type=Figure).sequence > self._core.sequence
        except msgspec.MsgspecError:
            self._publication.again(key)
            return
        if not is_newer:  # else this core comes to the same figure when it has read as much of LOG
            await self._note(sequence, subject, payload)
