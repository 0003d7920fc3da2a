"""Reading ASK: which commands were refused, the newest first.

In: a connection that may read the stream, from when on, how many at most. Out: refusals as `refusals.py` wrote them.
Always: it only reads; the oldest may make room while it does.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

import orjson

from holdfast.errors import ApiError, StreamMismatchError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names

_NO_MESSAGE, _NO_STREAM = 10037, 10059


@dataclass(slots=True)
class Asked:
    """Refusals, the newest first. `left_out`: those only counted. `more`: there are older ones since that time.

    `kept_since_ms`: the oldest that ASK still has; None while it has none.
    """

    refusals: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    more: bool = False
    kept_since_ms: int | None = None


async def newest(connection: Connection, names: Names, since_ms: int, most: int, before: int | None = None) -> Asked:
    """At most `most` since a time, or the rest of a message more; each has its `place`: sequence in ASK, number.

    `before`: of messages before this sequence of ASK. Raises LogError.
    """
    try:
        state = (await connection.api(f"STREAM.INFO.{names.refused}"))["state"]
    except ApiError as error:
        if error.code == _NO_STREAM:
            raise StreamMismatchError(
                f"there is no stream {names.refused}: it is made at the next start of `holdfast serve`"
            ) from error
        raise
    found = Asked()
    first, last = max(1, state["first_seq"]), state["last_seq"]  # first: 0 while nothing was ever written
    if oldest := await _message(connection, names.refused, first) if last >= first else None:
        found.kept_since_ms = min((one["at_ms"] for one in oldest["refusals"]), default=None)
    for sequence in range(min(last, before - 1) if before is not None else last, first - 1, -1):
        written = await _message(connection, names.refused, sequence)
        if written is None:  # it was the oldest, and made room
            break
        here = [
            one | {"place": (sequence, number)}
            for number, one in enumerate(reversed(written["refusals"]))
            if one["at_ms"] >= since_ms
        ]
        found.left_out += written["left_out"] if here else 0
        found.refusals += here
        if len(found.refusals) > most or (len(found.refusals) >= most and sequence > first):
            found.more = True
            return found
        if len(here) < len(written["refusals"]):
            break
    return found


async def following(
    connection: Connection, names: Names, after: int, most: int
) -> list[tuple[int, list[dict[str, Any]], int]]:
    """Messages after a sequence of ASK, the oldest first: sequence, refusals, left out. Raises LogError."""
    try:
        state = (await connection.api(f"STREAM.INFO.{names.refused}"))["state"]
    except ApiError as error:
        if error.code == _NO_STREAM:
            return []
        raise
    found: list[tuple[int, list[dict[str, Any]], int]] = []
    for sequence in range(max(after + 1, state["first_seq"], 1), state["last_seq"] + 1):
        written = await _message(connection, names.refused, sequence)
        if written is not None:  # else it was the oldest, and made room
            found.append((sequence, written["refusals"], written["left_out"]))
        if len(found) == most:
            break
    return found


async def _message(connection: Connection, stream: str, sequence: int) -> dict[str, Any] | None:
    try:
        message = (await connection.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence}))["message"]
    except ApiError as error:
        if error.code == _NO_MESSAGE:
            return None
        raise
    written: dict[str, Any] = orjson.loads(base64.b64decode(message["data"]))
    return written
