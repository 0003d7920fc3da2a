"""Room in IN: what was taken in goes when IN fills, so that what is refused is only what was not taken in yet.

Role: keep a source that sends much, and is read as fast, from its own bound in IN and from the bound of all. In: how
far the leader has taken IN in. Out: a purge of what lies before. Always: only the leader does it; nothing is cut that
LOG has not stored, nor within `in_kept_ms`, in which a publish that got no answer may be repeated and must be found;
while IN is less than half full nothing is cut at all, for people look at it.
"""

import asyncio
import time
from collections import deque

import structlog

from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, has_quota, messages_of_one_source
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)


class InRoom:
    """`note` what LOG has stored; `run` looks from time to time."""

    def __init__(self, connection: Connection, names: Names, settings: LogSettings) -> None:
        self._connection = connection
        self._stream = names.incoming
        self._settings = settings
        self._taken = 0
        self._seen: deque[tuple[float, int]] = deque()  # when, and how far: oldest first
        self._cut = 0
        self.cuts_total = 0

    def note(self, in_upto: int) -> None:
        """A batch of this process is stored, and with it the facts of IN up to there."""
        self._taken = in_upto

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._settings.in_room_check_ms / 1000)
            try:
                await self._look(self._taken)
            except LogError as fault:
                log.debug("in-room-unknown", why=str(fault))

    async def _look(self, taken: int) -> None:
        now_s = time.monotonic()
        if not self._seen or self._seen[-1][1] < taken:
            self._seen.append((now_s, taken))
        upto = 0
        while self._seen and self._seen[0][0] <= now_s - self._settings.in_kept_ms / 1000:
            upto = self._seen.popleft()[1]
        if upto <= self._cut:
            return
        found = await self._connection.api(f"STREAM.INFO.{self._stream}")
        config, state = found["config"], found["state"]
        quota = config["max_msgs_per_subject"] if has_quota(config) else messages_of_one_source(self._settings)
        if state["messages"] * 2 < quota and state["bytes"] * 2 < config["max_bytes"]:
            self._seen.appendleft((0.0, upto))
            return
        await self._connection.api(f"STREAM.PURGE.{self._stream}", {"seq": upto + 1})
        self._cut = upto
        self.cuts_total += 1
        log.info("in-cut", upto=upto, messages=state["messages"], bytes=state["bytes"])
