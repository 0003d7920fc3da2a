"""OUT on a real server, with events that a test writes itself, and a gateway that streams them.

In: a nats-server. Out: events of known ids, kinds and channels. Always: the stream is made as the publisher makes it,
and its messages have the shape of the publisher's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from holdfast.events.feed import Feed
from holdfast.gateway.app import Gateway
from holdfast.gateway.event_streams import EventStreams
from holdfast.gateway.gate import Gate
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import Outlets, ensure
from holdfast.settings import EventSettings, LogSettings, PublisherSettings
from tests.support.gateway import listening

OUTLETS = Outlets("main")
QUICK = EventSettings(heartbeat_ms=200, stall_ms=500, check_ms=100, retry_ms=50, gather_ms=1, linger_ms=5_000)


def event(sequence: int, index: int = 0, channel: str = "web", kind: str = "held", **rest: Any) -> dict[str, Any]:
    """In the shape of the publisher's."""
    body: dict[str, Any] = {"id": f"{sequence}:{index}", "kind": kind, "sequence": sequence, "index": index}
    body |= {"at": "2026-11-23T15:00:00Z", "channel": channel}
    if kind == "availability":
        return body | {"sku": "MUG", "before": 1, "published": 0} | rest
    reservation: dict[str, Any] = {"id": f"r{sequence}", "state": "held", "channel": channel, "owner": None}
    reservation["order_ref"] = None
    reservation |= {"expires_at": None, "lines": [], "version": 1, "sequence": sequence}
    return body | {"before": None, "unsourced": 0, "reservation": reservation} | rest


async def published(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Write them to OUT, in this order."""
    await ensure(connection, OUTLETS, PublisherSettings(), LogSettings())
    for at in range(0, len(events), 200):
        await asyncio.gather(
            *(
                connection.request(OUTLETS.event(one["kind"], one["channel"]), orjson.dumps(one), 5_000)
                for one in events[at : at + 200]
            )
        )


@asynccontextmanager
async def streaming(
    endpoint: Endpoint, *, settings: EventSettings = QUICK, gate: Gate | None = None, port: int = 0
) -> AsyncIterator[tuple[Gateway, int, EventStreams]]:
    """A gateway that streams events, and its port."""
    streams = EventStreams(Feed(endpoint, "main", settings, LogSettings()), settings)
    async with listening(gate=gate, streams=streams, port=port) as (gateway, found):
        yield gateway, found, streams
