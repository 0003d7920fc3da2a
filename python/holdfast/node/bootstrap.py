"""Which state a rebuild starts from: the newest snapshot that can be used, else the empty one.

Role: find it, restore it, and check that it belongs to this LOG. In: local snapshots, shared ones, LOG. Out: a core;
LOG from its sequence on has still to be replayed. Always: a snapshot is used only when its recounted digest is right
and LOG's message at its sequence (where LOG still has it) is the one that its chain names; one that cannot be used is
alarmed and skipped, down to the empty state, from which LOG alone gives the same.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from holdfast._core import SnapshotError
from holdfast.errors import (
    SnapshotsInUseError,
    SnapshotStoreError,
    SnapshotTooNewError,
    SnapshotUnreadableError,
    UnreachableError,
)
from holdfast.macs import Macs
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection
from holdfast.nats.shared_snapshots import SharedSnapshots
from holdfast.nats.streams import Names, StreamState, stream_state
from holdfast.protocol.core import Core
from holdfast.protocol.messages import Alarm
from holdfast.settings import Settings
from holdfast.storage.snapshot_files import Snapshot, SnapshotHeader, SnapshotStore, read_header
from holdfast.storage.snapshot_fit import Mismatch, estranged, misplaced

log = structlog.get_logger(__name__)

CoreT = TypeVar("CoreT")

DRIFTED = (
    "at {} the maintained digest differs from the recounted one of the whole state: a fault in holdfast, "
    "not in the log or the stock. The next batch of the process that leads makes every process recount its digest; "
    "from there on snapshots and `holdfast verify` succeed. Please report it with this line."
)
UNUSABLE = (SnapshotStoreError, SnapshotError, OSError)


async def prove(core: Core, alarm: Callable[[Alarm], None]) -> None:
    """Recount the digest of a replayed core, off the event loop. Alarms `digest-drifted` when it differs."""
    if not await asyncio.to_thread(core.prove):
        alarm(Alarm("digest-drifted", DRIFTED.format(core.sequence)))


class Bootstrap(Generic[CoreT]):
    """Restores cores of one scope. `restore` takes a path and proves the digest; `new` makes an empty core."""

    def __init__(
        self,
        directory: Path,
        names: Names,
        settings: Settings,
        new: Callable[[], CoreT],
        restore: Callable[[str], CoreT],
        *,
        shared: bool,
        macs: Macs | None = None,
    ) -> None:
        self._macs = macs
        self.store = SnapshotStore(directory / "snapshots", names.scope, settings.snapshots)
        self._names = names
        self._settings = settings
        self._new = new
        self._restore = restore
        self._shared = shared

    async def core(self, connection: Connection, alarm: Callable[[Alarm], None], upto: int | None = None) -> CoreT:
        """The core to replay LOG into; `upto`: not beyond that sequence. Raises UnreachableError, ApiError."""
        state = await stream_state(connection, self._names.log)
        for sequence in await asyncio.to_thread(self.store.sequences):
            if upto is not None and sequence > upto:
                continue
            snapshot = await self._readable(sequence, alarm)
            if snapshot is None:
                continue
            mismatch = await self._mismatch(connection, snapshot.header, state)
            if mismatch is not None:
                alarm(Alarm("snapshot-does-not-fit", f"{snapshot.path.name}: {mismatch.why}"))
                if mismatch.permanent:
                    await asyncio.to_thread(self.store.set_aside, sequence)
                continue
            core = await self._restored(snapshot, alarm)
            if core is not None:
                return core
        if self._shared and upto is None:
            core = await self._from_shared(connection, state, alarm)
            if core is not None:
                return core
        return self._new()

    async def _readable(self, sequence: int, alarm: Callable[[Alarm], None]) -> Snapshot | None:
        """One with its header. A file that is not a snapshot is set aside; one of a newer version stays."""
        try:
            return await asyncio.to_thread(self.store.at, sequence)
        except SnapshotUnreadableError as fault:
            aside = await asyncio.to_thread(self.store.set_aside, sequence)
            alarm(Alarm("snapshot-damaged", f"{fault}; it is now {aside.name}, and an older one is tried"))
        except (SnapshotTooNewError, OSError) as fault:
            alarm(Alarm("snapshot-unreadable", str(fault)))
        return None

    async def _restored(self, snapshot: Snapshot, alarm: Callable[[Alarm], None]) -> CoreT | None:
        try:
            core = await asyncio.to_thread(self._restore, str(snapshot.path))
        except SnapshotError as fault:
            aside = await asyncio.to_thread(self.store.set_aside, snapshot.header.sequence)
            alarm(Alarm("snapshot-damaged", f"{fault}; it is now {aside.name}, and an older one is tried"))
            return None
        except OSError as fault:
            alarm(Alarm("snapshot-unreadable", f"{snapshot.path.name}: {fault}"))
            return None
        log.info("snapshot-restored", sequence=snapshot.header.sequence, bytes=snapshot.size_bytes)
        return core

    async def _from_shared(
        self, connection: Connection, state: StreamState, alarm: Callable[[Alarm], None]
    ) -> CoreT | None:
        shared = SharedSnapshots(connection, self._names, self._settings.snapshots, self._settings.log, self._macs)
        try:
            for name in await shared.names():
                core = await self._one_shared(shared, name, connection, state, alarm)
                if core is not None:
                    return core
        except SnapshotStoreError as fault:
            alarm(Alarm("shared-snapshots-unusable", str(fault)))
        return None

    async def _one_shared(
        self,
        shared: SharedSnapshots,
        name: str,
        connection: Connection,
        state: StreamState,
        alarm: Callable[[Alarm], None],
    ) -> CoreT | None:
        try:
            with self.store.taking():
                part = self.store.directory / f"{name}.part"
                await shared.fetch(name, part)
                header = await asyncio.to_thread(read_header, part, self._settings.snapshots.header_bytes_max)
                mismatch = await self._mismatch(connection, header, state)
                if mismatch is not None:
                    alarm(Alarm("snapshot-does-not-fit", f"shared {name}: {mismatch.why}"))
                    return None
                core = await asyncio.to_thread(self.store.prove, part, self._restore)
                await asyncio.to_thread(self.store.admit, part, header.sequence)
        except SnapshotsInUseError:
            raise
        except UNUSABLE as fault:
            alarm(Alarm("snapshot-damaged", f"shared {name}: {fault}"))
            return None
        log.info("snapshot-restored", sequence=header.sequence, shared=name)
        return core

    async def _mismatch(self, connection: Connection, header: SnapshotHeader, state: StreamState) -> Mismatch | None:
        """Why this snapshot does not belong to this LOG; None when it does. Raises UnreachableError."""
        sequence = header.sequence
        mismatch = misplaced(header, self._names.scope, state.first_sequence, state.last_sequence)
        if mismatch is not None or state.first_sequence > sequence:
            return mismatch
        message = await get_message(connection, self._names.log, sequence)
        if message is None:
            raise UnreachableError(f"{self._names.log}: message {sequence} cannot be read now")
        return estranged(header, message)
