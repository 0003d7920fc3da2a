"""The server: connections, and what goes wrong below a request.

In: connections. Out: requests to the dispatcher; problems for bytes that are not a request.
Always: no more connections are kept than the bounds; one that brings no whole request in time gets a 408 and is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import structlog
from aiohttp import web

from holdfast.contracts.problems import render_problem
from holdfast.gateway.connections import NOWHERE, Connections, address_of
from holdfast.gateway.counters import Counters
from holdfast.gateway.dispatch import Dispatcher
from holdfast.gateway.replies import Reply
from holdfast.settings import GatewaySettings

REFUSED_LINGER_S = 2.0
PROBES = [[method, path] for method in (b"GET", b"HEAD") for path in (b"/livez", b"/readyz")]

log = structlog.get_logger()


class GatewayProtocol(web.RequestHandler):
    """aiohttp's connection, with this project's problems, and an answer to headers that never end."""

    __slots__ = ("_address", "_bounds", "_partial_request", "_sequence")

    def __init__(
        self, manager: web.Server, *, sequence: Callable[[], int], bounds: "GatewayServer | None", **kwargs: Any
    ) -> None:
        super().__init__(manager, **kwargs)
        self._bounds = bounds
        self._address = NOWHERE
        self._partial_request = 0
        self._sequence = sequence

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stay, if there is room."""
        given = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        if self._bounds is not None:
            self._address = address_of(given.get_extra_info("peername"))
            if not self._bounds.open.add(self._address, self):
                self._bounds.refuse(given)
                return
        super().connection_made(given)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        if self._bounds is not None:
            self._bounds.open.remove(self._address, self)
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Whether no whole request is under way; one whose headers never end holds no place either."""
        return self._current_request is None and not self._messages

    def data_received(self, data: bytes) -> None:
        """Note that something came since the last whole request."""
        before, was_idle = self._request_count, self.is_idle()
        super().data_received(data)
        # Bytes that ended no request's headers: a further request has begun, where they are not the body of one.
        if self._request_count > before:
            self._partial_request = 0
        elif was_idle:
            self._partial_request = before + 1

    def _process_keepalive(self) -> None:
        # Bytes came, but no whole request: answer 408 before closing.
        late = (
            self._partial_request > self._request_count
            and self._waiter is not None
            and not self._waiter.done()
            and self._loop.time() >= self._next_keepalive_close_time
        )
        super()._process_keepalive() if not late else self._refuse_late()

    def _refuse_late(self) -> None:
        self._keepalive_handle = None
        if self.transport is not None and not self._messages:
            status, body = render_problem("request-timeout")
            self.transport.write(
                b"HTTP/1.1 %d Request Timeout\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
                b"Holdfast-Sequence: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), self._sequence(), body)
            )
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that cannot be parsed, or a failure below the dispatcher, as a problem; the connection ends."""
        if status == 400:
            log.debug("malformed_request", peer=request.remote, error=message)
            code, body = render_problem("malformed-request")
        elif isinstance(
            exc, ConnectionError
        ):  # the client has gone: there is nobody to answer, and nothing is wrong here
            log.debug("client_hung_up", peer=request.remote)
            code, body = render_problem("malformed-request")
        else:
            log.error("fault_below_dispatcher", peer=request.remote, exc_info=exc)
            code, body = render_problem("internal")
        return Reply(code, body, self._sequence(), close=True)


class _Refusing(asyncio.Protocol):
    """A connection beyond a bound: answered 503 once it has sent something, or after a moment, and closed.

    One that asks whether the process lives or is ready gets `probe`, a protocol that answers that one request: it must
    not seem dead because somebody else has taken all connections.
    """

    def __init__(
        self, answer: bytes, probe: Callable[[], asyncio.Protocol], done: Callable[["_Refusing"], None]
    ) -> None:
        self._answer = answer
        self._probe = probe
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        self._timer = asyncio.get_running_loop().call_later(REFUSED_LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        answer, self._answer = self._answer, b""
        if self._transport is None or not answer:
            return
        head, end, _ = data.partition(b"\r\n\r\n")
        if end and head.split(b" ", 2)[:2] in PROBES:
            self._answer_probe(self._transport, head + b"\r\nConnection: close" + end)
            return
        self._transport.write(answer)
        self._transport.write_eof()

    def _answer_probe(self, transport: asyncio.Transport, request: bytes) -> None:
        self.connection_lost(None)
        protocol = self._probe()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(request)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002
        if self._timer is not None:
            self._timer.cancel()
        self._done(self)

    def end(self) -> None:
        """It has sent nothing, and others wait for its place."""
        if self._transport is not None:
            self._transport.abort()


class GatewayServer(web.Server):
    """Makes a protocol for each connection, up to the bounds."""

    def __init__(self, dispatcher: Dispatcher, counters: Counters, settings: GatewaySettings) -> None:
        super().__init__(dispatcher)
        self._counters = counters
        self._settings = settings
        self._dispatcher = dispatcher
        self._refusing: dict[_Refusing, None] = {}
        self.open = Connections(settings.connections_max, settings.connections_per_address_max)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """See web.Server."""
        self._counters.connections += 1
        super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """See web.Server."""
        self._counters.connections -= 1
        super().connection_lost(handler, exc)

    def _refused(self, one: _Refusing) -> None:
        self._refusing.pop(one, None)

    def __call__(self) -> web.RequestHandler:
        """A protocol for a new connection."""
        return self._protocol(bounded=True)

    def _protocol(self, *, bounded: bool) -> "GatewayProtocol":
        settings = self._settings
        return GatewayProtocol(
            self,
            sequence=self._dispatcher.answered_sequence,
            bounds=self if bounded else None,
            loop=self._loop,
            keepalive_timeout=settings.keepalive_ms / 1000,
            max_line_size=settings.header_line_bytes_max,
            max_field_size=settings.header_field_bytes_max,
            max_headers=settings.headers_max,
            lingering_time=settings.lingering_ms / 1000,
            access_log=None,
            auto_decompress=False,
        )

    def refuse(self, transport: asyncio.Transport) -> None:
        """What a connection beyond a bound gets. The oldest of those that have sent nothing makes room for it."""
        self._counters.connections_refused += 1
        if len(self._refusing) >= self._settings.connections_refused_max:
            oldest = next(iter(self._refusing))
            self._refused(oldest)
            oldest.end()
        _, body = render_problem("overloaded", "Too many connections are open.", outcome="not-done")
        answer = (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
            b"Retry-After: %d\r\nHoldfast-Sequence: %d\r\nConnection: close\r\n\r\n%b"
            % (len(body), self._settings.retry_after_s, self._dispatcher.answered_sequence(), body)
        )
        refusing = _Refusing(answer, lambda: self._protocol(bounded=False), self._refused)
        self._refusing[refusing] = None
        transport.set_protocol(refusing)
        refusing.connection_made(transport)
