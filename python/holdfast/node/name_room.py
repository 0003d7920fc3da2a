"""Room in the tables of names: an alarm before one is full.

Role: tell an operator that names are being invented while facts about new ones are still taken. In: the core's totals.
Out: an alarm for each table, once, when four fifths of it are used. Always: reads only.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.protocol.messages import Alarm

_LOOK_S = 10
_PART = 0.8


class NameRoom:
    """`run` looks from time to time; `look` does it once."""

    def __init__(self, core: Callable[[], Any], alarm: Callable[[Alarm], None]) -> None:
        self._core = core
        self._alarm = alarm
        self._told: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Raise the alarm for each table that became nearly full."""
        core = self._core()
        if core is None:
            return
        totals = msgspec.json.decode(core.totals())
        bounds = totals.get("names_max", {})
        for kind, known in totals.get("names", {}).items():
            if known < bounds[kind] * _PART:
                self._told.discard(kind)
            elif kind not in self._told:
                self._told.add(kind)
                detail = (
                    f"{known:,} {kind} are known, {bounds[kind]:,} can be; then facts that name a new one are rejected"
                )
                self._alarm(Alarm("names-filling", detail))
