"""The examples of the OpenAPI document: of requests, of answers, of problems.

In: the story of examples and its recorded answers, the table of problems. Out: `examples` objects by route.
Always: nothing is made up: a request was played, an answer came; a problem that the story does not meet is rendered as
the gateway renders it.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from holdfast.contracts.event_examples import STREAM
from holdfast.contracts.examples import STORY, Example, answers
from holdfast.contracts.problems import URN, render_problem

_PARTICULAR: dict[str, dict[str, Any]] = {
    "internal": {"incident": "5f1d7a0c2b9e4d13"},
    "overloaded": {"outcome": "not-done"},
    "no-leader": {"outcome": "not-done"},
    "log-unavailable": {"outcome": "unknown"},
    "forbidden": {"operation": "order"},
    "unknown-channel": {"channel": "wbe"},
}
"""Members that a problem of this name has."""


def of_requests(route: str) -> dict[str, Any]:
    """By name: what was sent."""
    return {one.name: {"summary": _titled(one), "value": one.body} for one in _of(route) if one.body is not None}


def of_answers(route: str, status: int) -> dict[str, Any]:
    """By name: what came back; of equal answers the first. A stream has no end, and none is played."""
    if route == "events":
        return {"stream": {"summary": "Two events, and the end", "value": STREAM}}
    found: dict[bytes, tuple[Example, Any]] = {}
    for one in _of(route):
        recorded = answers().get(one.key)
        if recorded is not None and recorded.status == status:
            found.setdefault(orjson.dumps(recorded.body), (one, recorded.body))
    return {one.name: {"summary": one.summary, "value": body} for one, body in found.values()}


def of_problem(route: str, name: str) -> dict[str, Any]:
    """A problem as this call, or any other, was answered with it; else as it is rendered."""
    for one in (*_of(route), *STORY):
        recorded = answers().get(one.key)
        if recorded is not None and _is(recorded.body, name):
            return {"value": recorded.body}
    return {"value": orjson.loads(render_problem(name, **_PARTICULAR.get(name, {}))[1])}


def of_path(route: str, name: str, path: str) -> str | None:
    """What stands for the parameter in the first example."""
    for one in _of(route):
        for part, given in zip(path.split("/"), one.target.partition("?")[0].split("/"), strict=True):
            if part == f"{{{name}}}":
                return unquote(given)
    return None


def of_query(route: str, name: str) -> str | None:
    """The parameter in the first example that has it."""
    for one in _of(route):
        for given, value in parse_qsl(one.target.partition("?")[2]):
            if given == name:
                return value
    return None


def _titled(one: Example) -> str:
    return f"{one.name}: {one.summary}" if one.route in {"facts", "policies"} else one.summary


def _of(route: str) -> list[Example]:
    return [one for one in STORY if one.route == route]


def _is(body: Any, name: str) -> bool:
    return isinstance(body, dict) and body.get("type") == URN + name
