"""What the gateway needs of a node (python/holdfast/node implements it).

In: nothing. Out: the node's interface as a typing Protocol, so that the HTTP side can be tested without a log.
Always: every answer carries the stored LOG sequence that it reflects.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from holdfast._core import Engine
from holdfast.protocol.core import Request, Together
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome

Answer: TypeAlias = tuple[int, bytes, int]
"""(HTTP status, JSON body, LOG sequence)."""
ReadCall: TypeAlias = Callable[[Engine, bytes], tuple[int, bytes]]
"""A read: takes the engine and a rendered `as_of`, returns (HTTP status, JSON body)."""
Channels: TypeAlias = tuple[str, ...] | None
Family: TypeAlias = Literal["erp", "woo", "policy"]


class Past(Protocol):
    """What answers questions about the past, beside the gateway (looking_back.py)."""

    async def ask(self, what: str, sequence: int, **needs: Any) -> Answer:
        """One answer; `sequence`: the LOG sequence that must be in it. Raises Refusal."""


class Node(Protocol):
    """One process's part in a scope. Each call may raise Unavailable."""

    def submit(
        self, verb: str, reservation: str, body: bytes, channels: Channels, by: str | None, key: str | None = None
    ) -> asyncio.Future[Answer]:
        """Do `verb` on a reservation; resolved once the result is stored.

        `key`: the idempotency key, or what names one part of a request under it.
        """

    def submit_many(self, requests: Sequence[Request]) -> asyncio.Future[list[Answer | Unavailable]]:
        """Do several, in their order; each has its own outcome, and the future itself never fails."""

    def submit_together(self, carts: Together) -> asyncio.Future[Answer] | None:
        """Do carts in one batch, answered in one piece, the members of their `results`; None: ask by `submit_many`."""

    async def read(self, call: ReadCall, *, degradable: bool = True) -> Answer:
        """The read `call`, now or after the batch under way is stored.

        When that takes too long: if `degradable`, answered from the decided but not yet stored state, and marked; else
        refused.
        """

    async def reach(self, sequence: int) -> None:
        """Until this process holds LOG up to `sequence`; Unavailable when that takes too long."""

    def read_now(self, call: ReadCall) -> Answer | None:
        """The read `call` at once; None while a batch is under way."""

    async def facts(
        self, family: Family, source: str, messages: list[bytes], wait: Literal["log", "received"]
    ) -> FactsOutcome:
        """Send messages of facts through IN."""

    def state(self) -> Mapping[str, Any]:
        """At least `sequence`, `role`, `lag_facts`, `node`, `leader`, `epoch`, `quarantine` and `peers`."""

    def log_unwritable(self) -> bool:
        """Whether the log is known to accept no append just now."""

    def ready(self) -> list[str]:
        """Reasons not to send requests here; empty when they should be sent."""

    def counters(self) -> Mapping[str, float]:
        """Figures by name; those that only grow end in `_total`."""

    def tallies(self) -> Mapping[str, Mapping[str, float]]:
        """Figures by state, kind or reason; what they are called is in metric_catalogue.py."""


class Deliveries(Protocol):
    """Takes the webhooks of shops (python/holdfast/woo implements it)."""

    async def take(self, store: str, headers: Mapping[str, str], body: bytes) -> str:
        """What became of a delivery: `taken`, `ping`, `no-store`, `unsigned` or `forged`. Raises LogError."""
