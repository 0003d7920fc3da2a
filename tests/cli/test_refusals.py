"""`holdfast refusals`: what shoppers asked for and did not get."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import run
from holdfast.cli.refusals_view import By, rows
from holdfast.client import Client, ClientError
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.serving import running_gateway

UNTIL_WRITTEN_S = 20
STOCK = [
    {"kind": "stock.level", "sku": sku, "location": "PAR", "on_hand": units, "basis": "net", "as_of": 1}
    for sku, units in {"MUG": 3, "CUP": 10}.items()
]


async def shop(url: str) -> None:
    async with Client(url) as client:
        await client.policies([{"kind": "location", "location": "PAR"}])
        await client.facts("erp", STOCK)
        for name, channel, mugs, cups in (
            ("fits", "web", 1, 1),
            ("a", "web", 5, 1),
            ("a", "web", 4, 1),  # the same cart again, with less
            ("b", "pos", 3, 12),
        ):
            lines = [ReservationLine(sku="MUG", quantity=mugs), ReservationLine(sku="CUP", quantity=cups)]
            with contextlib.suppress(ClientError):
                await client.reserve(name, ReservationRequest(channel=channel, ttl_ms=600_000, lines=lines))


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnGateway, Path]]:
    directory = tmp_path_factory.mktemp("gateway")
    with running_gateway(directory) as gateway:
        asyncio.run(shop(gateway.url))
        yield gateway, directory


def asked(data: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["refusals", "--data", str(data), "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_cart_counts_once_by_its_newest_refusal(
    refused: tuple[OwnGateway, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    until = time.monotonic() + UNTIL_WRITTEN_S
    while (found := asked(refused[1], capsys))["refusals"] < 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert (found["refusals"], found["left_out"], found["more"]) == (3, 0, False)
    figures = {g["sku"]: (g["refusals"], g["carts"], g["requested"], g["missing"]) for g in found["groups"]}
    assert figures == {"MUG": (3, 2, 7, 3), "CUP": (1, 1, 12, 3)}
    by_channel = {g["channel"]: g["missing"] for g in asked(refused[1], capsys, "--by", "channel")["groups"]}
    assert by_channel == {"web": 2, "pos": 4}
    mugs = asked(refused[1], capsys, "--sku", "MUG", "--by", "reason")["groups"]
    assert [(g["reason"], g["missing"]) for g in mugs] == [("insufficient-stock", 3)]
    assert asked(refused[1], capsys, "--most", "1")["more"] is True
    assert asked(refused[1], capsys, "--hours", "0.0000001")["groups"] == []


def test_a_person_sees_a_table(refused: tuple[OwnGateway, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["refusals", "--data", str(refused[1]), "--rows", "1"]) == 0
    shown = capsys.readouterr().out
    assert "units missing" in shown
    assert "and 1 more" in shown


def test_what_makes_no_sense_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["refusals", "--data", str(tmp_path)]) == 2
    assert "there is no log" in capsys.readouterr().err


REFUSAL = st.fixed_dictionaries(
    {
        "at_ms": st.integers(0, 10**12),
        "reservation": st.sampled_from("abc"),
        "channel": st.sampled_from(["web", "pos"]),
        "reason": st.just("insufficient-stock"),
        "lines": st.lists(
            st.fixed_dictionaries(
                {
                    "sku": st.sampled_from("XYZ"),
                    "requested": st.integers(1, 9),
                    "sellable": st.integers(0, 9),
                    "reason": st.just("insufficient-stock"),
                }
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda line: line["sku"],
        ),
    }
)


@given(st.lists(REFUSAL, max_size=12), st.sampled_from(By))
def test_what_is_missing_is_that_of_each_cart_once_however_it_is_summed(refusals: list[Any], by: By) -> None:
    newest: dict[tuple[str, str], int] = {}
    for refusal in refusals:
        for line in refusal["lines"]:
            newest.setdefault((refusal["reservation"], line["sku"]), max(0, line["requested"] - line["sellable"]))
    found = rows(refusals, by)
    assert sum(row.missing for row in found) == sum(newest.values())
    if by is By.CHANNEL:
        assert {row.name: row.refusals for row in found} == dict(Counter(one["channel"] for one in refusals))
