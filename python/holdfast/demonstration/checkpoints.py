"""Digests of the state at chosen points of LOG, rebuilt in a fresh core beside a running node.

In: the data directory of a running node, LOG sequences. Out: the digest at each. Always: it only reads.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from holdfast._core import Engine
from holdfast.errors import StreamMismatchError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.nats_server.server import runtime_of
from holdfast.node.replay import Replay
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings


async def checkpoints(
    directory: Path, sequences: Iterable[int], scope: str = "main", settings: Settings | None = None
) -> dict[int, str]:
    """The digest at each of the sequences. Raises LogError when LOG cannot be read."""
    settings = settings or Settings()
    runtime = await asyncio.to_thread(runtime_of, directory)
    if runtime is None:
        raise StreamMismatchError(f"no log runs under {directory}; give the directory that a running `serve` was given")
    endpoint = runtime.endpoint
    connection = Connection(endpoint, settings.log, f"holdfast {scope} checkpoints")
    await connection.open()
    core = Engine(scope, None, scope_macs(directory).keys)
    replay = Replay(connection, Names(scope).log, core, settings)
    digests: dict[int, str] = {}
    try:
        await replay.open()
        for sequence in sorted(sequences):
            await replay.upto(sequence)
            digests[sequence] = core.digest()
    finally:
        await replay.close()
        await connection.close()
    return digests
