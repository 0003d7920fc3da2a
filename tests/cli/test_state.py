"""`holdfast state` and `holdfast explain`: for people and for machines."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from holdfast.cli import run
from holdfast.client import Client
from holdfast.demonstration import catalogue
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.serving import running_gateway


async def fill(url: str) -> None:
    async with Client(url) as client:
        assert (await client.policies(catalogue.policies())).rejected == []
        assert (await client.facts(catalogue.SOURCE, catalogue.stock())).rejected == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        asyncio.run(fill(gateway.url))
        yield gateway


def test_state_says_where_it_stands(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["state", "--json", "--gateway", shop.url]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["role"] == "leader"
    assert run(["state", "--json", "--data", str(shop.directory)]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["digest"] == found["digest"]
    assert again["pid"] == found["pid"] != shop.pid, "a worker answers, not its supervisor"
    assert run(["state", "--gateway", shop.url]) == 0
    assert found["digest"] in capsys.readouterr().out


@pytest.mark.parametrize("channel", catalogue.CHANNELS)
@pytest.mark.parametrize("sku", ["MUG-BLUE", "LAMP-WALNUT", catalogue.KIT])
def test_the_waterfall_adds_up(shop: OwnGateway, capsys: pytest.CaptureFixture[str], sku: str, channel: str) -> None:
    assert run(["explain", sku, "--channel", channel, "--json", "--gateway", shop.url]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(term["quantity"] for term in found["terms"]) == found["sellable"]


def test_the_waterfall_for_people_ends_in_what_can_be_sold(
    shop: OwnGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "MUG-BLUE", "--channel", "web", "--gateway", shop.url]) == 0
    said = capsys.readouterr().out
    assert "safety stock" in said
    assert "sellable" in said.splitlines()[-2]


def test_a_sku_that_nobody_told_of_is_said_so(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "mug-blue", "--channel", "web", "--gateway", shop.url]) == 2
    assert "unknown-sku" in capsys.readouterr().err
