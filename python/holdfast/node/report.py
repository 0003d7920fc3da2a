"""What a node reports about itself.

Role: state, readiness and figures. In: the protocol's present state. Out: plain values for the gateway.
Always: cheap enough to be asked every second; names of figures are from a fixed set.
"""

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast.nats.connection import Connection
from holdfast.nats.dead_letters import DeadLetters
from holdfast.nats.refusals import Refusals
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.machine import Protocol
from holdfast.protocol.messages import Role
from holdfast.settings import NodeSettings

SOURCES_SHOWN = 100
_SLOW_APPEND_MS = 1_000
_DAY_S = 86_400
_UNKNOWN_S = 36_500 * _DAY_S
# The core's name of a total -> what the figure's label says.
_ANOMALIES = {
    "stale_levels": "stale-level",
    "level_conflicts": "level-conflict",
    "repeats": "repeat",
    "stale_versions": "lower-version",
    "anomalies": "conflicting-body",
    "unlocated": "unlocated",
    "periods_left": "period-left",
    "early_words": "early-order-fact",
}
_UNITS = {"units_in_cells": "stock", "units_on_supply": "supply", "units_unsourced": "unsourced"}


@dataclass(slots=True)
class Counters:
    """Figures since the process started."""

    answered: int = 0
    rejected: int = 0
    batches: int = 0
    appends_refused: int = 0
    # Of the process that takes snapshots, since the supervisor started.
    snapshots_taken: int = 0
    snapshots_failed: int = 0
    snapshot_failures_in_a_row: int = 0
    # What that process keeps on the disk; nothing while it has not measured.
    kept_bytes: Mapping[str, int] = field(default_factory=dict)
    kept_figures: Mapping[str, float] = field(
        default_factory=lambda: {"kept_budget_bytes": 0, "kept_since_ms": 0, "kept_left_seconds": _UNKNOWN_S}
    )
    # What DLQ has, and when the oldest came.
    dead_letters: int = 0
    dead_since_ms: int | None = None
    alarms: Counter[str] = field(default_factory=Counter)
    roles: Counter[Role] = field(default_factory=Counter)

    def retain(self, kept: Mapping[str, int], budget: int, since_ms: int | None, days_left: float | None) -> None:
        """What is kept on the disk, by part, and how long that goes on."""
        self.kept_bytes = kept
        self.kept_figures = {
            "kept_budget_bytes": budget,
            "kept_since_ms": since_ms or 0,
            "kept_left_seconds": _UNKNOWN_S if days_left is None else days_left * _DAY_S,
        }

    def bury(self, letters: int, since_ms: int | None) -> None:
        """What DLQ has, and when the oldest came."""
        self.dead_letters = letters
        self.dead_since_ms = since_ms

    def figures(self, protocol: Protocol, dead: DeadLetters, refusals: Refusals, reads: int) -> Mapping[str, float]:
        """All of them, and the depth of each queue."""
        core = protocol.core
        figures: dict[str, float] = {
            "commands_answered_total": self.answered,
            "commands_rejected_total": self.rejected,
            "batches_total": self.batches,
            "appends_refused_total": self.appends_refused,
            "dead_letters_total": dead.stored_total,
            "dead_letters_lost_total": dead.lost_total,
            "refusals_kept_total": refusals.kept_total,
            "refusals_left_out_total": refusals.left_out_total,
            "snapshots_taken_total": self.snapshots_taken,
            "snapshots_failed_total": self.snapshots_failed,
            "snapshot_failures_in_a_row": self.snapshot_failures_in_a_row,
            "times_leading_total": self.roles[Role.LEADING],
            "commands_waiting": len(protocol.queues.commands),
            "incoming_waiting": protocol.queues.incoming_waiting,
            "reads_waiting": reads,
            "dead_letters_waiting": dead.waiting,
            "append_waiting_ms": protocol.waiting_ms,
            "leading": protocol.role is Role.LEADING and protocol.lease_good,
            "quarantined": bool(protocol.quarantine),
            "dead_letters": self.dead_letters,
            "dead_age_ms": 0 if self.dead_since_ms is None else max(0, time.time() * 1000 - self.dead_since_ms),
            **self.kept_figures,
        }
        if core is not None:
            figures |= {"sequence": core.sequence, "epoch": core.epoch, "void_total": core.void_total}
        for name, count in self.alarms.items():
            figures[f"alarm_{name.replace('-', '_')}_total"] = count
        return figures

    def tallies(self, core: Any, dead: DeadLetters) -> Mapping[str, Mapping[str, float]]:
        """What is counted by state, kind or reason; with the batch under way."""
        found: dict[str, Mapping[str, float]] = {"dead_letters": dead.stored_by_reason, "kept_bytes": self.kept_bytes}
        if core is not None:
            totals = msgspec.json.decode(core.totals())
            found["reservations"] = totals["by_state"]
            found["units"] = {label: totals[name] for name, label in _UNITS.items()}
            found["names"], found["names_max"] = totals["names"], totals["names_max"]
            found["anomalies"] = {label: totals[name] for name, label in _ANOMALIES.items()}
            found["source_age"] = _ages_of_sources(core)
        return found


def _ages_of_sources(core: Any) -> dict[str, float]:
    _, body = core.listing("sources", None, SOURCES_SHOWN, [], None, b"", int(time.time() * 1000))
    listed = msgspec.json.decode(body)["items"]
    return {one["source"]: one["age_ms"] / 1000 for one in listed if one.get("age_ms") is not None}


def not_ready(
    protocol: Protocol, connection: Connection, reason: str, log_fault: str, settings: NodeSettings
) -> list[str]:
    """Reasons not to send requests here, and what to do."""
    reasons = [log_fault] if log_fault else []
    reasons += [
        f"quarantined, {cause}: {detail}; reads go on, marked stale; see `holdfast repair`"
        for cause, detail in sorted(protocol.quarantine.items())
    ]
    if protocol.role not in {Role.LEADING, Role.FOLLOWING}:
        reasons.append(f"{protocol.role.value}: {reason}")
    if not connection.connected:
        reasons.append(f"no connection to the log: {connection.last_fault or 'connecting'}")
    if protocol.log_refusal is Refusal.FULL:
        reasons.append("the log refuses appends, it is full: give LOG more max_bytes (`nats stream edit`)")
    elif protocol.log_refuses:
        reasons.append("the log refuses appends with an answer that a correct setup never gives: see the alarms")
    if protocol.waiting_ms > _SLOW_APPEND_MS:
        reasons.append(f"the log has not answered for {protocol.waiting_ms} ms")
    if protocol.queues.full:
        reasons.append(f"{settings.commands_queued_max} commands wait")
    return reasons


def state_of(protocol: Protocol, scope: str, lag: int, in_end: int) -> dict[str, Any]:
    """Scope, sequence, digest (None while a batch is under way), role, lag, pid, and the core's totals."""
    core: Any = protocol.core
    settled = core is not None and not protocol.speculating
    leading = protocol.role is Role.LEADING
    sequence = core.sequence if core is not None else 0
    return {
        "scope": scope,
        "sequence": sequence,
        "digest": core.digest() if settled else None,
        "role": "leader" if leading else "follower",
        "lag_facts": lag,
        "pid": os.getpid(),
        "epoch": core.epoch if core is not None else 0,
        "in_upto": core.in_upto if core is not None else 0,
        "in_end": in_end,
        "quarantine": dict(protocol.quarantine),
        "totals": msgspec.Raw(core.totals()) if settled else {},
    }
