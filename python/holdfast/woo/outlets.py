"""The streams of the connector.

Role: name and make them. In: a scope. Out: HF_<scope>_WOO, the deliveries of the shops as they came, and
HF_<scope>_WOOSTATE, the newest report of each store. Always: deliveries are bounded by age and bytes, and drop the
oldest: what was dropped is found by reading the shop's orders; of a report only the last one of each store stays.
"""

from typing import Any

import structlog

from holdfast.errors import ApiError
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import token
from holdfast.settings import LogSettings, WooSettings

log = structlog.get_logger(__name__)

_MS_IN_NS = 1_000_000
_STREAM_NOT_FOUND = 10059


class WooStreams:
    """Names of a scope."""

    def __init__(self, scope: str) -> None:
        self.deliveries = f"HF_{scope}_WOO"
        self.reports = f"HF_{scope}_WOOSTATE"
        self._scope = scope

    def delivery(self, store: str, topic: str) -> str:
        """`hf.main.woo.in.shop.order%2Eupdated`."""
        return f"hf.{self._scope}.woo.in.{store}.{token(topic) or '_'}"

    def report(self, store: str) -> str:
        """`hf.main.woo.state.shop`."""
        return f"hf.{self._scope}.woo.state.{store}"

    def configurations(self, settings: WooSettings, logs: LogSettings) -> list[dict[str, Any]]:
        """As the JetStream API wants them."""
        common = {
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "num_replicas": logs.replicas,
            "compression": "none",
        }
        return [
            common
            | {
                "name": self.deliveries,
                "subjects": [f"hf.{self._scope}.woo.in.>"],
                "max_age": settings.deliveries_age_ms_max * _MS_IN_NS,
                "max_bytes": settings.deliveries_bytes_max,
            },
            common
            | {
                "name": self.reports,
                "subjects": [f"hf.{self._scope}.woo.state.*"],
                "max_msgs_per_subject": 1,
                "max_bytes": settings.reports_bytes_max,
            },
        ]


async def ensure(connection: Connection, streams: WooStreams, settings: WooSettings, logs: LogSettings) -> None:
    """Make what is missing. Raises ApiError, UnreachableError."""
    for wanted in streams.configurations(settings, logs):
        try:
            await connection.api(f"STREAM.INFO.{wanted['name']}")
        except ApiError as error:
            if error.code != _STREAM_NOT_FOUND:
                raise
            await connection.api(f"STREAM.CREATE.{wanted['name']}", wanted)
            log.info("stream-made", stream=wanted["name"])
