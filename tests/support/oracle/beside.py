"""One history given to the oracle and, where it is built, to the core beside it; every answer is compared on the way.

In: facts and commands as plain arguments. Out: the answers, once both agree. Always holds: the core sees the same bytes
as the oracle, in the same batches, and each stored batch is kept for a replay; after each batch the digest is proven.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any, Self

from holdfast._core import Decision, Engine
from tests.support.digests import assert_counted, assert_digest
from tests.support.oracle import Answer, Command, Oracle, Received
from tests.support.oracle.stillness import standing_still
from tests.support.oracle.world import Verb

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
AS_OF = b'{"sequence":0,"age_ms":0,"mode":"live"}'
Told = tuple[int, int, list[Command], list[tuple[int, str, bytes]]]  # now_ms, lead_ms, commands, incoming


class Beside:
    def __init__(self, *, core: bool = True, **rules: Any) -> None:
        self.rules = rules
        self.oracle = Oracle(**rules)
        self.now_ms, self.lead_ms = NOON, 0
        self.in_sequence = 0
        self.batches: list[bytes] = []
        self.told: list[Told] = []
        self.engine: Engine | None = None
        self.follower: Engine | None = None
        if core:
            self.engine, self.follower = Engine("main"), Engine("main")
            # Histories sell on a channel that is never declared; test_undeclared_channels.py has the default.
            wanted = {"undeclared_channels": "serve"} | rules
            lead = self.engine.lead_batch("n1", self.now_ms, json.dumps(wanted).encode())
            self._store(lead, leader_applies=True)
        self.oracle.world.now_ms = self.now_ms

    # --- what happens -------------------------------------------------------------------------------------------------

    def tell(
        self, commands: list[Command], incoming: list[tuple[int, str, bytes]]
    ) -> tuple[list[Answer], list[Received]]:
        """One batch; another one for messages that one turn does not take beside others."""
        decision, rest = None, []
        if self.engine is not None:
            decision = self.engine.decide(self.now_ms, self.lead_ms, commands, incoming)
            assert decision.commands_taken == len(commands)
            assert decision.incoming_taken > 0 or not incoming
            incoming, rest = incoming[: decision.incoming_taken], incoming[decision.incoming_taken :]
        self.told.append((self.now_ms, self.lead_ms, commands, incoming))
        answers, received, stored = self.oracle.batch(self.now_ms, self.lead_ms, commands, incoming)
        if decision is not None:
            self._same_batch(decision, commands, (answers, received, stored))
        if rest:
            received = received + self.tell([], rest)[1]
        return answers, received

    def _same_batch(
        self, decision: Decision, commands: list[Command], expected: tuple[list[Answer], list[Received], bool]
    ) -> None:
        assert self.engine is not None
        answers, received, stored = expected
        outcomes = self.oracle.outcomes
        if decision.message is not None:
            self._store(decision.message, leader_applies=False)
            if not stored:  # the core noted a new day
                self.oracle.batch(self.now_ms, self.lead_ms, [], [(0, "", b'{"facts":[]}')])
        assert decision.message is not None or not stored, "something changed, but the core stored nothing"
        assert_digest(self.engine)
        got = [
            (in_sequence, accepted, [(i, reason.split(":")[0]) for i, reason in rejected])
            for in_sequence, accepted, rejected, _ in decision.received
        ]
        assert got == received, f"received: the core says {got}, the oracle {received}"
        for (_, _, _, report), outcome in zip(decision.received, outcomes, strict=True):
            said = json.loads(report)
            ignored = [(one["index"], one["reason"]) for one in said.get("ignored", [])]
            created = sorted(one["sku"] for one in said.get("created", []))
            assert ignored == outcome.ignored, f"ignored: the core says {ignored}, the oracle {outcome.ignored}"
            assert created == sorted(outcome.created), f"created: core {created}, oracle {outcome.created}"
        for (verb, name, body, *_), wanted, (status, answer) in zip(commands, answers, decision.answers, strict=True):
            assert_same_answer(f"{verb} {name} {body!r}", wanted, status, json.loads(answer))

    def _store(self, message: bytes, *, leader_applies: bool) -> None:
        assert self.engine is not None
        assert self.follower is not None
        self.batches.append(message)
        sequence = len(self.batches)
        if leader_applies:
            assert self.engine.apply(sequence, message)
        else:
            self.engine.commit(sequence)
        assert self.follower.apply(sequence, message)
        assert self.follower.digest() == self.engine.digest(), "a follower's digest differs from its leader's"
        assert_counted(self.follower)
        assert self.engine.check() == []

    def fact(self, kind: str, *, source: str = "erp", **fields: Any) -> str | None:
        """One fact in a separate batch. The reason, if it is rejected."""
        payload = {
            "source": source,
            "facts": [
                {"kind": kind} | {k: v for k, v in fields.items() if v is not None or (kind, k) == ("cap", "quantity")}
            ],
        }
        self.in_sequence += 1
        message = (self.in_sequence, f"hf.main.in.erp.{source}", json.dumps(payload).encode())
        _, [(_, _, rejected)] = self.tell([], [message])
        return rejected[0][1] if rejected else None

    def accept(self, kind: str, **fields: Any) -> None:
        reason = self.fact(kind, **fields)
        assert reason is None, f"{kind} was rejected: {reason}"

    def policy(self, kind: str, **fields: Any) -> None:
        """A rule about a source, which is not who sends it."""
        self.in_sequence += 1
        payload = json.dumps({"source": "policy", "facts": [{"kind": kind} | fields]}).encode()
        _, [(_, accepted, _)] = self.tell([], [(self.in_sequence, "hf.main.in.erp.policy", payload)])
        assert accepted == 1

    def command(self, verb: Verb, name: str, **body: Any) -> Answer:
        [answer], _ = self.tell([(verb, name, json.dumps(body).encode() if body else b"", None, None)], [])
        return answer

    def wait(self, lead_ms: int = 0, days: int = 0) -> None:
        """Time goes by, on both clocks; then a batch without facts."""
        self.lead_ms += lead_ms
        self.now_ms += lead_ms + days * 86_400_000
        self.tell([], [] if self.engine is not None else [(0, "", b'{"facts":[]}')])

    def history(self) -> str:
        """The history so far, one batch a line, to be read and played again."""
        lines = []
        for now_ms, lead_ms, commands, incoming in self.told:
            facts = [payload.decode() for _, _, payload in incoming]
            asked = [f"{verb} {name} {body.decode()}" for verb, name, body, *_ in commands]
            lines.append(f"[+{now_ms - NOON} ms, lead {lead_ms}] " + " ; ".join(asked + facts))
        return "\n".join(lines)

    def fork(self) -> Self:
        """Another one with the same past: a what-if."""
        other = type(self)(core=False, **self.rules)
        other.oracle = copy.deepcopy(self.oracle)
        other.now_ms, other.lead_ms, other.in_sequence = self.now_ms, self.lead_ms, self.in_sequence
        other.told, other.batches = list(self.told), list(self.batches)
        if self.engine is not None:
            other.engine, other.follower = Engine("main"), Engine("main")
            for engine in (other.engine, other.follower):
                assert engine.apply_many(1, self.batches) == 0
        return other

    # --- short forms for stories --------------------------------------------------------------------------------------

    def locations(self, *names: str, **fields: Any) -> None:
        for name in names:
            self.accept("location", location=name, type="warehouse", **fields)

    def channel(self, name: str, locations: list[str] | str = "*", **fields: Any) -> None:
        self.accept("channel", channel=name, locations=locations, **fields)

    def level(self, sku: str, location: str, on_hand: int, as_of: int | str = 1, **fields: Any) -> None:
        self.accept(
            "stock.level", sku=sku, location=location, on_hand=on_hand, as_of=as_of, **{"basis": "gross", **fields}
        )

    def hold(
        self, name: str, *lines: tuple[str, int], channel: str = "web", ttl_ms: int = 60_000, **fields: Any
    ) -> Answer:
        asked = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        return self.command("put", name, channel=channel, ttl_ms=ttl_ms, lines=asked, **fields)

    def buy(self, name: str, *lines: tuple[str, int], order_ref: str | None = None, **fields: Any) -> None:
        """Hold and confirm."""
        assert self.hold(name, *lines, **fields).status == 201
        answer = self.command("confirm", name, **({"order_ref": order_ref} if order_ref else {}))
        assert answer.status == 200

    def sellable(self, sku: str, channel: str = "web", region: str | None = None) -> int:
        return self.both_say(sku, channel, region)[0]

    def state(self, name: str) -> str:
        self.same_reservation(name)
        return self.oracle.state(name)

    def allocations(self, name: str) -> dict[tuple[str, ...], int]:
        """(location, or component and location, and due day if bound to supply) -> units, of all lines."""
        self.same_reservation(name)
        found: dict[tuple[str, ...], int] = {}
        for line in self.oracle.reservation(name)["lines"]:
            for one in line["allocations"]:
                key = tuple(one[word] for word in ("sku", "location", "due") if word in one)
                found[key] = found.get(key, 0) + one["quantity"]
        return found

    # --- comparing ----------------------------------------------------------------------------------------------------

    def says(self, sku: str, channel: str = "web") -> int:
        """What the core says, where it is there; else the oracle."""
        if self.engine is None:
            return self.oracle.sellable(sku, channel)[0]
        _, body = self.engine.availability(sku, channel, None, None, AS_OF)
        return int(json.loads(body)["sellable"])

    def both_say(self, sku: str, channel: str, region: str | None = None) -> tuple[int, bool, str | None]:
        expected = self.oracle.sellable(sku, channel, region)
        if self.engine is not None:
            status, body = self.engine.availability(sku, channel, region, None, AS_OF)
            if expected[2] == "unknown-sku":
                assert status == 404
            elif expected[2] == "region-needed":
                assert status == 422
            else:
                assert status == 200, body
                got = json.loads(body)
                core = (got["sellable"], got["unlimited"])
                assert core == expected[:2], f"{sku} on {channel} in {region}: core {core}, oracle {expected}"
        return expected

    def same_promise(self, sku: str, channel: str, region: str | None, quantity: int) -> str | None:
        day = self.oracle.promise(sku, channel, region, quantity)
        expected = day.isoformat() if day else None
        if self.engine is not None:
            _, body = self.engine.availability(sku, channel, region, quantity, AS_OF)
            assert json.loads(body)["promise"] == expected, (
                f"promise of {quantity} {sku} on {channel}, {region}: {body!r}"
            )
        return expected

    def same_reservation(self, name: str) -> None:
        if self.engine is not None:
            status, body = self.engine.reservation(name, None, AS_OF)
            if name in self.oracle.world.reservations:
                assert status == 200, body
                core, oracle = comparable(json.loads(body)), comparable(self.oracle.reservation(name))
                assert core == oracle, f"{name}: core {core}, oracle {oracle}"
                self.same_figures(name, json.loads(body))
            else:
                assert status == 404

    def same_figures(self, name: str, view: dict[str, Any]) -> None:
        """What became of each unit."""
        figures, expected = shown_figures(view), self.oracle.figures(name)
        assert figures == expected, f"figures of {name}: core {figures}, oracle {expected}"

    def validate(self, *lines: tuple[str, int], channel: str = "web", **fields: Any) -> dict[str, Any]:
        asked = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        return self.same_cart_check({"channel": channel, "lines": asked, **fields})

    def same_cart_check(self, body: dict[str, Any]) -> dict[str, Any]:
        payload = json.dumps(body).encode()
        expected = self.oracle.validate(payload)
        if self.engine is not None:
            status, answer = self.engine.validate(payload, None, AS_OF)
            if expected is None:
                assert status == 422
            else:
                got = json.loads(answer)
                core = {"ok": got["ok"], "lines": got["lines"]}
                assert core == expected, f"cart check {body}: core {core}, oracle {expected}"
        return expected or {}

    def same_everywhere(self) -> None:
        """Every sellable and every reservation."""
        with standing_still(self.oracle.world):
            self._same_everywhere()

    def _same_everywhere(self) -> None:
        world = self.oracle.world
        regions = sorted({region for place in world.locations.values() for region in place.regions})
        for sku in sorted(world.items):
            for channel in [*sorted(world.channels), "undeclared"]:
                regional = world.channel(channel).regional == "require"
                for region in regions if regional else [None]:
                    self.both_say(sku, channel, region)
        for name in sorted(world.reservations):
            self.same_reservation(name)

    def replay(self) -> None:
        """All batches in a fresh core give the same digest."""
        if self.engine is not None:
            fresh = Engine("main")
            assert fresh.apply_many(1, self.batches) == 0
            assert fresh.digest() == self.engine.digest()
            assert self.engine.check_thoroughly() == []


def shown_figures(view: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    """Of each base SKU: units open, fulfilled, returned, unsourced, over all lines."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for line in view["lines"]:
        for part in line.get("components") or [line]:
            was = found.get(part["sku"], (0, 0, 0, 0))
            here = (part["open"], part["fulfilled"], part["returned"], part["unsourced"])
            found[part["sku"]] = (was[0] + here[0], was[1] + here[1], was[2] + here[2], was[3] + here[3])
    return found


def comparable(view: dict[str, Any]) -> dict[str, Any]:
    """Without what only the core knows (version, sequence); the owner as present or not; allocations as a sum."""
    kept = {name: view.get(name) for name in ("id", "state", "channel", "order_ref", "superseded_by")}
    ends = view.get("expires_at")
    lines = []
    for line in view["lines"]:
        sums: dict[tuple[str | None, ...], int] = {}
        for one in line["allocations"]:
            key = (one.get("sku"), one["location"], one.get("due"))
            sums[key] = sums.get(key, 0) + one["quantity"]
        lines.append((line["sku"], line["quantity"], sorted(sums.items(), key=repr)))
    ends_at = datetime.fromisoformat(ends).astimezone(UTC) if ends else None
    return kept | {"owner": view.get("owner") is not None, "expires_at": ends_at, "lines": lines}


def assert_same_answer(asked: str, expected: Answer, status: int, got: dict[str, Any]) -> None:
    assert status == expected.status, f"{asked}: {status} {got}, but the oracle says {expected}"
    if expected.problem is None:
        core, oracle = comparable(got), comparable(expected.body)
        assert core == oracle, f"{asked}: core {core}, oracle {oracle}"
    else:
        assert got["type"].rsplit(":", 1)[-1] == expected.problem, f"{asked}: {got}"
        for name in expected.body:
            assert got.get(name) == expected.body[name], f"{asked}: core {got}, oracle {expected.body}"
