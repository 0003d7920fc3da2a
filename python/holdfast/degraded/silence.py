"""Which sources are silent, and for how long.

In: what the gateway lists of its sources; what the connections of this machine say of their turns. Out: for how long
nothing came of each. Always: an ERP in which nothing changes states nothing, and is not silent while its connection
reads it without a fault.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from holdfast.contracts.listings import SourceEntry
from holdfast.erp.made import STATUS_FILE
from holdfast.erp.store import directory_of
from holdfast.settings import ErpSettings


class _Process(msgspec.Struct):
    pid: int
    at_ms: int
    turns: int = 0
    faults: dict[str, str] = {}


class Silence:
    """Of one scope."""

    def __init__(self, data: Path, erps: Mapping[str, ErpSettings]) -> None:
        self._data = data
        self._erps = erps
        self._turns: dict[str, int] = {}
        self._last: dict[str, str] = {}
        self._came_ms: dict[str, int] = {}

    def of(self, sources: list[SourceEntry], now_ms: int) -> dict[str, int]:
        """Milliseconds by source. One that was never looked at before has said something now."""
        for one in sources:
            last = str(one.last_as_of)
            if self._last.get(one.source) != last:
                first = one.source not in self._last
                self._last[one.source] = last
                age_ms = one.age_ms if first and one.age_ms is not None else 0
                self._came(one.source, now_ms - max(0, age_ms))
        for name, settings in self._erps.items():
            self._look_at(name, settings.source or name)
        return {one.source: now_ms - self._came_ms.get(one.source, now_ms) for one in sources}

    def last(self, source: str) -> str:
        """Its newest `as_of`, as text."""
        return self._last.get(source, "")

    def recall(self, source: str, last: str, came_ms: int) -> None:
        """What an earlier process knew."""
        self._last[source] = last
        self._came(source, came_ms)

    def _came(self, source: str, at_ms: int) -> None:
        self._came_ms[source] = max(self._came_ms.get(source, 0), at_ms)

    def _look_at(self, name: str, source: str) -> None:
        """A turn that ended without a fault read the ERP: whatever it has is stated."""
        try:
            found = msgspec.json.decode((directory_of(self._data, name) / STATUS_FILE).read_bytes(), type=_Process)
            os.kill(found.pid, 0)
        except (OSError, msgspec.MsgspecError):
            return
        before = self._turns.get(name)
        self._turns[name] = found.turns
        if found.turns and found.turns != before and not (found.faults.keys() & {"levels", "describe"}):
            self._came(source, found.at_ms)


def now_ms() -> int:
    """Wall time."""
    return int(time.time() * 1000)
