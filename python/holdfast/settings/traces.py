"""Settings of the spans that an OpenTelemetry collector gets.

In: nothing. Out: TraceSettings. Always: units last; each bound inclusive; off unless a collector is named.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import SECOND_MS


@section("traces", "Spans for an OpenTelemetry collector ([operations.md](operations.md#traces)).")
@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Where spans go, and how many are recorded."""

    endpoint: str = public(
        "",
        "Address of a collector that takes OTLP over HTTP, like `http://127.0.0.1:4318/v1/traces`. Needs the package "
        "`holdfast-inventory[traces]`.",
        pattern=r"https?://[!-.0-~][!-~]*",
        form="an http or https address",
        unset="no spans are recorded",
    )
    one_in: int = public(
        100,
        "Of requests that name no trace one in so many is recorded; of the others those whose `traceparent` says so.",
        lowest=1,
        highest=1_000_000,
        unit="requests",
    )
    per_s_max: int = public(
        100,
        "Most spans that one process records a second, whatever the clients say; what is beyond is not recorded.",
        lowest=1,
        highest=100_000,
        unit="spans",
    )
    queue_max: int = 2_048  # spans that wait for the collector; what comes then is dropped
    together_max: int = 512
    export_ms: int = 2 * SECOND_MS
    collector_ms: int = 5 * SECOND_MS
    stop_ms: int = 1 * SECOND_MS  # what the end of a process waits for the last of them
