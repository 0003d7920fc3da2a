"""Figures in Prometheus' text format.

In: the plain counters of the gateway and the node. Out: the text of /metrics.
Always: rendering reads integers that are counted anyway; nothing is observed twice, and label sets are bounded.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.gateway.counters import BUCKETS_S, Counters
from holdfast.gateway.ports import Node


class _GatewayCollector(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "holdfast_requests", "Requests answered, by call and hundreds of status.", labels=["call", "status"]
        )
        durations = HistogramMetricFamily(
            "holdfast_request_seconds", "Time from a request's headers to its answer, by call.", labels=["call"]
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
        counters = self._counters
        yield GaugeMetricFamily("holdfast_requests_in_flight", "Requests under way.", counters.in_flight)
        yield GaugeMetricFamily("holdfast_connections", "Open connections.", counters.connections)
        for name, text, number in (
            ("connections_refused", "Connections beyond the bound.", counters.connections_refused),
            ("requests_shed", "Requests refused because too many were under way.", counters.shed),
            ("faults", "Requests answered 500.", counters.faults),
            ("facts_accepted", "Facts accepted over HTTP.", counters.facts_accepted),
            ("facts_rejected", "Facts rejected over HTTP.", counters.facts_rejected),
        ):
            yield CounterMetricFamily(f"holdfast_{name}", text, number)


class _NodeCollector(Collector):
    """The node's counters, as it names them: what ends in `_total` only grows, all else goes up and down."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        for name, number in self._node.counters().items():
            text = f"The node's {name.replace('_', ' ')}."
            if name.endswith("_total"):
                yield CounterMetricFamily(f"holdfast_node_{name.removesuffix('_total')}", text, number)
            else:
                yield GaugeMetricFamily(f"holdfast_node_{name}", text, number)


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

    def __init__(self, counters: Counters, node: Node, name: str) -> None:
        self._registry = _Labelled(name)
        for collector in (_GatewayCollector(counters), _NodeCollector(node)):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self) -> bytes:
        """The text."""
        return generate_latest(self._registry)
