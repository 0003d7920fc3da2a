"""The lease's key, the other processes' reports, and where the streams are said to end, on simulated time.

Role: answer what the protocol asks beside LOG; or answer late, wrongly, or not. In: calls of processes. Out: events for
them. Always: a put goes through on the expected revision only, unless the bucket was lost meanwhile; what is said of
the end of a stream may be an older truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.node import events as e
from tests.support.neighbours import LeaseKey

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class Neighbours:
    """One bucket for all, and the processes to each other."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.key = LeaseKey(world.plan.settings.lease_ttl_ms)

    def call(self, process: Process, call: e.Effect) -> None:
        """A process reads or puts the key."""
        world = self.world
        assert isinstance(call, e.ReadLease | e.PutLease | e.ReleaseLease)
        failed = e.LeaseFailed(call.call_id, conflict=False, detail="no answer")
        if not process.connected:
            world.later(1, process.hear, process.life, failed)
        elif world.chance(world.weather.request_lost):
            world.later(world.plan.settings.lease_call_ms, process.hear, process.life, failed)
        else:
            world.later(world.transit_ms(), self._arrive, process, process.life, call)

    def _arrive(self, process: Process, life: int, call: e.Effect) -> None:
        world = self.world
        if not world.server.up:
            return
        answer = self._answer(process, life, call)
        if not world.chance(world.weather.answer_lost):
            world.later(world.transit_ms(), process.hear_server, life, answer)

    def _answer(self, process: Process, life: int, call: e.Effect) -> e.Event:
        now_ms = self.world.now_ms
        if isinstance(call, e.ReadLease):
            return e.LeaseRead(call.call_id, self.key.value(now_ms))
        assert isinstance(call, e.PutLease | e.ReleaseLease)
        held = isinstance(call, e.PutLease)
        node, boot = (process.name, process.boot(life)) if held else (None, "")
        if self.key.put(node, boot, call.expected, now_ms):
            return e.LeasePut(call.call_id, self.key.revision)
        return e.LeaseFailed(call.call_id, conflict=True, detail="wrong last sequence")

    def ask(self, process: Process, call: e.AskPeers) -> None:
        """A process asks the others how far they are."""
        world = self.world
        if process.connected:
            world.later(world.plan.settings.peers_gather_ms, self._gathered, process, process.life, call.call_id)

    def _gathered(self, process: Process, life: int, call_id: int) -> None:
        world = self.world
        peers = [
            other.protocol.report()
            for other in world.processes
            if other.protocol is not None and other.connected and not other.paused
            if not world.chance(world.weather.request_lost)
        ]
        process.hear_server(life, e.PeersHeard(call_id, peers))

    def read_ends(self, process: Process, call: e.ReadEnds) -> None:
        """A process asks where the streams end."""
        self.world.later(self.world.transit_ms(), self._read_ends, process, process.life, call.call_id)

    def _read_ends(self, process: Process, life: int, call_id: int) -> None:
        world, server = self.world, self.world.server
        log_end, in_end = server.said_end(process), len(server.incoming)
        if world.chance(world.weather.end_stale):
            in_end = max(0, in_end - 2)
        told = e.EndsRead(call_id, log_end, in_end) if server.up else e.EndsRead(call_id, None, None)
        world.later(world.transit_ms(), process.hear_server, life, told)

    def lose(self) -> None:
        """The bucket was in the memory of a server that is gone, or an operator had a hand in it."""
        chosen = self.world.random.choice([None, *self.world.processes])
        self.world.say("lease", "is lost" if chosen is None else f"is given to {chosen.name}")
        if chosen is None:
            self.key.vanish()
        else:
            self.key.force(chosen.name, "given", self.world.now_ms)
