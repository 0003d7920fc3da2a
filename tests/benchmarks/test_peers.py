"""The peers of `make bench-peers` in a short form: each answers, sells what it has and nothing twice."""

import re
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.measure import Plan, Row, measure, turned
from benchmarks.peers.picture import drawn
from benchmarks.peers.report import US, as_json, figures, machine, page
from benchmarks.peers.servers import Peer, missing, running

NAMES = ("bare aiohttp", "raw uvloop", "aiohttp + Redis", "aiohttp + PostgreSQL", US)
PLAN = Plan(rounds=1, seconds=0.2, connections=(4,), workloads=("HOT", "GET"), skus=200)


@pytest.mark.skipif(bool(missing()), reason="; ".join(missing()) or "both databases are there")
@pytest.mark.timeout(300)
def test_every_peer_answers_and_none_oversells() -> None:
    # Not in tmp_path: PostgreSQL does not run as root, and another user may not enter that.
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as peers:
        where = machine(Path(directory))
        rows = measure(peers, PLAN, lambda _: None)
    assert {(row.peer, row.workload) for row in rows} == {(name, load) for name in NAMES for load in PLAN.workloads}
    assert all(row.rate > 0 for row in rows)
    found = figures(rows)
    text = page(found, peers, PLAN, where, "pictures/peers.svg")
    assert all(name in text for name in NAMES)
    assert as_json(found, peers, PLAN, where)["machine"]["versions"]["Redis"]


def rows_of(rates: dict[str, list[float]]) -> list[Row]:
    return [
        Row(peer, "PUT", 16, number, rate, 1.0, 2.0, 0.1)
        for peer, own in rates.items()
        for number, rate in enumerate(own)
    ]


rates = st.lists(st.floats(1, 1e6), min_size=1, max_size=5)


@given(us=rates, peer=rates)
def test_a_ratio_is_given_only_where_the_rounds_are_apart(us: list[float], peer: list[float]) -> None:
    found = {figure.peer: figure for figure in figures(rows_of({US: us, "bare aiohttp": peer}))}
    ratio = found["bare aiohttp"].of_peer
    if max(us) + 1 < min(peer):
        assert ratio is not None
        assert ratio <= 1
    elif max(peer) + 1 < min(us):
        assert ratio is not None
        assert ratio >= 1
    elif min(us) <= max(peer) and min(peer) <= max(us) and round(max(us), 1) != round(min(peer), 1):
        assert ratio is None
    assert found[US].of_peer is None


@given(st.integers(0, 50))
def test_each_round_asks_every_server_once(number: int) -> None:
    peers = [Peer(name, 1, "", keeps=False) for name in NAMES]
    assert sorted(peer.name for peer in turned(peers, number)) == sorted(NAMES)
    assert turned(peers, number) != turned(peers, number + 1)


def test_the_picture_is_one_small_file_that_needs_nothing_from_elsewhere() -> None:
    rows = [
        Row(name, workload, connections, number, 1_000.0 * (place + 1) + connections, 0.5, 1.0 + connections / 10, 0.1)
        for place, name in enumerate(NAMES)
        for workload in ("PUT", "HOT", "GET")
        for connections in (1, 16, 64, 256)
        for number in (1, 2, 3)
    ]
    svg = drawn(figures(rows), list(NAMES))
    ET.fromstring(svg)
    assert len(svg) < 64 * 1024
    assert "<script" not in svg
    assert set(re.findall(r"https?://[^\"<]*", svg)) == {"http://www.w3.org/2000/svg"}
    assert svg == drawn(figures(rows), list(NAMES))
