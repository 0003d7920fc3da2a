"""A state machine small enough to check by eye, in the place of the real one.

Role: let the protocol be tried without the extension. State: who holds which id, and which IN messages were taken. It
chains, voids and speculates by the same rules as the real core.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol.core import Incoming, Receipt, Request


@dataclass
class FakeDecision:
    message: bytes | None = None
    commands_taken: int = 0
    incoming_taken: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    received: list[Receipt] = field(default_factory=list)
    dead: list[tuple[int, int, str, bytes]] = field(default_factory=list)


class FakeCore:
    """put makes a reservation for ever; IN messages are taken unless they are b"bad", where commands leave room."""

    def __init__(self, batch_max: int = 4) -> None:
        self.batch_max = batch_max
        self.sequence = 0
        self.batch = 0
        self.epoch = 0
        self.node = ""
        self.chain = "0" * 64
        self.in_upto = 0
        self.now_ms = 0
        self.lead_ms = 0
        self.void_total = 0
        self.held: dict[str, str] = {}
        self.taken: list[int] = []
        self.due: list[int] = []
        self.is_proven = True
        self._pending: bytes | None = None

    @property
    def pending(self) -> bool:
        return self._pending is not None

    def lead_batch(self, node: str, now_ms: int, rules: bytes = b"{}") -> bytes:
        del rules
        return self._encode("lead", self.epoch + 1, node, now_ms, self.lead_ms, self.in_upto, [])

    def decide(self, now_ms: int, lead_ms: int, commands: list[Request], incoming: list[Incoming]) -> FakeDecision:
        assert self._pending is None, "decide while a batch is pending"
        assert lead_ms >= self.lead_ms, "the lead clock went back"
        decision = FakeDecision()
        facts: list[dict[str, Any]] = []
        in_upto = self.in_upto
        room = self.batch_max - min(len(commands), self.batch_max)
        for sequence, _subject, payload in incoming[:room]:
            decision.incoming_taken += 1
            in_upto = sequence
            if payload == b"bad":
                decision.dead.append((sequence, -1, "malformed-json", payload))
                decision.received.append((sequence, 0, [(-1, "malformed-json")], b"{}"))
            else:
                facts.append({"in": sequence})
                decision.received.append((sequence, 1, [], b"{}"))
        expired = [due for due in self.due if due <= lead_ms]
        for _verb, name, body, *_ in commands[: self.batch_max]:
            decision.commands_taken += 1
            known = self.held.get(name) or next((f["body"] for f in facts if f.get("put") == name), None)
            if known is None:
                facts.append({"put": name, "body": body.decode()})
                decision.answers.append((201, body))
            else:
                decision.answers.append((200 if known == body.decode() else 409, known.encode()))
        if facts or in_upto != self.in_upto or expired:
            self._pending = self._encode("facts", self.epoch, self.node, now_ms, lead_ms, in_upto, facts)
            self._take(json.loads(self._pending))
            decision.message = self._pending
        return decision

    def commit(self, sequence: int) -> None:
        assert self._pending is not None
        assert sequence == self.sequence + 1
        self._settle(sequence, self._pending)
        self._pending = None

    @property
    def signed(self) -> bool:
        return True

    def lacks_code(self, message: bytes) -> bool:
        return message.startswith(b"unsigned")

    def skip_unsigned(self, sequence: int, message: bytes) -> bool:
        assert sequence == self.sequence + 1, f"gap: {sequence} after {self.sequence}"
        if not self.lacks_code(message):
            return False
        self.sequence = sequence
        self.void_total += 1
        return True

    def apply(self, sequence: int, message: bytes) -> bool:
        assert self._pending is None, "apply while a batch is pending"
        assert sequence == self.sequence + 1, f"gap: {sequence} after {self.sequence}"
        batch: dict[str, Any] = {}
        try:
            batch = json.loads(message)
            lead = batch["kind"] == "lead"
            fits = batch["previous"] == self.chain and batch["batch"] == self.batch + 1
            fits = fits and batch["epoch"] == self.epoch + lead and (lead or batch["node"] == self.node)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            self.sequence = sequence
            self.void_total += 1
            return False
        self._take(batch)
        self._settle(sequence, message)
        return True

    def apply_many(self, first_sequence: int, messages: Sequence[bytes]) -> int:
        return sum(not self.apply(first_sequence + at, message) for at, message in enumerate(messages))

    def next_due_lead_ms(self) -> int | None:
        return min(self.due, default=None)

    def wants_tick(self, now_ms: int) -> bool:
        del now_ms
        return False

    def check(self) -> list[str]:
        return []

    def prove(self) -> bool:
        return self.is_proven

    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.held, self.taken, self.due], sort_keys=True).encode()).hexdigest()[:32]

    def totals(self) -> bytes:
        return b"{}"

    def _encode(
        self, kind: str, epoch: int, node: str, now_ms: int, lead_ms: int, in_upto: int, facts: list[dict[str, Any]]
    ) -> bytes:
        batch = {
            "kind": kind,
            "epoch": epoch,
            "node": node,
            "batch": self.batch + 1,
            "previous": self.chain,
            "in_upto": in_upto,
            "now_ms": max(now_ms, self.now_ms),
            "lead_ms": lead_ms,
            "facts": facts,
        }
        return json.dumps(batch).encode()

    def _take(self, batch: dict[str, Any]) -> None:
        for fact in batch["facts"]:
            if "in" in fact:
                assert fact["in"] not in self.taken, "an IN message was taken twice"
                self.taken.append(fact["in"])
            else:
                self.held[fact["put"]] = fact["body"]
                if fact["body"].startswith("ttl:"):
                    self.due.append(batch["lead_ms"] + int(fact["body"][4:]))
        self.due = [due for due in self.due if due > batch["lead_ms"]]
        self.epoch, self.node, self.in_upto = batch["epoch"], batch["node"], batch["in_upto"]
        self.now_ms, self.lead_ms = batch["now_ms"], batch["lead_ms"]

    def _settle(self, sequence: int, message: bytes) -> None:
        self.sequence = sequence
        self.batch += 1
        self.chain = hashlib.sha256(message).hexdigest()


def replayed(messages: Sequence[bytes]) -> FakeCore:
    """A new core with these messages applied."""
    core = FakeCore()
    core.apply_many(1, messages)
    return core
