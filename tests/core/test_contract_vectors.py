"""The Structs of contracts against tests/vectors: the client and the document accept and refuse what the core does."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.contracts import requests
from holdfast.contracts.facts import Fact

VECTORS = Path(__file__).parent.parent / "vectors"
# What is lost once JSON is parsed: only the core, which reads the text, can tell.
LEXICAL = ("is given twice", "must name each unit once")
STRUCTS = {
    "put": requests.ReservationRequest,
    "confirm": requests.ConfirmRequest,
    "release": requests.EmptyRequest,
    "cancel": requests.EmptyRequest,
    "extend": requests.ExtendRequest,
    "fulfil": requests.FulfilRequest,
    "validate": requests.ValidateRequest,
    "availabilities": requests.AvailabilityRequest,
}


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def lexical(case: dict[str, Any]) -> bool:
    told = [case.get("reason", ""), *(error["reason"] for error in case.get("errors", []))]
    return any(word in text for text in told for word in LEXICAL) or "e1" in case.get("fact", "")


@pytest.mark.parametrize("case", vectors("facts.json")["accepted"], ids=lambda case: case["fact"][:60])
def test_a_fact_that_the_core_accepts_is_one(case: dict[str, Any]) -> None:
    msgspec.json.decode(case["fact"], type=Fact)


@pytest.mark.parametrize(
    "case",
    [case for case in vectors("facts.json")["rejected"] if not lexical(case)],
    ids=lambda case: case["reason"][:60],
)
def test_a_fact_that_the_core_rejects_is_none(case: dict[str, Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(case["fact"], type=Fact)


@pytest.mark.parametrize(
    "case",
    [case for case in vectors("requests.json")["cases"] if case["call"] in STRUCTS and not lexical(case)],
    ids=lambda case: f"{case['call']} {case['body'][:50]}",
)
def test_a_request_is_one_for_both(case: dict[str, Any]) -> None:
    # No body at all stands for an empty one where nothing is needed.
    optional = case["call"] in {"confirm", "release", "cancel"}
    body = case["body"] or ("{}" if optional else "")
    if "problem" in case:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(body, type=STRUCTS[case["call"]])
    else:
        msgspec.json.decode(body, type=STRUCTS[case["call"]])
