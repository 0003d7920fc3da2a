"""Shoppers and the ERP: their requests, and the answers.

Role: shoppers hold few units of the same two SKUs, confirm, release, extend, repeat what was answered with 503 to the
same or another process, or give up; the ERP sends movements, levels and rubbish to IN. In: answers. Out: attempts.
Always: an operation keeps its body, its reservation id and its idempotency key (every second one has one) through all
its attempts; each attempt is notified once of
its outcome, by its process, and perhaps never receives that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from holdfast.protocol.core import Request
from holdfast.protocol.messages import Outcome

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

SKUS = ("A", "B")
LOCATION = "L"
ERP = "hf.main.in.erp.acme"
RUBBISH = (b"{", b'{"source":"acme","facts":[{"kind":"?"}]}')
POLICY = "hf.main.in.policy"
TTLS_MS = (150, 400, 1_000, 5_000, 60_000)


class Operation:
    """One thing that a shopper wants, with all its attempts."""

    def __init__(self, shopper: Shopper, verb: str, name: str, body: dict[str, Any]) -> None:
        self.shopper = shopper
        self.verb = verb
        self.name = name
        self.body = body
        self.request: Request = (verb, name, orjson.dumps(body), None, None)
        self.keyed = verb != "put" and name.endswith(("0", "2", "4", "6", "8"))
        if self.keyed:
            self.request = (*self.request[:5], f"key-{verb}-{name}")
        self.finished = False  # the shopper has an answer, or does not want one any more
        self.may = 0  # attempts of which it is not known that they did nothing

    def __str__(self) -> str:
        return f"{self.verb} {self.name}"


class Attempt:
    """One request on its way, in a process, or answered."""

    def __init__(self, world: World, number: int, operation: Operation, process: Process) -> None:
        self.world = world
        self.number = number
        self.operation = operation
        self.process = process
        self.told = False
        self.sent_after = world.invariants.acknowledged_upto
        operation.may += 1

    def arrive(self) -> None:
        """The request reaches the process; when there is none, it is refused."""
        if self.process.protocol is None:
            self.refused(Outcome.NOT_DONE)
        else:
            self.process.run(self.process.life, self.process.submit, self)

    def answered(self, status: int, body: bytes, sequence: int) -> None:
        """The process has an answer."""
        self._once()
        self.world.say("client", "{} is answered {} at {}", self.operation, status, sequence)
        self.world.invariants.on_answer(self, status, body, sequence)
        self._tell(status)

    def refused(self, outcome: Outcome) -> None:
        """503, with what is known."""
        self._once()
        self.world.say("client", "{} (#{}) is refused: {}", self.operation, self.number, outcome.value)
        if outcome is Outcome.NOT_DONE:
            self.operation.may -= 1
            self.world.invariants.on_not_done(self.operation)
        self._tell(503)

    def process_died(self) -> None:
        """Nobody will answer: the connection breaks."""
        self._once()
        self._tell(0)

    def _once(self) -> None:
        if self.told:
            self.world.wrong("answered once", f"{self.operation} (#{self.number}) is answered a second time")
        self.told = True

    def _tell(self, status: int) -> None:
        world = self.world
        if not world.chance(world.weather.answer_lost):
            world.later(world.transit_ms(), self.operation.shopper.hear, self.operation, status, self.process)


class Shopper:
    """One visit after the other; one operation at a time."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.waits_for: Operation | None = None
        self._visits = 0
        self._prefers: Process | None = None

    def visit(self) -> None:
        """Another cart."""
        world = self.world
        if not world.storm:
            return
        random = world.random
        self._visits += 1
        skus = SKUS if random.random() < 0.2 else (random.choice(SKUS),)
        lines = [{"sku": sku, "quantity": random.randint(1, 2)} for sku in skus]
        body: dict[str, Any] = {"channel": "web", "ttl_ms": random.choice(TTLS_MS), "lines": lines}
        if random.random() < 0.2:
            body |= {"owner": f"o{self.number}", "supersede": True}
        self.ask(Operation(self, "put", f"r{self.number}-{self._visits}", body))

    def ask(self, operation: Operation) -> None:
        """Send it; ask again after a while without an answer."""
        self.waits_for = operation
        self._send(operation)

    def _send(self, operation: Operation) -> None:
        world, weather = self.world, self.world.weather
        if operation.finished:
            return
        process = self._prefers or world.random.choice(world.processes)
        copies = [world.invariants.new_attempt(operation, process)]
        if world.chance(weather.request_twice):
            copies.append(world.invariants.new_attempt(operation, process))
        for attempt in copies:
            if world.chance(weather.request_lost):
                operation.may -= 1
            else:
                world.later(world.transit_ms(), attempt.arrive)
        patience_ms = world.plan.settings.command_deadline_ms + world.random.randint(50, 1_000)
        world.later(patience_ms, self._impatient, operation, copies[-1].number)

    def _impatient(self, operation: Operation, number: int) -> None:
        if not operation.finished and number == self.world.invariants.last_attempt(operation):
            self._again(operation)

    def hear(self, operation: Operation, status: int, process: Process) -> None:
        """An answer reaches the shopper."""
        if operation.finished:
            return
        if status in {0, 503}:
            self._prefers = None
            self.world.later(self.world.random.randint(10, 150), self._again, operation)
            return
        self._prefers = process
        self._finish(operation)
        self.world.later(self.world.random.randint(0, 200), self._next, operation, status)

    def _again(self, operation: Operation) -> None:
        if operation.finished:
            return
        self._prefers = None
        if self.world.storm and self.world.random.random() < 0.15:
            self._finish(operation)  # gives up, and will never know
            self.world.later(self.world.random.randint(0, 200), self.visit)
        else:
            self._send(operation)

    def _finish(self, operation: Operation) -> None:
        operation.finished = True
        self.waits_for = None

    def _next(self, before: Operation, status: int) -> None:
        chance = self.world.random.random()
        if before.verb in {"release", "cancel"} or status >= 400 or chance < 0.2:
            self.visit()
        elif before.verb == "confirm":
            if chance < 0.3:
                self.ask(Operation(self, "cancel", before.name, {}))
            else:
                self.visit()
        elif chance < 0.6:
            self.ask(Operation(self, "confirm", before.name, {"order_ref": f"o-{before.name}"}))
        elif chance < 0.75 and before.verb == "put":
            self.ask(Operation(self, "extend", before.name, {"ttl_ms": self.world.random.choice(TTLS_MS)}))
        else:
            self.ask(Operation(self, "release", before.name, {}))


class Erp:
    """Sends facts to IN, each with a number that nobody else has, so that LOG shows what was taken and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._sent = 0

    def begin(self) -> None:
        """The catalogue, the first levels, and then now and then a movement."""
        self._send(POLICY, "policy", {"kind": "location", "location": LOCATION, "type": "warehouse"})
        for sku in SKUS:
            level = {"kind": "stock.level", "sku": sku, "location": LOCATION, "basis": "net"}
            self._send(ERP, "acme", level | {"on_hand": self.world.plan.units, "as_of": self._sent + 1})
        self.world.later(self.world.random.randint(50, 600), self._again)

    def _again(self) -> None:
        if self.world.storm:
            self.movement()
            self.world.later(self.world.random.randint(50, 600), self._again)

    def movement(self) -> None:
        """Some units more or fewer; or something that is no fact at all."""
        random = self.world.random
        number = self._sent + 1
        if random.random() < 0.15:
            self._sent += 1
            self.world.server.put_in(ERP, random.choice(RUBBISH))
            return
        quantity = random.choice((1, 1, 2, -1))
        fact = {"kind": "stock.delta", "sku": random.choice(SKUS), "location": LOCATION, "quantity": quantity}
        self._send(ERP, "acme", fact | {"reason": "count", "ref": f"d{number}", "as_of": number})

    def _send(self, subject: str, source: str, fact: dict[str, Any]) -> None:
        self._sent += 1
        self.world.server.put_in(subject, orjson.dumps({"source": source, "facts": [fact]}))
