"""Each process's snapshots, on a disk that outlives it, and those that all of them share.

Role: take one of LOG now and then, as `recovery.snapshotter` does, and give a process that rebuilds a core to begin
with, as `node.bootstrap` does, by the same `storage.snapshot_fit`. In: LOG as a process can read it. Out: a core at
some sequence, perhaps 0. Always: what was written may be torn or damaged later; one that was shared may be of another
LOG, or what an attacker put there; what does not belong to this LOG is passed over.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast._core import Engine, SnapshotError
from holdfast.errors import SnapshotTooNewError, SnapshotUnreadableError
from holdfast.settings import SnapshotSettings
from holdfast.storage.chain import chain_hash
from holdfast.storage.snapshot_files import read_header
from holdfast.storage.snapshot_fit import estranged, misplaced
from tests.simulation.cores import new_core

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

RETAINED = 2
SHARED_RETAINED = 4


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="holdfast-simulation-")


def _written(engine: Any) -> bytes:
    path = Path(_directory().name) / "written"
    path.unlink(missing_ok=True)
    engine.snapshot(str(path))
    return path.read_bytes()


class Bucket:
    """The shared ones, the newest last."""

    def __init__(self) -> None:
        self.objects: list[bytes] = []

    def put(self, content: bytes) -> None:
        """One more; the oldest beyond the number to keep goes."""
        self.objects.append(content)
        del self.objects[:-SHARED_RETAINED]


class Snapshots:
    """One process's."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self.kept: dict[int, bytes] = {}

    # ---- taking

    def take(self) -> None:
        """Of LOG as this process can read it; not where its last message is void."""
        world, process = self._world, self._process
        if not (process.connected and world.server.up) or world.cast.restore is None:
            return
        messages = world.server.log[: world.server.visible(process)]
        while messages and chain_hash(messages[-1]) != world.invariants.chains[len(messages)]:
            messages.pop()
        if not messages:
            return
        core: Any = self.core(len(messages))
        core.apply_many(core.sequence + 1, messages[core.sequence :])
        content = _written(core)
        world.say(process.name, "takes a snapshot at {}", core.sequence)
        self.kept[core.sequence] = self._stored(content)
        for sequence in sorted(self.kept)[:-RETAINED]:
            del self.kept[sequence]
        world.met["snapshot taken"] += 1
        if world.random.random() < 0.5:
            world.snapshots.put(self._stored(content))

    def _stored(self, content: bytes) -> bytes:
        """As the disk has it: most times what was written."""
        world = self._world
        if not world.chance(world.weather.snapshot_damaged):
            return content
        if world.random.random() < 0.5:
            return content[: world.random.randint(0, len(content) - 1)]
        at = world.random.randrange(len(content))
        return content[:at] + bytes([content[at] ^ (1 << world.random.randrange(8))]) + content[at + 1 :]

    # ---- beginning with one

    def core(self, log_end: int) -> Any:
        """The core that LOG, which is said to end at `log_end`, is replayed into."""
        cast = self._world.cast
        if cast.restore is not None:
            shared = reversed(self._world.snapshots.objects) if not self.kept else ()
            for content in [*(self.kept[at] for at in sorted(self.kept, reverse=True)), *shared]:
                core = self._restored(content, log_end)
                if core is not None:
                    return core
        return cast.core()

    def _restored(self, content: bytes, log_end: int) -> Any:
        world, restore = self._world, self._world.cast.restore
        assert restore is not None, "Invariant: asked before"
        path = Path(_directory().name) / "read"
        path.write_bytes(content)
        try:
            header = read_header(path, SnapshotSettings().header_bytes_max)
            why = misplaced(header, "main", 1, log_end) or estranged(header, world.server.log[header.sequence - 1])
            if why is not None and not world.cast.any_snapshot:
                world.met["snapshot of another log" if why.permanent else "snapshot ahead of the log"] += 1
                return None
            core = restore(str(path))
        except (SnapshotUnreadableError, SnapshotTooNewError, SnapshotError):
            world.met["snapshot damaged"] += 1
            return None
        world.met["snapshot restored"] += 1
        return core


def foreign(world: World) -> bytes:
    """What an attacker, or another scope's operator, puts into the bucket: of a LOG that is not this one."""
    engine = new_core()
    for sequence, message in enumerate(world.server.log, start=1):
        if world.random.random() < 0.2:
            break
        engine.apply(sequence, message)
    if world.random.random() < 0.3 or not engine.sequence:
        other = Engine("other")
        other.apply(1, other.lead_batch("n1", 1_790_000_000_000))
        return _written(other)
    engine.apply(engine.sequence + 1, engine.lead_batch("n9", engine.now_ms))
    return _written(engine)
