"""Events as they are published, as a call of the client: a stream that goes on over lost connections.

In: a filter and the last id that the caller has. Out: events in their order, each once. Always: what is asked for after
a lost connection is what follows the last event that was handed over; a gap is an event, too.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from time import monotonic

import msgspec

from holdfast.client.errors import UnavailableError, UnreachableError
from holdfast.client.parts import query_of
from holdfast.client.transport import Transport
from holdfast.contracts.events import Event, UnknownEvent, decode_event

BLOCK_BYTES_MAX = 4 * 1024 * 1024
SILENCE_S = 60.0
_UPTO_END = "upto-end"


class _End(msgspec.Struct):
    """Why a gateway ended a stream."""

    reason: str


class Streams:
    """What a Client can listen to."""

    transport: Transport

    async def events(
        self,
        *,
        channel: str | None = None,
        kinds: Iterable[str] = (),
        after: str | int | None = None,
        follow: bool = True,
        silence_s: float = SILENCE_S,
    ) -> AsyncGenerator[Event | UnknownEvent, None]:
        """See events_as_json; as Structs."""
        texts = self.events_as_json(channel=channel, kinds=kinds, after=after, follow=follow, silence_s=silence_s)
        async with contextlib.aclosing(texts):
            async for text in texts:
                yield decode_event(text)

    async def events_as_json(
        self,
        *,
        channel: str | None = None,
        kinds: Iterable[str] = (),
        after: str | int | None = None,
        follow: bool = True,
        silence_s: float = SILENCE_S,
    ) -> AsyncGenerator[bytes, None]:
        """Events, each once, in the order of LOG: `async for event in client.events(after=stored): ...`.

        `after`: the id of the last event that the caller has dealt with (0: everything that is kept); without it: what
        is published from now on. `follow=False`: end with what is published now. A lost connection is made again, for
        as long as `retry` of the client says each time; then UnreachableError or UnavailableError.
        """
        last = str(after) if after is not None else None
        kinds_given = ",".join(kinds) or None
        pauses, lost_s = self.transport.pauses(), None
        while True:
            try:
                query = query_of(channel=channel, kinds=kinds_given, after=last, follow=None if follow else "false")
                stream = _Blocks(self.transport, f"/v1/events{query}", silence_s)
                async with contextlib.aclosing(stream.read()) as blocks:
                    async for block in blocks:
                        pauses, lost_s = self.transport.pauses(), None
                        last = block.id or last
                        if block.event == "end":
                            if msgspec.json.decode(block.text, type=_End).reason == _UPTO_END:
                                return
                        elif block.text:
                            yield block.text
            except (UnreachableError, UnavailableError):
                lost_s = lost_s or monotonic()
                if monotonic() - lost_s > self.transport.patience_s:
                    raise
            await asyncio.sleep(next(pauses))


class _Block(msgspec.Struct):
    """One event of the stream, as the format of server-sent events has it."""

    id: str = ""
    event: str = ""
    text: bytes = b""


class _Blocks:
    """Reads a stream block by block."""

    def __init__(self, transport: Transport, path: str, silence_s: float) -> None:
        self._transport = transport
        self._path = path
        self._silence_s = silence_s

    async def read(self) -> AsyncGenerator[_Block, None]:
        """Until the connection ends."""
        waiting = bytearray()
        pieces = self._transport.stream(self._path, {"Accept": "text/event-stream"}, self._silence_s)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                waiting += piece
                *whole, rest = bytes(waiting).split(b"\n\n")
                if len(rest) > BLOCK_BYTES_MAX:
                    raise UnreachableError("what comes is no stream of events")
                waiting = bytearray(rest)
                for one in whole:
                    yield _block_of(one)


def _block_of(lines: bytes) -> _Block:
    block = _Block()
    for line in lines.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id":
            block.id = value.decode()
        elif name == b"event":
            block.event = value.decode()
        elif name == b"data":
            block.text = block.text + b"\n" + value if block.text else value
    return block
