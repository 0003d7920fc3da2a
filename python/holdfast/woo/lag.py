"""How late a shop learns of a figure: from when the connector has read it until the shop has it.

Role: measure it, and say it to the publisher. In: figures as they are read and written. Out: one small message on
`hf.<scope>.pushed.<channel>`, which no stream stores. Always: of each SKU the oldest figure that the shop lacks counts;
while nothing gets through the lag grows; one that the shop cannot have counts for nothing; memory is bounded.
"""

import time

import msgspec

from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets

_WAITING_MAX = 100_000


class Pushed(msgspec.Struct):
    """The message."""

    channel: str
    lag_ms: int


class LagMeter:
    """Of one store. Times are those of `time.monotonic`, in seconds."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}  # in the order in which they began to wait
        self._longest_s = 0.0

    def wants(self, sku: str) -> None:
        """The shop is to have another figure."""
        if len(self._since_s) < _WAITING_MAX:
            self._since_s.setdefault(sku, time.monotonic())

    def has(self, sku: str, *, wrote: bool) -> None:
        """The shop has it. `wrote`: it had another one before."""
        since_s = self._since_s.pop(sku, None)
        if since_s is not None and wrote:
            self._longest_s = max(self._longest_s, time.monotonic() - since_s)

    def drop(self, sku: str) -> None:
        """The shop cannot have it."""
        self._since_s.pop(sku, None)

    def take_ms(self) -> int:
        """The longest since the last call; what waits longer counts, too."""
        waiting = next(iter(self._since_s.values()), None)
        longest_s = max(self._longest_s, 0.0 if waiting is None else time.monotonic() - waiting)
        self._longest_s = 0.0
        return round(longest_s * 1000)


async def report_lag(connection: Connection, outlets: Outlets, channel: str, lag_ms: int) -> None:
    """Say it. Losing one loses nothing. Raises UnreachableError."""
    await connection.publish(outlets.pushed(channel), msgspec.json.encode(Pushed(channel, lag_ms)))
