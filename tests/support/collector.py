"""An OpenTelemetry collector: a real HTTP server that reads OTLP as the protocol's own messages have it.

In: requests. Out: the spans that came. `answer`: with which status, and after how many seconds.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span. `node`: the process that recorded it."""

    name: str
    trace: str
    span: str
    parent: str
    node: str
    service: str
    failed: bool
    ms: float
    attributes: dict[str, Any]


@dataclass
class Collector:
    status: int = 200
    wait_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked += 1
        assert request.headers["content-type"] == "application/x-protobuf"
        raw = await request.read()
        if request.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        if self.wait_s:
            await asyncio.sleep(self.wait_s)
        if self.status == 200:
            self.seen += spans_in(raw)
        return web.Response(status=self.status)


def spans_in(raw: bytes) -> list[Seen]:
    message = ExportTraceServiceRequest.FromString(raw)
    found = []
    for resource in message.resource_spans:
        about = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                attributes = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                found.append(
                    Seen(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        about["service.instance.id"],
                        about["service.name"],
                        span.status.code == 2,
                        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                        attributes,
                    )
                )
    return found


@asynccontextmanager
async def collecting(collector: Collector) -> AsyncIterator[Collector]:
    """It listens on loopback."""
    runner = web.ServerRunner(web.Server(collector), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.port = runner.addresses[0][1]
    try:
        yield collector
    finally:
        await asyncio.wait_for(runner.cleanup(), 10)
