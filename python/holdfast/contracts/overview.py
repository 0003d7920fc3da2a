"""What `GET /v1/overview` answers: the figures of one process that the dashboard shows (docs/dashboard.md).

In: nothing. Out: the shape. Always: nothing in it is counted for it alone; each figure is also one of /metrics or of
/v1/state.
"""

from typing import Literal

from holdfast.contracts.answers import Count, PeerState
from holdfast.contracts.fields import Answer, Time


class CallFigures(Answer, frozen=True, kw_only=True):
    """Requests of one call since the process began: how many, by hundreds of their status, and how long they took.

    `within[n]` is how many took longer than `bounds_s[n - 1]` and at most `bounds_s[n]`; the last entry is those that
    took longer than every bound.
    """

    answered: dict[str, int]
    seconds: float
    within: list[int]


class GatewayFigures(Answer, frozen=True, kw_only=True):
    """Of the process's HTTP side: what is open now, and what was refused before any route was asked."""

    requests_in_flight: Count
    connections: Count
    connections_refused: Count
    requests_shed: Count
    faults: Count
    facts_accepted: Count
    facts_rejected: Count


class SystemFigures(Answer, frozen=True, kw_only=True):
    """A system that a process beside this one talks to, like `erp acme`. `resting`: until a person resumes it;
    `stopped`: that process does not run. `waiting`, `parked`: messages for it.
    """

    name: str
    state: Literal["working", "failing", "resting", "stopped"]
    why: str
    waiting: Count
    parked: Count


class DiskFigures(Answer, frozen=True, kw_only=True):
    """The disk of the data directory. `wanted_bytes`: what must stay free."""

    free_bytes: Count
    bytes: Count
    wanted_bytes: Count


class Overview(Answer, frozen=True, kw_only=True):
    """One process, in one answer that needs no log: what it counted since it began, `uptime_s` ago.

    `in_waiting`: messages of IN that the leader has not taken yet. `calls` has those that were asked at all.
    `events`: whether GET /v1/events has a stream to read, some seconds ago; null: not known.
    `refusals` are by problem; `figures` those of the node in /metrics, without `holdfast_node_` and `_total`, times in
    milliseconds where the name says so; `tallies` its figures by state, kind or reason; `alarms` are by name.
    `disk`: null until it was measured.
    """

    version: str
    node: str
    pid: int
    at: Time
    uptime_s: float
    role: str
    leader: str | None
    epoch: Count
    sequence: Count
    lag_facts: Count
    in_waiting: Count
    ready: bool
    reasons: list[str]
    quarantine: dict[str, str]
    peers: list[PeerState]
    bounds_s: list[float]
    calls: dict[str, CallFigures]
    refusals: dict[str, int]
    alarms: dict[str, int]
    events: bool | None
    gateway: GatewayFigures
    figures: dict[str, float]
    tallies: dict[str, dict[str, float]]
    systems: list[SystemFigures]
    disk: DiskFigures | None
