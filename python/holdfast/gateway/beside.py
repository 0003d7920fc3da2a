"""What is beside a gateway: the systems that other processes of its directory talk to, the disk, and other machines.

In: a data directory. Out: figures for /metrics and the dashboard. Always: read once a second, in a thread; a disk that
hangs delays these figures and nothing else.
"""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.systems import System, said

_POLL_S = 1.0


@dataclass(slots=True)
class Beside:
    """What was seen last. Bytes are of the disk of the data directory; None: not measured yet."""

    systems: list[System] = field(default_factory=list)
    disk_free_bytes: int | None = None
    disk_bytes: int | None = None
    disk_wanted_bytes: int = 0
    keys_exchanged_s: float | None = None  # when, on the monotonic clock; None: this process does not

    async def watch(self, directory: Path) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.to_thread(self._look, directory)
            await asyncio.sleep(_POLL_S)

    def note_keys(self, at_s: float) -> None:
        """API keys were exchanged with the scope's other machines."""
        self.keys_exchanged_s = at_s

    def _look(self, directory: Path) -> None:
        self.systems = said(directory)
        try:
            usage = shutil.disk_usage(directory)
        except OSError:
            return
        self.disk_free_bytes, self.disk_bytes = usage.free, usage.total
