"""LOG and IN as NATS keeps them, with everything that real servers were measured to do.

Role: compare an append's expectation with the count of messages, store, answer; or answer wrongly, late, twice, never.
In: appends, reads. Out: events for the process that sent them. Always: nothing that was acknowledged is lost unless the
tail is cut on purpose; a success names where the message is; everything else that is said may be false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

API_TIMEOUT_MS = 500
_LIES = (Refusal.WRONG_SEQUENCE, Refusal.BUSY, Refusal.UNREACHABLE, Refusal.STRANGE, Refusal.FULL)


@dataclass(frozen=True, slots=True)
class Way:
    """Of an append: to which server it went, when, and whether its sender had asked the others since it connected."""

    generation: int
    sent_ms: int
    asked: bool


class Server:
    """One stream each. `deposed`: processes that talk to a server which is no longer the leader, and what it knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[bytes] = []  # message n is at n - 1
        self.incoming: list[tuple[str, bytes]] = []
        self.in_longest = 0  # how far IN ever reached
        self.in_cut = False  # whether it ever lost its tail
        self.in_short_ms = 0  # for how long it was seen to end before what LOG has taken in, at most
        self._up_ms = 0
        self.up = True
        self.stuck = False  # writes fail: nobody is answered, what came may be there after a restart
        self.full = False
        self.deposed: dict[str, int] = {}
        self._limbo: tuple[bytes, Way] | None = None
        self._generation = 0  # what was on its way to a server that lost its tail never arrives

    # ---- what processes ask

    def append(self, process: Process, append: e.Append) -> None:
        """An append leaves its process."""
        world, weather = self.world, self.world.weather
        if not process.connected:
            refused = e.AppendRefused(append.append_id, Refusal.UNREACHABLE, "not connected")
            world.later(1, process.hear, process.life, refused)
            return
        world.attacker.hear(append.message)
        way = Way(self._generation, world.now_ms, process.asked_ms >= process.reachable_ms)
        copies = 1 + world.chance(weather.append_twice) - world.chance(weather.append_lost)
        for _ in range(copies):
            world.later(world.transit_ms(), self._arrive, process, process.life, append, way)

    def _arrive(self, process: Process, life: int, append: e.Append, way: Way) -> None:
        """It reaches a server; its sender may have ended long before."""
        world = self.world
        if way.generation != self._generation:
            return
        if not self.up:
            if world.random.random() < 0.5:
                self._refuse(process, life, append, Refusal.UNREACHABLE, "503 no responders")
            return
        known = self.deposed.get(process.name)
        if known is not None:
            if world.random.random() < 0.2:  # it was in the deposed server's queue, and reaches the real one after all
                late_ms = world.random.randint(1, 2_000)
                world.later(late_ms, self._reach_leader, process, life, append, way)
            if append.expected != known:
                said = known if world.random.random() < 0.7 else append.expected + 1
                self._refuse(process, life, append, Refusal.WRONG_SEQUENCE, f"wrong last sequence: {said}")
            return
        self._reach_leader(process, life, append, way)

    def _reach_leader(self, process: Process, life: int, append: e.Append, way: Way) -> None:
        if self.up and way.generation == self._generation:
            self.world.attacker.race()
        fits = append.expected == len(self.log)
        if not self.up or way.generation != self._generation:
            return
        if self.stuck:
            if fits and self._limbo is None:
                self._limbo = append.message, way
        elif not fits:
            said = f"wrong last sequence: {len(self.log)}"
            self._refuse(process, life, append, Refusal.WRONG_SEQUENCE, said)
        elif self.full:
            self._refuse(process, life, append, Refusal.FULL, "10077: maximum bytes exceeded")
        else:
            self.store(append.message, way)
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

    def store(self, message: bytes, way: Way | None = None) -> None:
        """LOG has one more message, from any sender. `way`: where a leader sent it."""
        self.log.append(message)
        self.world.invariants.on_stored(len(self.log), message, way)
        self.wake()

    def put_in(self, subject: str, payload: bytes) -> None:
        """IN has one message more."""
        self._note_in()
        self.incoming.append((subject, payload))
        self.in_longest = max(self.in_longest, len(self.incoming))
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

    def _note_in(self) -> None:
        """IN is about to grow: for how long could a process see that it is too short?"""
        since_ms = min((one.reachable_ms for one in self.world.processes if one.reachable), default=self.world.now_ms)
        if self.in_cut and self.up and len(self.incoming) < self.world.invariants.reference.in_upto:
            self.in_short_ms = max(self.in_short_ms, self.world.now_ms - max(since_ms, self._up_ms))

    def cut_in(self, many: int) -> None:
        """The same happens to IN."""
        del self.incoming[max(0, len(self.incoming) - many) :]
        self.in_cut = True
        self.world.say("server", "has lost the messages of IN after {}", len(self.incoming))

    def fill_in(self) -> None:
        """`holdfast repair`: empty messages, up to where LOG has taken IN in, so that new facts come after that."""
        while len(self.incoming) < self.world.invariants.reference.in_upto:
            self.put_in("hf.main.in.fill", b"")

    def put_back(self) -> None:
        """`holdfast repair`: the missing batches, byte by byte, from a journal."""
        lost = self.world.invariants.history.lost
        while not self.world.invariants.history.forked and (message := lost.get(len(self.log) + 1)) is not None:
            self.world.say("operator", "puts back {}", message)
            self.store(message)

    def come_up(self) -> None:
        """Started again: a write that failed may turn out to have been stored."""
        self.up, self.stuck = True, False
        self._up_ms = self.world.now_ms
        limbo, self._limbo = self._limbo, None
        self.world.say("server", "is up at {}", len(self.log))
        if limbo is not None and self.world.random.random() < 0.5:
            self.world.say("server", "finds a batch that it never acknowledged")
            self.store(*limbo)
        self.wake()
        for process in self.world.processes:
            process.in_feed.wake()
