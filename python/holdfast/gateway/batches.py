"""Many reservations in one request: POST /v1/reservations:batch.

In: a body of up to 500 PUT bodies. Out: one result each, in their order.
Always: they are handed to the node a step at a time; a process that leads decides a step as one thing, so later ones
see earlier ones, and single reservations wait for a step, not for all batches: between them it is the next key's turn.
The outcome of one does not affect another. Each counts in the key's rate, and those beyond it are answered 429. Under
an idempotency key each is a part of one request, remembered by itself.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import TypeAlias

from holdfast._core import CartsBody
from holdfast.contracts.problems import render_problem
from holdfast.gateway.idempotency import CONFLICT, part_of
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.refusals import Refusal, effective_problem
from holdfast.gateway.turns import Turns
from holdfast.protocol.core import request_of
from holdfast.protocol.errors import Unavailable
from holdfast.settings import GatewaySettings
from holdfast.traces import CURRENT

BEYOND_RATE = (
    "The key's rate counts each reservation, and this one was beyond it: nothing was done. Send it again later."
)


Outcome: TypeAlias = Answer | Unavailable
Step: TypeAlias = tuple[bytes, int]
"""The members of `results` as JSON, and the LOG sequence that they reflect."""


class Batches:
    """The batches of one worker."""

    def __init__(self, node: Node, settings: GatewaySettings) -> None:
        self._node = node
        self._step = settings.batch_step_max
        self._step_bytes = settings.batch_step_bytes_max
        self._turns = Turns(settings.batches_at_once_max, settings.batches_waiting_per_key_max, settings.retry_after_s)

    async def answer(self, body: bytes, key: Key, idempotency_key: str | None = None) -> Answer:
        """Do them all. Raises RequestError for a body that is no batch, Unavailable when nothing was answered.

        Raises Refusal when the idempotency key was used for another request, or too many batches of the key wait; then
        none of them is done.
        """
        carts = CartsBody(body)
        # The request was counted as one already; the rest of its items count each.
        quota = key.quota(Operation.RESERVE)
        admitted = len(carts) if quota is None else 1 + quota.admit(len(carts) - 1)
        names = [] if idempotency_key is None else part_of(idempotency_key, body, len(carts))
        steps = await self._do(carts, admitted, names, key)
        if admitted < len(carts):
            later = Refusal("rate-limited", BEYOND_RATE)
            steps.append((carts.results(admitted, [(later.status, later.body)] * (len(carts) - admitted)), 0))
        results = b",".join(members for members, _ in steps)
        return 200, b'{"results":[%b]}' % results, max(sequence for _, sequence in steps)

    async def _do(self, carts: CartsBody, admitted: int, names: list[str], key: Key) -> list[Step]:
        """In steps; once a whole step found nobody to decide it, what is left is not tried. Raises Unavailable."""
        steps: list[Step] = []
        start = 0
        while start < admitted:
            end = carts.end_of(start, min(self._step, admitted - start), self._step_bytes)
            async with self._turns.turn(key.id):
                step, fault = await self._one(carts, start, end, names[start:end], key)
            if fault is not None and not steps:
                raise fault
            steps.append(step)
            if fault is not None and end < admitted:
                left = Unavailable(fault.problem, "not-done", fault.retry_after_s)
                steps.append(self._told(carts, end, [left] * (admitted - end)))
                break
            start = end
        return steps

    async def _one(
        self, carts: CartsBody, start: int, end: int, names: list[str], key: Key
    ) -> tuple[Step, Unavailable | None]:
        """One step; and, where nobody decided any of it, why."""
        # Under a key each answer is remembered, which may take much of a batch; a trace is each cart's: one by one.
        trace = CURRENT.get()
        alone = bool(names or trace)
        together = None if alone else self._node.submit_together(carts.part(start, end, key.channels, key.id))
        if together is not None:
            try:
                _, results, sequence = await together
            except Unavailable as fault:
                return self._told(carts, start, [fault] * (end - start)), fault
            return (results, sequence), None
        requests = carts.requests(start, end)
        asked = [
            request_of("put", *one, key.channels, key.id, name, trace)
            for one, name in zip(requests, names or repeat(None), strict=False)
        ]
        outcomes = await self._node.submit_many(asked)
        if any(isinstance(one, tuple) and one[0] == 409 and one[1].startswith(CONFLICT) for one in outcomes):
            raise Refusal("idempotency-conflict")
        failures = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        return self._told(carts, start, outcomes), failures[0] if len(failures) == len(outcomes) else None

    def _told(self, carts: CartsBody, start: int, outcomes: Sequence[Outcome]) -> Step:
        answers = [self._shown(outcome) for outcome in outcomes]
        results = carts.results(start, [(status, answer) for status, answer, _ in answers])
        return results, max(sequence for _, _, sequence in answers)

    def _shown(self, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Unavailable):
            return outcome
        problem = effective_problem(outcome.problem, log_unwritable=self._node.log_unwritable())
        return *render_problem(problem, outcome=outcome.outcome), 0
