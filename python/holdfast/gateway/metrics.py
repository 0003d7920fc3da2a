"""Figures in Prometheus' text format.

In: the plain counters of the gateway and the node. Out: the text of /metrics.
Always: rendering reads integers that are counted anyway; nothing is observed twice, and label sets are bounded; names
and meanings are those of metric_catalogue.py.
"""

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.gateway import metric_catalogue as catalogue
from holdfast.gateway.bounds import BACKGROUND, ORDER_FLOW, QUEUE_OF_RANK
from holdfast.gateway.counters import BUCKETS_S, Counters
from holdfast.gateway.event_streams import EventStreams
from holdfast.gateway.metric_catalogue import Figure
from holdfast.gateway.ports import Node
from holdfast.gateway.pressure import Pressure

if TYPE_CHECKING:
    from holdfast.gateway.tokens import Tokens


class _GatewayCollector(Collector):
    def __init__(self, counters: Counters, version: str, pressure: Pressure) -> None:
        self._pressure = pressure
        self._counters = counters
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield _by_label(catalogue.BUILD, {self._version: 1})
        yield from self._by_call()
        counters = self._counters
        yield _by_label(catalogue.REFUSALS, counters.refusals)
        yield _by_label(catalogue.BOUNDS, counters.bounds)
        yield _by_label(catalogue.AT_BOUNDS, dict.fromkeys(counters.bounds, 0) | counters.at_bounds)
        pressure = self._pressure
        yield _plain(catalogue.LATE, pressure.late_s)
        yield _plain(catalogue.BUSY, pressure.busy)
        limits = {
            QUEUE_OF_RANK[ORDER_FLOW]: pressure.order_flow.rate,
            QUEUE_OF_RANK[BACKGROUND]: pressure.background.rate,
        }
        yield _by_label(catalogue.LIMIT, limits)
        for figure, number in (
            (catalogue.IN_FLIGHT, counters.in_flight),
            (catalogue.CONNECTIONS, counters.connections),
            (catalogue.CONNECTIONS_REFUSED, counters.connections_refused),
            (catalogue.SHED, counters.shed),
            (catalogue.FAULTS, counters.faults),
            (catalogue.FACTS_ACCEPTED, counters.facts_accepted),
            (catalogue.FACTS_REJECTED, counters.facts_rejected),
        ):
            yield _plain(figure, number)

    def _by_call(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            catalogue.REQUESTS.name, catalogue.REQUESTS.text, labels=catalogue.REQUESTS.labels
        )
        durations = HistogramMetricFamily(
            catalogue.DURATIONS.name, catalogue.DURATIONS.text, labels=catalogue.DURATIONS.labels
        )
        for name, counted in self._counters.routes.items():
            total = sum(counted.classes)
            if not total:
                continue
            for hundreds, number in enumerate(counted.classes):
                if number:
                    requests.add_metric([name, f"{hundreds}xx"], number)
            reached, buckets = 0, []
            for bound, number in zip((*BUCKETS_S, "+Inf"), counted.buckets, strict=True):
                reached += number
                buckets.append((str(bound), reached))
            durations.add_metric([name], buckets, counted.seconds)
        yield requests
        yield durations


class _BesideCollector(Collector):
    """Systems that other processes talk to, and the disk."""

    def __init__(self, counters: Counters) -> None:
        self._beside = counters.beside

    def collect(self) -> Iterator[Metric]:
        beside = self._beside
        systems = beside.systems
        yield _by_label(catalogue.SYSTEM_WORKING, {one.name: int(one.state == "working") for one in systems})
        yield _by_label(catalogue.SYSTEM_WAITING, {one.name: one.waiting for one in systems})
        yield _by_label(catalogue.SYSTEM_PARKED, {one.name: one.parked for one in systems})
        exchanged_s = beside.keys_exchanged_s
        yield _plain(catalogue.KEYS_EXCHANGED_AGE, 0 if exchanged_s is None else monotonic() - exchanged_s)
        if beside.disk_free_bytes is not None:
            yield _plain(catalogue.DISK_FREE, beside.disk_free_bytes)
            yield _plain(catalogue.DISK_WANTED, beside.disk_wanted_bytes)


class _StreamsCollector(Collector):
    """Event streams; a process that serves none has zeros."""

    def __init__(self, streams: EventStreams | None) -> None:
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        streams = self._streams
        yield _plain(catalogue.EVENT_STREAMS, streams.open if streams is not None else 0)
        yield _plain(catalogue.EVENTS_SENT, streams.sent_total if streams is not None else 0)
        yield _by_label(catalogue.EVENT_STREAMS_ENDED, streams.ended if streams is not None else {})


class _TokensCollector(Collector):
    """Tokens; a process that takes none has zeros."""

    def __init__(self, tokens: "Tokens | None") -> None:
        self._tokens = tokens

    def collect(self) -> Iterator[Metric]:
        tokens = self._tokens
        yield _by_label(catalogue.TOKENS_REFUSED, tokens.refused if tokens is not None else {})
        yield _plain(catalogue.TOKEN_KEYS, len(tokens.jwks.keys) if tokens is not None else 0)
        yield _plain(catalogue.TOKEN_KEYS_AGE, tokens.jwks.age_s() if tokens is not None else 0)


class _NodeCollector(Collector):
    """The node's figures."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        alarms: dict[str, float] = {}
        for name, number in self._node.counters().items():
            if name.startswith(catalogue.ALARM_PREFIX):
                alarms[name.removeprefix(catalogue.ALARM_PREFIX).removesuffix("_total").replace("_", "-")] = number
            else:
                figure = catalogue.NODE[name]
                yield _plain(figure, number / figure.divisor)
        yield _by_label(catalogue.ALARMS, alarms)
        for name, numbers in self._node.tallies().items():
            yield _by_label(catalogue.TALLIES[name], numbers)


def _plain(figure: Figure, number: float) -> Metric:
    family = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    return family(figure.name, figure.text, number)


def _by_label(figure: Figure, numbers: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    made = family(figure.name, figure.text, labels=figure.labels)
    for label, number in sorted(numbers.items()):
        made.add_metric([label], number)
    return made


class _Labelled(CollectorRegistry):
    """Puts this process's name on every sample: a scrape of the shared port reaches any one of them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._label = {"node": name}

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [sample._replace(labels=self._label | sample.labels) for sample in metric.samples]
            yield metric


class Metrics:
    """Renders /metrics. `name`: the process's, the label `node` of every figure."""

    def __init__(
        self,
        counters: Counters,
        node: Node,
        name: str,
        version: str,
        streams: EventStreams | None,
        pressure: Pressure,
        tokens: "Tokens | None" = None,
    ) -> None:
        self._registry = _Labelled(name)
        collectors = (
            _GatewayCollector(counters, version, pressure),
            _NodeCollector(node),
            _BesideCollector(counters),
            _StreamsCollector(streams),
            _TokensCollector(tokens),
        )
        for collector in collectors:
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self) -> bytes:
        """The text."""
        return generate_latest(self._registry)
