"""A past written as the log of another scope: at the speed at which it came, faster, or as fast as it goes.

In: batches from the first one on, a scope whose LOG is empty, its key. Out: its LOG, with the same facts, rules and
clocks; the digest that its state has. Always: the scope that the past is of is only read; each message is appended
under the fence, so that nothing else writes in between; IN of the new scope stays empty.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast._core import Engine, ScopeKeys
from holdfast.errors import LogError
from holdfast.hindsight.again import Again
from holdfast.hindsight.batches import Batch, batches, position_of
from holdfast.hindsight.replaying import Moment, Progress, messages
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, ensure_streams, stream_state
from holdfast.recovery.past import NotKeptError, Past
from holdfast.settings import LogSettings

_TOGETHER = 64


class OntoError(LogError):
    """The other scope cannot be written."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the other scope has now."""

    scope: str
    sequence: int
    digest: str
    seconds: float


def rewritten(past: Past, scope: str, keys: ScopeKeys | None, upto: Moment) -> Iterator[tuple[Batch, bytes, Engine]]:
    """Each batch that took effect, and its message in the other scope. Raises NotKeptError, and what reading raises."""
    if past.first > 1:
        raise NotKeptError(
            f"the past begins at message {past.first} here, and a log begins with its first one: `holdfast backup` and "
            "`holdfast restore` copy a scope whose beginning was removed"
        )
    core = Engine(scope, None, keys)
    again = Again(core, scope, keys, signs=keys is not None)
    before = position_of(Engine(past.scope, None, past.keys))
    for batch in batches(messages(past, 0, upto), before, past.scope, past.keys):
        if batch.rules is not None:
            message = again.lead(batch)
        else:
            message = again.facts(batch, [fact for _, fact in batch.facts])
        yield batch, message, core


async def write(
    past: Past,
    connection: Connection,
    scope: str,
    keys: ScopeKeys | None,
    upto: Moment,
    speed: float | None,
    settings: LogSettings,
    progress: Progress,
) -> Written:
    """Append them all. `speed`: 1 as it came, 10 ten times as fast; None: as fast as it goes.

    Raises OntoError, LogError.
    """
    names = Names(scope)
    await ensure_streams(connection, names, settings)
    if (await stream_state(connection, names.log)).last_sequence:
        raise OntoError(f"{names.log} is not empty: name another scope, or another directory")
    began, first_ms, sequence, digest = time.monotonic(), None, 0, ""
    found = rewritten(past, scope, keys, upto)
    while chunk := await asyncio.to_thread(_some, found, 1 if speed is not None else _TOGETHER):
        for batch, message, _ in chunk:
            first_ms = batch.now_ms if first_ms is None else first_ms
            if speed is not None:
                due_s = began + (batch.now_ms - first_ms) / 1000 / speed
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await _append(connection, names, sequence, message, settings)
            sequence += 1
        batch, _, core = chunk[-1]
        digest = core.digest()
        progress(batch.sequence)
    return Written(scope, sequence, digest, time.monotonic() - began)


def _some(found: Iterator[tuple[Batch, bytes, Engine]], most: int) -> list[tuple[Batch, bytes, Engine]]:
    return list(itertools.islice(found, most))


async def _append(connection: Connection, names: Names, sequence: int, message: bytes, settings: LogSettings) -> None:
    headers = {"Nats-Expected-Last-Sequence": str(sequence), "Nats-Expected-Stream": names.log}
    answer = await connection.request(names.log_subject, message, settings.api_timeout_ms, headers)
    reply = parse_reply(names.log, 0, answer.data, (answer.headers or {}).get("Status"))
    if not isinstance(reply, Stored) or reply.sequence != sequence + 1:
        why = f"it was stored at {reply.sequence}" if isinstance(reply, Stored) else reply.detail
        raise OntoError(f"{names.log}: message {sequence + 1} was not stored ({why}); begin again with an empty scope")
