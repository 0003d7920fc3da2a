"""Many reservations in one request: POST /v1/reservations:batch.

In: a body of up to 500 PUT bodies. Out: one result each, in their order.
Always: they are handed to the node a step at a time, each step in one turn of the loop, so that a step shares as few
batches as it fits into and later ones see earlier ones; between the steps it is the next key's turn, so that single
reservations wait for a step, not for all batches. The outcome of one does not affect another. Each counts in the key's
rate, and those beyond it are answered 429. Under an idempotency key each is a part of one request.
"""

from typing import TypeAlias

import orjson

from holdfast._core import split_batch
from holdfast.contracts.problems import render_problem
from holdfast.gateway.idempotency import CONFLICT, part_of
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.refusals import Refusal, effective_problem
from holdfast.gateway.turns import Turns
from holdfast.protocol.core import Request
from holdfast.protocol.errors import Unavailable
from holdfast.settings import GatewaySettings
from holdfast.traces import CURRENT

BEYOND_RATE = (
    "The key's rate counts each reservation, and this one was beyond it: nothing was done. Send it again later."
)


Asked: TypeAlias = tuple[str, bytes, str | None]
"""(reservation id, PUT body, what names it under an idempotency key)."""
Outcome: TypeAlias = Answer | Unavailable


class Batches:
    """The batches of one worker."""

    def __init__(self, node: Node, settings: GatewaySettings) -> None:
        self._node = node
        self._step = settings.batch_step_max
        self._turns = Turns(settings.batches_at_once_max, settings.batches_waiting_per_key_max, settings.retry_after_s)

    async def answer(self, body: bytes, key: Key, idempotency_key: str | None = None) -> Answer:
        """Do them all. Raises RequestError for a body that is no batch, Unavailable when nothing was answered.

        Raises Refusal when the idempotency key was used for another request, or too many batches of the key wait; then
        none of them is done.
        """
        requests = split_batch(body)
        # The request was counted as one already; the rest of its items count each.
        quota = key.quota(Operation.RESERVE)
        admitted = len(requests) if quota is None else 1 + quota.admit(len(requests) - 1)
        names = [None] * len(requests) if idempotency_key is None else part_of(idempotency_key, body, len(requests))
        asked = [(reservation, request, name) for (reservation, request), name in zip(requests, names, strict=True)]
        outcomes = await self._do(asked[:admitted], key)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        if len(failures) == admitted:
            raise failures[0]
        later = Refusal("rate-limited", BEYOND_RATE)
        answers = [*map(self._shown, outcomes), *[(later.status, later.body, 0)] * (len(requests) - admitted)]
        results = [
            b'{"id":%b,"status":%d,"%b":%b}'
            % (orjson.dumps(reservation), status, b"reservation" if status < 400 else b"problem", answer)
            for (reservation, _), (status, answer, _) in zip(requests, answers, strict=True)
        ]
        return 200, b'{"results":[' + b",".join(results) + b"]}", max(sequence for _, _, sequence in answers)

    async def _do(self, asked: list[Asked], key: Key) -> list[Outcome]:
        """In steps; once a whole step found nobody to decide it, what is left is not tried."""
        outcomes: list[Outcome] = []
        for start in range(0, len(asked), self._step):
            async with self._turns.turn(key.id):
                step = await self._node.submit_many([_request(*one, key) for one in asked[start : start + self._step]])
            for outcome in step:
                if isinstance(outcome, tuple) and outcome[0] == 409 and outcome[1].startswith(CONFLICT):
                    raise Refusal("idempotency-conflict")
                outcomes.append(outcome)
            last = outcomes[-1]
            if isinstance(last, Unavailable) and all(isinstance(outcome, Unavailable) for outcome in step):
                left = Unavailable(last.problem, "not-done", last.retry_after_s)
                outcomes += [left] * (len(asked) - len(outcomes))
                break
        return outcomes

    def _shown(self, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Unavailable):
            return outcome
        problem = effective_problem(outcome.problem, log_unwritable=self._node.log_unwritable())
        return *render_problem(problem, outcome=outcome.outcome), 0


def _request(reservation: str, body: bytes, name: str | None, key: Key) -> Request:
    if trace := CURRENT.get():
        return "put", reservation, body, key.channels, key.id, name, trace
    if name is None:
        return "put", reservation, body, key.channels, key.id
    return "put", reservation, body, key.channels, key.id, name
