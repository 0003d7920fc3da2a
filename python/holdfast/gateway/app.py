"""The gateway, put together: routes, gate, dispatcher, server.

In: a node, settings, a gate. Out: a listening server, and a way to stop it.
Always: stopping lets what is under way finish, within its bound.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

import holdfast
from holdfast.gateway import openapi
from holdfast.gateway.bounds import bounds_of
from holdfast.gateway.counters import Counters
from holdfast.gateway.dispatch import Dispatcher
from holdfast.gateway.event_streams import EventStreams
from holdfast.gateway.gate import Gate
from holdfast.gateway.looking_back import NoPast
from holdfast.gateway.metrics import Metrics
from holdfast.gateway.ports import Deliveries, Node, Past
from holdfast.gateway.pressure import Pressure
from holdfast.gateway.router import Route, Router
from holdfast.gateway.routes import (
    availability,
    carts,
    dashboard,
    dead_letters,
    documentation,
    events,
    facts,
    listings,
    operations,
    past,
    reservations,
    state,
    webhooks,
)
from holdfast.gateway.server import GatewayServer
from holdfast.settings import EventSettings, GatewaySettings, NodeSettings, WooSettings

if TYPE_CHECKING:
    from holdfast.gateway.tokens import Tokens

PROBES = ("livez", "readyz", "metrics")


@dataclass(slots=True)
class _Late:
    """What routes need that exists only once all routes are known."""

    dispatcher: Dispatcher | None = None
    document: bytes = b""

    def answered_sequence(self) -> int:
        return self.dispatcher.answered_sequence() if self.dispatcher is not None else 0

    def draining(self) -> bool:
        return self.dispatcher is not None and self.dispatcher.draining


def _dashboard(node: Node, counters: Counters, streams: EventStreams | None, late: _Late) -> list[Route]:
    return dashboard.routes(
        node,
        counters,
        holdfast.__version__,
        sequence=late.answered_sequence,
        draining=late.draining,
        published=streams.feed.is_there if streams is not None else lambda: False,
    )


class Gateway:
    """One HTTP server in front of one node. `start` listens, `stop` drains."""

    def __init__(
        self,
        node: Node,
        settings: GatewaySettings,
        gate: Gate,
        name: str = "n1",
        *,
        deliveries: Deliveries | None = None,
        delivery_bytes_max: int = WooSettings().delivery_bytes_max,
        streams: EventStreams | None = None,
        look_back: Past | None = None,
        bounds: Mapping[str, float] | None = None,
        tokens: "Tokens | None" = None,
    ) -> None:
        self.settings = settings
        look_back = look_back or NoPast(settings)
        self.node = node
        self._gate = gate
        self._streams = streams
        late = _Late()
        self.counters = Counters(())
        self.pressure = Pressure(settings)
        self.counters.bounds = dict(bounds or bounds_of(settings, NodeSettings(), EventSettings()))
        metrics = Metrics(self.counters, node, name, holdfast.__version__, streams, self.pressure, tokens)
        self.routes: tuple[Route, ...] = (
            *availability.routes(node, settings, look_back),
            *carts.routes(node, settings),
            *reservations.routes(node, settings),
            *facts.routes(node, settings, self.counters),
            *listings.routes(node),
            *events.routes(streams, gate.admit, late.answered_sequence),
            *past.routes(node, look_back),
            *dead_letters.routes(look_back, settings),
            *state.routes(node),
            *operations.routes(
                node, sequence=late.answered_sequence, draining=late.draining, render_metrics=metrics.render
            ),
            *_dashboard(node, self.counters, streams, late),
            *webhooks.routes(deliveries, delivery_bytes_max, settings),
            *documentation.routes(lambda: late.document, late.answered_sequence),
        )
        self.counters.know(route.name for route in self.routes)
        late.document = openapi.render_document(self.routes, holdfast.__version__)
        self.dispatcher = late.dispatcher = Dispatcher(
            Router(self.routes), gate, self.counters, settings, node.reach, node.log_unwritable, self.pressure
        )
        self._probes = Dispatcher(
            Router(route for route in self.routes if route.name in PROBES),
            gate,
            Counters(PROBES),
            settings,
            node.reach,
            node.log_unwritable,
        )
        self._runner: web.ServerRunner | None = None
        self._probing: web.ServerRunner | None = None
        self._beside: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int, *, shared: bool = False) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Returns the address. Raises OSError when it is taken.

        `shared`: other processes of the same user listen there too, and the kernel spreads connections over them.
        """
        self.dispatcher.raise_answered(int(self.node.state()["sequence"]))
        server = GatewayServer(self.dispatcher, self.counters, self.settings)
        self._runner = web.ServerRunner(server, shutdown_timeout=self.settings.shutdown_ms / 1000)
        await self._runner.setup()
        address = await self.listen(host, port, shared=shared)
        self._beside = [
            asyncio.create_task(self._gate.run(), name="gate"),
            asyncio.create_task(self.pressure.run(), name="pressure"),
        ]
        return address

    async def listen_for_probes(self, host: str, port: int, *, shared: bool = False) -> tuple[str, int]:
        """An address at which only the probes and the metrics are answered, whatever is going on elsewhere."""
        server = GatewayServer(self._probes, Counters(()), self.settings)
        self._probing = web.ServerRunner(server, shutdown_timeout=0)
        await self._probing.setup()
        site = web.TCPSite(self._probing, host, port, reuse_address=True, reuse_port=shared)
        await site.start()
        address = self._probing.addresses[0]
        return str(address[0]), int(address[1])

    async def listen(self, host: str, port: int, *, shared: bool = False) -> tuple[str, int]:
        """A further address, once started."""
        assert self._runner is not None, "Invariant: started"
        before = len(self._runner.addresses)
        # This process's address of a moment ago may still have closing connections: allowed (reuse_address).
        site = web.TCPSite(
            self._runner, host, port, backlog=self.settings.backlog, reuse_address=True, reuse_port=shared
        )
        await site.start()
        address = self._runner.addresses[before]
        return str(address[0]), int(address[1])

    async def stop(self) -> None:
        """Stop accepting, finish what is under way (at most `shutdown_ms`), close every connection."""
        self.dispatcher.draining = True
        for task in self._beside:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._streams is not None:
            await self._streams.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._probing is not None:
            await self._probing.cleanup()
