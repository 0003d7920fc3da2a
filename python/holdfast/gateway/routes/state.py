"""State: sequence, digest and role of this process, for operators and for comparing nodes."""

import os

import orjson

from holdfast._core import Engine
from holdfast.contracts.answers import StateAnswer
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.queries import reject_query
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import Specification


def routes(node: Node) -> list[Route]:
    """GET /v1/state."""
    return [
        Route(
            name="state",
            method="GET",
            path="/v1/state",
            handler=_state(node),
            operation=Operation.STATE,
            rank=3,
            specification=Specification(
                summary="Sequence, digest, role and totals of this process",
                tag="operations",
                answers={200: StateAnswer},
            ),
        )
    ]


def _state(node: Node) -> Handler:
    pid = os.getpid()

    async def state(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            standing = node.state()
            answer = {
                "scope": engine.scope,
                "sequence": engine.sequence,
                "digest": engine.digest(),
                "role": standing["role"],
                "lag_facts": standing["lag_facts"],
                "pid": pid,
                "node": standing["node"],
                "leader": standing["leader"],
                "epoch": standing["epoch"],
                "quarantine": standing["quarantine"],
                "peers": standing["peers"],
                "totals": orjson.Fragment(engine.totals()),
                "as_of": orjson.Fragment(as_of),
            }
            return 200, orjson.dumps(answer)

        return await node.read(call, degradable=False)

    return state
