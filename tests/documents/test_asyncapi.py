"""The AsyncAPI document: it is what the Structs say, it is valid AsyncAPI 3, and its examples are what it describes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]

from holdfast.contracts.events import KINDS, Figure, decode_event
from holdfast.contracts.facts import Fact, PolicyFact
from holdfast.nats.outlets import Outlets
from holdfast.webhooks.messages import item_of
from tests.support.pages import ROOT
from tools.asyncapi import KEPT, text

DOCUMENT: dict[str, Any] = json.loads(KEPT.read_text())
STANDARD = Path(__file__).parent / "asyncapi-3.0.0.json"
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def test_it_is_what_the_contracts_say() -> None:
    assert KEPT.read_text() == text(), "run `make asyncapi`"


def test_it_is_valid_by_the_schema_of_the_standard() -> None:
    Draft7Validator(json.loads(STANDARD.read_bytes())).validate(DOCUMENT)


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for part in value for found in references(part)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for part in value.values() for found in references(part)]


def test_each_reference_leads_somewhere_and_each_schema_is_referred_to() -> None:
    for reference in references(DOCUMENT):
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    used = {one.rpartition("/")[2] for one in references(DOCUMENT)}
    assert set(DOCUMENT["components"]["schemas"]) <= used


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_are_what_is_described(name: str) -> None:
    message = MESSAGES[name]
    schema = {**message["payload"], "components": DOCUMENT["components"]}
    for example in message["examples"]:
        Draft202012Validator(schema).validate(example["payload"])


def test_examples_are_what_is_sent_and_taken() -> None:
    payloads = {name: [one["payload"] for one in message["examples"]] for name, message in MESSAGES.items()}
    events = payloads["ReservationEvent"] + payloads["AvailabilityEvent"] + payloads["GapEvent"]
    assert {decode_event(orjson.dumps(one)).kind for one in events} == set(KINDS)
    msgspec.convert(payloads["Figure"][0], Figure)
    for one in payloads["Facts"]:
        msgspec.convert(one["facts"], list[Fact])
    for one in payloads["Policies"]:
        msgspec.convert(one["facts"], list[PolicyFact])
    for one in payloads["Webhook"]:
        assert orjson.loads(item_of(orjson.dumps(one["data"])).body) == one


def test_addresses_are_the_subjects_that_are_used() -> None:
    outlets = Outlets("main")
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    named = {"scope": "main", "kind": "held", "channel": "web", "sku": "MUG"}
    assert addresses["events"].format(**named) == outlets.event("held", "web")
    assert addresses["figures"].format(**named) == outlets.figure("web", "MUG")
    assert addresses["lags"].format(**named) == outlets.pushed("web")


def test_the_pages_name_it() -> None:
    assert "asyncapi.json" in (ROOT / "docs" / "events.md").read_text()
