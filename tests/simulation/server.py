"""LOG and IN as NATS keeps them, with everything that real servers were measured to do.

Role: compare an append's expectation with the count of messages, store, answer; or answer wrongly, late, twice, never.
In: appends, reads. Out: events for the process that sent them. Always: nothing that was acknowledged is lost unless the
tail is cut on purpose; a success names where the message is; everything else that is said may be false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

API_TIMEOUT_MS = 500
_LIES = (Refusal.WRONG_SEQUENCE, Refusal.BUSY, Refusal.UNREACHABLE, Refusal.STRANGE, Refusal.FULL)


class Server:
    """One stream each. `deposed`: processes that talk to a server which is no longer the leader, and what it knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[bytes] = []  # message n is at n - 1
        self.incoming: list[tuple[str, bytes]] = []
        self.up = True
        self.stuck = False  # writes fail: nobody is answered, what came may be there after a restart
        self.full = False
        self.deposed: dict[str, int] = {}
        self._limbo: bytes | None = None
        self._generation = 0  # what was on its way to a server that lost its tail never arrives

    # ---- what processes ask

    def append(self, process: Process, append: e.Append) -> None:
        """An append leaves its process."""
        world, weather = self.world, self.world.weather
        if not process.connected:
            refused = e.AppendRefused(append.append_id, Refusal.UNREACHABLE, "not connected")
            world.later(1, process.hear, process.life, refused)
            return
        copies = 1 + world.chance(weather.append_twice) - world.chance(weather.append_lost)
        for _ in range(copies):
            world.later(world.transit_ms(), self._arrive, process, process.life, append, self._generation)

    def _arrive(self, process: Process, life: int, append: e.Append, generation: int) -> None:
        """It reaches a server; its sender may have ended long before."""
        world = self.world
        if generation != self._generation:
            return
        if not self.up:
            if world.random.random() < 0.5:
                self._refuse(process, life, append, Refusal.UNREACHABLE, "503 no responders")
            return
        known = self.deposed.get(process.name)
        if known is not None:
            if world.random.random() < 0.2:  # it was in the deposed server's queue, and reaches the real one after all
                late_ms = world.random.randint(1, 2_000)
                world.later(late_ms, self._reach_leader, process, life, append, self._generation)
            if append.expected != known:
                said = known if world.random.random() < 0.7 else append.expected + 1
                self._refuse(process, life, append, Refusal.WRONG_SEQUENCE, f"wrong last sequence: {said}")
            return
        self._reach_leader(process, life, append, self._generation)

    def _reach_leader(self, process: Process, life: int, append: e.Append, generation: int) -> None:
        fits = append.expected == len(self.log)
        if not self.up or generation != self._generation:
            return
        if self.stuck:
            if fits and self._limbo is None:
                self._limbo = append.message
        elif not fits:
            said = f"wrong last sequence: {len(self.log)}"
            self._refuse(process, life, append, Refusal.WRONG_SEQUENCE, said)
        elif self.full:
            self._refuse(process, life, append, Refusal.FULL, "10077: maximum bytes exceeded")
        else:
            self.store(append.message)
            self._acknowledge(process, life, append, len(self.log))

    def _acknowledge(self, process: Process, life: int, append: e.Append, sequence: int) -> None:
        world, weather = self.world, self.world.weather
        if world.chance(weather.ack_lost):
            world.say("server", "the acknowledgement of {} is lost", sequence)
        elif world.chance(weather.ack_replaced):
            self._refuse(process, life, append, world.random.choice(_LIES), f"wrong last sequence: {sequence - 1}")
        else:
            stored = e.AppendStored(append.append_id, sequence)
            world.later(world.transit_ms(), process.hear_server, life, stored)

    def _refuse(self, process: Process, life: int, append: e.Append, why: Refusal, detail: str) -> None:
        refused = e.AppendRefused(append.append_id, why, detail)
        self.world.later(self.world.transit_ms(), process.hear_server, life, refused)

    def read(self, process: Process, sequence: int) -> None:
        """STREAM.MSG.GET: the bytes, or nothing, which proves nothing."""
        world = self.world
        if not process.connected or world.chance(world.weather.read_lost):
            world.later(API_TIMEOUT_MS, process.hear, process.life, e.MessageRead(sequence, None))
        else:
            world.later(world.transit_ms(), self._read, process, process.life, sequence)

    def _read(self, process: Process, life: int, sequence: int) -> None:
        world = self.world
        there = sequence <= self.visible(process) and not world.chance(world.weather.read_stale)
        message = self.log[sequence - 1] if there and self.up else None
        delay_ms = world.transit_ms() if self.up else API_TIMEOUT_MS
        world.later(delay_ms, process.hear, life, e.MessageRead(sequence, message))

    def visible(self, process: Process) -> int:
        """Up to which sequence this process can read LOG."""
        return min(len(self.log), self.deposed.get(process.name, 1 << 60))

    def said_end(self, process: Process) -> int:
        """Where LOG is said to end."""
        end = self.visible(process)
        if self.world.chance(self.world.weather.end_stale):
            end -= self.world.random.randint(1, 3)
        return max(0, end)

    # ---- what happens to it

    def store(self, message: bytes) -> None:
        """LOG has one more message, from any sender."""
        self.log.append(message)
        self.world.invariants.on_stored(len(self.log), message)
        self.wake()

    def put_in(self, subject: str, payload: bytes) -> None:
        """IN has one message more."""
        self.incoming.append((subject, payload))
        for process in self.world.processes:
            process.in_feed.wake()

    def wake(self) -> None:
        """There may be something to read."""
        for process in self.world.processes:
            process.log_feed.wake()

    def go_down(self) -> None:
        """Killed, or stopped."""
        self.up = False
        self.world.say("server", "is down")

    def cut(self, many: int) -> None:
        """One flipped bit, found at the start: the tail is lost, and nothing reports it."""
        kept = max(0, len(self.log) - many)
        lost, self.log[kept:] = self.log[kept:], []
        self._generation += 1
        self._limbo = None
        self.deposed.clear()
        self.world.say("server", "has lost the messages after {}", kept)
        self.world.invariants.on_cut(kept, lost)

    def put_back(self) -> None:
        """`holdfast repair`: the missing batches, byte by byte, from a journal."""
        lost = self.world.invariants.history.lost
        while not self.world.invariants.history.forked and (message := lost.get(len(self.log) + 1)) is not None:
            self.world.say("operator", "puts back {}", message)
            self.store(message)

    def come_up(self) -> None:
        """Started again: a write that failed may turn out to have been stored."""
        self.up, self.stuck = True, False
        limbo, self._limbo = self._limbo, None
        self.world.say("server", "is up at {}", len(self.log))
        if limbo is not None and self.world.random.random() < 0.5:
            self.world.say("server", "finds a batch that it never acknowledged")
            self.store(limbo)
        self.wake()
        for process in self.world.processes:
            process.in_feed.wake()
