"""Proving that LOG alone gives the state.

Role: rebuild from sequence 1 (or from the oldest root that is kept), out of LOG and, where LOG was cut, the archive
before it, in a fresh core; check gaps, the chain, invariants, IN, and the digest of a running gateway. In: a data
directory or an endpoint. Out: a report; a difference is in it as text. Always: it only reads; it joins a running
server, and starts the directory's own server for the time of the run when none runs.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast._core import Engine, ScopeKeys
from holdfast.errors import GapError, StreamMismatchError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.streams import Names, ensure_streams, stream_state
from holdfast.nats_server.server import EmbeddedServer, runtime_of
from holdfast.node.replay import Progress, Replay, ReplayProgress
from holdfast.recovery.past import Past, apply_all
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.snapshot_files import Snapshot, SnapshotStore

# Asks a running gateway for (LOG sequence, digest); None when none runs.
AskGateway = Callable[[], Awaitable[tuple[int, str] | None]]

_ASK_TIMES_MAX = 20
_ASK_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. `differences` is empty when LOG gives exactly the state that is served."""

    scope: str
    sequence: int
    epoch: int
    digest: str
    chain: str
    in_upto: int
    void_total: int
    compared_at: int | None
    differences: tuple[str, ...]
    progress: ReplayProgress
    from_sequence: int = 0  # what lies before was removed (retention): rebuilt from the root at this sequence

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.differences


async def verify(
    source: Path | Endpoint,
    scope: str = "main",
    settings: Settings | None = None,
    *,
    ask_gateway: AskGateway | None = None,
    report_progress: Progress | None = None,
    keys: ScopeKeys | None = None,
    directory: Path | None = None,
) -> VerifyReport:
    """Rebuild and compare. `keys`: the scope's, where `source` is not a directory that has them.

    `directory`: the data directory with keys, snapshots and archive, where LOG is elsewhere.

    Raises LogError when LOG cannot be read at all.
    """
    settings = settings or Settings()
    async with endpoint_at(source, settings) as endpoint:
        connection = Connection(endpoint, settings.log, f"holdfast {scope} verify")
        await connection.open()
        try:
            data = source if isinstance(source, Path) else directory
            keys = keys if data is None else scope_macs(data).keys
            return await _verify(connection, data, scope, settings, ask_gateway, report_progress, keys)
        finally:
            await connection.close()


@asynccontextmanager
async def endpoint_at(source: Path | Endpoint, settings: Settings) -> AsyncIterator[Endpoint]:
    """Where the log of a data directory is: the server that runs on it, or one that is started for the time of the run.

    Raises StreamMismatchError, StoreInUseError, ServerStartError.
    """
    if isinstance(source, Endpoint):
        yield source
        return
    runtime = await asyncio.to_thread(runtime_of, source)
    if runtime is not None:
        yield runtime.endpoint
        return
    if not (source / "nats" / "store").is_dir():
        raise StreamMismatchError(f"there is no log under {source}; give the directory that `serve --data` was given")
    server = EmbeddedServer(source, settings.log)
    await server.start()
    try:
        yield server.endpoint
    finally:
        await server.stop()


async def _verify(
    connection: Connection,
    data: Path | None,
    scope: str,
    settings: Settings,
    ask_gateway: AskGateway | None,
    report_progress: Progress | None,
    keys: ScopeKeys | None,
) -> VerifyReport:
    names = Names(scope)
    await ensure_streams(connection, names, settings.log, create=False)
    core, from_sequence = Engine(scope, None, keys), 0
    if data is not None and (first := (await stream_state(connection, names.log)).first_sequence) > 1:
        core, from_sequence = await asyncio.to_thread(_before, Past(data, scope, settings), first)
    replay = Replay(connection, names.log, core, settings)
    differences: list[str] = []
    compared_at: int | None = None
    await replay.open()
    try:
        for snapshot in await asyncio.to_thread(_snapshots_of, data, scope, settings):
            if core.sequence <= snapshot.header.sequence <= replay.end:
                await replay.upto(snapshot.header.sequence, report_progress)
                differences += _against(snapshot, core)
        await replay.to_end(report_progress)
        if ask_gateway is not None:
            compared_at, found = await _compare(replay, core, ask_gateway)
            differences += found
    except GapError as gap:
        differences.append(str(gap))
    finally:
        await replay.close()
    differences += await asyncio.to_thread(core.check_thoroughly)
    incoming = await stream_state(connection, names.incoming)
    if incoming.last_sequence < core.in_upto:
        differences.append(f"IN ends at {incoming.last_sequence}, but LOG has taken it in up to {core.in_upto}")
    return VerifyReport(
        scope=scope,
        sequence=core.sequence,
        epoch=core.epoch,
        digest=core.digest(),
        chain=core.chain,
        in_upto=core.in_upto,
        void_total=core.void_total,
        compared_at=compared_at,
        differences=tuple(differences),
        progress=replay.progress,
        from_sequence=from_sequence,
    )


def _before(past: Past, first: int) -> tuple[Engine, int]:
    """LOG was cut before `first`: the state there, from what is kept, and where that began. Raises LogError."""
    oldest = past.oldest()
    core = past.core(oldest.header.sequence) if oldest is not None else Engine(past.scope, None, past.keys)
    began = core.sequence
    apply_all(core, itertools.takewhile(lambda one: one[0] < first, past.messages(began)))
    return core, began


def _snapshots_of(data: Path | None, scope: str, settings: Settings) -> list[Snapshot]:
    """Those of the data directory, the oldest first."""
    if data is None:
        return []
    return list(SnapshotStore(data / "snapshots", scope, settings.snapshots).snapshots())[::-1]


def _against(snapshot: Snapshot, core: Engine) -> list[str]:
    """Compare a snapshot with the state that LOG alone has given."""
    stated, given = snapshot.header.digest, core.digest()
    if stated == given:
        return []
    return [f"{snapshot.path.name} has digest {stated}, LOG gives {given} there: move that file away"]


async def _compare(replay: Replay, core: Engine, ask: AskGateway) -> tuple[int | None, list[str]]:
    """Bring the core to exactly the sequence that the gateway reports, and compare there."""
    for _ in range(_ASK_TIMES_MAX):
        reported = await ask()
        if reported is None:
            return None, []
        sequence, digest = reported
        if sequence >= core.sequence:
            await replay.upto(sequence)
            mine = core.digest()
            if mine == digest:
                return sequence, []
            return sequence, [f"at sequence {sequence} the gateway has digest {digest}, LOG gives {mine}"]
        await asyncio.sleep(_ASK_WAIT_S)  # it had not received its newest batch yet
    return None, [f"the gateway stays behind LOG, which ends at {core.sequence}"]
