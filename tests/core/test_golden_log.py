"""A log that an earlier version wrote keeps its meaning: batch by batch it gives the digests that it gave then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from holdfast._core import Engine

LOGS = Path(__file__).parents[1] / "data" / "logs"
EDITIONS = (1, 2)


def histories(edition: int) -> Iterator[list[dict[str, Any]]]:
    """Batches of one history each, with the digest after each."""
    raw = gzip.decompress((LOGS / f"edition-{edition}.jsonl.gz").read_bytes())
    lines = [json.loads(line) for line in raw.splitlines()]
    for _, batches in groupby(lines, key=lambda line: line["history"]):
        yield list(batches)


def replayed(batches: list[dict[str, Any]]) -> Engine:
    engine = Engine("main")
    for sequence, line in enumerate(batches, 1):
        assert engine.apply(sequence, line["batch"].encode())
        assert engine.digest() == line["digest"], f"history {line['history']}, batch {sequence}"
    assert engine.recount() == engine.digest()
    assert engine.check_thoroughly() == []
    return engine


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_log_of_an_earlier_edition_gives_the_digests_that_it_gave(edition: int) -> None:
    for batches in histories(edition):
        replayed(batches)


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("follower_restores", [False, True])
def test_it_goes_on_by_the_newest_edition_and_is_restored_as_it_is(
    tmp_path: Path, edition: int, follower_restores: bool
) -> None:
    for batches in histories(edition):
        leader, follower = replayed(batches), replayed(batches)
        place = str(tmp_path / str(batches[0]["history"]))
        if follower_restores:
            follower.snapshot(place)
            follower = Engine.restore("main", None, place)
        last = json.loads(batches[-1]["batch"])
        lead = leader.lead_batch("n2", last["now_ms"], b"{}")
        assert json.loads(lead)["rules"]["edition"] == 3
        for engine in (leader, follower):
            assert engine.apply(len(batches) + 1, lead)
        level = {"kind": "stock.level", "sku": "A", "location": "paris", "on_hand": 40, "basis": "net", "as_of": 10**6}
        facts = json.dumps({"facts": [level, {"kind": "order.ack", "order_ref": "o1", "as_of": 10**6}]}).encode()
        taken = last["in_upto"] + 1
        decision = leader.decide(last["now_ms"], last["lead_ms"], [], [(taken, "hf.main.in.erp.erp", facts)])
        assert decision.message is not None
        leader.commit(len(batches) + 2)
        assert follower.apply(len(batches) + 2, decision.message)
        assert leader.digest() == follower.digest() == leader.recount()
        assert leader.check_thoroughly() == []
