"""One gateway process: the real protocol, and a simulated hand for each of its effects.

Role: what holdfast.node.node does on asyncio, on simulated time. In: events from the server and the feeds, commands,
signals (kill, stop, pause). Out: the protocol's effects, carried out. Always: an effect that it does not know ends the
simulation loudly; what a killed process had still to receive never reaches its next run; a paused one receives
everything later, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from holdfast.protocol import messages as e
from holdfast.protocol.machine import Protocol
from tests.simulation.feeds import InFeed, LogFeed
from tests.simulation.journal import Journal
from tests.simulation.member import Member
from tests.simulation.snapshots import Snapshots

if TYPE_CHECKING:
    from tests.simulation.clients import Attempt
    from tests.simulation.world import World

WALL_MS = 1_790_000_000_000
RESTART_MS_MAX = 800
RULES = b'{"renewals_max":2}'


class Process:
    """One node's process, in its present life."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.life = 0
        self.boot = ""
        self.protocol: Protocol | None = None
        self.paused = False
        self.connected = True
        self.wall_offset_ms = WALL_MS
        self.journal = Journal(self)
        self.log_feed = LogFeed(self)
        self.in_feed = InFeed(self)
        self.asked_ms = -1  # when it last asked the others, and was answered
        self.reachable_ms = 0  # since when it can be reached, when it can
        self.waiting: dict[int, Attempt] = {}
        self._mono_offset_ms = 0
        self.member = Member(self)
        self.snapshots = Snapshots(self)
        self._turn_scheduled = False
        self._inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._hands: dict[type[Any], Callable[[Any], None]] = {
            e.Answer: self._answer,
            e.Reject: self._reject,
            e.Committed: lambda effect: world.invariants.on_committed(self, effect.sequence),
            e.Keep: self._keep,
            e.Received: lambda effect: world.invariants.on_received(self, effect),
            e.ReadLease: lambda effect: world.lease.read(self, effect),
            e.PutLease: lambda effect: world.lease.put(self, effect),
            e.ReleaseLease: lambda effect: world.lease.put(self, effect),
            e.AskPeers: lambda effect: world.neighbours.ask(self, effect),
            e.ReadEnds: lambda effect: world.neighbours.read_ends(self, effect),
            e.Append: self._append,
            e.PublishDead: lambda effect: world.invariants.on_dead(effect.letters),
            e.FetchIn: self.in_feed.fetch,
            e.ReadMessage: lambda effect: world.server.read(self, effect.sequence),
            e.Follow: lambda effect: self.log_feed.follow(effect.after),
            e.StopFollowing: lambda _: self._stop_following(),
            e.Rebuild: self._rebuild,
            e.RoleChanged: self._role_changed,
            e.Alarm: self._alarm,
            e.Halt: lambda effect: world.wrong("halt", f"{self.name} halted: {effect.reason}"),
        }

    # ---- life

    def begin(self) -> None:
        """A new process."""
        if self.protocol is not None:
            return
        world = self.world
        self.life += 1
        self.boot = f"{self.name}.{self.life}"
        self.reachable_ms = world.now_ms
        self._mono_offset_ms = world.random.randint(0, 1_000_000)  # perhaps on another machine
        self.journal.begin()
        self.member.begin()
        self.asked_ms = -1
        jitter = Random(world.random.getrandbits(32))
        self.protocol = world.cast.protocol(self.name, RULES, world.plan.settings, boot=self.boot, random=jitter)
        world.say(self.name, "starts, life {}", self.life)
        world.invariants.on_begin(self)
        self.drive(self._clock(e.Tick))
        self._perform(self.protocol.start())
        self._tick_later()

    def kill(self) -> None:
        """kill -9. What it has sent stays on its way."""
        if self.protocol is None:
            return
        self.world.say(self.name, "is killed as it is {}", self.protocol.role.value)
        self._end()

    def stop(self) -> None:
        """SIGTERM: finish what is here, at most for a while."""
        if self.protocol is not None and not self.paused:
            self.world.say(self.name, "is asked to stop")
            self.drive(e.Stop())
            self.world.later(self.world.random.randint(0, 400), self.run, self.life, self._leave)

    def _leave(self) -> None:
        """Give the lease back, and wait a while for that."""
        assert self.protocol is not None
        self._perform(self.protocol.leave())
        self._stopped(self.world.now_ms + self.world.plan.settings.lease_call_ms)

    def _stopped(self, by_ms: int) -> None:
        assert self.protocol is not None
        if not self.protocol.left and self.world.now_ms < by_ms:
            self.world.later(1, self.run, self.life, self._stopped, by_ms)
            return
        self._reject(e.Reject(self.protocol.abandon(), e.Problem.NO_LEADER, e.Outcome.UNKNOWN))
        self.member.close()
        self.world.say(self.name, "has stopped")
        self._end()

    def _end(self) -> None:
        self.protocol = None
        self.life += 1
        self.paused = False
        self._inbox.clear()
        self._turn_scheduled = False
        self._stop_following()
        self.member.begin()
        for attempt in list(self.waiting.values()):
            attempt.process_died()
        self.waiting.clear()
        self.world.later(self.world.random.randint(20, RESTART_MS_MAX), self.begin)

    def pause(self) -> None:
        """SIGSTOP."""
        if self.protocol is not None and not self.paused:
            self.world.say(self.name, "is paused as it is {}", self.protocol.role.value)
            self.paused = True

    def resume(self, life: int) -> None:
        """SIGCONT: time has jumped; what came meanwhile is received now."""
        if self.protocol is None or not self.paused or life != self.life:
            return
        self.world.say(self.name, "goes on, {} events wait", len(self._inbox))
        self.paused = False
        self.reachable_ms = self.world.now_ms
        inbox, self._inbox = self._inbox, []
        if self.world.random.random() < 0.5:
            self.drive(self._clock(e.Tick))
        for call, args in inbox:
            if life == self.life:
                call(*args)

    def connect(self, *, connected: bool) -> None:
        """The connection to NATS comes or goes."""
        if connected != self.connected:
            self.connected = connected
            self.reachable_ms = self.world.now_ms
            self.world.say(self.name, "is connected" if connected else "is cut off")
            if connected:
                self.hear(self.life, e.Connected())

    # ---- driving the protocol

    def run(self, life: int, call: Callable[..., None], *args: Any) -> None:
        """Call it in this life of the process, once it is not paused."""
        if life != self.life or self.protocol is None:
            return
        if self.paused:
            self._inbox.append((call, args))
        else:
            call(*args)

    def hear(self, life: int, event: e.Event) -> None:
        """An event reaches the process."""
        self.run(life, self.drive, event)

    def hear_server(self, life: int, event: e.Event) -> None:
        """A reply; lost when there is no connection at this moment."""
        if self.connected:
            self.hear(life, event)

    def drive(self, event: e.Event) -> None:
        """The protocol receives it, and its effects are carried out."""
        protocol = self.protocol
        assert protocol is not None
        self.world.invariants.changed = True
        if isinstance(event, e.Tick | e.Turn):
            self.world.invariants.before_clock(self)
        else:
            self.world.say(self.name, "hears {}", event)
        self._perform(protocol.handle(event))
        self.member.settled()
        if not self._turn_scheduled and protocol.wants_turn:
            if isinstance(event, e.AppendStored):
                self._turn()
            else:
                self._turn_soon()

    def _turn_soon(self) -> None:
        self._turn_scheduled = True
        self.world.later(self.world.random.randint(0, 1), self.run, self.life, self._turn)

    def _turn(self) -> None:
        self._turn_scheduled = False
        self.drive(self._clock(e.Turn))

    def _tick(self) -> None:
        self._tick_later()
        self.drive(self._clock(e.Tick))
        if self.protocol is not None:
            self.member.tick()

    def _tick_later(self) -> None:
        self.world.later(self.world.plan.settings.tick_ms, self.run, self.life, self._tick)

    def _clock(self, kind: type[e.Tick | e.Turn]) -> e.Tick | e.Turn:
        return kind(self.mono_ms, self.world.now_ms + self.wall_offset_ms)

    @property
    def mono_ms(self) -> int:
        """Its monotonic clock."""
        return self.world.now_ms + self._mono_offset_ms

    def submit(self, attempt: Attempt) -> None:
        """A request has reached this process."""
        protocol = self.protocol
        assert protocol is not None
        deadline_ms = self.mono_ms + self.world.plan.settings.command_deadline_ms
        command = e.Command(attempt.operation.request, attempt, deadline_ms)
        refused = protocol.submit(command)
        self.waiting[attempt.number] = attempt
        if refused is None:
            self.wake()
        elif refused[0] is e.Problem.NO_LEADER and self.world.plan.forwards and not protocol.state.stopping:
            self.member.forward(command)
        else:
            self.refuse(command, refused[1])

    def wake(self) -> None:
        """There may be something to decide."""
        if not self._turn_scheduled and self.protocol is not None and self.protocol.wants_turn:
            self._turn_soon()

    # ---- doing what it wants

    def _perform(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            hand = self._hands.get(type(effect))
            if hand is None:
                raise TypeError(f"the simulator has no hand for the effect {type(effect).__name__}: {effect}")
            hand(effect)

    def _append(self, effect: e.Append) -> None:
        self.world.say(self.name, "appends #{} after {}: {}", effect.append_id, effect.expected, effect.message)
        self.world.invariants.on_append(self, effect)
        self.world.server.append(self, effect)

    def _keep(self, effect: e.Keep) -> None:
        self.world.invariants.on_keep(self, effect)
        self.journal.keep(effect)

    def _answer(self, effect: e.Answer) -> None:
        for command, (status, body) in zip(effect.commands, effect.answers, strict=True):
            self.answer(command, status, body, effect.sequence)

    def _reject(self, effect: e.Reject) -> None:
        for command in effect.commands:
            self.refuse(command, effect.outcome)

    def answer(self, command: e.Command, status: int, body: bytes, sequence: int) -> None:
        """A command has its answer."""
        self.waiting.pop(command.waiter.number, None)
        command.waiter.answered(status, body, sequence)

    def refuse(self, command: e.Command, outcome: e.Outcome) -> None:
        """It gets none, but what is known."""
        self.waiting.pop(command.waiter.number, None)
        command.waiter.refused(outcome)

    def _stop_following(self) -> None:
        self.log_feed.stop()
        self.in_feed.stop()

    def _rebuild(self, effect: e.Rebuild) -> None:
        world = self.world
        world.say(self.name, "rebuilds: {}", effect.reason)
        world.later(world.transit_ms() + world.random.randint(0, 40), self.run, self.life, self._rebuilt)

    def _rebuilt(self) -> None:
        world = self.world
        if not (self.connected and world.server.up) or world.chance(world.weather.rebuild_fails):
            self.drive(e.RebuildFailed("no answer"))
            return
        end = world.server.said_end(self)
        core = self.snapshots.core(end)
        after = core.sequence
        messages = world.server.log[after:end]
        core.apply_many(after + 1, messages)
        self.journal.rebuilt(after, messages)
        self.member.rebuilt()
        self.drive(e.Rebuilt(core, self.journal.end))

    def _role_changed(self, effect: e.RoleChanged) -> None:
        self.world.say(self.name, "is {}: {}", effect.role.value, effect.reason)
        self.world.met[f"role {effect.role.value}"] += 1
        self.world.invariants.on_role(self, effect.role, effect.reason)
        self.member.role_changed(effect.role)

    def _alarm(self, effect: e.Alarm) -> None:
        self.world.say(self.name, "alarm {}: {}", effect.name, effect.detail)
        self.world.met[f"alarm {effect.name}"] += 1
        self.world.invariants.on_alarm(self, effect)

    # ---- looking at it

    @property
    def reachable(self) -> bool:
        """Whether a peer's question would be answered."""
        return self.protocol is not None and not self.paused and self.connected

    @property
    def knows_upto(self) -> int:
        """The last LOG message that it holds, or has reported to another."""
        protocol = self.protocol
        if protocol is None:
            return 0
        return max(
            len(self.journal.kept), protocol.stored_upto, protocol.core.sequence if protocol.core is not None else 0
        )

    @property
    def slot(self) -> tuple[int, bytes] | None:
        """Where its append under way is to be stored, and the message; None without one."""
        pending = self.protocol.state.pending if self.protocol is not None else None
        return (pending.expected, pending.message) if pending is not None and not pending.claim else None

    @property
    def leading(self) -> bool:
        """Whether it believes that it leads."""
        return self.protocol is not None and self.protocol.role is e.Role.LEADING

    def settled(self) -> bool:
        """Whether it has nothing left to do but to follow or to lead."""
        protocol = self.protocol
        if protocol is None or protocol.core is None or protocol.speculating or self.paused:
            return False
        if protocol.role is e.Role.LEADING:  # what nobody of ours has sent it need not have seen
            return protocol.core.sequence >= self.world.invariants.own_upto
        return protocol.role is e.Role.FOLLOWING and protocol.core.sequence == len(self.world.server.log)

    def story(self) -> str:
        """Its state, as text."""
        protocol = self.protocol
        if protocol is None:
            return "dead"
        core = protocol.core
        at = "without a state" if core is None else f"at {core.sequence} of {len(self.world.server.log)}"
        causes = "".join(f", {cause}: {detail}" for cause, detail in protocol.quarantine.items())
        return f"{'paused, ' * self.paused}{protocol.role.value}, {at}{causes}"
