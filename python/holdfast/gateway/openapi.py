"""The OpenAPI 3.1 document, made of the routes and the Structs of contracts.

In: routes. Out: a document that agrees with them, because it is made of them.
Always: nothing in it is written twice: paths, methods and operations come from the routes, shapes and bounds from the
Structs, statuses and titles from the table of problems.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from holdfast.contracts.problems import PROBLEMS, Problem
from holdfast.gateway import openapi_examples as examples
from holdfast.gateway.idempotency import CONFLICT_REASON, HEADER, KEY_CHARS_MAX
from holdfast.gateway.keyring import OPERATION_MEANINGS, Operation
from holdfast.gateway.openapi_schemas import portable, refined
from holdfast.gateway.router import Route
from holdfast.gateway.specification import NAME, WAIT_FOR

_REFERENCE = "#/components/schemas/{name}"
_SEQUENCE = {
    "description": "A stored LOG sequence that the answer reflects; it never falls.",
    "schema": {"type": "integer", "minimum": 0},
}
_RATE_LIMITS: dict[str, Any] = {
    "RateLimit-Policy": {
        "description": "Of a key with a rate: for each rate, `q` items in `w` seconds (a list of structured fields).",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What of each is left now (`r`), and after how many seconds there is more (`t`).",
        "schema": {"type": "string"},
    },
}
_RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
_PARAMETERS = {
    "sku": "Compared byte by byte; percent-encoded.",
    "id": "The client's own name for the reservation; percent-encoded.",
    "letter": "The number of a dead letter.",
}
_IDEMPOTENCY_KEY = {
    "name": str(HEADER),
    "in": "header",
    "required": False,
    "description": "The client's own name for this request, bare or as a quoted string. Sent again under it, the "
    "request is not done again but answered as the first time; another request under it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[!#-+\\--\\[\\]-~]+$"},
}
_WITH_BODY = ("malformed-json", "invalid", "too-large", "unsupported-encoding", "request-timeout")
_WITH_KEY = ("unauthenticated", "forbidden", "rate-limited")
_ANY = ("malformed-request", "invalid", "overloaded", "internal")
_WITH_NODE = ("no-leader", "log-unavailable")
_DESCRIPTION = """How many can be sold on a channel right now, and holding them.

Times are RFC 3339 in UTC. SKUs and ids are compared byte by byte. Quantities are integers in the SKU's base unit,
except in a request line that names a `unit`. Unknown fields are refused. Every answer names in `Holdfast-Sequence` a
stored LOG sequence that it reflects. The examples are parts of one story, played on a gateway: the answers are those
that came.

<details><summary><b>Problems: every way to be refused, and what to do</b></summary>

Errors are `application/problem+json` (RFC 9457): `type` is `urn:holdfast:problem:` and the name; `detail` says what to
do next.

| status | name | what it is | what to do |
|---|---|---|---|
"""
_OPERATION_IDS = {
    "availability": "getAvailability",
    "availabilities": "getAvailabilities",
    "explain": "explainAvailability",
    "validate": "validateCart",
    "reserve": "putReservation",
    "reserve_batch": "putReservations",
    "reservation": "getReservation",
    "confirm": "confirmReservation",
    "release": "releaseReservation",
    "cancel": "cancelReservation",
    "extend": "extendReservation",
    "fulfil": "fulfilReservation",
    "facts": "sendFacts",
    "policies": "sendPolicies",
    "sku": "getSku",
    "state": "getState",
    "list_changes": "listSkuChanges",
    "dead_letter": "getDeadLetter",
    "correct_dead_letter": "putDeadLetterCorrection",
    "retry_dead_letter": "sendDeadLetter",
    "overview": "getOverview",
    "report": "getReport",
    "livez": "getLiveness",
    "readyz": "getReadiness",
    "metrics": "getMetrics",
    "events": "getEvents",
}
"""By the name of the route; any other is its name in camel case, such as listSkus."""
_TAGS = {
    "availability": "How many can be sold, and why.",
    "carts": "Would this cart fit? Holds nothing.",
    "reservations": "Holding units for a time, and what becomes of them.",
    "facts": "What an ERP, a shop, a warehouse or an operator reports.",
    "events": "What happened, as it is published.",
    "lists": "Reading back what is stored, page by page.",
    "past": "What happened, who changed it, and what was refused.",
    "dead letters": "Rejected facts: see why, correct them, send them again, remove them.",
    "operations": "Running it.",
}


def build_document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document as plain data."""
    routes = tuple(route for route in routes if route.specification.documented)
    structs: dict[str, type] = {"Problem": Problem}
    for route in routes:
        specification = route.specification
        for struct in (specification.request, *specification.answers.values()):
            if isinstance(struct, type):
                structs[struct.__name__] = struct
    _, components = msgspec.json.schema_components(structs.values(), ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "holdfast",
            "version": version,
            "description": _DESCRIPTION + _problem_rows(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": tag, "description": _TAGS[tag]}
            for tag in dict.fromkeys(route.specification.tag for route in routes)
        ],
        "paths": paths,
        "components": {"schemas": refined(components), "securitySchemes": {"key": _scheme()}},
    }


def render_document(routes: Iterable[Route], version: str) -> bytes:
    """The document as JSON."""
    return orjson.dumps(build_document(routes, version))


def _scheme() -> dict[str, Any]:
    meanings = "; ".join(f"`{operation}`: {OPERATION_MEANINGS[operation]}" for operation in Operation)
    return {
        "type": "http",
        "scheme": "bearer",
        "description": f"A key made by `holdfast keys add`. It has channels, and operations. {meanings}.",
    }


def _problem_rows() -> str:
    rows = (
        f"| {kind.status} | `{kind.name}` | {kind.title} | {_as_text(kind.detail)} |\n" for kind in PROBLEMS.values()
    )
    return "".join((*rows, "\n</details>\n"))


def _as_text(detail: str) -> str:
    """As Markdown shows it unchanged."""
    return detail.replace("<", "&lt;").replace(">", "&gt;")


def _problem_line(name: str) -> str:
    return f"* `{name}`: {PROBLEMS[name].title}. {_as_text(PROBLEMS[name].detail)}"


def _operation_id(route: Route) -> str:
    first, *rest = route.name.split("_")
    return _OPERATION_IDS.get(route.name) or first + "".join(part.capitalize() for part in rest)


def _operation(route: Route) -> dict[str, Any]:
    specification = route.specification
    found: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": specification.summary,
        "tags": [specification.tag],
    }
    if route.operation is not None:
        found["security"] = [{"key": []}]
        found["description"] = f"Needs a key with the operation `{route.operation}`, unless authentication is off."
    if route.deprecation is not None:
        found["deprecated"] = True
        found["summary"] += f". Deprecated: it is served until {route.deprecation.sunset:%Y-%m-%d}"
    if parameters := _parameters(route):
        found["parameters"] = parameters
    if specification.request is not None:
        found["requestBody"] = {
            "required": specification.request_required,
            "description": f"At most {route.body_bytes_max:,} bytes.",
            "content": {
                "application/json": {
                    "schema": _reference(specification.request),
                    "examples": examples.of_requests(route.name),
                }
            },
        }
    found["responses"] = {
        **{str(status): _answer(route, status, shape) for status, shape in specification.answers.items()},
        **_problems(route),
    }
    return found


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{" in route.path:
        name = route.path[route.path.index("{") + 1 : route.path.index("}")]
        found.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PARAMETERS[name],
                "schema": portable(NAME),
                **_example(examples.of_path(route.name, name, route.path)),
            }
        )
    if route.keyed is not None:
        found.append(_IDEMPOTENCY_KEY)
    return found + [
        {
            "name": query.name,
            "in": "query",
            "required": query.required,
            "description": query.description,
            "schema": portable(query.schema),
            # Only of a parameter that is needed: the page sends each example unless it is taken out.
            **_example(examples.of_query(route.name, query.name) if query.required else None),
        }
        for query in (*route.specification.query, *((WAIT_FOR,) if route.waits else ()))
    ]


def _reference(struct: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=struct.__name__)}


def _example(value: str | None) -> dict[str, str]:
    return {} if value is None else {"example": value}


def _answer(route: Route, status: int, shape: type | str) -> dict[str, Any]:
    made = examples.of_answers(route.name, status)
    if isinstance(shape, str):
        content = {shape: {"schema": {"type": "string"}, "examples": made}}
        description = "As its media type says."
    else:
        content = {"application/json": {"schema": _reference(shape), "examples": made}}
        description = {201: "Made.", 202: "Taken."}.get(status, "As asked.")
    return {"description": description, "headers": {"Holdfast-Sequence": _SEQUENCE}, "content": content}


def problem_names(route: Route) -> list[str]:
    """The problems that a call may be answered with."""
    names = [*_ANY, *route.specification.problems]
    if route.operation is not None:
        names += [*_WITH_KEY, *_WITH_NODE]
    if route.body_bytes_max:
        names += _WITH_BODY
    if route.keyed is not None:
        names.append(CONFLICT_REASON)
    return list(dict.fromkeys(names))


def _problems(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for name in problem_names(route):
        by_status.setdefault(PROBLEMS[name].status, []).append(name)
    found = {}
    for status, names in sorted(by_status.items()):
        headers: dict[str, Any] = {"Holdfast-Sequence": _SEQUENCE, **(_RATE_LIMITS if status == 429 else {})}
        if status in {429, 503}:
            headers["Retry-After"] = _RETRY_AFTER
        found[str(status)] = {
            "description": "\n".join(
                f"* `{name}`: {PROBLEMS[name].title}. {_as_text(PROBLEMS[name].detail)}" for name in names
            ),
            "headers": headers,
            "content": {
                "application/problem+json": {
                    "schema": _reference(Problem),
                    "examples": {name: examples.of_problem(route.name, name) for name in names},
                }
            },
        }
    return found
