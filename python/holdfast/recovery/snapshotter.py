"""Taking snapshots, beside the processes that serve.

Role: restore the newest snapshot, apply what LOG got since, compare the digest with those that other processes report
for the same sequence, write the next one and prove it. In: local snapshots, the journal, LOG, heartbeats. Out: files,
and alarms. Always: each snapshot is a verification of the one before and of what lies between; where a digest differs
nothing is written; one state is in memory at a time, and none between two rounds; it only reads LOG.
"""

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog
from nats.aio.msg import Msg

from holdfast._core import Engine
from holdfast.errors import SnapshotStoreError
from holdfast.macs import Macs
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.shared_snapshots import SharedSnapshots
from holdfast.nats.streams import Names, StreamState, stream_state
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.replay import Replay
from holdfast.peers.wire import decode_peer_state
from holdfast.protocol.messages import Alarm
from holdfast.recovery.past import made_ms
from holdfast.recovery.retention import Kept, Retention
from holdfast.recovery.trim import Trimmed, trim
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import chain_hash
from holdfast.storage.snapshot_files import Snapshot

log = structlog.get_logger(__name__)

_FIT_TRIES_MAX = 100
_FILL_OF_CUT = 0.25  # of LOG's bytes below the second newest snapshot: it is cut, whatever the number of batches


class SnapshotDiffersError(SnapshotStoreError):
    """The state that the snapshot before and LOG give differs from the state that another process has."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A proven snapshot. `from_sequence`: of the one before, else 0. `compared_with`: nodes with the same digest."""

    snapshot: Snapshot
    from_sequence: int
    compared_with: tuple[str, ...]


class Digests:
    """Digests that other processes report, by LOG sequence and by process."""

    def __init__(self, kept_max: int, macs: Macs | None = None, scope: str = "main") -> None:
        self._macs = macs or Macs()
        self._scope = scope.encode()
        self._kept_max = kept_max
        self._reported: OrderedDict[int, dict[str, str]] = OrderedDict()

    async def receive(self, message: Msg) -> None:
        """A heartbeat."""
        if not self._macs.proves_json("peer", self._scope, message.data):
            return
        try:
            state = decode_peer_state(message.data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("heartbeat-unreadable", why=str(fault))
            return
        for sequence, digest in state.digests:
            self._reported.setdefault(sequence, {})[state.node] = digest
        while len(self._reported) > self._kept_max:
            self._reported.popitem(last=False)

    def first(self, since: int) -> int | None:
        """The earliest sequence, from `since` on, of which a digest is known."""
        return min((sequence for sequence in self._reported if sequence >= since), default=None)

    def at(self, sequence: int) -> dict[str, str]:
        """The digests at a sequence, by process."""
        return self._reported.get(sequence, {})


class Snapshotter:
    """Takes one snapshot after the other. `open` first; `close` at the end."""

    def __init__(
        self,
        directory: Path,
        scope: str,
        endpoint: Endpoint,
        settings: Settings,
        *,
        shared: bool,
        own_log: bool = True,
    ) -> None:
        self.names = Names(scope)
        self._own_log = own_log  # the streams are on this machine's disk
        self._retention = Retention(directory, scope, settings)
        self._settings = settings
        self._shared = shared
        self._connection = Connection(endpoint, settings.log, f"holdfast {scope} snapshots")
        self._macs = macs = scope_macs(directory)
        self._digests = Digests(settings.node.digests_kept_max, macs, scope)
        self.bootstrap: Bootstrap[Engine] = Bootstrap(
            directory,
            self.names,
            settings,
            lambda: Engine(scope, None, macs.keys),
            lambda path: Engine.restore(scope, None, path, macs.keys),
            shared=shared,
            macs=macs,
        )

    async def open(self) -> None:
        """Raises UnreachableError."""
        await self._connection.open()
        await self._connection.listen(self.names.heartbeat_subject, self._digests.receive)

    async def close(self) -> None:
        """Disconnect from the log."""
        await self._connection.close()

    def alarm(self, alarm: Alarm) -> None:
        """Log an alarm."""
        log.error("alarm", alarm=alarm.name, detail=alarm.detail)

    async def batches_since(self) -> int:
        """How many messages LOG has after the newest snapshot. Raises UnreachableError, ApiError."""
        sequences = await asyncio.to_thread(self.bootstrap.store.sequences)
        state = await stream_state(self._connection, self.names.log)
        return state.last_sequence - max((one for one in sequences if one <= state.last_sequence), default=0)

    async def take(self) -> Taken | None:
        """Take one now; None when LOG has nothing new.

        Raises SnapshotDiffersError, SnapshotStoreError, SnapshotError, GapError, UnreachableError, ApiError, OSError.
        """
        store = self.bootstrap.store
        with store.taking():
            core = await self.bootstrap.core(self._connection, self.alarm)
            began_at = core.sequence
            if not await self._advance(core):
                return None
            compared = self._compare(core)
            sequence, digest = core.sequence, core.digest()
            part = store.part(sequence)
            try:
                await asyncio.to_thread(core.snapshot, str(part))
                del core  # only one state in memory at a time
                proven = await asyncio.to_thread(store.prove, part, self._restored)
                if proven != (sequence, digest):
                    raise SnapshotDiffersError(
                        f"{part.name} was read back as {proven}, written as {(sequence, digest)}"
                    )
                snapshot = await asyncio.to_thread(store.admit, part, sequence)
            finally:
                part.unlink(missing_ok=True)
        log.info(
            "snapshot-taken",
            sequence=sequence,
            from_sequence=began_at,
            digest=digest,
            bytes=snapshot.size_bytes,
            compared_with=compared,
        )
        if self._shared:
            await self._share(snapshot)
        return Taken(snapshot, began_at, compared)

    def _restored(self, path: str) -> tuple[int, str]:
        engine = Engine.restore(self.names.scope, None, path)
        return engine.sequence, engine.digest()

    async def _advance(self, core: Engine) -> bool:
        """Apply what LOG has, on to a sequence where another process reported a digest; whether there was anything."""
        end = (await stream_state(self._connection, self.names.log)).last_sequence
        if end <= core.sequence:
            return False
        rest = self._settings.snapshots.replay_rest
        replay = Replay(self._connection, self.names.log, core, self._settings, rest=rest)
        await replay.open()
        try:
            await replay.upto(end)
            await replay.upto(await self._known_soon(end))
            # LOG's message at its sequence must identify it: a void one is not in the chain.
            for _ in range(_FIT_TRIES_MAX):
                message = await get_message(self._connection, self.names.log, core.sequence)
                if message is not None and chain_hash(message) == core.chain:
                    return True
                await replay.upto(core.sequence + 1)
        finally:
            await replay.close()
        raise SnapshotStoreError(f"no message up to {core.sequence} continues the chain: run `holdfast verify`")

    async def _known_soon(self, end: int) -> int:
        """A sequence from `end` on whose digest is reported within `heartbeat_wait_ms`; else `end`."""
        deadline = asyncio.get_running_loop().time() + self._settings.snapshots.heartbeat_wait_ms / 1000
        while asyncio.get_running_loop().time() < deadline:
            if (known := self._digests.first(end)) is not None:
                return known
            await asyncio.sleep(self._settings.node.heartbeat_ms / 10_000)
        return end

    def _compare(self, core: Engine) -> tuple[str, ...]:
        """Compare with the digests of others. Raises SnapshotDiffersError."""
        wrong = core.check()
        if wrong:
            raise SnapshotDiffersError(f"at {core.sequence}: {wrong[0]}")
        reported = self._digests.at(core.sequence)
        mine = core.digest()
        others = {node: digest for node, digest in reported.items() if digest != mine}
        if others:
            raise SnapshotDiffersError(
                f"at {core.sequence} the snapshot before and the log give digest {mine}, but {others} was reported: "
                "run `holdfast verify --data DIR`, which shows which is right"
            )
        return tuple(sorted(reported))

    async def trim(self) -> Trimmed | None:
        """Cut LOG and IN below the second newest snapshot, if enough lies there; None when it does not.

        Both snapshots are proven once more before. Raises LogError, SnapshotError, OSError; then nothing was cut.
        """
        store = self.bootstrap.store
        data = store.directory.parent
        sequences = (await asyncio.to_thread(store.sequences))[:2]
        if len(sequences) < 2 or not await self._is_cut_due(sequences[1], data):
            return None
        for sequence in sequences:
            if (await asyncio.to_thread(self._restored, str(store.path_of(sequence))))[0] != sequence:
                raise SnapshotStoreError(f"{store.path_of(sequence)} is of another sequence: nothing is cut")
        if self._shared and not await self._is_shared(sequences[1]):
            raise SnapshotStoreError(
                f"no shared snapshot reaches {sequences[1]}, from which a machine that was away could start: "
                "nothing is cut"
            )
        snapshot = await asyncio.to_thread(store.at, sequences[1])
        upto, in_upto = snapshot.header.sequence, snapshot.header.in_upto
        trimmed = await trim(self._connection, data, self.names.scope, upto, in_upto, self._settings)
        await asyncio.to_thread(self._retention.keep_root, snapshot)
        return trimmed

    async def _is_cut_due(self, second_newest: int, data: Path) -> bool:
        """Whether LOG has much below, or the archive lacks much, or LOG begins a day ago."""
        bounds = self._settings.snapshots
        if bounds.cut_after_batches <= 0:
            return False
        state = await stream_state(self._connection, self.names.log)
        archived = await asyncio.to_thread(lambda: Archive(data / "archive", self.names.scope).upto)
        below = second_newest - min(state.first_sequence, archived + 1)
        if below >= bounds.cut_after_batches or (below > 0 and await self._fill(state, second_newest) >= _FILL_OF_CUT):
            return True
        oldest = await get_message(self._connection, self.names.log, state.first_sequence) if below > 0 else None
        since_ms = made_ms(oldest) if oldest is not None else None
        return since_ms is not None and time.time() * 1000 - since_ms >= bounds.trim_ms_max

    async def _fill(self, state: StreamState, newest: int, *, before: bool = True) -> float:
        """The part of LOG's bytes that lies below a sequence, or after it, by the mean size of its messages."""
        most = (await self._connection.api(f"STREAM.INFO.{self.names.log}"))["config"].get("max_bytes", -1)
        if most <= 0 or not state.messages:
            return 0.0
        number = newest - state.first_sequence if before else state.last_sequence - newest
        return max(0, number) * (state.bytes / state.messages) / float(most)

    async def fill_since(self) -> float:
        """The part of LOG's bytes that was filled since the newest snapshot. Raises UnreachableError, ApiError."""
        sequences = await asyncio.to_thread(self.bootstrap.store.sequences)
        state = await stream_state(self._connection, self.names.log)
        newest = max((one for one in sequences if one <= state.last_sequence), default=state.first_sequence - 1)
        return await self._fill(state, newest, before=False)

    async def _is_shared(self, sequence: int) -> bool:
        shared = SharedSnapshots(self._connection, self.names, self._settings.snapshots, self._settings.log, self._macs)
        found = [re.search(r"-(\d{20})", name) for name in await shared.names()]
        return any(int(one[1]) >= sequence for one in found if one is not None)

    async def keep_within(self) -> Kept:
        """Measure what is kept, and remove what is beyond days or bytes. Raises LogError, OSError."""
        log_state = await stream_state(self._connection, self.names.log)
        in_state = await stream_state(self._connection, self.names.incoming)
        sizes = (log_state.bytes, in_state.bytes) if self._own_log else (0, 0)
        kept = await asyncio.to_thread(self._retention.look, *sizes)
        dead = await stream_state(self._connection, self.names.dead)
        return replace(kept, dead_letters=dead.messages, dead_since_ms=dead.since_ms)

    async def _share(self, snapshot: Snapshot) -> None:
        shared = SharedSnapshots(self._connection, self.names, self._settings.snapshots, self._settings.log, self._macs)
        try:
            await shared.put(snapshot.path)
        except SnapshotStoreError as fault:
            self.alarm(Alarm("snapshot-not-shared", str(fault)))
