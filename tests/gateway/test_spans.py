"""Spans: what is sampled is recorded by every process that works on it, and nothing waits for the collector."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from holdfast.protocol.errors import Unavailable
from holdfast.settings import TraceSettings
from holdfast.spans import Spans, record, spans, stop
from holdfast.traces import id_of, is_trace
from tests.support.collector import Collector, collecting
from tests.support.gateway import StubNode, ask, listening
from tests.support.servers import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
FAST = TraceSettings(one_in=1, export_ms=20)


@asynccontextmanager
async def recording(chosen: TraceSettings) -> AsyncIterator[None]:
    record(chosen, "n1")
    try:
        yield
    finally:
        await stop()


async def test_a_request_is_a_span_of_the_trace_that_its_client_records() -> None:
    async with (
        collecting(Collector()) as collector,
        recording(replace(FAST, one_in=1_000_000, endpoint=collector.endpoint)),
    ):
        async with listening(StubNode(answer=lambda _: (200, b"{}", 8))) as (_, port):
            for flags in ("00", "01"):
                await ask(port, "PUT", "/v1/reservations/a", PUT, traceparent=f"00-{TRACE}-{SPAN}-{flags}")
            await ask(port, "GET", "/livez", traceparent=f"00-{TRACE}-{SPAN}-01")
        await until(lambda: bool(collector.seen), 30)
    [one] = collector.seen
    assert (one.name, one.trace, one.parent) == ("PUT /v1/reservations/{id}", TRACE, SPAN)
    assert (one.service, one.node, one.failed) == ("holdfast", "n1", False)
    assert one.attributes["http.response.status_code"] == 200


async def test_without_a_trace_one_in_so_many_is_recorded_and_a_failure_names_it() -> None:
    async with collecting(Collector()) as collector, recording(replace(FAST, endpoint=collector.endpoint)):
        async with listening(StubNode(answer=lambda _: Unavailable("no-leader", "not-done", 1))) as (_, port):
            answer = await ask(port, "PUT", "/v1/reservations/a", PUT)
        await until(lambda: bool(collector.seen), 30)
    [one] = collector.seen
    assert (one.trace, one.parent, one.failed) == (answer.json["trace"], "", True)


@pytest.mark.parametrize(("status", "wait_s"), [(503, 0.0), (200, 30.0), (None, 0.0)])
async def test_a_collector_that_refuses_is_slow_or_away_costs_no_request_anything(
    status: int | None, wait_s: float
) -> None:
    async with collecting(Collector(status or 200, wait_s)) as collector:
        endpoint = collector.endpoint if status is not None else "http://127.0.0.1:9/v1/traces"
        chosen = replace(FAST, endpoint=endpoint, queue_max=16, together_max=8, stop_ms=100, per_s_max=100_000)
        async with recording(chosen):
            async with listening(StubNode(answer=lambda _: (200, b"{}", 8))) as (_, port):
                for _ in range(100):
                    assert (await ask(port, "PUT", "/v1/reservations/a", PUT)).status == 200
            began = time.monotonic()
        assert time.monotonic() - began < 20, "the end waits `stop_ms` for what is left, and no longer"


def test_off_is_off() -> None:
    record(TraceSettings(), "n1")
    assert spans() is None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["", TRACE, f"{TRACE}-{SPAN}", "its-own-word", "x" * 32, f"{'x' * 32}-y"]), max_size=60),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_what_is_recorded_carries_on_the_trace_and_is_bounded(traces: list[str], one_in: int, most: int) -> None:
    exporter = InMemorySpanExporter()
    made = Spans(TraceSettings(one_in=one_in, per_s_max=most, export_ms=60_000), "n1", exporter)
    began = time.monotonic()
    recorded = 0
    for trace in traces:
        span = made.request(trace) if trace == "" or is_trace(trace) else made.begin("x", trace)
        if span is None:
            continue
        recorded += 1
        assert is_trace(span.trace)
        assert trace in {"", f"{TRACE}-{SPAN}"}, "what is not sampled, or no trace, is not recorded"
        assert trace == "" or id_of(span.trace) == TRACE
        span.end()
    assert recorded <= most * (2 + time.monotonic() - began)
    made.flush()
    assert len(exporter.get_finished_spans()) == recorded
    asyncio.run(made.close())
