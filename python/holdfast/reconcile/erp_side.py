"""What an ERP has, and what its connection knows.

In: a connection's settings and its directory. Out: inventory, documents; whether the connection has looked since.
Always: nothing of the connection is changed: its store is read, and a turn is asked for; its clock is only read.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from holdfast.erp.interface import Document, Erp, Inventory
from holdfast.erp.made import STATUS_FILE, adapter_with
from holdfast.erp.moments import Moments, written
from holdfast.erp.store import Entry, StatedLevel, directory_of, opened
from holdfast.erp.turns import ask_for_turn
from holdfast.reconcile.cells import Watch
from holdfast.settings import ErpSettings

_POLL_S = 0.1


class Process(msgspec.Struct):
    """What a connection's process says of itself, once a second."""

    pid: int
    at_ms: int
    turns: int = 0
    down: bool = False
    faults: dict[str, str] = {}
    events_behind: int = 0


class ErpSide:
    """One connection, by its name in the settings."""

    def __init__(self, name: str, settings: ErpSettings, data: Path, settle_ms: int) -> None:
        self.name = name
        self.source = settings.source or name
        self.settings = settings
        self.directory = directory_of(data, name)
        self.settle_s = settle_ms / 1000
        self._erp: Erp | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["ErpSide"]:
        """Ready to be asked. Raises ErpError; FileNotFoundError where the connection has never run."""
        with opened(self.directory, reads=True) as store:
            erp = adapter_with(self.name, self.settings, store, Moments(None, _nowhere))
            await erp.open()
            try:
                await erp.describe()
                self._erp = erp
                yield self
            finally:
                self._erp = None
                await erp.close()

    async def inventory(self, skus: Sequence[str] | None = None) -> Inventory:
        """Raises ErpError."""
        assert self._erp is not None, "Invariant: opened"
        return await self._erp.inventory(skus)

    async def documents(self, keys: Sequence[str]) -> list[Document] | None:
        """Raises ErpError."""
        assert self._erp is not None, "Invariant: opened"
        return await self._erp.documents(keys)

    def last_levels(self) -> dict[tuple[str, str], StatedLevel]:
        """What the connection stated last."""
        with opened(self.directory, reads=True) as store:
            return store.last_levels()

    def entries(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Of its queue."""
        with opened(self.directory, reads=True) as store:
            return {key: one for key in keys if (one := store.entry(key)) is not None}

    def position(self, name: str) -> str | None:
        """How far it has read."""
        with opened(self.directory, reads=True) as store:
            return store.position(name)

    def process(self) -> Process | None:
        """None: none runs. One that is slow to say how it goes is waited for, as long as `settle` waits."""
        try:
            found = msgspec.json.decode((self.directory / STATUS_FILE).read_bytes(), type=Process)
            os.kill(found.pid, 0)
        except (OSError, msgspec.MsgspecError):
            return None
        return found

    async def settle(self, part: str) -> Watch:
        """Wait until the connection has taken a whole turn that began after this call, without a fault of the part.

        Its store has what that turn stated, and holdfast too: a statement is noted when the gateway has stored it.
        """
        deadline, asked_ms = time.monotonic() + self.settle_s, time.time() * 1000
        turns: int | None = None
        process = self.process()
        while process is not None and time.monotonic() < deadline:
            if process.at_ms > asked_ms:
                turns = process.turns if turns is None else turns
                if process.turns >= turns + 2:  # the first one may have begun before
                    fault = process.faults.get(part, "") or process.faults.get("describe", "")
                    return Watch(not fault, f"the connection waits: {fault}" if fault else "", self._clock())
                with contextlib.suppress(OSError):
                    ask_for_turn(self.directory)
            await asyncio.sleep(_POLL_S)
            process = self.process()
        why = "the connection does not run" if process is None else "the connection took no turn within `settle_ms`"
        if process is not None and process.faults:
            why = f"the connection waits: {'; '.join(process.faults.values())}"
        return Watch(passed=False, why=why, clock=self._clock())

    def _clock(self) -> str | None:
        """No statement of it has a later time."""
        stored = self.position("clock")
        return written(int(stored)) if stored else None


def _nowhere(_: str) -> None:
    """The clock of the connection goes on by itself."""
