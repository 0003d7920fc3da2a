"""The judge: the log, read from its first message, against every answer that anybody got.

In: LOG as it is stored, the history, the workers' states. Out: a verdict with counts. Always: the units are counted by
plain arithmetic, beside the core that replays; each complaint names the reservation or the sequence.

What must hold: I1 what was acknowledged is in LOG and not void; I2 each thing is there once;
I3 no prefix of LOG has more units promised than there are; I4 the core's books balance; I5 every process has the digest
that the replay gives; I6 epochs and batches ascend, none is void; I7 what was answered before something else was asked
is before it in LOG; I8 no answer reflects less than an earlier one to the same client.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.secret_files import scope_macs
from holdfast.settings import LogSettings
from tests.faults.history import History

_FACT_OF = {"put": "reservation.held", "confirm": "reservation.confirmed", "release": "reservation.released"}
_CHUNK_MESSAGES, _CHUNK_BYTES = 500, 8 << 20


@dataclass(slots=True)
class Verdict:
    """What was found. `complaints` is empty when all held."""

    acknowledged: int = 0
    unclear: int = 0
    lost: int = 0
    oversold: int = 0
    void: int = 0
    epochs: int = 0
    sequence: int = 0
    digest: str = ""
    complaints: list[str] = field(default_factory=list)

    def complain(self, rule: str, what: str) -> None:
        """Note a broken rule; the first ones say enough."""
        if len(self.complaints) < 20:
            self.complaints.append(f"{rule}: {what}")


@dataclass(slots=True)
class _Ledger:
    """LOG, counted by hand."""

    stock: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    expired: int = 0
    at: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def take(self, sequence: int, fact: dict[str, Any]) -> None:
        kind = fact["kind"]
        if kind == "stock.level":
            self.stock[fact["sku"]] += fact["on_hand"]
        elif kind == "stock.delta":
            # LOG may hold a document twice, sent again after a doubt. It counts once, here and in the core.
            if not self.where("delta", fact["ref"]):
                self.stock[fact["sku"]] += fact["quantity"]
                self.at["delta", fact["ref"]] = [sequence]
        elif kind == "reservation.held":
            self.lines[fact["id"]] = fact["lines"]
            self.open.add(fact["id"])
            self._move(fact["id"], -1)
        elif kind in {"reservation.released", "reservation.expired", "reservation.cancelled"}:
            self.expired += fact["kind"] == "reservation.expired"
            self._close(fact["id"])
        if kind.startswith("reservation."):
            self.at.setdefault((kind, fact["id"]), []).append(sequence)

    def _close(self, reservation: str) -> None:
        if reservation in self.open:
            self.open.discard(reservation)
            self._move(reservation, 1)

    def _move(self, reservation: str, sign: int) -> None:
        for line in self.lines[reservation]:
            self.stock[line["sku"]] += sign * line["quantity"]

    def where(self, verb: str, name: str) -> list[int]:
        return self.at.get((_FACT_OF.get(verb, verb), name), [])


async def read_log(connection: Connection, stream: str = "HF_main_LOG") -> list[bytes]:
    """Every message of LOG, from sequence 1. Raises GapError when one is missing."""
    reader = StreamReader(connection, stream, 0, LogSettings())
    messages: list[bytes] = []
    await reader.open()
    try:
        await reader.wait_end()
        while not reader.at_end:
            messages += [entry.payload for entry in await reader.take(_CHUNK_MESSAGES, _CHUNK_BYTES)]
    finally:
        await reader.close()
    return messages


def judge(
    messages: list[bytes], history: History, states: dict[str, dict[str, Any]], gateway: Path | None = None
) -> Verdict:
    """Everything, at the end of a round. `gateway`: a data directory with the key that batches are signed with."""
    verdict = Verdict()
    ledger = _Ledger()
    core = Engine("main", None, scope_macs(gateway).keys)
    digests = {state["sequence"]: "" for state in states.values()}
    epoch = batch = 0
    for sequence, message in enumerate(messages, start=1):
        if not core.apply(sequence, message):
            verdict.void += 1
            verdict.complain("I6", f"batch {sequence} is void")
            continue
        told = orjson.loads(message)
        if told["epoch"] < epoch or told["batch"] != batch + 1:
            verdict.complain("I6", f"batch {sequence}: epoch {told['epoch']} after {epoch}, number {told['batch']}")
        epoch, batch = told["epoch"], told["batch"]
        touched: set[str] = set()
        for fact in told.get("facts", ()):
            ledger.take(sequence, fact)
            touched.update(line["sku"] for line in fact.get("lines", ()))
        for sku in touched:
            if ledger.stock[sku] < 0:
                verdict.oversold += 1
                verdict.complain("I3", f"{sku} is {ledger.stock[sku]} after {sequence}")
        for violation in core.check():
            verdict.complain("I4", f"after {sequence}: {violation}")
        if sequence in digests:
            digests[sequence] = core.digest()
    if ledger.expired:  # their time is longer than any round
        verdict.complain("I3", f"{ledger.expired} holds ended before their time")
    for sku, units in ledger.stock.items():
        if core.sellable(sku, "web") != units:
            verdict.complain("I4", f"{sku}: the core sells {core.sellable(sku, 'web')}, by hand it is {units}")
    verdict.epochs, verdict.sequence, verdict.digest = epoch, len(messages), core.digest()
    for violation in core.check_thoroughly():
        verdict.complain("I4", violation)
    for node, state in states.items():
        if digests[state["sequence"]] != state["digest"]:
            ours = digests[state["sequence"]]
            verdict.complain("I5", f"{node} has {state['digest']} at {state['sequence']}, the log gives {ours}")
    _judge_answers(history, ledger, verdict)
    _judge_order(history, verdict)
    return verdict


def _judge_answers(history: History, ledger: _Ledger, verdict: Verdict) -> None:
    for operation in history.operations:
        found = ledger.where(operation.verb, operation.name)
        if len(found) > 1:
            verdict.complain("I2", f"{operation.verb} {operation.name} is in LOG at {found}")
        if operation.status == 0:
            verdict.unclear += 1
        elif operation.acknowledged:
            verdict.acknowledged += 1
            if not found or found[0] > operation.sequence:
                verdict.lost += 1
                verdict.complain("I1", f"{operation.verb} {operation.name} was answered {operation.status}, is {found}")
        elif found:
            verdict.complain("I2", f"{operation.verb} {operation.name} was refused, and is in LOG at {found}")


def _judge_order(history: History, verdict: Verdict) -> None:
    done = sorted((one.ended_s, one.sequence) for one in history.operations if one.ended_s and one.acknowledged)
    told = sorted((one.began_s, one.sequence, one.name) for one in history.operations if one.acknowledged)
    highest = at = 0
    for began_s, sequence, name in told:
        while at < len(done) and done[at][0] < began_s:
            highest = max(highest, done[at][1])
            at += 1
        if sequence < highest:
            verdict.complain("I7", f"{name} is at {sequence}, but {highest} was answered before it was asked")
    for _, known, sequence, mode in history.reads:
        if sequence < known:
            verdict.complain("I8", f"a read marked {mode} told {sequence} to one who knew {known}")
