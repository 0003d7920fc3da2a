"""Each process's own copy of LOG, on a disk that outlives it.

Role: what `node.journal_writer` does with `storage.journal`, on simulated time. In: Keep, and what a rebuild reads.
Out: Quarantined, Lifted; where the journal ends. Always: what was kept stays, in every life of the process; what still
waited to be written as it was killed is lost; two copies that differ are reported, and nothing is kept after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.protocol import messages as e
from holdfast.storage.chain import START, advance
from tests.simulation.cores import KEYS

if TYPE_CHECKING:
    from tests.simulation.process import Process

WRITE_MS_MAX = 50
RETRY_MS = 100


class Journal:
    """One process's."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self.kept: list[bytes] = []  # message n is at n - 1
        self._position = START
        self._queue: list[e.Keep] = []
        self._writing = False
        self._found: dict[str, str] = {}
        self._standing: dict[str, str] = {}

    @property
    def end(self) -> tuple[int, str] | None:
        """Sequence and chain of the newest message kept."""
        return (self._position.sequence, self._position.chain) if self.kept else None

    def begin(self) -> None:
        """The process starts again: what was not written is lost."""
        self._queue.clear()
        self._writing = False
        self._found.clear()
        self._standing.clear()

    def keep(self, keep: e.Keep) -> None:
        """LOG has these messages."""
        if self._world.plan.journals and "log-altered" not in self._standing:
            self._queue.append(keep)
            self._write_soon(self._world.random.randint(1, WRITE_MS_MAX))

    def _write_soon(self, delay_ms: int) -> None:
        if not self._writing:
            self._writing = True
            self._world.later(delay_ms, self._process.run, self._process.life, self._write)

    def _write(self) -> None:
        self._writing = False
        world, process = self._world, self._process
        while self._queue:
            keep = self._queue[0]
            between = range(len(self.kept) + 1, keep.first_sequence)
            if between:
                if not (process.connected and world.server.up and world.server.visible(process) >= between[-1]):
                    self._write_soon(RETRY_MS)
                    return
                self._take(between[0], world.server.log[between[0] - 1 : between[-1]])
            self._queue.pop(0)
            self._take(keep.first_sequence, keep.messages)
            if "log-altered" in self._found:
                self._queue.clear()
                self._tell()
                return
            if "log-shorter" in self._found and keep.first_sequence + len(keep.messages) > len(self.kept):
                del self._found["log-shorter"]
                self._tell()

    def _take(self, first_sequence: int, messages: Sequence[bytes]) -> None:
        for sequence, message in enumerate(messages, start=first_sequence):
            if "log-altered" in self._found:
                return
            if sequence <= len(self.kept):
                if self.kept[sequence - 1] != message:
                    self._found["log-altered"] = f"message {sequence} is not what was kept"
            else:
                self.kept.append(message)
                self._position = advance(self._position, "main", message, KEYS)

    def rebuilt(self, after: int, messages: Sequence[bytes]) -> None:
        """LOG was read from where a snapshot ends, up to what it was said to hold."""
        if not self._world.plan.journals:
            return
        self._found.clear()
        if after <= len(self.kept):
            self._take(after + 1, messages)
        else:  # what lies between is read from LOG, as if it had just come
            self._queue.append(e.Keep(after + 1, messages))
            self._write_soon(RETRY_MS)
        end = after + len(messages)
        if len(self.kept) > end and not self._found:
            self._found["log-shorter"] = f"LOG ends at {end}, the journal at {len(self.kept)}"
        self._tell()

    def _tell(self) -> None:
        for cause in [cause for cause in self._standing if cause not in self._found]:
            del self._standing[cause]
            self._process.drive(e.Lifted(cause))
        for cause, detail in self._found.items():
            if cause not in self._standing:
                self._standing[cause] = detail
                self._process.drive(e.Quarantined(cause, detail))
