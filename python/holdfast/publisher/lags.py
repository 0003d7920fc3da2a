"""How late the shops of channels learn of a figure, as connectors measure it.

In: messages on `hf.<scope>.pushed.<channel>`. Out: milliseconds by channel. Always: one that was not received for a
while is forgotten; one that claims more than the bound counts as the bound; memory is bounded.
"""

import time

import msgspec
from nats.aio.msg import Msg

from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets
from holdfast.settings import PublisherSettings

_CHANNELS_MAX = 1_000


class _Pushed(msgspec.Struct):
    channel: str
    lag_ms: int


class Lags:
    """Of a scope. `listen` first."""

    def __init__(self, settings: PublisherSettings) -> None:
        self._settings = settings
        self._received: dict[str, tuple[float, int]] = {}

    async def listen(self, connection: Connection, outlets: Outlets) -> None:
        """From now on. Raises UnreachableError."""
        await connection.listen(outlets.pushed_of_all, self._on_message)

    async def _on_message(self, message: Msg) -> None:
        try:
            found = msgspec.json.decode(message.data, type=_Pushed)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if found.channel in self._received or len(self._received) < _CHANNELS_MAX:
            self._received[found.channel] = (time.monotonic(), found.lag_ms)

    def now(self) -> list[tuple[str, int]]:
        """Channel and milliseconds, the publisher's own share included."""
        settings, now_s = self._settings, time.monotonic()
        self._received = {
            channel: one for channel, one in self._received.items() if (now_s - one[0]) * 1000 < settings.lag_kept_ms
        }
        return [
            (channel, min(max(0, lag_ms) + settings.flush_ms, settings.lag_ms_max))
            for channel, (_, lag_ms) in sorted(self._received.items())
        ]
