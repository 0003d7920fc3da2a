"""Refusals: which commands were refused for a business reason, kept for a while in the stream ASK.

Role: let people ask afterwards what shoppers wanted and did not get. In: commands that were answered 409, from the
process that leads. Out: messages of ASK, each a JSON document of many refusals. Always: off the checkout's way: noting
one costs an append to a list, what they mean is read later, and beyond `refused_per_s_max` they are only counted. They
prove nothing and are not fenced: a leader that dies loses those of its last moment, and LOG knows nothing of them.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import orjson

from holdfast.errors import UnreachableError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.protocol.core import Request, trace_in
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait
from holdfast.traces import id_of

REFUSED = 409
_EVERY_S = 0.25
_LINES_MAX = 20
_OF_A_LINE = ("sku", "requested", "sellable", "reason")
_MESSAGE_REFUSALS_MAX = 200
_MESSAGE_BYTES_MAX = 256 * 1024
_OF_A_CART = ("ttl_ms", "region", "partial", "supersede", "revision")
_PROBLEM = "urn:holdfast:problem:"

Noted = tuple[int, int, Request, bytes]
"""Wall clock in ms, the sequence of LOG that the answer names, the command, the body of its answer."""


def refusal_of(at_ms: int, sequence: int, request: Request, answer: bytes) -> dict[str, Any]:
    """What ASK keeps of one: who asked for what, and how much there was. `more_lines`: lines beyond 20.

    `asked`: the whole cart without its owner, so that it can be decided again under other rules.
    """
    verb, reservation, body, _, by = request[:5]
    problem = orjson.loads(answer)
    asked: Any = {}
    if verb == "put":
        with contextlib.suppress(orjson.JSONDecodeError):
            asked = orjson.loads(body)
    lines = [line for line in problem.get("lines") or [] if not line.get("ok")]
    found = {
        "at_ms": at_ms,
        "sequence": sequence,
        "verb": verb,
        "reservation": reservation,
        "channel": asked.get("channel") if isinstance(asked, dict) else None,
        "by": by,
        "reason": str(problem.get("type", "")).removeprefix(_PROBLEM),
        "lines": [{name: line.get(name) for name in _OF_A_LINE} for line in lines[:_LINES_MAX]],
    }
    if trace := trace_in(request):
        found["trace"] = id_of(trace)
    if len(lines) > _LINES_MAX:
        found["more_lines"] = len(lines) - _LINES_MAX
    if isinstance(asked, dict) and asked.get("lines"):
        found["asked"] = {name: asked[name] for name in _OF_A_CART if asked.get(name)} | {"lines": asked["lines"]}
    return found


def messages_of(refusals: list[dict[str, Any]]) -> Iterator[list[bytes]]:
    """Refusals as ASK has them, as many together as one message takes."""
    together: list[bytes] = []
    size = 0
    for refusal in refusals:
        one = orjson.dumps(refusal)
        if len(one) > _MESSAGE_BYTES_MAX:
            one = orjson.dumps({name: part for name, part in refusal.items() if name != "asked"})
        if together and (len(together) == _MESSAGE_REFUSALS_MAX or size + len(one) > _MESSAGE_BYTES_MAX):
            yield together
            together, size = [], 0
        together.append(one)
        size += len(one)
    if together:
        yield together


class Refusals:
    """Writes them; one a node."""

    def __init__(self, connection: Connection, names: Names, settings: LogSettings) -> None:
        self._connection = connection
        self._names = names
        self._most = max(1, int(settings.refused_per_s_max * _EVERY_S))
        self._on = settings.refused_per_s_max > 0
        self._noted: list[Noted] = []
        self._left_out = 0
        self._task: asyncio.Task[None] | None = None
        self.kept_total = 0
        self.left_out_total = 0

    def note(self, sequence: int, request: Request, answer: bytes) -> None:
        """One was refused. Never waits."""
        if not self._on:
            return
        if len(self._noted) >= self._most:
            self._left_out += 1
            self.left_out_total += 1
            return
        self._noted.append((int(time.time() * 1000), sequence, request, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Until nothing was noted for a while."""
        while True:
            await asyncio.sleep(_EVERY_S)
            noted, self._noted = self._noted, []
            left_out, self._left_out = self._left_out, 0
            if not noted:
                return
            for first in range(0, len(noted), _MESSAGE_REFUSALS_MAX):
                for part in messages_of([refusal_of(*one) for one in noted[first : first + _MESSAGE_REFUSALS_MAX]]):
                    message = b'{"refusals":[%b],"left_out":%d}' % (b",".join(part), left_out)
                    left_out = 0
                    try:
                        await self._connection.publish(self._names.refused_subject, message)
                    except UnreachableError:
                        self.left_out_total += len(part)
                        continue
                    self.kept_total += len(part)
                    await asyncio.sleep(0)

    async def close(self) -> None:
        """Write no more."""
        if self._task is not None:
            await cancel_and_wait(self._task)
