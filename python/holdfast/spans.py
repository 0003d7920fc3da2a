"""Spans: how long each part of the work on a request took, for an OpenTelemetry collector.

In: settings, the trace that work belongs to. Out: spans of what is sampled, over OTLP, from a separate thread.
Always: off unless `traces.endpoint` is set, and then nothing of OpenTelemetry is loaded; what is not sampled costs a
comparison; nothing waits for the collector: what it does not take in time is dropped and counted; at most `per_s_max`
spans a second are recorded, whatever clients ask for. What is sampled is decided once, where a request comes in: all
that follows from it carries the span that caused it (`traces.carried`), and what carries none is not sampled.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from holdfast.settings import TraceSettings
from holdfast.traces import ID_DIGITS, is_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as OtelSpan

log = structlog.get_logger(__name__)

_POLL_MS = 10


class SpansError(ValueError):
    """Spans cannot be recorded as the settings ask; the message says what to do."""


class Span:
    """One that is being recorded. `trace`: what follows from it carries this."""

    __slots__ = ("_span", "trace")

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = f"{context.trace_id:032x}-{context.span_id:016x}"

    def end(self, name: str = "", fault: str = "", attributes: Mapping[str, str | int] | None = None) -> None:
        """It is over. `fault`: why it failed. One that is never ended is never sent."""
        from opentelemetry.trace import StatusCode

        if name:
            self._span.update_name(name)
        if attributes:
            self._span.set_attributes(attributes)
        if fault:
            self._span.set_status(StatusCode.ERROR, fault)
        self._span.end()


class Spans:
    """Of one process. Raises SpansError where the packages are missing."""

    def __init__(self, settings: TraceSettings, node: str, exporter: "SpanExporter | None" = None) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        except ImportError as error:
            raise SpansError(f"traces.endpoint needs the package holdfast-inventory[traces] ({error})") from error
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `_reporting` says the same, once
        self._settings = settings
        timeout_s = settings.collector_ms / 1000
        exporter = exporter or OTLPSpanExporter(endpoint=settings.endpoint, timeout=timeout_s)
        resource = Resource({"service.name": "holdfast", "service.instance.id": node})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _reporting(exporter),
                max_queue_size=settings.queue_max,
                max_export_batch_size=settings.together_max,
                schedule_delay_millis=settings.export_ms,
                export_timeout_millis=settings.collector_ms,
            )
        )
        self._tracer = self._provider.get_tracer("holdfast")
        self._chance = 1 / settings.one_in
        self._room = float(settings.per_s_max)
        self._at_s = time.monotonic()
        self.left_out_total = 0

    def request(self, trace: str) -> Span | None:
        """One that came in, under the trace that it named; None: it is not sampled."""
        if len(trace) == ID_DIGITS or (not trace and random.random() >= self._chance):  # noqa: S311 - it hides nothing
            return None
        return self.begin("request", trace, serves=True)

    def begin(self, name: str, trace: str, *, serves: bool = False, since_ns: int | None = None) -> Span | None:
        """What follows from a span that is recorded; None: there is none, or too many are recorded already."""
        from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

        is_recorded = (len(trace) > ID_DIGITS and is_trace(trace)) or (serves and not trace)
        if not is_recorded or not self._admits():
            return None
        context = None
        if trace:
            ids = int(trace[:ID_DIGITS], 16), int(trace[ID_DIGITS + 1 :], 16)
            parent = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            context = set_span_in_context(NonRecordingSpan(parent))
        kind = SpanKind.SERVER if serves else SpanKind.CLIENT
        return Span(self._tracer.start_span(name, context, kind, start_time=since_ns))

    def _admits(self) -> bool:
        now_s = time.monotonic()
        most = self._settings.per_s_max
        self._room = min(float(most), self._room + (now_s - self._at_s) * most)
        self._at_s = now_s
        if self._room < 1:
            self.left_out_total += 1
            return False
        self._room -= 1
        return True

    def flush(self) -> None:
        """Send what waits; for tests and measurements."""
        self._provider.force_flush()

    async def close(self) -> None:
        """Send what waits, as far as the collector takes it within `stop_ms`."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        for _ in range(self._settings.stop_ms // _POLL_MS):
            if not closing.is_alive():
                return
            await asyncio.sleep(_POLL_MS / 1000)


def _reporting(exporter: "SpanExporter") -> "SpanExporter":
    """The exporter, with a line in the log when it fails and when it works again."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Reporting(SpanExporter):
        fails = False
        lost = 0

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            try:
                result, why = exporter.export(spans), "it does not take them"
            except Exception as error:  # noqa: BLE001 - whatever it is, only spans are lost
                result, why = SpanExportResult.FAILURE, str(error)
            if result is SpanExportResult.SUCCESS:
                if self.fails:
                    log.info("spans-taken", lost=self.lost)
                self.fails = False
            else:
                self.lost += len(spans)
                if not self.fails:
                    log.warning("spans-not-taken", why=why)
                self.fails = True
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Reporting()


_recording: list[Spans] = []


def record(settings: TraceSettings, node: str) -> None:
    """From now on this process records spans, if its settings say so. Raises SpansError."""
    if settings.endpoint:
        _recording[:] = [Spans(settings, node)]


def spans() -> Spans | None:
    """What records them; None: nothing does."""
    return _recording[0] if _recording else None


async def stop() -> None:
    """The process ends."""
    if _recording:
        await _recording.pop().close()
