"""The publisher's own figures, for Prometheus.

In: what it counts. Out: metrics, which metrics_port.py serves. Always: labels are bounded: kinds of events, and
channels of which a lag is known.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

GAUGES: dict[str, tuple[str, str]] = {
    "sequence": ("sequence", "Up to this sequence of LOG all is published."),
    "lag": ("lag", "Messages of LOG that are not published."),
    "lag_seconds": ("lag_s", "How long there has been something in LOG that is not published."),
    "figures_waiting": ("figures_waiting", "Figures that wait to be written."),
}
COUNTERS: dict[str, tuple[str, str]] = {
    "event_conflicts": ("conflicts", "How often something else was where an event should go, or nobody answered."),
    "figures_written": ("figures_written", "Figures that were written."),
    "figure_conflicts": ("figures_behind", "Figures in whose place something else was, or that nobody stored."),
}
EVENTS = "Events that were published, by kind."
LAG_OF_CHANNEL = "How late the shop of a channel learns of a figure, as its connector measures it."
NAMES = (
    *(f"holdfast_publisher_{name}" for name in GAUGES),
    *(f"holdfast_publisher_{name}_total" for name in (*COUNTERS, "events")),
    "holdfast_publisher_channel_lag_seconds",
)


@dataclass(slots=True)
class Counts:
    """Since the process began."""

    sequence: int = 0
    log_end: int = 0
    conflicts: int = 0
    figures_waiting: int = 0
    figures_written: int = 0
    figures_behind: int = 0
    events: Counter[str] = field(default_factory=Counter)
    lags_ms: list[tuple[str, int]] = field(default_factory=list)
    _level_s: float = field(default_factory=time.monotonic)

    def published(self, sequence: int, log_end: int) -> None:
        """All up to there is published, and LOG ends there."""
        self.sequence, self.log_end = sequence, log_end
        if sequence >= log_end:
            self._level_s = time.monotonic()

    @property
    def lag(self) -> int:
        """See GAUGES."""
        return max(0, self.log_end - self.sequence)

    @property
    def lag_s(self) -> float:
        """See GAUGES."""
        return time.monotonic() - self._level_s if self.lag else 0.0


class PublisherFigures(Collector):
    """Of one publisher."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        counts = self._counts
        for name, (attribute, text) in GAUGES.items():
            yield GaugeMetricFamily(f"holdfast_publisher_{name}", text, getattr(counts, attribute))
        for name, (attribute, text) in COUNTERS.items():
            yield CounterMetricFamily(f"holdfast_publisher_{name}", text, getattr(counts, attribute))
        events = CounterMetricFamily("holdfast_publisher_events", EVENTS, labels=["kind"])
        for kind, number in sorted(counts.events.items()):
            events.add_metric([kind], number)
        yield events
        lags = GaugeMetricFamily("holdfast_publisher_channel_lag_seconds", LAG_OF_CHANNEL, labels=["channel"])
        for channel, lag_ms in counts.lags_ms:
            lags.add_metric([channel], lag_ms / 1000)
        yield lags
