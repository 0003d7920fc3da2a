"""Settings of the event streams that gateways serve.

In: nothing. Out: EventSettings. Always: units last; each bound inclusive.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS


@section("events", "Event streams over HTTP ([events.md](events.md#over-http)).")
@dataclass(frozen=True, slots=True)
class EventSettings:
    """What `GET /v1/events` may take of a worker."""

    connections_max: int = public(
        64, "Event streams of one worker. Beyond it: 503 `overloaded`.", lowest=1, highest=10_000, unit="connections"
    )
    connections_per_key_max: int = public(
        8,
        "Event streams of one key with one worker. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=10_000,
        unit="connections",
    )
    heartbeat_ms: int = public(
        15 * SECOND_MS,
        "How long a stream is silent at the most. With each heartbeat the key is looked at again.",
        lowest=100,
        highest=10 * MINUTE_MS,
    )
    stall_ms: int = public(
        30 * SECOND_MS,
        "How long a client may take nothing of what is sent. After it the stream ends with the reason `slow`.",
        lowest=100,
        highest=HOUR_MS,
    )
    ring_bytes_max: int = 8 * MIB  # the newest events, held once for all
    page_messages_max: int = 512
    page_bytes_max: int = 512 * KIB
    pages_at_once_max: int = 2
    page_timeout_ms: int = 10 * SECOND_MS
    chunk_bytes_max: int = 64 * KIB  # of one write to a connection
    kernel_bytes_max: int = 256 * KIB  # of a connection's send buffer
    gather_ms: int = 20  # listeners are woken at most so often
    check_ms: int = 5 * SECOND_MS
    retry_ms: int = 500
    linger_ms: int = 5 * SECOND_MS  # for a client that was cut to read why
