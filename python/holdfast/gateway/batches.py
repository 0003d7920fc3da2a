"""Many reservations in one request: POST /v1/reservations:batch.

In: a body of up to 500 PUT bodies. Out: one result each, in their order.
Always: all are handed to the node in one turn of the loop, so that they share as few batches as they fit into and later
ones see earlier ones; the outcome of one does not affect another. Each counts in the key's rate, and those beyond it
are answered 429. Under an idempotency key each is a part of one request.
"""

import asyncio
from itertools import islice

import orjson

from holdfast._core import split_batch
from holdfast.contracts.problems import render_problem
from holdfast.gateway.idempotency import CONFLICT, part_of
from holdfast.gateway.keyring import Key
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.refusals import Refusal, effective_problem
from holdfast.protocol.errors import Unavailable

BEYOND_RATE = (
    "The key's rate counts each reservation, and this one was beyond it: nothing was done. Send it again later."
)


async def answer_batch(node: Node, body: bytes, key: Key, idempotency_key: str | None = None) -> Answer:
    """Do them all. Raises RequestError for a body that is no batch, Unavailable when nothing was answered.

    Raises Refusal when the idempotency key was used for another request; then none of them is done.
    """
    requests = split_batch(body)
    # The request was counted as one already; the rest of its items count each.
    admitted = len(requests) if key.pace is None else 1 + key.pace.admit(len(requests) - 1)
    names = [None] * len(requests) if idempotency_key is None else part_of(idempotency_key, body, len(requests))
    waiting = [
        _submit(node, reservation, request, key, name)
        for (reservation, request), name in islice(zip(requests, names, strict=True), admitted)
    ]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    results = []
    failures: list[Unavailable] = []
    sequence = 0
    outcomes += [Refusal("rate-limited", BEYOND_RATE)] * (len(requests) - admitted)
    for (reservation, _), outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Refusal):
            status, answer = outcome.status, outcome.body
        elif isinstance(outcome, Unavailable):
            failures.append(outcome)
            problem = effective_problem(outcome.problem, log_unwritable=node.log_unwritable())
            status, answer = render_problem(problem, outcome=outcome.outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            status, answer, stored = outcome
            sequence = max(sequence, stored)
            if status == 409 and idempotency_key is not None and answer.startswith(CONFLICT):
                raise Refusal("idempotency-conflict")
        part = b"reservation" if status < 400 else b"problem"
        results.append(b'{"id":%b,"status":%d,"%b":%b}' % (orjson.dumps(reservation), status, part, answer))
    if len(failures) == admitted:
        raise failures[0]
    return 200, b'{"results":[' + b",".join(results) + b"]}", sequence


def _submit(node: Node, reservation: str, request: bytes, key: Key, name: str | None) -> asyncio.Future[Answer]:
    try:
        return node.submit("put", reservation, request, key.channels, key.id, name)
    except Unavailable as error:
        refused: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused
