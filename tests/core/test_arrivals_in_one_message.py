"""Two bodies of one receipt or transfer in one message; names of the kinds of what arrives and who owns it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast._core import Engine

NOW = 1_767_268_800_000
RECEIPT = {"kind": "receipt", "ref": "P", "line": "1", "sku": "S", "location": "A", "quantity": 3, "as_of": 5}
TRANSFER = {"kind": "transfer", "ref": "T", "sku": "S", "from": "A", "to": "B", "quantity": 2, "status": "shipped"}
SUPPLY = {"kind": "supply", "ref": "P", "line": "1", "sku": "S", "location": "A", "due": "2026-02-01"}


def taken(*facts: dict[str, Any]) -> list[tuple[int, str]]:
    """Which of the facts of one message are rejected, and by what reason."""
    engine = Engine("main")
    assert engine.apply(1, engine.lead_batch("n1", NOW, b"{}"))
    places = [{"kind": "location", "location": name, "type": "store"} for name in "AB"]
    message = json.dumps({"facts": [*places, *facts]}).encode()
    [(_, _, rejected, _)] = engine.decide(NOW, 0, [], [(1, "hf.main.in.erp.erp", message)]).received
    return [(index - len(places), reason.partition(":")[0]) for index, reason in rejected]


@pytest.mark.parametrize(
    ("first", "second", "rejected"),
    [
        (RECEIPT, RECEIPT, []),
        (RECEIPT, RECEIPT | {"quantity": 4}, [(1, "same-identity")]),
        (RECEIPT | {"version": 1}, RECEIPT | {"quantity": 4, "version": 2}, []),
        (RECEIPT, RECEIPT | {"quantity": 4, "line": "2"}, []),
        (TRANSFER | {"as_of": 5}, TRANSFER | {"as_of": 5, "quantity": 3}, [(1, "same-identity")]),
        (TRANSFER | {"as_of": 5}, TRANSFER | {"as_of": 6, "status": "received"}, [(1, "same-identity")]),
        (TRANSFER | {"as_of": 5, "version": 1}, TRANSFER | {"as_of": 6, "status": "received", "version": 2}, []),
        (SUPPLY | {"quantity": 3}, SUPPLY | {"quantity": 4}, [(1, "same-identity")]),
        (SUPPLY | {"quantity": 3, "version": 1}, SUPPLY | {"quantity": 4, "version": 2}, []),
    ],
)
def test_a_second_body_of_one_document_is_refused_unless_it_is_newer(
    first: dict[str, Any], second: dict[str, Any], rejected: list[tuple[int, str]]
) -> None:
    assert taken(first, second) == rejected


@pytest.mark.parametrize(
    "fact",
    [
        RECEIPT | {"ref": " P"},
        TRANSFER | {"as_of": 5, "to": "B\u200b"},
        {"kind": "ownership", "location": "A", "source": "new "},
        {"kind": "source.reset", "source": "\ufefferp"},
    ],
)
def test_a_name_that_cannot_be_told_from_another_is_refused(fact: dict[str, Any]) -> None:
    [(_, reason)] = taken(fact)
    assert reason == "malformed"
