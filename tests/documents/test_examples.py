"""The examples of the OpenAPI document: every call, every answer, every kind of fact, and each is what a gateway does.

A new route or a new kind needs an example in python/holdfast/contracts/examples.py, and `make examples`.
"""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import orjson
import pytest

from holdfast.contracts.event_examples import EVENTS, FIGURE
from holdfast.contracts.events import KINDS, Figure, decode_event
from holdfast.contracts.examples import STORY, Recorded, answers
from holdfast.contracts.facts import Fact, PolicyFact
from holdfast.contracts.problems import PROBLEMS
from holdfast.gateway.app import Gateway
from holdfast.gateway.gate import LoopbackGate
from holdfast.gateway.openapi import build_document
from holdfast.settings import GatewaySettings
from tests.support.gateway import StubNode
from tests.support.served import serving
from tests.support.storytelling import played

ROUTES = tuple(
    route for route in Gateway(StubNode(), GatewaySettings(), LoopbackGate()).routes if route.specification.documented
)
TOLD = "run `make examples`, and look at what changed"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document(ROUTES, "1.2.3")


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.slow
async def test_a_gateway_answers_the_story_as_the_document_says(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        found = await played(served.port, STORY)
    assert found.keys() == answers().keys(), TOLD
    for key, answer in found.items():
        assert answer == answers()[key], f"{key}: {TOLD}"


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if one.streamed is None], ids=lambda route: f"{route.method} {route.path}"
)
def test_every_call_has_an_example_of_its_request_and_of_each_answer(route: Any) -> None:
    mine = [one for one in STORY if one.route == route.name]
    assert mine, f"no example of {route.name}"
    assert route.specification.request is None or all(one.body is not None for one in mine)
    came = {answers()[one.key].status for one in mine}
    assert set(route.specification.answers) <= came


def covers(whole: Any, part: Any) -> bool:
    """Whether a reader took in all of `part`; a 0 is left out when it is written again."""
    if isinstance(part, dict):
        return all(covers(whole.get(name, 0), value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(covers(*pair) for pair in zip(whole, part, strict=True))
    return bool(whole == part)


def test_every_kind_of_event_has_an_example_that_is_read_whole() -> None:
    assert tuple(EVENTS) == KINDS
    for kind, one in EVENTS.items():
        read = msgspec.to_builtins(decode_event(orjson.dumps(one)))
        assert covers(read, one), kind
    assert msgspec.to_builtins(msgspec.convert(FIGURE, Figure, strict=False)) == FIGURE


def test_every_kind_of_fact_has_an_example_that_is_accepted() -> None:
    for union, route in ((Fact, "facts"), (PolicyFact, "policies")):
        kinds = {struct.__struct_config__.tag: struct for struct in get_args(union)}
        shown: dict[str, Recorded] = {}
        for one in STORY:
            if one.route in {route, "facts"} and len(one.body["facts"]) == 1:
                [fact] = one.body["facts"]
                shown[fact["kind"]] = answers()[one.key]
                msgspec.convert(fact, kinds.get(fact["kind"], dict))
        assert kinds.keys() - shown.keys() == set(), "a kind without an example"
        for kind, answer in shown.items():
            assert (answer.body["accepted"], answer.body["rejected"]) == (1, []), kind


def test_names_of_examples_are_unique() -> None:
    keys = [one.key for one in STORY]
    assert len(keys) == len(set(keys))


def test_every_request_answer_and_problem_of_the_document_has_its_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        parts = [*operation["responses"].values(), *([operation["requestBody"]] if "requestBody" in operation else [])]
        for part in parts:
            for content in part["content"].values():
                assert content["examples"], name
        for parameter in operation.get("parameters", ()):
            assert "example" in parameter or not parameter["required"], (name, parameter["name"])


def test_operation_ids_are_a_verb_and_what_it_is_about(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    verbs = "get|list|put|send|confirm|release|cancel|extend|fulfil|explain|validate|discard"
    assert [one for one in ids if not re.fullmatch(rf"({verbs})[A-Z][A-Za-z]+", one)] == []
    assert {"putReservation", "confirmReservation", "getAvailability", "sendFacts"} <= set(ids)


def test_what_is_for_people_reads_as_text(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert "`" not in operation["summary"], f"{name}: the page shows a summary as it is written"
        assert operation["summary"][0].isupper()
        assert not operation["summary"].endswith(".")
    for tag in document["tags"]:
        assert tag["description"].endswith(".")
    text = document["info"]["description"]
    for kind in PROBLEMS.values():
        assert f"| {kind.status} | `{kind.name}` | {kind.title} | " in text
    assert not re.search(r"<(?!/?(?:details|summary|b)>)", text), "Markdown takes it for HTML"


def test_no_internal_route_is_in_the_document(document: dict[str, Any]) -> None:
    assert [path for path in document["paths"] if not path.startswith("/v1/")] == ["/livez", "/readyz", "/metrics"]


def patterns(value: Any) -> list[str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value["pattern"]] if isinstance(value, dict) and isinstance(value.get("pattern"), str) else []
    return own + [one for part in parts for one in patterns(part)]


def test_generators_of_clients_can_take_the_schemas(document: dict[str, Any]) -> None:
    assert [one for one in patterns(document) if "\\u" in one or "\\p" in one] == [], "not an escape of all languages"
    schemas = document["components"]["schemas"]
    assert schemas["FactsRequest"]["properties"]["facts"]["items"] == {"$ref": "#/components/schemas/Fact"}
    for union in ("Fact", "PolicyFact"):
        assert "anyOf" not in schemas[union]
        assert len(schemas[union]["oneOf"]) == len(schemas[union]["discriminator"]["mapping"])
    for name, schema in schemas.items():
        for field, value in schema.get("properties", {}).items():
            assert value.get("default", 0) is not None, f"{name}.{field}: a default of null says nothing"
            assert "enum" not in value or "type" in value, f"{name}.{field}: a choice without a type"
