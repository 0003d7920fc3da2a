"""Core NATS between the processes: heartbeats, questions to the leader, their answers; and who listens in.

Role: carry each message to whom it is for, or lose it, be late, deliver it twice; keep some for an attacker, who sends
them again or sends their own. In: messages, each with whether a gateway sealed it. Out: calls of `Member`. Always: only
"nobody listens there" comes back to a sender; an attacker has the network's right to publish, but not the seal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.peers.wire import Commands, ForwardedCommand, encode_peer_state
from holdfast.protocol.forwarding import CommandAnswer
from holdfast.protocol.messages import PeerState, Role

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

KEPT_MAX = 64  # of each kind, for an attacker


@dataclass(frozen=True, slots=True)
class Sent:
    """A question as it travels. `left_ms` from `sent_ms` on its sender waits for the answer."""

    sender: Process
    life: int
    question: Commands
    sent_ms: int
    sealed: bool = True


@dataclass(frozen=True, slots=True)
class Replied:
    """A leader's answer, to the question of that number."""

    number: int
    problem: str
    outcome: str
    answers: tuple[CommandAnswer, ...]
    sealed: bool = True


class Network:
    """Between all processes of one history."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._listening: dict[tuple[str, int], tuple[Process, int]] = {}  # (node, epoch): the process in one life
        self._pulses: deque[bytes] = deque(maxlen=KEPT_MAX)
        self._questions: deque[tuple[tuple[str, int], Sent]] = deque(maxlen=KEPT_MAX)
        self._answers: deque[PeerState] = deque(maxlen=KEPT_MAX)

    # ---- who listens

    def listen(self, process: Process, epoch: int) -> None:
        """A process leads, and takes questions of that epoch."""
        self._listening[process.name, epoch] = (process, process.life)

    def leave(self, process: Process) -> None:
        """It takes none any more."""
        for address in [address for address, (who, _) in self._listening.items() if who is process]:
            del self._listening[address]

    # ---- heartbeats

    def pulse(self, sender: Process, payload: bytes) -> None:
        """A process's state, for every other one."""
        if sender.connected and self.world.server.up:
            self._pulses.append(payload)
            self._spread(payload, sealed=True, sender=sender)

    def _spread(self, payload: bytes, *, sealed: bool, sender: Process | None = None) -> None:
        for process in self.world.processes:
            if process is not sender:
                self._deliver(process, process.life, process.member.on_pulse, payload, sealed)

    # ---- questions and answers

    def ask(self, address: tuple[str, int], sent: Sent) -> None:
        """A question leaves its process. The server gets it once at most, and answers once that nobody listens."""
        world = self.world
        self._questions.append((address, sent))
        if not world.chance(world.weather.message_lost):
            world.later(world.transit_ms(), self._arrive, address, sent)

    def _arrive(self, address: tuple[str, int], sent: Sent, *, again: bool = False) -> None:
        """It is at the server. `again`: from an attacker; a server tells the publisher alone that nobody listens."""
        world = self.world
        if not world.server.up:
            return
        listening = self._listening.get(address)
        if listening is not None:
            process, life = listening
            for _ in range(1 + world.chance(world.weather.message_twice) if process.connected else 0):
                world.later(world.transit_ms(), process.run, life, process.member.on_question, address[1], sent)
        elif sent.sender.connected and not again:
            world.met["nobody listens"] += 1
            number = sent.question.number
            world.later(world.transit_ms(), sent.sender.run, sent.life, sent.sender.member.on_nobody, number)

    def reply(self, sender: Process, sent: Sent, replied: Replied) -> None:
        """The answer to a question."""
        if sender.connected and self.world.server.up:
            self._deliver(sent.sender, sent.life, sent.sender.member.on_reply, replied)

    def _deliver(self, process: Process, life: int, call: Callable[..., None], *args: object) -> None:
        for _ in range(self._copies()):
            self.world.later(self.world.transit_ms(), self._hand_over, process, life, call, *args)

    def _hand_over(self, process: Process, life: int, call: Callable[..., None], *args: object) -> None:
        if process.connected and self.world.server.up:
            process.run(life, call, *args)

    def _copies(self) -> int:
        world = self.world
        return 1 + world.chance(world.weather.message_twice) - world.chance(world.weather.message_lost)

    # ---- an attacker

    def overhear(self, state: PeerState) -> None:
        """A process has answered another."""
        self._answers.append(state)

    def gathered(self, asker: Process) -> list[tuple[PeerState, bool]]:
        """What an attacker puts among the answers of peers: (the answer, whether it is sealed)."""
        world = self.world
        found = []
        if self._answers and world.chance(world.weather.peer_replayed):
            found.append((world.random.choice(self._answers), True))
        if world.chance(world.weather.peer_forged):
            world.met["forged answer"] += 1
            found.append((self._forged(asker), False))
        return found

    def forge_pulse(self) -> None:
        """The state of a process that does not exist, or is not so."""
        self._spread(encode_peer_state(self._forged(None)), sealed=False)

    def replay_pulse(self) -> None:
        """One that a process sent once."""
        if self._pulses:
            self._spread(self.world.random.choice(self._pulses), sealed=True)

    def forge_question(self) -> None:
        """Commands that nobody asked for, to the process that leads."""
        for address in list(self._listening):
            asked = ForwardedCommand("put", f"forged-{self.world.now_ms}", FORGED_BODY, None, None)
            question = Commands(1_000, [asked], 0, "forged", self.world.now_ms)
            sent = Sent(self.world.processes[0], -1, question, self.world.now_ms, sealed=False)
            self._arrive(address, sent, again=True)

    def replay_question(self) -> None:
        """One that a process asked once, to the same leader."""
        if self._questions:
            self._arrive(*self.world.random.choice(self._questions), again=True)

    def forge_reply(self) -> None:
        """To every question that waits for its answer: it was not done."""
        for process in self.world.processes:
            for number in process.member.open_questions:
                told = Replied(number, "no-leader", "not-done", (), sealed=False)
                self._deliver(process, process.life, process.member.on_reply, told)

    def _forged(self, asker: Process | None) -> PeerState:
        world = self.world
        random, reference = world.random, world.invariants.reference
        name = random.choice([reference.node or "n1", "n9", *(process.name for process in world.processes)])
        boot = random.choice([f"{name}.1", f"{name}.forged", asker.boot if asker is not None else "n9.7"])
        sequence = max(0, reference.sequence + random.choice((-3, -1, 0, 1, 5, 1_000_000)))
        digests = tuple((at, f"{random.getrandbits(128):032x}") for at in range(max(1, sequence - 8), sequence + 1))
        role = random.choice((Role.LEADING, Role.LEADING, Role.FOLLOWING, Role.HALTED)).value
        epoch = max(0, reference.epoch + random.choice((-1, 0, 0, 1)))
        chain = f"{random.getrandbits(256):064x}"
        clock_ms = random.choice((1, 1 << 40))
        return PeerState(name, boot, role, epoch, sequence, chain, 0, sequence, chain, digests, clock_ms)


FORGED_BODY = b'{"channel":"web","ttl_ms":60000,"lines":[{"sku":"A","quantity":1}]}'
