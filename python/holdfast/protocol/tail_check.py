"""Whether LOG still has the message that the next one is to follow.

Role: after a reconnection to NATS, read the newest message that the core applied, and compare. In: messages as the core
applies them, disconnections, what was read. Out: what to read next, and whether LOG has other bytes there. Always: the
fence compares a count alone, and a server that restarted may have lost its tail and have another one's message in
its place; until those bytes are read, nothing is decided or appended after them; absence proves nothing.
"""

from enum import Enum

from holdfast.protocol.messages import MessageRead, ReadMessage
from holdfast.settings import NodeSettings


class TailReading(Enum):
    """The result of a read."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


class TailCheck:
    """The newest message of one process's core."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._sequence = 0
        self._message: bytes | None = None
        self._read_ms = 0
        self.doubtful = False

    @property
    def sequence(self) -> int:
        """Of the newest message; 0 when there is none to compare with."""
        return self._sequence if self._message is not None else 0

    def clear(self) -> None:
        """A new core: it has what LOG gave."""
        self._sequence = 0
        self._message = None
        self.doubtful = False

    def record(self, sequence: int, message: bytes, *, fits: bool = True) -> None:
        """The core has applied this one. One that does not fit may be the sign that LOG's tail has changed."""
        if self.doubtful and not fits:
            return
        self.doubtful = False
        self._sequence = sequence
        self._message = message

    def suspect(self, mono_ms: int) -> None:
        """The connection to NATS was lost."""
        self.doubtful = self._message is not None
        self._read_ms = mono_ms

    def pursue(self, mono_ms: int) -> ReadMessage | None:
        """Read, or read again."""
        if not self.doubtful or mono_ms < self._read_ms:
            return None
        self._read_ms = mono_ms + self._settings.tail_check_retry_ms
        return ReadMessage(self._sequence)

    def on_read(self, event: MessageRead) -> TailReading:
        """The message that LOG has there."""
        if not self.doubtful or event.sequence != self._sequence or event.message is None:
            return TailReading.UNKNOWN
        self.doubtful = False
        return TailReading.SAME if event.message == self._message else TailReading.OTHER
