"""What the readers of LOG and IN deliver to one process.

Role: carry out Follow and FetchIn as holdfast.node.feeds does, with deliveries that come late, twice, or with a gap.
In: an effect; `wake` when there may be more. Out: Followed, CaughtUp, Fetched. Always: what is delivered are LOG's
bytes at their true sequences; IN messages come only for a fetch of the present reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.protocol import messages as e

if TYPE_CHECKING:
    from tests.simulation.process import Process

CHUNK_MAX = 6
RETRY_MS = 100


class LogFeed:
    """Follows LOG for one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._reader = 0  # counts the readers: a call for an older one does nothing
        self._following = False
        self._scheduled = False
        self._taken = 0
        self._told_end = False

    def follow(self, after: int) -> None:
        """Deliver what comes after this sequence."""
        self._reader += 1
        self._following = True
        self._scheduled = False
        self._taken = after
        self._told_end = False
        self.wake()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._reader += 1
        self._following = False

    def wake(self) -> None:
        """Look soon."""
        if self._following and not self._scheduled:
            self._scheduled = True
            self._world.later(self._world.transit_ms(), self._look, self._reader)

    def _look(self, reader: int) -> None:
        if reader != self._reader:
            return
        self._scheduled = False
        process, world = self._process, self._world
        server, weather = world.server, world.weather
        if not (process.connected and server.up):
            self._scheduled = True
            world.later(RETRY_MS, self._look, reader)
            return
        visible = server.visible(process)
        first = self._taken + 1
        if first <= visible:
            if world.chance(weather.delivery_gap):
                first = min(visible, first + world.random.randint(1, 2))
            last = min(visible, first + world.random.randint(0, CHUNK_MAX - 1))
            followed = e.Followed(first, server.log[first - 1 : last])
            self._taken = last
            process.run(process.life, self._hand_over, reader, followed)
            if world.chance(weather.delivery_twice):
                late_ms = world.random.randint(1, 2_000)
                world.later(late_ms, self._again, process.life, followed, world.invariants.history.cut_ms)
            if reader != self._reader:
                return  # it asked for another place meanwhile
            self._told_end = False
        if self._taken >= server.said_end(process) and not self._told_end:
            self._told_end = True
            process.run(process.life, self._hand_over, reader, e.CaughtUp(self._taken))
        if reader == self._reader and self._taken < server.visible(process):
            self.wake()

    def _again(self, life: int, followed: e.Followed, cut_ms: int) -> None:
        if cut_ms == self._world.invariants.history.cut_ms:  # what a server had sent dies with it
            self._process.hear(life, followed)

    def _hand_over(self, reader: int, event: e.Event) -> None:
        if reader == self._reader:
            self._process.drive(event)


class InFeed:
    """Fetches IN for one process while it leads."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._reader = 0
        self._wanted: list[e.FetchIn] = []
        self._scheduled = False

    def fetch(self, fetch: e.FetchIn) -> None:
        """Deliver at least one message after `fetch.after`, when there is one."""
        self._wanted.append(fetch)
        self.wake()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._reader += 1
        self._wanted.clear()
        self._scheduled = False

    def wake(self) -> None:
        """Look soon."""
        if self._wanted and not self._scheduled:
            self._scheduled = True
            self._world.later(self._world.transit_ms(), self._look, self._reader)

    def _look(self, reader: int) -> None:
        if reader != self._reader:
            return
        self._scheduled = False
        process, world = self._process, self._world
        if not (process.connected and world.server.up):
            self._scheduled = True
            world.later(RETRY_MS, self._look, reader)
            return
        fetch = self._wanted[0]
        upto = min(len(world.server.incoming), fetch.after + world.random.randint(1, fetch.messages_max))
        if upto <= fetch.after:
            return
        self._wanted.pop(0)
        there = world.server.incoming
        fetched = e.Fetched([(at + 1, *there[at]) for at in range(fetch.after, upto)])
        process.run(process.life, self._hand_over, reader, fetched)
        if world.chance(world.weather.fetch_twice):
            later_ms = world.random.randint(1, 1_000)
            world.later(later_ms, process.run, process.life, self._hand_over, reader, fetched)
        self.wake()

    def _hand_over(self, reader: int, event: e.Event) -> None:
        if reader == self._reader:
            self._process.drive(event)
