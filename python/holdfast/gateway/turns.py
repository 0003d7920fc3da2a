"""Whose turn it is: large requests go to the node some at a time, key by key; no key waits for another's backlog.

In: who asks. Out: a turn, in the end. Always: at most `at_once` have one; those who wait get theirs round by round,
each key once a round; a key with too many waiting is refused at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.gateway.refusals import overloaded


class Turns:
    """`waiting_max`: how many requests of one key may wait."""

    def __init__(self, at_once: int, waiting_max: int, retry_after_s: int) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        self._retry_after_s = retry_after_s
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, who: str | None) -> AsyncIterator[None]:
        """A turn, until the end of the block. Raises Refusal 503 where too many of `who` wait."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(who)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, who: str | None) -> None:
        line = self._waiting.setdefault(who, deque())
        if len(line) >= self._waiting_max:
            raise overloaded(
                "Too many batches of this key wait for their turn.",
                retry_after_s=self._retry_after_s,
                queue="batches-of-a-key",
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # the turn came with the cancellation
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """The next key's first request gets the turn; that key goes to the end of the round."""
        while self._waiting:
            who = next(iter(self._waiting))
            line = self._waiting.pop(who)
            place = line.popleft()
            if line:
                self._waiting[who] = line
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
