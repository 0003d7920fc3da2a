"""The calls of tests/vectors/netting.json, given to the oracle and to the core, and what is right after them.

Each is a case in which the first edition of the rules, or the core by it, counted an order twice or not at all.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

CALLS: dict[str, list[tuple[str, str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "netting.json").read_text()
)
NOW_MS = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp() * 1000)
DAY = "2026-12-10"

# name -> (status of each PUT, sellable in the end, state of R, where its units are)
Right = tuple[list[int], int | None, str | None, dict[tuple[str, ...], int]]
RIGHT: dict[str, Right] = {
    "P1 kit cap": ([409], 1, None, {}),
    "P2a late ack": ([201], 2, "committed", {("A",): 1}),
    "P2b late ack after shipment elsewhere": ([201], 1, "fulfilled", {("B",): 1}),
    "P3a ship from the supply's place": ([201], 0, "committed", {("A",): 1, ("B",): 4}),
    "P3b ship without location": ([201], 0, "fulfilled", {("A",): 1, ("B",): 4}),
    "P3c only supply-bound, no location": ([201], 5, "fulfilled", {("A",): 1}),
    "P4 ack at its own place": ([201], 0, "committed", {("A", DAY): 1}),
    "P5 unit redefined": ([201, 200], None, "committed", {("A",): 3}),
}


def call(told: Beside, method: str, path: str, body: Any) -> int | None:
    """One call. A PUT's status; what is read, both must say alike."""
    parts = urlsplit(path)
    words = parts.path.split("/")[2:]
    if words[0] in ("facts", "policies"):
        for fact in body["facts"]:
            told.accept(source=body.get("source", "policy"), **fact)
    elif words[0] == "availability":
        told.sellable(words[1], parse_qs(parts.query)["channel"][0])
    elif method == "GET":
        told.same_reservation(words[1])
    else:
        verb: Any = words[2] if len(words) > 2 else "put"
        answer = told.command(verb, words[1], **body)
        return answer.status if verb == "put" else None
    return None


@pytest.mark.parametrize("name", RIGHT)
def test_the_calls_end_in_what_is_right(story: Beside, name: str) -> None:
    puts, sellable, state, allocations = RIGHT[name]
    story.now_ms = NOW_MS
    statuses = [call(story, *one) for one in CALLS[name]]
    assert [status for status in statuses if status is not None] == puts
    asked = [path.split("/")[3].split("?")[0] for _, path, _ in CALLS[name] if "availability" in path]
    assert [story.sellable(sku, "C") for sku in asked] == [sellable for _ in asked]
    if state is not None:
        assert (story.state("R"), story.allocations("R")) == (state, allocations)


def test_each_vector_is_played() -> None:
    assert CALLS.keys() == RIGHT.keys()
