"""The server: connections, and what goes wrong below a request.

In: connections. Out: requests to the dispatcher; problems for bytes that are not a request.
Always: no more connections are kept than the bound; one that brings no whole request in time gets a 408 and is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import structlog
from aiohttp import web

from holdfast.contracts.problems import render_problem
from holdfast.gateway.counters import Counters
from holdfast.gateway.dispatch import Dispatcher
from holdfast.gateway.replies import Reply
from holdfast.settings import GatewaySettings

REFUSED_LINGER_S = 2.0

log = structlog.get_logger()


class GatewayProtocol(web.RequestHandler):
    """aiohttp's connection, with this project's problems, and an answer to headers that never end."""

    __slots__ = ("_partial_request", "_sequence")

    def __init__(self, manager: web.Server, *, sequence: Callable[[], int], **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._partial_request = 0
        self._sequence = sequence

    def data_received(self, data: bytes) -> None:
        """Note that something came since the last whole request."""
        before = self._request_count
        super().data_received(data)
        # Bytes that ended no request's headers: a further request has begun.
        self._partial_request = before + 1 if self._request_count == before else 0

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
    """A connection beyond the bound: answered 503 once it has sent something, or after a moment, and closed."""

    def __init__(self, answer: bytes, done: Callable[[], None]) -> None:
        self._answer = answer
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        self._timer = asyncio.get_running_loop().call_later(REFUSED_LINGER_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - the request makes no difference
        answer, self._answer = self._answer, b""
        if self._transport is not None and answer:
            self._transport.write(answer)
            self._transport.write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002
        if self._timer is not None:
            self._timer.cancel()
        self._done()


class GatewayServer(web.Server):
    """Makes a protocol for each connection, up to the bound."""

    def __init__(self, dispatcher: Dispatcher, counters: Counters, settings: GatewaySettings) -> None:
        super().__init__(dispatcher)
        self._counters = counters
        self._settings = settings
        self._dispatcher = dispatcher
        self._refusing = 0

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """See web.Server."""
        self._counters.connections += 1
        super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """See web.Server."""
        self._counters.connections -= 1
        super().connection_lost(handler, exc)

    def _refused(self) -> None:
        self._refusing -= 1

    def __call__(self) -> web.RequestHandler:
        """A protocol for a new connection."""
        settings = self._settings
        if self._counters.connections >= settings.connections_max:
            return self._refuse()  # type: ignore[return-value] # the loop asks for any protocol
        return GatewayProtocol(
            self,
            sequence=self._dispatcher.answered_sequence,
            loop=self._loop,
            keepalive_timeout=settings.keepalive_ms / 1000,
            max_line_size=settings.header_line_bytes_max,
            max_field_size=settings.header_field_bytes_max,
            max_headers=settings.headers_max,
            lingering_time=settings.lingering_ms / 1000,
            access_log=None,
            auto_decompress=False,
        )

    def _refuse(self) -> asyncio.Protocol:
        self._counters.connections_refused += 1
        self._refusing += 1
        answer = b""
        if self._refusing <= self._settings.connections_refused_max:
            _, body = render_problem("overloaded", "Too many connections are open.", outcome="not-done")
            answer = (
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
                b"Retry-After: %d\r\nHoldfast-Sequence: %d\r\nConnection: close\r\n\r\n%b"
                % (len(body), self._settings.retry_after_s, self._dispatcher.answered_sequence(), body)
            )
        return _Refusing(answer, self._refused)
