"""Reservations: held, read, confirmed, released, cancelled, extended, fulfilled; one at a time or many."""

from holdfast._core import Engine
from holdfast.contracts.answers import BatchResults, Reservation
from holdfast.contracts.requests import (
    BatchRequest,
    ConfirmRequest,
    EmptyRequest,
    ExtendRequest,
    FulfilRequest,
    ReservationRequest,
)
from holdfast.gateway.batches import Batches
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.queries import check_name, reject_query
from holdfast.gateway.router import CommandHandler, Handler, Route
from holdfast.gateway.specification import Specification
from holdfast.settings import GatewaySettings

_CLOSED = "reservation-closed"
_VERBS: tuple[tuple[str, Operation, int, str, type, tuple[str, ...]], ...] = (
    ("confirm", Operation.ORDER, 1, "The order was placed", ConfirmRequest, (_CLOSED, "oversold", "deficit")),
    ("release", Operation.RESERVE, 1, "The hold is given back", EmptyRequest, (_CLOSED,)),
    ("cancel", Operation.ORDER, 2, "The units that are not fulfilled are given back", EmptyRequest, (_CLOSED,)),
    ("extend", Operation.RESERVE, 1, "The hold ends later", ExtendRequest, (_CLOSED, "renewals-exhausted")),
    ("fulfil", Operation.ORDER, 2, "Units were handed over", FulfilRequest, (_CLOSED,)),
)
_PUT_PROBLEMS = (
    "unknown-sku",
    "unknown-channel",
    "insufficient-stock",
    _CLOSED,
    "stale-revision",
    "owner-limit",
    "renewals-exhausted",
)


def routes(node: Node, settings: GatewaySettings) -> list[Route]:
    """PUT and GET /v1/reservations/{id}, its verbs, POST /v1/reservations:batch."""
    read = Route(
        name="reservation",
        method="GET",
        path="/v1/reservations/{id}",
        handler=_read(node),
        operation=Operation.READ,
        rank=1,
        specification=Specification(
            summary="The reservation in its present state; a closed one is remembered for at least 24 h",
            tag="reservations",
            answers={200: Reservation},
            problems=("unknown-reservation", "invalid"),
        ),
    )
    return [*_makers(node, settings), read, *(_verb(node, settings, *verb) for verb in _VERBS)]


def _makers(node: Node, settings: GatewaySettings) -> list[Route]:
    put = Specification(
        summary="Hold these lines; the same body again answers the same, another one replaces",
        tag="reservations",
        request=ReservationRequest,
        answers={201: Reservation, 200: Reservation},
        problems=_PUT_PROBLEMS,
    )
    batch = Specification(
        summary="Up to 500 reservations, each decided separately; later ones see earlier ones",
        tag="reservations",
        request=BatchRequest,
        answers={200: BatchResults},
    )
    put_one, put_many = _command(node, "put"), _batch(Batches(node, settings))
    return [
        Route(
            name=name,
            method=method,
            path=path,
            handler=handler,
            operation=Operation.RESERVE,
            rank=rank,
            body_bytes_max=settings.body_bytes_max,
            body_timeout_s=settings.body_timeout_ms / 1000,
            keyed=keyed,
            specification=specification,
        )
        for name, method, path, handler, keyed, rank, specification in (
            ("reserve", "PUT", "/v1/reservations/{id}", put_one, None, 1, put),
            ("reserve_batch", "POST", "/v1/reservations:batch", put_many, put_many, 2, batch),
        )
    ]


def _verb(
    node: Node,
    settings: GatewaySettings,
    verb: str,
    operation: Operation,
    rank: int,
    summary: str,
    request: type,
    problems: tuple[str, ...],
) -> Route:
    handler = _command(node, verb)
    return Route(
        name=verb,
        method="POST",
        path=f"/v1/reservations/{{id}}/{verb}",
        handler=handler,
        operation=operation,
        rank=rank,
        body_bytes_max=settings.body_bytes_max,
        body_timeout_s=settings.body_timeout_ms / 1000,
        keyed=handler,
        specification=Specification(
            summary=summary,
            tag="reservations",
            request=request,
            request_required=request not in {ConfirmRequest, EmptyRequest},
            answers={200: Reservation},
            problems=("unknown-reservation", *problems),
        ),
    )


def _command(node: Node, verb: str) -> CommandHandler:
    submit = node.submit

    async def command(
        reservation: str, query: str, body: bytes, key: Key, idempotency_key: str | None = None, /
    ) -> Answer:
        reject_query(query)
        return await submit(verb, reservation, body, key.channels, key.id, idempotency_key)

    return command


def _read(node: Node) -> Handler:
    read_now, read = node.read_now, node.read

    async def get(reservation: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        check_name("id", reservation)
        channels = key.channels

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.reservation(reservation, channels, as_of)

        return read_now(call) or await read(call, degradable=False)

    return get


def _batch(batches: Batches) -> CommandHandler:
    async def batch(
        parameter: str,  # noqa: ARG001
        query: str,
        body: bytes,
        key: Key,
        idempotency_key: str | None = None,
        /,
    ) -> Answer:
        reject_query(query)
        return await batches.answer(body, key, idempotency_key)

    return batch
