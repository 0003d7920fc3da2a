"""Time, chance and memory of one history.

Role: call what is due, in order of simulated time; after each call let the invariants look. In: a seed, and whose
protocol and core to run (`Cast`: the real ones, or a mutant's). Out: `FindingError` when something is wrong, figures
when nothing is. Always: everything random comes from one `Random(seed)`, no clock and no set's order is ever asked, so
the same seed tells the same story on every machine.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from holdfast.protocol.core import Core
from holdfast.protocol.forwarding import Admission
from holdfast.protocol.machine import Protocol
from tests.simulation.clients import Erp, Shopper
from tests.simulation.cores import new_core, restored
from tests.simulation.ending import at_the_end
from tests.simulation.faults import Faults
from tests.simulation.foreign import Attacker
from tests.simulation.invariants import Invariants
from tests.simulation.lease import LeaseBucket, Neighbours
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.server import Server
from tests.simulation.snapshots import Bucket
from tests.simulation.weather import Plan, Weather, plan
from tests.simulation.words import brief

STEPS_MAX = 200_000
TRACE_MAX = 80


class FindingError(Exception):
    """Something that must hold did not. `invariant` is its short name."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the real protocol and core, unless a mutant says otherwise."""

    protocol: Callable[..., Protocol] = Protocol
    core: Callable[[], Core] = new_core
    plan: Callable[[Random], Plan] = plan
    admission: Callable[..., Admission] = Admission
    # A core from a snapshot; None: from LOG alone.
    restore: Callable[[str], Core] | None = restored
    any_snapshot: bool = False  # whether processes begin with any snapshot, of this LOG or of another
    credulous: bool = False  # whether processes believe what no gateway sealed
    fresh: bool = True  # whether answers must reflect what was acknowledged before they were asked for (I7)


class World:
    """One history."""

    def __init__(self, seed: int, cast: Cast | None = None, *, trace_all: bool = False) -> None:
        self.seed = seed
        self.cast = cast or Cast()
        self.random = Random(seed)
        self.plan = self.cast.plan(self.random)
        self.weather = self.plan.weather
        self.now_ms = 0
        self.steps = 0
        self.storm = True
        self.met: Counter[str] = Counter()  # what this history came across
        self._trace: deque[tuple[int, str, str, tuple[Any, ...]]] = deque(maxlen=None if trace_all else TRACE_MAX)
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self.invariants = Invariants(self)
        self.server = Server(self)
        self.lease = LeaseBucket(self)
        self.neighbours = Neighbours(self)
        self.network = Network(self)
        self.snapshots = Bucket()
        self.attacker = Attacker(self)
        self.processes = [Process(self, f"n{number}") for number in range(1, self.plan.processes + 1)]
        self.erp = Erp(self)
        self.shoppers = [Shopper(self, number) for number in range(1, self.plan.shoppers + 1)]
        self.faults = Faults(self)

    # ---- for everyone in it

    def later(self, delay_ms: int, call: Callable[..., None], *args: Any) -> None:
        """Call it after so many milliseconds; what is due at the same time keeps its order."""
        self._order += 1
        heapq.heappush(self._due, (self.now_ms + delay_ms, self._order, call, args))

    def chance(self, of: float) -> bool:
        """Whether it happens this time. No draw when it never does."""
        return of > 0 and self.random.random() < of

    def transit_ms(self) -> int:
        """How long one message is on its way."""
        weather = self.weather
        if self.chance(weather.late):
            return self.random.randint(1, weather.late_ms)
        return 1 + int(self.random.random() * weather.slow_ms)

    def say(self, who: str, what: str, *about: Any) -> None:
        """For the trace; put into words only when somebody reads it."""
        self._trace.append((self.now_ms, who, what, about))

    def wrong(self, invariant: str, what: str) -> None:
        """Stop here."""
        raise FindingError(invariant, what)

    # ---- the history

    def run(self) -> None:
        """Play it to the end. Raises FindingError."""
        for process in self.processes:
            self.later(self.random.randint(0, 50), process.begin)
        self.erp.begin()
        for shopper in self.shoppers:
            self.later(self.random.randint(0, 300), shopper.visit)
        self.faults.begin()
        self._run_until(self.plan.storm_ms, lambda: False)
        self.storm = False
        self.weather = Weather()
        self.faults.end()
        self.say("world", "the faults are over")
        if not self._run_until(self.plan.storm_ms + self.plan.calm_ms, self._at_rest) and not self._may_not_rest():
            self.wrong("liveness", f"after {self.plan.calm_ms} ms without faults: {self._unrest()}")
        at_the_end(self.invariants)

    def _run_until(self, end_ms: int, done: Callable[[], bool]) -> bool:
        due, look_ms = self._due, self.now_ms
        after_step = self.invariants.after_step
        while due and due[0][0] <= end_ms:
            at_ms, _, call, args = heapq.heappop(due)
            if at_ms >= look_ms:
                if done():
                    return True
                look_ms = at_ms + 50
            self.now_ms = at_ms
            self.steps += 1
            if self.steps > STEPS_MAX:
                self.wrong("liveness", f"more than {STEPS_MAX} steps")
            call(*args)
            after_step()
        self.now_ms = end_ms
        return False

    def _at_rest(self) -> bool:
        return not self._unrest()

    def _may_not_rest(self) -> bool:
        """LOG lost its tail and went on otherwise: who knows it waits for an operator, perhaps all of them."""
        return self.invariants.history.forked

    def _unrest(self) -> list[str]:
        """What still has to happen before everything is well."""
        found = [f"{p.name} is {p.story()}" for p in self.processes if not p.settled()]
        found += [f"shopper {s.number} waits for {s.waits_for}" for s in self.shoppers if s.waits_for is not None]
        leading = sum(process.leading for process in self.processes)
        if leading != 1:
            found.append(f"{leading} lead")
        taken, there = self.invariants.reference.in_upto, len(self.server.incoming)
        if taken != there:
            found.append(f"IN is taken up to {taken} of {there}")
        return found

    def story(self) -> list[str]:
        """The last steps, as text."""
        return [f"{at:>7} ms  {who:<7} {what.format(*map(brief, about))}" for at, who, what, about in self._trace]
