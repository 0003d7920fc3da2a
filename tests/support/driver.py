"""A protocol in the hand of a test: one event at a time, and what it wants done.

In: events. Out: effects. Always: what the protocol asks of the lease's key, the peers and the streams is answered at
once, unless a test says otherwise; time passes only when a test moves it.
"""

from typing import Any, TypeVar

from holdfast.protocol import messages as e
from holdfast.protocol.machine import Protocol
from holdfast.settings import NodeSettings
from tests.support.fake_core import replayed
from tests.support.neighbours import MEMBERSHIP, LeaseStore, Neighbours

BOUNDS = NodeSettings(commands_queued_max=5, decide_commands_max=3)
EffectT = TypeVar("EffectT")


class Driver:
    """A protocol, its clock, and the effects of the last event.

    What it asks of the lease's key, the peers and the streams is answered at once, and left out of the effects; while
    `silent` is set nobody answers, and such effects are kept.
    """

    def __init__(self, log: list[bytes] | None = None, key: LeaseStore | None = None, name: str = "a") -> None:
        self.log = log if log is not None else []
        self.mono_ms = 1_000
        self.silent = False
        self.neighbours = Neighbours(key or LeaseStore(), name, f"boot of {name}", lambda: len(self.log))
        self.protocol = Protocol(name, b"{}", BOUNDS, boot=f"boot of {name}")
        self.effects: list[e.Effect] = self.protocol.start()
        self.handle(e.Tick(self.mono_ms, self.mono_ms))

    @property
    def core(self) -> Any:
        return self.protocol.core

    @property
    def role(self) -> str:
        return self.protocol.role.value

    def handle(self, event: e.Event) -> "Driver":
        return self.answer_all(self.protocol.handle(event))

    def answer_all(self, effects: list[e.Effect]) -> "Driver":
        """Answer what is asked of the others, and keep the rest."""
        self.effects = []
        waiting = list(effects)
        while waiting:
            effect = waiting.pop(0)
            if isinstance(effect, MEMBERSHIP) and not self.silent:
                waiting += self.protocol.handle(self.neighbours.answer(effect, self.mono_ms))
            else:
                self.effects.append(effect)
        return self

    def pass_ms(self, step_ms: int, wall_ms: int | None = None) -> "Driver":
        self.mono_ms += step_ms
        return self.handle(e.Tick(self.mono_ms, self.mono_ms if wall_ms is None else wall_ms))

    def turn(self) -> "Driver":
        return self.handle(e.Turn(self.mono_ms, self.mono_ms))

    def ask(self, name: str, body: bytes = b"x", patience_ms: int = 2_000) -> tuple[e.Problem, e.Outcome] | None:
        return self.protocol.submit(e.Command(("put", name, body, None, None), name, self.mono_ms + patience_ms))

    def all_of(self, kind: type[EffectT]) -> list[EffectT]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def one(self, kind: type[EffectT]) -> EffectT:
        (found,) = self.all_of(kind)
        return found

    def caught_up(self) -> "Driver":
        self.handle(e.Rebuilt(replayed(self.log)))
        return self.handle(e.CaughtUp(len(self.log)))

    def store(self) -> "Driver":
        """Store the append of the last effects and acknowledge it."""
        append = self.one(e.Append)
        assert append.expected == len(self.log)
        self.log.append(append.message)
        return self.handle(e.AppendStored(append.append_id, len(self.log)))


def passing(driver: Driver, span_ms: int, step_ms: int = 25) -> list[e.Effect]:
    """Let time pass in ticks; every effect of it."""
    effects: list[e.Effect] = []
    for _ in range(0, span_ms, step_ms):
        effects += driver.pass_ms(step_ms).effects
    return effects


def appended(effects: list[e.Effect]) -> list[e.Append]:
    return [effect for effect in effects if isinstance(effect, e.Append)]


def holder(driver: Driver) -> str | None:
    value = driver.neighbours.key.value(driver.mono_ms)
    return value.node if value is not None else None


def peer(sequence: int, chain: str, **more: Any) -> e.PeerState:
    return e.PeerState("b", "boot of b", "following", 1, sequence, chain, **more)
