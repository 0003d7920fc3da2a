"""Writes down the HTTP contract that a release has, to compare later ones with.

In: the routes of the gateway. Out: docs/openapi-1.json, without examples and descriptions.
Always: tests/gateway/test_versions.py compares the routes with it; it is renewed at a release, when nothing broke.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "docs" / "openapi-1.json"
_SAID = {"description", "summary", "title", "example", "examples", "tags"}
_NAMED = {"properties", "schemas", "mapping", "paths", "headers", "responses"}


def bare(value: Any, *, named: bool = False) -> Any:
    """Without what only people read. `named`: the keys are names of the contract."""
    if isinstance(value, list):
        return [bare(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: bare(part, named=name in _NAMED and not named)
        for name, part in value.items()
        if named or name not in _SAID
    }


def lined(document: dict[str, Any]) -> str:
    """JSON with a line for each call and each schema, so that a difference can be read."""

    def line(value: Any) -> str:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def rows(values: dict[str, Any]) -> str:
        return "{\n" + ",\n".join(f"{line(name)}:{line(value)}" for name, value in sorted(values.items())) + "\n}"

    return (
        f'{{"openapi":"3.1.0",\n"paths":{rows(document["paths"])},\n'
        f'"components":{{"schemas":{rows(document["components"]["schemas"])}}}}}\n'
    )


def contract() -> dict[str, Any]:
    """That of the routes."""
    from holdfast.gateway.app import Gateway
    from holdfast.gateway.gate import LoopbackGate
    from holdfast.gateway.openapi import build_document
    from holdfast.settings import GatewaySettings
    from tests.support.gateway import StubNode

    routes = Gateway(StubNode(), GatewaySettings(), LoopbackGate()).routes
    document: dict[str, Any] = bare(build_document(routes, "1"))
    return document


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    KEPT.write_text(lined(contract()))
    print(f"wrote {KEPT.name}")
