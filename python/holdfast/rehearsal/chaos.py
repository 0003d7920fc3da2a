"""Faults during the replay: kill -9 of the nats-server, then of the gateway, halfway through.

In: a gateway started for it, the progress of the replay, and a write that changes nothing. Out: what was killed and how
long it took to be back. Always: each is killed once; the gateway is expected to replace its nats-server itself, and is
started again here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NamedTuple

from holdfast.client import Client, Retry
from holdfast.rehearsal.own_gateway import OwnGateway

LOG_SERVER_AT, GATEWAY_AT = 0.35, 0.65  # of the orders
POLL_S = 0.02
BACK_PATIENCE_S = 60.0


class Strike(NamedTuple):
    """What was killed, after how many orders, and the seconds until the gateway was ready again."""

    what: str
    after_orders: int
    back_after_s: float


class Chaos:
    """Kills, twice."""

    def __init__(
        self,
        gateway: OwnGateway,
        orders: int,
        write: Callable[[Client], Awaitable[None]],
        remark: Callable[[str], None],
    ) -> None:
        self.strikes: list[Strike] = []
        self._gateway = gateway
        self._orders = orders
        self._write = write
        self._remark = remark

    async def strike(self, done: Callable[[], int]) -> None:
        """Waits for the moments and kills. `done` returns how many orders are done."""
        await self._until(done, LOG_SERVER_AT)
        await self._kill_log_server(done())
        await self._until(done, GATEWAY_AT)
        await self._kill_gateway(done())

    async def _until(self, done: Callable[[], int], share: float) -> None:
        while done() < share * self._orders:  # noqa: ASYNC110 - what is waited for is a number
            await asyncio.sleep(POLL_S)

    async def _kill_log_server(self, after: int) -> None:
        began = perf_counter()
        if not self._gateway.kill_log_server():
            self._remark("No nats-server to kill: the gateway did not start one.")
            return
        # A write needs the log, and so shows that it is back; this one changes nothing, the location exists
        # already.
        patience = Retry(tries_max=1_000_000, total_s=BACK_PATIENCE_S, first_wait_s=0.05, wait_s_max=0.1)
        async with Client(self._gateway.url, retry=patience) as client:
            await self._write(client)
        self._note("nats-server", after, perf_counter() - began)

    async def _kill_gateway(self, after: int) -> None:
        began = perf_counter()
        await self._gateway.kill()
        await self._gateway.start()
        self._note("gateway", after, perf_counter() - began)

    def _note(self, what: str, after: int, seconds: float) -> None:
        self.strikes.append(Strike(what, after, round(seconds, 3)))
        self._remark(f"kill -9 of the {what} after {after:,} orders; ready again after {seconds:.1f} s")
