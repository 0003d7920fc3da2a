"""Facts on their way to a gateway.

In: facts that an adapter read. Out: what became of each. Always: a body goes under the name of what it was read from,
so that it counts once, however often it is sent; a gateway that is away is waited for, for as long as it takes.
"""

import asyncio
import hashlib
from collections.abc import Sequence

import structlog
from msgspec import UNSET

from holdfast.client import Client
from holdfast.client.errors import (
    InvalidError,
    ProblemError,
    RateLimitedError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
)
from holdfast.contracts.answers import FactsAnswer
from holdfast.erp.breaker import wait_ms
from holdfast.erp.interface import Fact, Taken

log = structlog.get_logger(__name__)

TOGETHER = 2_000
_FIRST_MS, _MOST_MS = 100, 10_000


class Feed:
    """Sends in the name of one source. Raises ProblemError for what no repeating helps: a key that may not do it."""

    def __init__(self, client: Client, source: str) -> None:
        self.source = source
        self.facts_total = 0
        self.rejected_total = 0
        self.fault = ""
        self._client = client

    async def send(self, facts: Sequence[Fact], name: str = "") -> Taken:
        """All of them, in bodies of bounded size."""
        taken = Taken()
        for start in range(0, len(facts), TOGETHER):
            await self._body(facts, start, min(start + TOGETHER, len(facts)), name, taken)
        self.facts_total += taken.accepted
        self.rejected_total += len(taken.rejected)
        return taken

    async def _body(self, facts: Sequence[Fact], start: int, end: int, name: str, taken: Taken) -> None:
        try:
            answer = await self._until_answered(facts[start:end], f"{name}:{start}" if name else "")
        except TooLargeError:
            if end - start == 1:
                raise
            middle = (start + end) // 2
            await self._body(facts, start, middle, name, taken)
            await self._body(facts, middle, end, name, taken)
            return
        taken.accepted += answer.accepted
        taken.ignored += answer.ignored_count or 0 if answer.ignored_count is not UNSET else 0
        taken.created += [one.sku for one in answer.created or ()] if answer.created is not UNSET else []
        for one in answer.rejected:
            taken.rejected.append((start + int(one.index), one.reason))
            log.warning("erp-fact-rejected", source=self.source, why=one.reason, fact=facts[start + int(one.index)])

    async def _until_answered(self, facts: Sequence[Fact], name: str) -> FactsAnswer:
        tries = 0
        key = hashlib.sha256(f"{self.source}:{name}".encode()).hexdigest() if name else None
        while True:
            try:
                answer = await self._client.facts(self.source, facts, idempotency_key=key)
            except InvalidError as refusal:
                rejected = refusal.problem.rejected
                if not isinstance(rejected, list):
                    raise
                answer = FactsAnswer(accepted=0, rejected=rejected, sequence=0)
            except (UnreachableError, UnavailableError, RateLimitedError) as fault:
                self.fault = str(fault)
                log.warning("erp-gateway-away", source=self.source, why=self.fault)
                await asyncio.sleep(wait_ms(tries, _FIRST_MS, _MOST_MS) / 1000)
                tries += 1
                continue
            except ProblemError as problem:
                self.fault = str(problem)
                raise
            self.fault = ""
            return answer
