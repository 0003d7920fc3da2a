"""Versions: what breaks clients is called by name, nothing of the last release is broken, and an end is announced."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import RawTestServer
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import run
from holdfast.contracts.api_changes import UnknownWordsError, Weight, compared
from holdfast.gateway.app import Gateway
from holdfast.gateway.counters import Counters
from holdfast.gateway.dispatch import Dispatcher
from holdfast.gateway.gate import LoopbackGate
from holdfast.gateway.openapi import build_document
from holdfast.gateway.router import Deprecation, Router
from holdfast.settings import GatewaySettings
from tests.support.gateway import StubNode
from tools.contract import KEPT, contract

Document = dict[str, Any]
OLD: Document = contract()
PUT, READ = OLD["paths"]["/v1/reservations/{id}"]["put"], "/v1/availability/{sku}"


def test_nothing_of_the_last_release_is_broken() -> None:
    broken = [change for change in compared(json.loads(KEPT.read_text()), OLD) if change.weight is Weight.BREAKING]
    assert broken == [], "within version 1 the contract only grows: docs/versions.md"


def test_a_document_and_itself_differ_in_nothing() -> None:
    assert compared(OLD, copy.deepcopy(OLD)) == []


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


BREAKS: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a call removed": (lambda new: new["paths"][READ].pop("get"), "the call was removed"),
    "a key needed": (lambda new: new["paths"]["/livez"]["get"].update(security=[{"key": []}]), "needs a key"),
    "a parameter removed": (lambda new: new["paths"][READ]["get"]["parameters"].pop(), "the parameter was removed"),
    "a parameter added that is required": (
        lambda new: new["paths"][READ]["get"]["parameters"].append(
            {"name": "x", "in": "query", "required": True, "schema": {}}
        ),
        "a new parameter that is required",
    ),
    "a body required": (
        lambda new: new["paths"]["/v1/reservations/{id}/confirm"]["post"]["requestBody"].update(required=True),
        "the body is required now",
    ),
    "an asked field removed": (
        lambda new: schema(new, "ReservationRequest")["properties"].pop("partial"),
        "ReservationRequest.partial: the field was removed",
    ),
    "an asked field required": (
        lambda new: schema(new, "ReservationRequest")["required"].append("owner"),
        "ReservationRequest.owner: the field is required now",
    ),
    "a bound lowered": (
        lambda new: schema(new, "ReservationRequest")["properties"]["ttl_ms"].update(maximum=1),
        "`maximum` was 14400000, is 1",
    ),
    "null not taken": (
        lambda new: schema(new, "ReservationRequest")["properties"]["owner"].update(type="string"),
        "null is not taken any more",
    ),
    "a pattern set": (
        lambda new: schema(new, "ReservationRequest")["properties"]["owner"].update(pattern="^x"),
        "`pattern` was",
    ),
    "a kind of fact removed": (
        lambda new: schema(new, "Fact").update(
            oneOf=[one for one in schema(new, "Fact")["oneOf"] if not one["$ref"].endswith("/Shipment")]
        ),
        "Shipment: is not taken any more",
    ),
    "an answered field removed": (
        lambda new: schema(new, "Reservation")["properties"].pop("version"),
        "Reservation.version: the field was removed",
    ),
    "an answered field may be missing": (
        lambda new: schema(new, "Availability")["required"].remove("sellable"),
        "Availability.sellable: the field may be missing now",
    ),
    "an answered field may be null": (
        lambda new: schema(new, "Availability")["properties"]["sellable"].update(type=["integer", "null"]),
        "may be null now",
    ),
    "an answer removed": (lambda new: new["paths"][READ]["get"]["responses"].pop("200"), "the answer was removed"),
    "an id of a call changed": (lambda new: new["paths"][READ]["get"].update(operationId="x"), "its id"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_clients_is_called_by_its_name(name: str) -> None:
    change, says = BREAKS[name]
    new = copy.deepcopy(OLD)
    change(new)
    found = [f"{one.where}: {one.what}" for one in compared(OLD, new) if one.weight is Weight.BREAKING]
    assert len(found) == 1
    assert says in found[0]


GROWS: dict[str, Callable[[Document], Any]] = {
    "a call": lambda new: new["paths"].update({"/v1/x": {"get": {"responses": {}}}}),
    "a parameter": lambda new: new["paths"][READ]["get"]["parameters"].append(
        {"name": "x", "in": "query", "schema": {}}
    ),
    "an asked field": lambda new: schema(new, "ReservationRequest")["properties"].update(x={"type": "string"}),
    "an answered field": lambda new: schema(new, "Reservation")["properties"].update(x={"type": "string"}),
    "a bound raised": lambda new: schema(new, "ReservationRequest")["properties"]["ttl_ms"].update(maximum=10**9),
    "a reason": lambda new: schema(new, "AnswerFreshness")["properties"]["mode"]["enum"].append("new"),
    "a deprecation": lambda new: new["paths"][READ]["get"].update(deprecated=True),
}


@pytest.mark.parametrize("name", GROWS)
def test_what_only_grows_breaks_nothing(name: str) -> None:
    new = copy.deepcopy(OLD)
    GROWS[name](new)
    found = compared(OLD, new)
    assert found
    assert Weight.BREAKING not in {change.weight for change in found}


FIELDS = sorted(
    (name, field) for name, one in OLD["components"]["schemas"].items() for field in one.get("properties", ())
)


@given(st.sampled_from(FIELDS))
def test_no_field_can_be_removed_unnoticed(place: tuple[str, str]) -> None:
    new = copy.deepcopy(OLD)
    name, field = place
    del schema(new, name)["properties"][field]
    assert any(change.weight is Weight.BREAKING and change.where == f"{name}.{field}" for change in compared(OLD, new))


def test_words_that_are_not_compared_are_refused() -> None:
    new = copy.deepcopy(OLD)
    schema(new, "Availability")["not"] = {}
    with pytest.raises(UnknownWordsError, match="`not` is not compared"):
        compared(OLD, new)


def test_the_command_line_says_what_breaks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    new = copy.deepcopy(OLD)
    BREAKS["a bound lowered"][0](new)
    old_file, new_file = tmp_path / "old.json", tmp_path / "new.json"
    old_file.write_text(json.dumps(OLD))
    new_file.write_text(json.dumps(new))
    assert run(["api", "diff", str(old_file), str(old_file)]) == 0
    capfd.readouterr()
    assert run(["api", "diff", str(old_file), str(new_file)]) == 1
    assert "breaking  ReservationRequest.ttl_ms: `maximum` was" in capfd.readouterr().out
    assert run(["api", "diff", str(old_file), str(new_file), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["breaking"] == 1


@pytest.mark.parametrize(
    "content", ["", "[]", '{"openapi": "3.1.0"}', '{"openapi": "3.1.0", "paths": {"/": {"get": 1}}}']
)
def test_what_is_no_document_is_said(content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text(content)
    assert run(["api", "diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 2
    assert capfd.readouterr().err.startswith("holdfast: ")


async def test_a_deprecated_call_says_so_in_every_answer() -> None:
    since, sunset = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, 12, tzinfo=UTC)
    node = StubNode()
    gateway = Gateway(node, GatewaySettings(), LoopbackGate())
    ending = Deprecation(since, sunset, "https://shop.example/versions")
    routes = [replace(one, deprecation=ending if one.name == "confirm" else None) for one in gateway.routes]
    document = build_document(routes, "1")
    assert document["paths"]["/v1/reservations/{id}/confirm"]["post"]["deprecated"] is True
    assert "deprecated" not in document["paths"]["/v1/reservations/{id}/release"]["post"]
    counters = Counters(route.name for route in routes)
    dispatcher = Dispatcher(
        Router(routes), LoopbackGate(), counters, GatewaySettings(), node.reach, node.log_unwritable
    )
    async with RawTestServer(dispatcher) as server, ClientSession() as client:
        for body, status in ((b"{}", 201), (b"", 201)):
            async with client.post(server.make_url("/v1/reservations/a/confirm"), data=body) as answer:
                assert answer.status == status
                assert answer.headers["Deprecation"] == f"@{int(since.timestamp())}"
                assert parsedate_to_datetime(answer.headers["Sunset"]) == sunset
                assert str(answer.links["deprecation"]["url"]) == "https://shop.example/versions"
        async with client.post(server.make_url("/v1/reservations/a/confirm?x=1"), data=b"{}") as answer:
            assert answer.status == 422
            assert "Deprecation" in answer.headers
        async with client.post(server.make_url("/v1/reservations/a/release"), data=b"{}") as answer:
            assert "Deprecation" not in answer.headers
