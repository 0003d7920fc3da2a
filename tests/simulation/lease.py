"""The lease's key, and what processes learn of each other.

Role: a KV bucket with one key that ends by age, compared by revision; questions to every process that can be reached.
In: the effects of `protocol.membership`. Out: their events, lost, late, or from a server that is behind. Always: a
put goes through only with the revision of what is there; a process that is paused, cut off or dead says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Lease

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class LeaseBucket:
    """One key, in memory: a restart of a single server may lose it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost_ms = -(1 << 60)  # when it was last lost: who held it then counts on it for its time
        self._lease: Lease | None = None
        self._before: Lease | None = None  # what a server that is behind still says
        self._sequence = 0

    def lose(self) -> None:
        """It was in the memory of a server that has ended, or an operator changed it."""
        self.lost_ms = self.world.now_ms
        chosen = self.world.random.choice((None, *self.world.processes))
        if chosen is None:
            self.forget()
        else:
            self.world.say("operator", "gives the lease to {}", chosen.name)
            self._set(Lease(chosen.name, "given", 0))

    def forget(self) -> None:
        """The server restarted without the bucket; the first process that needs it makes it again."""
        self.lost_ms = self.world.now_ms
        self.world.say("server", "has forgotten the lease")
        self._lease = self._before = None
        self._sequence += 1_000_000  # a new bucket begins where no older one has come to

    def read(self, process: Process, effect: e.ReadLease) -> None:
        """What the key holds."""
        self._call(process, effect.call_id, self._read)

    def put(self, process: Process, effect: e.PutLease | e.ReleaseLease) -> None:
        """Exchange it, when its revision is the expected one."""
        lease = Lease(None, "", 0) if isinstance(effect, e.ReleaseLease) else Lease(process.name, process.boot, 0)
        self._call(process, effect.call_id, self._put, lease, effect.expected)

    def _call(self, process: Process, call_id: int, serve: object, *arguments: object) -> None:
        world = self.world
        if not process.connected or world.chance(world.weather.lease_lost):
            self._fail(process, process.life, call_id, conflict=False, delay_ms=world.plan.settings.lease_call_ms)
        else:
            world.later(world.transit_ms(), serve, process, process.life, call_id, *arguments)  # type: ignore[arg-type]

    def _read(self, process: Process, life: int, call_id: int) -> None:
        world = self.world
        if not world.server.up:
            self._fail(process, life, call_id, conflict=False, delay_ms=world.plan.settings.lease_call_ms)
            return
        behind = process.name in world.server.deposed or world.chance(world.weather.read_stale)
        lease = self._before if behind else self._lease
        world.later(world.transit_ms(), process.hear_server, life, e.LeaseRead(call_id, lease))

    def _put(self, process: Process, life: int, call_id: int, lease: Lease, expected: int) -> None:
        world = self.world
        if not world.server.up or world.server.stuck or process.name in world.server.deposed:
            self._fail(process, life, call_id, conflict=False, delay_ms=world.plan.settings.lease_call_ms)
            return
        if expected != (self._lease.revision if self._lease is not None else 0):
            self._fail(process, life, call_id, conflict=True, delay_ms=world.transit_ms())
            return
        self._set(lease)
        if world.chance(world.weather.ack_lost):
            self._fail(process, life, call_id, conflict=False, delay_ms=world.plan.settings.lease_call_ms)
        else:
            world.later(world.transit_ms(), process.hear_server, life, e.LeasePut(call_id, self._sequence))

    def _set(self, lease: Lease) -> None:
        world = self.world
        self._sequence += 1
        self._before = self._lease
        self._lease = Lease(lease.node, lease.boot, self._sequence)
        late_ms = world.random.randint(0, world.weather.lease_late_ms)
        world.later(world.plan.settings.lease_ttl_ms + late_ms, self._expire, self._lease)

    def _fail(self, process: Process, life: int, call_id: int, *, conflict: bool, delay_ms: int) -> None:
        detail = "wrong last sequence" if conflict else "no answer"
        self.world.later(delay_ms, process.hear, life, e.LeaseFailed(call_id, conflict, detail))

    def _expire(self, lease: Lease) -> None:
        if self._lease is lease:
            self.world.say("server", "the lease of {} is over", lease.node)
            self._before, self._lease = lease, None


class Neighbours:
    """Who answers whom, and where the streams are said to end."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, process: Process, effect: e.AskPeers) -> None:
        """Every process that can answer does; after a while the answers are reported."""
        world = self.world
        if not process.connected or not world.server.up:
            return  # asked again when it is due
        heard = [state for state, sealed in world.network.gathered(process) if sealed or world.cast.credulous]
        gather_ms = world.plan.settings.peers_gather_ms
        for other in world.processes:
            there_ms, back_ms = world.transit_ms(), world.transit_ms()
            if there_ms + back_ms < gather_ms and not world.chance(world.weather.peer_silent):
                world.later(there_ms, self._answer, other, heard)
        world.later(gather_ms, self._gathered, process, process.life, world.now_ms, effect.call_id, heard)

    def _gathered(self, process: Process, life: int, asked_ms: int, call_id: int, heard: list[e.PeerState]) -> None:
        if life == process.life:
            process.asked_ms = asked_ms
            process.hear(life, e.PeersAnswered(call_id, heard))

    def _answer(self, other: Process, heard: list[e.PeerState]) -> None:
        if other.protocol is not None and not other.paused and other.connected:
            state = other.protocol.peer_state(other.journal.end)
            self.world.network.overhear(state)
            heard.append(state)

    def read_ends(self, process: Process, effect: e.ReadEnds) -> None:
        """STREAM.INFO of both streams, from a server that may be behind."""
        world = self.world
        if not process.connected or not world.server.up or world.chance(world.weather.read_lost):
            none = e.EndsRead(effect.call_id, None, None)
            world.later(world.plan.settings.lease_call_ms, process.hear, process.life, none)
            return
        ends = e.EndsRead(effect.call_id, world.server.said_end(process), len(world.server.incoming))
        world.later(world.transit_ms(), process.hear_server, process.life, ends)
