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

from holdfast._core import RequestError
from holdfast.contracts.problems import render_problem
from holdfast.gateway.bodies import BodyReader
from holdfast.gateway.counters import UNROUTED, Counters
from holdfast.gateway.gate import Gate
from holdfast.gateway.idempotency import HEADER, parse_key
from holdfast.gateway.keyring import Key
from holdfast.gateway.queries import MIN_SEQUENCE, min_sequence
from holdfast.gateway.refusals import Refusal, effective_problem, overloaded, rate_limited
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Route, Router
from holdfast.protocol.errors import Unavailable
from holdfast.settings import GatewaySettings

Reach: TypeAlias = Callable[[int], Awaitable[None]]

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
        most = settings.requests_in_flight_max
        # Background calls are refused first, checkout last; rank 0 (is it alive?) never.
        self._in_flight_max = (most * 2, most, most * 9 // 10, most // 2)

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
        name = UNROUTED
        try:
            route, parameter, query = self._resolve(request.method, request.raw_path)
            name = route.name
            reply = await self._answer(request, route, parameter, query)
        except Refusal as refusal:
            reply = Reply(
                refusal.status, refusal.body, self._answered_sequence, headers=refusal.headers, close=refusal.close
            )
        except Unavailable as error:
            reply = self._unavailable(error)
        except RequestError as error:
            body, status = error.args[0], error.args[1]
            reply = Reply(status, body, self._answered_sequence)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the log the whole story
            reply = self._fault(name, error)
        finally:
            counters.in_flight -= 1
        if self.draining:
            reply.force_close()
        counters.routes[name].add(reply.status, perf_counter() - started)
        if reply.status >= 400:
            counters.refused(reply.body)
        return reply

    async def _answer(self, request: web.BaseRequest, route: Route, parameter: str, query: str) -> Reply:
        if self._counters.in_flight > self._in_flight_max[route.rank]:
            self._counters.shed += 1
            raise overloaded("Too many requests are under way.", retry_after_s=self._retry_after_s)
        if route.operation is not None:
            admitted = self._admit(request)
            key = admitted if type(admitted) is Key else await admitted  # type: ignore[misc]
            if route.operation not in key.operations:
                raise _operation_missing(route.operation, key)
            if key.pace is not None and not key.pace.admit(1):
                raise rate_limited(key.pace.wait_s())
        else:
            self._screen(request)
            return await self._handle(request, route, parameter, query, NOBODY)
        if key.requests >= self._requests_per_key_max:
            self._counters.shed += 1
            raise overloaded("Too many requests of this key are under way.", retry_after_s=self._retry_after_s)
        key.requests += 1
        try:
            return await self._handle(request, route, parameter, query, key)
        finally:
            key.requests -= 1

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
        return Reply(status, body, self._answered_sequence, close=True)


NOBODY = Key(None, frozenset(), ())


def _operation_missing(operation: str, key: Key) -> Refusal:
    has = ", ".join(sorted(key.operations)) or "none"
    detail = (
        f"This call needs a key with the operation `{operation}`; this one has: {has}. Use a key that has it; the "
        "operator of the gateway makes one (`holdfast keys add`)."
    )
    return Refusal("forbidden", detail, operation=str(operation))
