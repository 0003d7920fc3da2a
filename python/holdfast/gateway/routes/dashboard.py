"""The dashboard: a page that shows what a scope does now, and the figures of this process that it is made of.

In: plain counters of the gateway and the node. Out: /dashboard and its parts, GET /v1/overview.
Always: the figures need no log and wait for nothing, so that they are there when the log is not; they are of this
process, and the connection is closed after them, so that the next request may reach another process of the same port.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic, time

import msgspec

from holdfast.contracts.answers import PeerState
from holdfast.contracts.overview import CallFigures, DiskFigures, GatewayFigures, Overview, SystemFigures
from holdfast.gateway import static_files
from holdfast.gateway.counters import BUCKETS_S, Counters
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.metric_catalogue import ALARM_PREFIX
from holdfast.gateway.ports import Node
from holdfast.gateway.queries import reject_query
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Handled, Handler, Route
from holdfast.gateway.routes.operations import without_paths
from holdfast.gateway.specification import Specification

# Scripts and styles come from files of this host alone; nothing on the page is inline.
_POLICY = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
)
_PARTS = (
    *("dashboard.css", "app.js", "api.js", "live.js", "dom.js", "chart.js", "figures.js", "verdict.js", "waterfall.js"),
    *(
        "lists.js",
        "refusals.js",
        "now.js",
        "happenings.js",
        "business.js",
        "report.js",
        "sku.js",
        "order.js",
        "sources.js",
    ),
    "troubles.js",
)
_NAMES: Mapping[str, str] = {"dead_letters": "dead_letters_stored"}  # beside `dead_letters_total`
PAGES: Mapping[str, str] = {
    "/dashboard": "dashboard/dashboard.html",
    **{f"/dashboard/{part}": f"dashboard/{part}" for part in _PARTS},
}


def routes(
    node: Node,
    counters: Counters,
    version: str,
    *,
    sequence: Callable[[], int],
    draining: Callable[[], bool],
    published: Callable[[], bool | None],
) -> list[Route]:
    """GET /v1/overview, /dashboard and the page's parts."""
    return [
        Route(
            name="overview",
            method="GET",
            path="/v1/overview",
            handler=_overview(node, counters, version, sequence, draining, published),
            operation=Operation.METRICS,
            rank=2,  # it shows what is going on when reports are refused
            specification=Specification(
                summary="The figures of this process in one answer, for a dashboard",
                tag="operations",
                answers={200: Overview},
            ),
        ),
        *static_files.routes("dashboard", PAGES, _POLICY, "The dashboard", sequence),
    ]


def _overview(
    node: Node,
    counters: Counters,
    version: str,
    sequence: Callable[[], int],
    draining: Callable[[], bool],
    published: Callable[[], bool | None],
) -> Handler:
    began, pid = monotonic(), os.getpid()
    encode = msgspec.json.Encoder().encode

    async def overview(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        reject_query(query)
        state = node.state()
        reasons = without_paths(node.ready()) + (["draining: this process is about to stop"] if draining() else [])
        figures, alarms = _of_node(node)
        answer = Overview(
            version=version,
            node=state["node"],
            pid=pid,
            at=datetime.fromtimestamp(time(), UTC),
            uptime_s=round(monotonic() - began, 3),
            role=state["role"],
            leader=state["leader"],
            epoch=state["epoch"],
            sequence=state["sequence"],
            lag_facts=state["lag_facts"],
            in_waiting=max(0, state.get("in_end", 0) - state.get("in_upto", 0)),
            ready=not reasons,
            reasons=reasons,
            quarantine=state["quarantine"],
            peers=msgspec.convert(state["peers"], list[PeerState]),
            bounds_s=list(BUCKETS_S),
            calls=_calls(counters),
            refusals=dict(counters.refusals),
            alarms=alarms,
            events=published(),
            gateway=_gateway(counters),
            figures=figures,
            tallies={name: dict(numbers) for name, numbers in node.tallies().items()},
            systems=_systems(counters),
            disk=_disk(counters),
        )
        return Reply(200, encode(answer), sequence(), close=True)

    return overview


def _of_node(node: Node) -> tuple[dict[str, float], dict[str, int]]:
    figures: dict[str, float] = {}
    alarms: dict[str, int] = {}
    for name, number in node.counters().items():
        if name.startswith(ALARM_PREFIX):
            alarms[name.removeprefix(ALARM_PREFIX).removesuffix("_total").replace("_", "-")] = int(number)
        else:
            figures[_NAMES.get(name, name.removesuffix("_total"))] = number + 0  # a flag is 0 or 1
    return figures, alarms


def _calls(counters: Counters) -> dict[str, CallFigures]:
    return {
        name: CallFigures(
            answered={f"{hundreds}xx": number for hundreds, number in enumerate(one.classes) if number},
            seconds=round(one.seconds, 6),
            within=list(one.buckets),
        )
        for name, one in counters.routes.items()
        if any(one.classes)
    }


def _systems(counters: Counters) -> list[SystemFigures]:
    return [
        SystemFigures(name=one.name, state=one.state, why=one.why, waiting=one.waiting, parked=one.parked)
        for one in counters.beside.systems
    ]


def _disk(counters: Counters) -> DiskFigures | None:
    seen = counters.beside
    if seen.disk_free_bytes is None or seen.disk_bytes is None:
        return None
    return DiskFigures(free_bytes=seen.disk_free_bytes, bytes=seen.disk_bytes, wanted_bytes=seen.disk_wanted_bytes)


def _gateway(counters: Counters) -> GatewayFigures:
    return GatewayFigures(
        requests_in_flight=counters.in_flight,
        connections=counters.connections,
        connections_refused=counters.connections_refused,
        requests_shed=counters.shed,
        faults=counters.faults,
        facts_accepted=counters.facts_accepted,
        facts_rejected=counters.facts_rejected,
    )
