"""`holdfast handover`: what is open at a location, and the hand-over itself."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from holdfast.cli import run
from holdfast.client import Client
from holdfast.client.errors import InvalidError
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.serving import running_gateway

LEVEL = {"kind": "stock.level", "sku": "MUG", "location": "PAR", "on_hand": 10, "basis": "net", "as_of": 1}
SUPPLY = {"kind": "supply", "ref": "PO", "line": 1, "sku": "MUG", "location": "PAR", "quantity": 5, "due": "2030-01-01"}


async def fill(url: str) -> None:
    async with Client(url) as client:
        await client.policies([{"kind": "location", "location": "PAR"}])
        await client.facts("erp", [LEVEL, SUPPLY])
        line = ReservationLine(sku="MUG", quantity=3)
        await client.reserve("a", ReservationRequest(channel="web", ttl_ms=600_000, lines=[line]))
        await client.confirm("a", "order-a")


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        asyncio.run(fill(gateway.url))
        yield gateway


def handed(shop: OwnGateway, *arguments: str) -> int:
    return run(["handover", "PAR", "--to", "wms", *arguments, "--gateway", shop.url])


def test_it_shows_what_is_open_and_does_nothing_unasked(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert handed(shop, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["owner"], found["to"], found["done"]) == ("erp", "wms", False)
    assert [(order["order_ref"], order["units"]) for order in found["orders"]] == [("order-a", 3)]
    assert [line["ref"] for line in found["supplies"]] == ["PO"]
    assert handed(shop) == 1
    shown = capsys.readouterr()
    assert "order-a" in shown.out
    assert "PO" in shown.out
    assert "Nothing was changed" in shown.err


def test_with_yes_the_new_owner_states_the_levels(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert handed(shop, "--yes") == 0
    assert "come from wms now" in capsys.readouterr().err
    assert handed(shop) == 0

    async def stated() -> int:
        async with Client(shop.url) as client:
            with pytest.raises(InvalidError, match="Every fact") as rejected:
                await client.facts("erp", [LEVEL | {"as_of": 2}])
            assert "levels of PAR come from source wms" in str(rejected.value.problem.rejected)
            ack = {"kind": "order.ack", "order_ref": "order-a", "as_of": 1}
            await client.facts("wms", [ack, LEVEL | {"on_hand": 7, "as_of": 2}])
            return (await client.availability("MUG", channel="web")).sellable

    assert asyncio.run(stated()) == 7


def test_a_location_that_is_not_there_is_an_error(shop: OwnGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["handover", "LYS", "--to", "wms", "--gateway", shop.url]) == 2
    assert "no location LYS" in capsys.readouterr().err
