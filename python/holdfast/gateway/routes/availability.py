"""Availability: how many of a SKU a channel can sell, of one, of many, and why."""

from holdfast._core import Engine
from holdfast.contracts.answers import Availabilities, Availability, Explanation
from holdfast.contracts.requests import AvailabilityRequest
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.moments import MOMENT, at_moment, moment
from holdfast.gateway.ports import Answer, Node, Past
from holdfast.gateway.queries import check_name, reject_query, selling
from holdfast.gateway.refusals import Refusal
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import BY, CHANNEL, LOCATION, PUBLISHED, QUANTITY, REGION, Query, Specification
from holdfast.settings import GatewaySettings

_AT = Query(
    "at",
    MOMENT,
    "How it was after this LOG sequence, or at this time (with its zone): answered by a process beside the gateway.",
)


def routes(node: Node, settings: GatewaySettings, past: Past) -> list[Route]:
    """GET /v1/availability/{sku}, POST /v1/availability, GET /v1/availability/{sku}/explain."""
    return [
        Route(
            name="availability",
            method="GET",
            path="/v1/availability/{sku}",
            handler=_one(node),
            operation=Operation.READ,
            rank=1,
            specification=Specification(
                summary="How many can be sold now, and from which day on a quantity can be",
                tag="availability",
                answers={200: Availability},
                query=(CHANNEL, REGION, QUANTITY, LOCATION, BY, PUBLISHED),
                problems=("unknown-sku", "unknown-channel", "invalid"),
            ),
        ),
        Route(
            name="availabilities",
            method="POST",
            path="/v1/availability",
            handler=_many(node),
            operation=Operation.READ,
            rank=3,  # many figures at once are for pages and feeds; a checkout asks for one, or validates a cart
            body_bytes_max=settings.body_bytes_max,
            body_timeout_s=settings.body_timeout_ms / 1000,
            specification=Specification(
                summary="How many can be sold now, of up to 1,000 SKUs, in the order asked",
                tag="availability",
                request=AvailabilityRequest,
                answers={200: Availabilities},
            ),
        ),
        Route(
            name="explain",
            method="GET",
            path="/v1/availability/{sku}/explain",
            handler=_why(node, past),
            operation=Operation.READ,
            rank=3,
            specification=Specification(
                summary="The figure explained: signed terms that add up to it",
                tag="availability",
                answers={200: Explanation},
                query=(CHANNEL, REGION, _AT),
                problems=("unknown-sku", "unknown-channel", "not-found", "invalid"),
            ),
        ),
    ]


def _one(node: Node) -> Handler:
    read_now, read = node.read_now, node.read

    async def one(sku: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001 - a handler's shape
        asked = selling(query, True)  # noqa: FBT003 - a key of the cache
        channel, region, quantity, location, by_location, published = asked
        check(sku, channel, key)

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.availability(sku, channel, region, quantity, as_of, location, by_location, published)

        return read_now(call) or await read(call)

    return one


def _many(node: Node) -> Handler:
    read_now, read = node.read_now, node.read

    async def many(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        channels = key.channels

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.availabilities(body, channels, as_of)

        answer = read_now(call) or await read(call)
        if (quota := key.quota(Operation.READ)) is not None:  # it was counted as one when it came; each SKU counts
            quota.charge(max(0, answer[1].count(b'{"sku":') - 1))
        return answer

    return many


def _why(node: Node, past: Past) -> Handler:
    async def why(sku: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        at, query = at_moment(query)
        channel, region, *_ = selling(query, False)  # noqa: FBT003
        check(sku, channel, key)
        channels = key.channels
        if at is not None:
            return await past.ask(
                "explain", 0, sku=sku, channel=channel, region=region, at=moment("at", at), channels=channels
            )
        return await node.read(lambda engine, as_of: engine.explain(sku, channel, region, as_of, channels))

    return why


def check(sku: str, channel: str, key: Key) -> None:
    """Raises Refusal: 422 for a SKU out of bounds, 403 for a channel that is not among the key's."""
    check_name("sku", sku)
    if key.channels is not None and channel not in key.channels:
        raise Refusal(
            "forbidden",
            f"This key is not for channel '{channel}'. Use a key for it; the operator of the gateway makes one "
            "(`holdfast keys add`).",
            channel=channel,
        )
