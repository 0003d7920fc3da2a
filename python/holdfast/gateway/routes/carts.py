"""Carts: would this one fit? Holds nothing."""

from holdfast._core import Engine
from holdfast.contracts.answers import Validation
from holdfast.contracts.requests import ValidateRequest
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.queries import reject_query
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import Specification
from holdfast.settings import GatewaySettings


def routes(node: Node, settings: GatewaySettings) -> list[Route]:
    """POST /v1/carts/validate."""
    return [
        Route(
            name="validate",
            method="POST",
            path="/v1/carts/validate",
            handler=_validate(node),
            operation=Operation.READ,
            rank=1,
            body_bytes_max=settings.body_bytes_max,
            body_timeout_s=settings.body_timeout_ms / 1000,
            specification=Specification(
                summary="Would this cart fit? Each line is judged after the lines before it that fit",
                tag="carts",
                request=ValidateRequest,
                answers={200: Validation},
            ),
        )
    ]


def _validate(node: Node) -> Handler:
    read_now, read = node.read_now, node.read

    async def validate(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        channels = key.channels

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.validate(body, channels, as_of)

        return read_now(call) or await read(call)

    return validate
