"""The OpenAPI document: valid, and in agreement with the routes, the table of problems and the contract's bounds."""

import re
from typing import Any

import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from holdfast.contracts.problems import PROBLEMS
from holdfast.gateway.app import Gateway
from holdfast.gateway.gate import LoopbackGate
from holdfast.gateway.openapi import build_document
from holdfast.gateway.routes import dashboard
from holdfast.gateway.routes.documentation import PAGES
from holdfast.gateway.static_files import type_of
from holdfast.settings import GatewaySettings
from tests.support.gateway import StubNode, ask, listening

CALLS = {
    "GET /v1/availability/{sku}",
    "POST /v1/availability",
    "GET /v1/availability/{sku}/explain",
    "POST /v1/carts/validate",
    "PUT /v1/reservations/{id}",
    "GET /v1/reservations/{id}",
    "POST /v1/reservations/{id}/confirm",
    "POST /v1/reservations/{id}/release",
    "POST /v1/reservations/{id}/cancel",
    "POST /v1/reservations/{id}/extend",
    "POST /v1/reservations/{id}/fulfil",
    "POST /v1/reservations:batch",
    "POST /v1/facts",
    "POST /v1/policies",
    *(f"GET /v1/{name}" for name in ("skus", "locations", "channels", "policies", "supplies", "demands")),
    *(f"GET /v1/{name}" for name in ("reservations", "deficits", "anomalies", "sources", "skus/{sku}")),
    "GET /v1/skus/{sku}/changes",
    "GET /v1/audit",
    "GET /v1/refusals",
    "GET /v1/dead-letters",
    "GET /v1/dead-letters/{letter}",
    "DELETE /v1/dead-letters/{letter}",
    "PUT /v1/dead-letters/{letter}/correction",
    "POST /v1/dead-letters/{letter}/retry",
    "GET /v1/state",
    "GET /v1/events",
    "GET /v1/overview",
    "GET /v1/report",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}


def gateway() -> Gateway:
    return Gateway(StubNode(), GatewaySettings(), LoopbackGate())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(orjson.dumps(build_document(gateway().routes, "1.2.3")))
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_it_has_every_call_of_the_contract_and_the_routes_no_other(document: dict[str, Any]) -> None:
    routes = {f"{route.method} {route.path}" for route in gateway().routes}
    assert set(operations(document)) == CALLS
    webhooks = {"POST /v1/webhooks/woocommerce/{store}"}
    assert routes - CALLS == {
        "GET /",
        "GET /openapi.json",
        *(f"GET {page}" for page in (*PAGES, *dashboard.PAGES)),
        *webhooks,
    }
    assert routes >= CALLS


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(ids)) == len(ids)


def test_every_problem_of_the_table_can_be_met(document: dict[str, Any]) -> None:
    text = orjson.dumps(document["paths"]).decode()
    met = set(re.findall(r"urn:holdfast:problem:([a-z-]+)", text))
    later = {"idempotency-conflict"}
    routing = {"not-found", "method-not-allowed"}
    assert met | later | routing == set(PROBLEMS)


def test_every_answer_names_the_sequence(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        for status, answer in operation["responses"].items():
            assert "Holdfast-Sequence" in answer["headers"], (name, status)
            if status == "503":
                assert "Retry-After" in answer["headers"]


@pytest.mark.parametrize(
    ("struct", "field", "bounds"),
    [
        ("ReservationRequest", "ttl_ms", {"minimum": 1, "maximum": 14_400_000}),
        ("ReservationRequest", "lines", {"minItems": 1, "maxItems": 2_000}),
        ("ReservationLine", "sku", {"minLength": 1, "maxLength": 128}),
        ("ReservationLine", "quantity", {"minimum": 1, "maximum": 10**9}),
        ("AvailabilityRequest", "skus", {"minItems": 1, "maxItems": 1_000}),
        ("BatchRequest", "requests", {"minItems": 1, "maxItems": 500}),
        ("StockLevel", "on_hand", {"minimum": -(10**12), "maximum": 10**12}),
        ("Supply", "confidence", {"minimum": 0, "maximum": 100, "default": 100}),
    ],
)
def test_bounds_are_those_of_the_contract(
    document: dict[str, Any], struct: str, field: str, bounds: dict[str, int]
) -> None:
    found = document["components"]["schemas"][struct]["properties"][field]
    assert bounds.items() <= found.items()


def test_requests_refuse_unknown_fields_and_answers_may_grow(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ReservationRequest"]["additionalProperties"] is False
    assert schemas["StockLevel"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Reservation"]


def test_calls_with_keys_say_so(document: dict[str, Any]) -> None:
    found = operations(document)
    assert found["PUT /v1/reservations/{id}"]["security"] == [{"key": []}]
    assert "security" not in found["GET /livez"]


async def test_it_is_served_as_it_is_built(document: dict[str, Any]) -> None:
    async with listening() as (own, port):
        answer = await ask(port, "GET", "/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["paths"] == document["paths"]
        documented = [route for route in own.routes if route.specification.documented]
        assert len(documented) == sum(len(methods) for methods in document["paths"].values())


async def test_the_root_leads_to_the_page() -> None:
    async with listening() as (_, port):
        for method, target in (("GET", "/"), ("HEAD", "/"), ("GET", "/?from=a-bookmark")):
            answer = await ask(port, method, target)
            assert (answer.status, answer.headers["location"]) == (307, "/docs")
        assert (await ask(port, "POST", "/", b"{}")).status == 405


async def test_the_page_and_its_parts_come_from_here_alone() -> None:
    async with listening() as (_, port):
        page = await ask(port, "GET", "/docs")
        text = page.body.decode()
        parts = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert sorted(part for part in parts if part != "data:,") == sorted(path for path in PAGES if path != "/docs")
        for path, file in PAGES.items():
            answer = await ask(port, "GET", path)
            assert (answer.status, answer.headers["content-type"]) == (200, type_of(file))
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        start = (await ask(port, "GET", "/docs/docs.js")).body.decode()
        assert "validatorUrl: null" in start
        assert "http" not in start
        style = (await ask(port, "GET", "/docs/swagger-ui.css")).body.decode()
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", style), "a font or picture of another host"
        assert "@import" not in style
