"""Many reservations in one request: POST /v1/reservations:batch.

In: a body of up to 500 PUT bodies. Out: one result each, in their order.
Always: all are handed to the node in one turn of the loop, so that they share as few batches as they fit into and later
ones see earlier ones; what became of one does not touch another.
"""

import asyncio

import orjson

from holdfast._core import split_batch
from holdfast.contracts.problems import render_problem
from holdfast.gateway.keyring import Key
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.refusals import named
from holdfast.node.errors import Unavailable


async def answer_batch(node: Node, body: bytes, key: Key) -> Answer:
    """Do them all. Raises RequestError for a body that is no batch, Unavailable when nothing was answered."""
    requests = split_batch(body)
    waiting = [_submit(node, reservation, request, key) for reservation, request in requests]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    results = []
    failures: list[Unavailable] = []
    sequence = 0
    for (reservation, _), outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, Unavailable):
            failures.append(outcome)
            problem = named(outcome.problem, log_ails=node.log_ails())
            status, answer = render_problem(problem, outcome=outcome.outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            status, answer, stored = outcome
            sequence = max(sequence, stored)
        part = b"reservation" if status < 400 else b"problem"
        results.append(b'{"id":%b,"status":%d,"%b":%b}' % (orjson.dumps(reservation), status, part, answer))
    if len(failures) == len(requests):
        raise failures[0]
    return 200, b'{"results":[' + b",".join(results) + b"]}", sequence


def _submit(node: Node, reservation: str, request: bytes, key: Key) -> asyncio.Future[Answer]:
    try:
        return node.submit("put", reservation, request, key.channels, key.id)
    except Unavailable as error:
        refused: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused
