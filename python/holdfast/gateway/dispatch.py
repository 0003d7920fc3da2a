"""The dispatcher: the one function that every request goes through.

In: a request. Out: a reply, always with Holdfast-Sequence.
Always: the answered sequence never falls; a failure of any kind becomes a problem that says what to do; nothing a
route does can skip the key, the bounds or the counting. It stands in for middlewares, each of which would cost a
coroutine per request.
"""

import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

import structlog
from aiohttp import web
from multidict import istr
from structlog.contextvars import bind_contextvars, unbind_contextvars

from holdfast._core import RequestError
from holdfast.contracts.problems import render_problem
from holdfast.gateway.bodies import BodyReader
from holdfast.gateway.bounds import BACKGROUND, queue_of_node
from holdfast.gateway.counters import UNROUTED, Counters
from holdfast.gateway.gate import Gate
from holdfast.gateway.idempotency import HEADER, parse_key
from holdfast.gateway.keyring import Key
from holdfast.gateway.paces import Quota
from holdfast.gateway.pressure import Pressure
from holdfast.gateway.queries import MIN_SEQUENCE, min_sequence
from holdfast.gateway.refusals import Refusal, effective_problem, overloaded, rate_limited
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Route, Router
from holdfast.gateway.shedding import Shedding
from holdfast.protocol.errors import Unavailable
from holdfast.settings import GatewaySettings
from holdfast.spans import Span, spans
from holdfast.traces import CURRENT, TRACEPARENT, carried, id_of

Reach: TypeAlias = Callable[[int], Awaitable[None]]

_TRACEPARENT = istr(TRACEPARENT)

log = structlog.get_logger()


class Dispatcher:
    """Answers requests. `reach` waits until this process holds a LOG sequence."""

    def __init__(
        self,
        router: Router,
        gate: Gate,
        counters: Counters,
        settings: GatewaySettings,
        reach: Reach,
        log_unwritable: Callable[[], bool],
        pressure: Pressure | None = None,
    ) -> None:
        self.draining = False
        self._resolve = router.resolve
        self._admit = gate.admit
        self._screen = gate.screen
        self._counters = counters
        self._retry_after_s = settings.retry_after_s
        self._requests_per_key_max = settings.requests_per_key_max
        self._bodies = BodyReader(settings.bodies_bytes_max, settings.retry_after_s)
        self._reach = reach
        self._log_unwritable = log_unwritable
        self._answered_sequence = 0
        self._shedding = Shedding(settings, counters, pressure or Pressure(settings))
        self._spans = spans()

    def answered_sequence(self) -> int:
        """The highest LOG sequence that any client was answered."""
        return self._answered_sequence

    def raise_answered(self, sequence: int) -> None:
        """LOG sequence `sequence` is stored: no answer names a lower one from now on."""
        self._answered_sequence = max(self._answered_sequence, sequence)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer `request`. Raises only ConnectionError, when the client has disconnected."""
        started = perf_counter()
        counters = self._counters
        counters.in_flight += 1
        name, route = UNROUTED, None
        trace = carried(request.headers[_TRACEPARENT]) if _TRACEPARENT in request.headers else ""
        span = self._spans.request(trace) if self._spans is not None else None
        if span is not None:
            trace = span.trace
        if trace:
            CURRENT.set(trace)
            bind_contextvars(trace=id_of(trace))
        try:
            route, parameter, query = self._resolve(request.method, request.raw_path)
            name = route.name
            reply = await self._answer(request, route, parameter, query)
        except (Refusal, Unavailable, RequestError) as refusal:
            reply = self._refused(refusal, route)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the log the whole story
            reply = self._fault(name, error)
        finally:
            counters.in_flight -= 1
            if trace:
                CURRENT.set("")
                unbind_contextvars("trace")
        if trace and reply.is_refusal:
            reply.name_trace(id_of(trace))
        if route is not None and route.deprecation is not None:
            reply.add_headers(route.deprecation.lines())
        if self.draining:
            reply.force_close()
        counters.routes[name].add(reply.status, perf_counter() - started)
        if reply.status >= 400:
            counters.refused(reply.body)
        if span is not None and route is not None and route.operation is not None:
            _end(span, request.method, route.path, reply.status)
        return reply

    async def _answer(self, request: web.BaseRequest, route: Route, parameter: str, query: str) -> Reply:
        if queue := self._shedding.queue_of(route):
            return self._shedding.refusal(queue, self._answered_sequence)
        if route.operation is not None:
            admitted = self._admit(request)
            key = admitted if type(admitted) is Key else await admitted  # type: ignore[misc]
            if route.operation not in key.operations:
                raise _operation_missing(route.operation, key)
            if key.quotas is not None and (quota := key.quotas.get(route.operation)) is not None:
                return await self._within(quota, request, route, parameter, query, key)
        else:
            self._screen(request)
            return await self._handle(request, route, parameter, query, NOBODY)
        return await self._for_key(request, route, parameter, query, key)

    async def _within(
        self, quota: Quota, request: web.BaseRequest, route: Route, parameter: str, query: str, key: Key
    ) -> Reply:
        """The same for a key with a rate. Whatever the answer is, it says how much is left."""
        try:
            if not quota.admit(1):
                raise rate_limited(quota.wait_s())
            reply = await self._for_key(request, route, parameter, query, key)
        except (Refusal, Unavailable, RequestError) as refusal:
            reply = self._refused(refusal, route)
        reply.add_headers(quota.lines())
        return reply

    async def _for_key(self, request: web.BaseRequest, route: Route, parameter: str, query: str, key: Key) -> Reply:
        if key.requests >= self._requests_per_key_max:
            self._counters.shed += 1
            raise overloaded(
                "Too many requests of this key are under way.",
                retry_after_s=self._retry_after_s,
                queue="requests-of-a-key",
            )
        background = route.rank == BACKGROUND and route.streamed is None
        self._counters.background_in_flight += background
        key.requests += 1
        try:
            return await self._handle(request, route, parameter, query, key)
        finally:
            key.requests -= 1
            self._counters.background_in_flight -= background

    async def _handle(self, request: web.BaseRequest, route: Route, parameter: str, query: str, key: Key) -> Reply:
        body = b""
        if route.streamed is not None:
            return await route.streamed(request, query, key)
        if route.body_bytes_max:
            body = await self._bodies.read(request, route.body_bytes_max, route.body_timeout_s)
        if query and (MIN_SEQUENCE in query or "%" in query) and route.waits:
            wanted, query = min_sequence(query)
            if wanted:
                await self._reach(wanted)
        if route.signed is not None:
            handled = await route.signed(parameter, query, body, request.headers)
        elif route.keyed is not None and HEADER in request.headers:
            name = parse_key(request.headers.getall(HEADER))
            handled = await route.keyed(parameter, query, body, key, name)
        else:
            handled = await route.handler(parameter, query, body, key)
        if type(handled) is not tuple:
            return handled  # type: ignore[return-value]
        status, answer, sequence = handled
        self._answered_sequence = max(self._answered_sequence, sequence)
        return Reply(status, answer, self._answered_sequence)

    def _refused(self, refusal: Refusal | Unavailable | RequestError, route: Route | None = None) -> Reply:
        reply = self._as_reply(refusal, route)
        reply.is_refusal = True
        return reply

    def _as_reply(self, refusal: Refusal | Unavailable | RequestError, route: Route | None) -> Reply:
        if isinstance(refusal, Refusal):
            if refusal.queue:
                self._counters.at_bounds[refusal.queue] += 1
            headers, close = refusal.headers, refusal.close
            return Reply(refusal.status, refusal.body, self._answered_sequence, headers=headers, close=close)
        if isinstance(refusal, Unavailable):
            if refusal.problem == "overloaded" and route is not None:
                self._counters.at_bounds[queue_of_node(route)] += 1
            return self._unavailable(refusal)
        body, status = refusal.args[0], refusal.args[1]
        return Reply(status, body, self._answered_sequence)

    def _unavailable(self, error: Unavailable) -> Reply:
        problem = effective_problem(error.problem, log_unwritable=self._log_unwritable())
        status, body = render_problem(problem, error.detail, outcome=error.outcome)
        seconds = max(1, round(error.retry_after_s))
        return Reply(
            status, body, self._answered_sequence, headers=b"Retry-After: %d\r\n" % seconds if status == 503 else b""
        )

    def _fault(self, name: str, error: Exception) -> Reply:
        incident = secrets.token_hex(8)
        self._counters.faults += 1
        log.error("fault", incident=incident, route=name, exc_info=error)
        status, body = render_problem("internal", incident=incident)
        reply = Reply(status, body, self._answered_sequence, close=True)
        reply.is_refusal = True
        return reply


def _end(span: Span, method: str, path: str, status: int) -> None:
    names: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": path,
        "http.response.status_code": status,
    }
    span.end(f"{method} {path}", f"answered {status}" if status >= 500 else "", names)


NOBODY = Key(None, frozenset(), ())


def _operation_missing(operation: str, key: Key) -> Refusal:
    has = ", ".join(sorted(key.operations)) or "none"
    detail = (
        f"This call needs a key with the operation `{operation}`; this one has: {has}. Use a key that has it; the "
        "operator of the gateway makes one (`holdfast keys add`)."
    )
    return Refusal("forbidden", detail, operation=str(operation))
