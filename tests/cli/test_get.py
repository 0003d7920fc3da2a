"""`holdfast get`: every list, for people and for machines, and the client's lists below it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.cli import run
from holdfast.client import Client
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.demonstration import catalogue
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.serving import running_gateway

LISTS = ("skus", "locations", "channels", "policies", "supplies", "demands", "reservations", "deficits", "sources")


async def fill(url: str) -> None:
    async with Client(url) as client:
        assert (await client.policies(catalogue.policies())).rejected == []
        assert (await client.facts(catalogue.SOURCE, catalogue.stock())).rejected == []
        sku = (await client.skus().page(limit=1)).items[0].sku
        line = ReservationLine(sku=sku, quantity=1)
        for name in ("a", "b", "c"):
            await client.reserve(name, ReservationRequest(channel="web", ttl_ms=600_000, lines=[line]))
        await client.confirm("b", "order-b")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        asyncio.run(fill(gateway.url))
        yield gateway


def got(shop: OwnGateway, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["get", *arguments, "--json", "--gateway", shop.url]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", LISTS)
def test_each_list_is_a_table_and_a_document(shop: OwnGateway, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(["get", name, "--gateway", shop.url]) == 0
    shown = capsys.readouterr()
    found = got(shop, capsys, name, "--all")
    assert found["next"] is None
    if found["items"]:
        first = next(iter(found["items"][0].values()))
        assert str(first) in shown.out
    else:
        assert "Nothing there." in shown.err


def test_a_limit_leaves_out_the_rest_and_says_how_to_go_on(
    shop: OwnGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = got(shop, capsys, "skus", "--all")["items"]
    some = got(shop, capsys, "skus", "--limit", "3")
    rest = got(shop, capsys, "skus", "--after", some["next"])
    assert some["items"] + rest["items"] == whole
    assert run(["get", "skus", "--limit", "3", "--gateway", shop.url]) == 0
    assert f"--after {some['next']}" in capsys.readouterr().err


def test_filters_are_those_of_the_list(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["id"] for one in got(shop, capsys, "reservations", "--order-ref", "order-b")["items"]] == ["b"]
    assert [one["id"] for one in got(shop, capsys, "reservations", "--state", "held")["items"]] == ["a", "c"]
    kinds = {one["kind"] for one in got(shop, capsys, "policies", "--kind", "cap")["items"]}
    assert kinds == {"cap"}


def test_one_sku_shows_its_levels(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    sku = got(shop, capsys, "skus", "--limit", "1")["items"][0]["sku"]
    found = got(shop, capsys, "sku", sku)
    assert found["sku"] == sku
    assert {one["owner"] for one in found["levels"]} == {catalogue.SOURCE}
    assert run(["get", "sku", sku, "--gateway", shop.url]) == 0
    shown = capsys.readouterr().out
    assert catalogue.SOURCE in shown
    assert "Levels" in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["skus", "--all", "--limit", "3"], "exclude each other"),
        (["skus", "--limit", "0"], "--limit"),
        (["sku", "no-such-sku"], "unknown-sku"),
        (["reservations", "--state", "open"], "must be one of"),
        (["colours"], "colours"),
        (["skus", "--after", "x"], "after"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_2(
    shop: OwnGateway, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert run(["get", *arguments, *(["--gateway", shop.url] if arguments != ["colours"] else [])]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.strip().splitlines()) == 1


async def test_the_client_gives_entries_one_by_one_and_page_by_page(shop: OwnGateway) -> None:
    async with Client(shop.url) as client:
        one_by_one = [entry.sku async for entry in client.skus()]
        pages = [page async for page in client.skus().pages(limit=5)]
        assert [entry.sku for page in pages for entry in page.items] == one_by_one
        assert len(one_by_one) > 10
        assert all(len(page.items) <= 5 for page in pages)
        held = [entry.id async for entry in client.reservations(state="held")]
        assert held == ["a", "c"]
