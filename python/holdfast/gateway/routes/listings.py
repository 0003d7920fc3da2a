"""Reading back: what is stored, list by list, page by page (docs/http.md, "Reading back").

In: a list, `after`, `limit`, filters. Out: one page. Always: the core renders it and bounds its work; a key that is
limited to channels sees what those channels have.
"""

from dataclasses import dataclass
from time import time

from holdfast._core import Engine
from holdfast.contracts import listings
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Node
from holdfast.gateway.queries import check_name, listing, reject_query
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import AFTER, LIMIT, NAME, Query, Specification


@dataclass(frozen=True, slots=True)
class _List:
    """`filters`: the query parameters that it takes beside `after` and `limit`."""

    name: str
    summary: str
    page: type
    filters: tuple[Query, ...] = ()


def _named(name: str, description: str) -> Query:
    return Query(name, NAME, description)


def _one_of(name: str, description: str, *words: str) -> Query:
    return Query(name, {"type": "string", "enum": list(words)}, description)


_SKU = _named("sku", "Only what names this SKU.")
_OF_CHANNEL = _named("channel", "Only those of this channel.")
_KIND = _one_of(
    "kind", "Only rules of this kind.", "allocation", "cap", "freshness", "oversell", "restriction", "safety"
)
_STATE = _one_of(
    "state",
    "Only those in this state.",
    *("held", "committed", "in_erp", "fulfilled", "released", "expired", "cancelled", "oversold"),
)
_ANOMALY = _one_of(
    "kind",
    "Only anomalies of this kind.",
    *("repeat", "stale", "lower-version", "conflicting-body", "covered", "closed-supply"),
    *("level-conflict", "levels-dropped"),
)
LISTS = (
    _List("skus", "SKUs, in the order in which they were first named", listings.Skus),
    _List("locations", "Locations, and who owns their levels", listings.Locations),
    _List("channels", "Channels that the key may see", listings.Channels),
    _List(
        "policies",
        "Rules in force, by kind; a filter by SKU or channel keeps those that apply to it",
        listings.Policies,
        (
            _KIND,
            _named("sku", "Only rules that apply to this SKU: those that name it, and those for all."),
            _named("channel", "Only rules that apply to this channel: those that name it, and those for all."),
        ),
    ),
    _List(
        "supplies",
        "Lines of incoming stock; closed ones while they are remembered",
        listings.Supplies,
        (
            _SKU,
            _named("location", "Only supply to this location."),
            _one_of("status", "Only those in this status.", "open", "received", "cancelled"),
        ),
    ),
    _List(
        "demands",
        "What is owed outside of reservations; a key with channels sees those that name one",
        listings.Demands,
        (_SKU,),
    ),
    _List(
        "reservations",
        "Reservations of the channels that the key may see; closed ones while they are remembered",
        listings.Reservations,
        (
            _named("order_ref", "Only those confirmed under this order number."),
            _named("owner", "Only those of this owner: the name that PUT gave, or the hash that answers show."),
            _named("sku", "Only those with a line of this SKU, or of a kit that holds it."),
            _OF_CHANNEL,
            _STATE,
        ),
    ),
    _List(
        "deficits",
        "Units of live reservations that no stock, supply or policy covers any more",
        listings.Deficits,
        (_SKU, _OF_CHANNEL),
    ),
    _List(
        "anomalies",
        "Facts that came to nothing, or to something unexpected: the newest 2,000 of each kind, in the order of LOG",
        listings.Anomalies,
        (_SKU, _ANOMALY),
    ),
    _List(
        "sources", "Sources of facts: the locations that they own, and how old their newest fact is", listings.Sources
    ),
)


def routes(node: Node) -> list[Route]:
    """GET /v1/<list> for each list, GET /v1/skus/{sku}."""
    return [*(_route(node, one) for one in LISTS), _sku(node)]


def _route(node: Node, one: _List) -> Route:
    return Route(
        name=f"list_{one.name}",
        method="GET",
        path=f"/v1/{one.name}",
        handler=_page(node, one.name, frozenset(query.name for query in one.filters)),
        operation=Operation.READ,
        rank=3,
        specification=Specification(
            summary=one.summary,
            tag="lists",
            answers={200: one.page},
            query=(AFTER, LIMIT, *one.filters),
            problems=("unknown-sku", "unknown-channel", "invalid") if one.filters else ("invalid",),
        ),
    )


def _page(node: Node, name: str, filters: frozenset[str]) -> Handler:
    async def page(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001 - a handler's shape
        after, limit, given = listing(query, filters)
        channels = key.channels

        def call(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.listing(name, after, limit, given, channels, as_of, int(time() * 1_000))

        return await node.read(call, degradable=False)

    return page


def _sku(node: Node) -> Route:
    async def sku(name: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        check_name("sku", name)
        channels = key.channels
        return await node.read(lambda engine, as_of: engine.sku(name, channels, as_of), degradable=False)

    return Route(
        name="sku",
        method="GET",
        path="/v1/skus/{sku}",
        handler=sku,
        operation=Operation.READ,
        rank=3,
        specification=Specification(
            summary="One SKU: its item, what each location has of it, the rules that apply to it",
            tag="lists",
            answers={200: listings.SkuRecord},
            problems=("unknown-sku", "invalid"),
        ),
    )
