"""Replies: an answer written to the connection in one piece.

In: a status, a body and the LOG sequence that it reflects. Out: bytes on the transport.
Always: every reply carries Holdfast-Sequence and a length; a client that does not read is cut off after a while.

aiohttp's own Response builds a header map per answer and writes it in two steps; these replies are the same dozen bytes
but for three numbers, so they are formatted at once (benchmarks/gateway_throughput.py measures the difference).
"""

import asyncio
from http import HTTPStatus
from random import random
from time import gmtime, strftime, time
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"
WRITE_TIMEOUT_S: Final = 10.0


class _Heads:
    """Each status's first lines, up to the length; rendered again when the second, and so Date, changes."""

    def __init__(self) -> None:
        self.second = 0
        self.by_status: dict[int, bytes] = {}

    def renew(self, second: int) -> None:
        """Begin the second `second` (since 1970)."""
        self.second = second
        self.by_status.clear()

    def make(self, status: int, content_type: bytes | None = None) -> bytes:
        """The first lines for `status`, cached where the content type is the usual one."""
        usual = PROBLEM if status >= 400 else JSON
        date = strftime("%a, %d %b %Y %H:%M:%S GMT", gmtime(self.second)).encode()
        kind, cache = content_type or usual, b"no-store" if content_type is None else b"no-cache"
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\n" % (status, HTTPStatus(status).phrase.encode(), kind)
        head += b"X-Content-Type-Options: nosniff\r\nDate: %b\r\nCache-Control: %b\r\n" % (date, cache)
        head += b"Content-Length: "
        if content_type is None:
            self.by_status[status] = head
        return head


_heads = _Heads()


class Reply(web.StreamResponse):
    """One whole answer. `headers` are further lines, each ended by CRLF; `content_type` defaults by the status."""

    def __init__(
        self,
        status: int,
        body: bytes,
        sequence: int,
        *,
        headers: bytes = b"",
        content_type: bytes | None = None,
        close: bool = False,
    ) -> None:
        # The base class's own start is left out on purpose: it prepares nothing that is used here.
        self._status = status
        self._whole = body
        self._sequence = sequence
        self._lines = headers
        self._type = content_type
        self._keep_alive = not close
        self._req = None

    is_refusal = False
    """That the gateway itself refuses or fails: not an answer of the state, which is the same at each repeat."""

    def name_trace(self, trace: str) -> None:
        """In the problem, which is a JSON object."""
        self._whole = b'%b,"trace":"%b"}' % (self._whole.removesuffix(b"}"), trace.encode())

    def add_headers(self, lines: bytes) -> None:
        """Further lines, each ended by CRLF; before it is prepared."""
        self._lines += lines

    @property
    def body(self) -> bytes:
        """What follows the headers."""
        return self._whole

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the answer. Raises ConnectionResetError when the client has disconnected."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        self._req = request
        second = int(time())
        if second != _heads.second:
            _heads.renew(second)
        if self._type is None:
            head = _heads.by_status.get(self._status) or _heads.make(self._status)
        else:
            head = _heads.make(self._status, self._type)
        lines = self._lines
        if not (self._keep_alive and request.keep_alive):
            self._keep_alive = False
            lines += b"Connection: close\r\n"
        elif request.version.minor == 0:
            lines += b"Connection: keep-alive\r\n"
        body = self._whole
        transport.write(
            b"%b%d\r\nHoldfast-Sequence: %d\r\n%b\r\n%b"
            % (head, len(body), self._sequence, lines, body if request.method != "HEAD" else b"")
        )
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - as the base class has it
        """Wait while the client reads too slowly; after WRITE_TIMEOUT_S the connection is cut."""
        request, self._req = self._req, None
        if request is None or not request.protocol.writing_paused:
            return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await request.writer.drain()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the client does not read") from None


class HeldReply(Reply):
    """A reply that is written after about `hold_s` seconds: who asks again over this connection waits meanwhile.

    From half of it to one and a half, by chance: else many that were refused at once would all come again at once.
    """

    def __init__(self, status: int, body: bytes, sequence: int, *, headers: bytes, hold_s: float) -> None:
        super().__init__(status, body, sequence, headers=headers)
        self._hold_s = hold_s

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See Reply."""
        await asyncio.sleep(self._hold_s * (0.5 + random()))  # noqa: S311 - no secret
        return await super().prepare(request)
