"""The past: what happened to a SKU, who changed which rule, what was refused (docs/http.md, "The past").

In: moments, filters, a cursor. Out: pages. Always: the process beside the gateway answers (looking_back.py); a key that
is limited to channels may ask none of these.
"""

from holdfast.contracts.business import Report
from holdfast.contracts.past import AuditPage, RefusalsPage, SkuChanges
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.moments import MOMENT, moment, named, place, time_ms
from holdfast.gateway.ports import Answer, Node, Past
from holdfast.gateway.queries import check_name, fields, limit_of
from holdfast.gateway.refusals import invalid
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import AFTER, LIMIT, NAME, Query, Specification

_FROM = Query("from", MOMENT, "From this LOG sequence on, or from this time on (with its zone); else all that is kept.")
_UPTO = Query("upto", MOMENT, "Up to this LOG sequence, or this time; else to the end.")
_SINCE = Query("from", MOMENT, "From this time on, with its zone.")
_UNTIL = Query("upto", MOMENT, "Up to this time.")
_BEGIN = Query("from", MOMENT, "From this time on, with its zone: a whole minute.", required=True)
_END = Query("upto", MOMENT, "Until before this time: a whole minute.", required=True)
_FILTERS = {
    "kind": "Only this kind of rule, such as `oversell` or `channel`; `settings`: replicated ones; `key`: API keys.",
    "sku": "Only what is about this SKU: rules that name it, and those for all.",
    "channel": "Only what is about this channel: what names it, and what is for all.",
    "by": "Only what this key brought, by its id.",
    "reason": "Only what was refused for this reason, such as `insufficient-stock`.",
}


def routes(node: Node, past: Past) -> list[Route]:
    """GET /v1/skus/{sku}/changes, /v1/audit, /v1/refusals, /v1/report."""
    return [
        _route("list_changes", "/v1/skus/{sku}/changes", _changes(node, past), Operation.AUDIT, _changes_says()),
        _route("list_audit", "/v1/audit", _audit(node, past), Operation.AUDIT, _audit_says()),
        _route("list_refusals", "/v1/refusals", _refusals(past), Operation.REFUSALS, _refusals_says()),
        _route("report", "/v1/report", _report(node, past), Operation.METRICS, _report_says()),
    ]


def _route(name: str, path: str, handler: Handler, operation: Operation, says: Specification) -> Route:
    return Route(name=name, method="GET", path=path, handler=handler, operation=operation, rank=3, specification=says)


def _filters(*names: str) -> tuple[Query, ...]:
    return tuple(Query(name, NAME, _FILTERS[name]) for name in names)


def _changes_says() -> Specification:
    return Specification(
        summary="A SKU between two moments: its figures before and after, and the facts that touched it",
        tag="past",
        answers={200: SkuChanges},
        query=(_FROM, _UPTO, AFTER, LIMIT),
        problems=("unknown-sku", "not-found", "invalid"),
    )


def _audit_says() -> Specification:
    return Specification(
        summary="Who changed which rule, from what to what, in the order of LOG",
        tag="past",
        answers={200: AuditPage},
        query=(*_filters("kind", "sku", "channel", "by"), _SINCE, _UNTIL, AFTER, LIMIT),
        problems=("not-found", "invalid"),
    )


def _refusals_says() -> Specification:
    return Specification(
        summary="What was asked for and refused lately, the newest first",
        tag="past",
        answers={200: RefusalsPage},
        query=(*_filters("sku", "channel", "reason"), _SINCE, AFTER, LIMIT),
        problems=("invalid",),
    )


def _report_says() -> Specification:
    return Specification(
        summary="Business figures of a range of time: orders, units, times, what was lost, how right the stock was",
        tag="past",
        answers={200: Report},
        query=(_BEGIN, _END),
        problems=("invalid",),
    )


def _changes(node: Node, past: Past) -> Handler:
    allowed = frozenset({"from", "upto", "after", "limit"})

    async def changes(sku: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001 - a handler's shape
        check_name("sku", sku)
        found = fields(query, allowed)
        return await past.ask(
            "changes",
            int(node.state()["sequence"]),
            sku=sku,
            **{"from": moment("from", found.get("from"))},
            upto=moment("upto", found.get("upto")),
            after=place(found.get("after")),
            limit=limit_of(found),
        )

    return changes


def _audit(node: Node, past: Past) -> Handler:
    names = ("kind", "sku", "channel", "by")
    allowed = frozenset({*names, "from", "upto", "after", "limit"})

    async def audit(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        found = fields(query, allowed)
        times = {f"{name}_ms": time_ms(name, found[name]) for name in ("from", "upto") if name in found}
        return await past.ask(
            "audit",
            int(node.state()["sequence"]),
            wanted=named(found, *names) | times,
            after=place(found.get("after")),
            limit=limit_of(found),
        )

    return audit


def _refusals(past: Past) -> Handler:
    names = ("sku", "channel", "reason")
    allowed = frozenset({*names, "from", "after", "limit"})

    async def refusals(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        found = fields(query, allowed)
        return await past.ask(
            "refusals",
            0,
            filters=named(found, *names),
            since_ms=time_ms("from", found["from"]) if "from" in found else None,
            before=place(found.get("after")),
            limit=limit_of(found),
        )

    return refusals


def _report(node: Node, past: Past) -> Handler:
    allowed = frozenset({"from", "upto"})

    async def report(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        found = fields(query, allowed)
        for name in ("from", "upto"):
            if name not in found:
                raise invalid(name, "is missing: a time with its zone, such as 2026-11-27T09:30:00Z")
        times = {f"{name}_ms": time_ms(name, found[name]) for name in ("from", "upto")}
        return await past.ask("report", int(node.state()["sequence"]), **times)

    return report
