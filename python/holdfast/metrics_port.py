"""Figures of a process that serves no requests, for Prometheus.

In: what is counted, as a collector. Out: text on a port of 127.0.0.1, with the process's own memory and processor time.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector


def serve_figures(port: int, collector: Collector) -> Callable[[], None]:
    """Serve them, unless the port is 0. Returns what ends it. Raises OSError when the port is taken."""
    if port == 0:
        return lambda: None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return end
