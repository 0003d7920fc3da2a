"""A real Tryton beside a real gateway: its levels, its supply, orders as its sales, and what becomes of them there."""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.erp.connector import Connector
from holdfast.erp.moments import written
from holdfast.erp.store import directory_of
from holdfast.settings import ErpSettings
from holdfast.tasks import cancel_and_wait
from tests.erp.test_csv_folder import name_of, put
from tests.support.erp import Served, connected, eventually, export, ordered, read_events, sellable
from tests.support.tryton import MISSING, People, TrytonServer, needs_tryton, tryton
from tests.support.tryton_databases import NAME, ON

pytestmark = [needs_tryton, pytest.mark.timeout(600)]  # at its first use a database is made


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    assert not MISSING
    with tryton(Path(tmp_path_factory.mktemp("tryton"))) as server:
        yield server


@asynccontextmanager
async def trading(served: Served, erp: TrytonServer) -> AsyncIterator[tuple[Connector, Client, People]]:
    """The one connection of this file: a location has one owner."""
    async with (
        connected(served, "tryton", erp.settings()) as connector,
        Client(served.url) as client,
        People(erp) as people,
    ):
        yield connector, client, people


async def exported(connector: Connector, *keys: str) -> None:
    """Until these orders are in the ERP."""
    await read_events(connector, lambda store: all(store.entry(key) is not None for key in keys))
    await export(
        connector,
        lambda store: all((entry := store.entry(key)) is not None and entry.state == "exported" for key in keys),
        90,
    )


async def test_levels_are_those_of_the_tree_of_locations(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-A", 7, erp.known["storage"])
        await people.count("T-A", 3, erp.known["shelf"])
        await people.count("T-A", 5, erp.known["lyon_storage"])
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "T-A") == 15
        await people.sell("T-A", 4)
        await people.count("T-A", 4, erp.known["lyon_storage"])
        await connector.turn()
        assert await sellable(client, "T-A") == 10
        levels = {one.location: one for one in (await client.sku("T-A")).levels}
        assert (levels["paris"].on_hand, levels["lyon"].on_hand) == (10, 4)


async def test_an_order_is_one_sale_and_counts_once_from_hold_to_return(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-B", 10, erp.known["storage"])
        await connector.turn()
        await ordered(client, "t-1", ("T-B", 3), order_ref="1001")
        assert await sellable(client, "T-B") == 7
        await exported(connector, "t-1")
        assert await sellable(client, "T-B") == 7
        [sale] = [one for one in await people.sales() if one["reference"] == "1001"]
        assert (sale["state"], sale["description"]) == ("processing", "holdfast:t-1@paris")
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "T-B") == 7
        assert (await client.reservation("t-1")).state == "in_erp"
        await people.ship("1001")
        await connector.turn()
        assert await sellable(client, "T-B") == 7
        assert (await client.reservation("t-1")).state == "fulfilled"
        entry = connector.store.entry("t-1")
        assert entry is not None
        assert entry.state == "acknowledged"
        for _ in range(2):
            await connector.turn()
        assert await sellable(client, "T-B") == 7
        assert [one async for one in client.anomalies(sku="T-B")] == []


async def test_an_order_from_two_warehouses_is_a_sale_at_each_and_acknowledged_when_both_are_there(
    served: Served, erp: TrytonServer
) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-C", 2, erp.known["storage"])
        await people.count("T-C", 2, erp.known["lyon_storage"])
        await connector.turn()
        await ordered(client, "t-2", ("T-C", 3), order_ref="1002")
        await exported(connector, "t-2")
        sales = [one for one in await people.sales() if one["reference"] == "1002"]
        assert sorted(one["description"] for one in sales) == ["holdfast:t-2@lyon", "holdfast:t-2@paris"]
        await connector.turn()
        assert (await client.reservation("t-2")).state == "in_erp"
        assert await sellable(client, "T-C") == 1
        await people.ship("1002")
        await connector.turn()
        assert (await client.reservation("t-2")).state == "fulfilled"
        assert await sellable(client, "T-C") == 1


async def test_an_order_that_is_assigned_in_part_or_by_force_counts_once(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-D", 5, erp.known["storage"])
        await connector.turn()
        await ordered(client, "t-3", ("T-D", 4), order_ref="1003")
        await exported(connector, "t-3")
        await people.count("T-D", 2, erp.known["storage"])  # two were broken
        [shipment] = await people.shipments("1003")
        await people.rest.act("stock.shipment.out", shipment["id"], "assign_try")
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "T-D") == 0
        assert [one.order_ref async for one in client.deficits(sku="T-D")] == ["1003"]
        await people.ship("1003", force=True)
        await connector.turn()
        assert (await client.reservation("t-3")).state == "fulfilled"
        assert await sellable(client, "T-D") == 0
        await people.count("T-D", 6, erp.known["storage"])
        await connector.turn()
        assert await sellable(client, "T-D") == 6


@pytest.mark.parametrize(("sku", "number"), [("T-E", 4), ("T-F", 5)])
async def test_a_cancellation_goes_either_way(served: Served, erp: TrytonServer, sku: str, number: int) -> None:
    async with trading(served, erp) as (connector, client, people):
        key, reference = f"t-{number}", f"100{number}"
        await people.count(sku, 5, erp.known["storage"])
        await connector.turn()
        await ordered(client, key, (sku, 2), order_ref=reference)
        await exported(connector, key)
        await connector.turn()
        if number == 4:  # the shop
            await client.cancel(key)
            await read_events(connector, lambda store: store.waiting() == 1)
            await export(connector, lambda store: store.waiting() == 0)
            assert connector.store.counts()["cancelled"] == 1
        else:  # somebody in the ERP
            for shipment in await people.shipments(reference):
                await people.rest.act("stock.shipment.out", shipment["id"], "cancel")
        await connector.turn()
        assert connector.faults == {}
        assert (await client.reservation(key)).state == "cancelled"
        assert await sellable(client, sku) == 5


async def test_what_comes_back_is_sellable_again_and_of_its_order(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-G", 5, erp.known["storage"])
        await connector.turn()
        await ordered(client, "t-6", ("T-G", 3), order_ref="1006")
        await exported(connector, "t-6")
        await people.ship("1006")
        await connector.turn()
        assert await sellable(client, "T-G") == 2
        await people.take_back("1006", "T-G", 2)
        for _ in range(2):
            await connector.turn()
            assert connector.faults == {}
            assert await sellable(client, "T-G") == 4
        [line] = (await client.reservation("t-6")).lines
        assert (line.fulfilled, line.returned) == (3, 2)


async def test_purchases_are_supply_until_they_arrive(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-H", 1, erp.known["storage"])
        await people.buy("T-H", 10)
        await connector.turn()
        assert connector.faults == {}
        [supply] = [one async for one in client.supplies(sku="T-H")]
        assert (supply.location, supply.quantity, supply.status) == ("paris", 10, "open")
        await people.receive("T-H")
        await connector.turn()
        assert await sellable(client, "T-H") == 11
        assert [one.quantity async for one in client.supplies(sku="T-H", status="open")] == []


async def test_a_push_whose_answer_was_lost_makes_no_second_sale(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-I", 5, erp.known["storage"])
        await connector.turn()
        await ordered(client, "t-7", ("T-I", 1), order_ref="1007")
        await read_events(connector, lambda store: store.entry("t-7") is not None)
        entry = connector.store.entry("t-7")
        assert entry is not None
        first = await connector._erp.push([entry.order])
        # A call that was given up, and that the ERP carries out late: a second draft of the same key.
        [sale] = [one for one in await people.sales("party", "warehouse") if one["reference"] == "1007"]
        await people.draft_like(sale, "T-I", 1)
        assert await connector._erp.push([entry.order]) == first
        states = [one["state"] for one in await people.sales() if one["reference"] == "1007"]
        assert sorted(states) == ["cancelled", "processing"]
        await exported(connector, "t-7")
        await connector.turn()
        assert await sellable(client, "T-I") == 4
        assert (await client.reservation("t-7")).state == "in_erp"


async def test_an_order_that_tryton_refuses_is_parked_with_its_reason(served: Served, erp: TrytonServer) -> None:
    async with trading(served, erp) as (connector, client, _):
        level = {"kind": "stock.level", "sku": "T-NEW", "location": "paris", "on_hand": 5, "basis": "gross"}
        await client.facts("tryton", [level | {"as_of": "2026-01-01T00:00:00Z"}])
        await ordered(client, "t-8", ("T-NEW", 1), order_ref="1008")
        await read_events(connector, lambda store: store.entry("t-8") is not None)
        await export(connector, lambda store: bool(store.of("parked")), 20)
        [parked] = connector.store.of("parked")
        assert (parked.order.key, parked.why) == ("t-8", "Tryton has no product with the code T-NEW")


async def test_orders_are_in_it_once_each_though_it_is_killed_while_they_come(
    served: Served, erp: TrytonServer
) -> None:
    async with trading(served, erp) as (connector, client, people):
        await people.count("T-J", 50, erp.known["storage"])
        await connector.turn()
        keys = [f"k-{at:02}" for at in range(40)]  # two windows of orders that are made together
        for key in keys:
            await ordered(client, key, ("T-J", 1))
        await read_events(connector, lambda store: all(store.entry(key) is not None for key in keys))

        def exported() -> int:
            entries = [connector.store.entry(key) for key in keys]
            return sum(entry is not None and entry.state == "exported" for entry in entries)

        exporting = asyncio.create_task(export(connector, lambda _: exported() == len(keys), 180))
        await eventually(lambda: exported() >= 3, seconds=90)
        await asyncio.to_thread(erp.kill)
        await asyncio.sleep(0.3)
        assert exported() < len(keys)
        erp.start()
        await erp.ready()
        await exporting
        sales = erp.by_sql(
            "SELECT description, count(*) FROM sale_sale WHERE description LIKE 'holdfast:k-%' "
            "AND state = 'processing' GROUP BY description ORDER BY min(id)"
        )
        assert sales == [(f"holdfast:{key}@paris", 1) for key in keys], "once each, the oldest first"
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "T-J") == 10


@pytest.mark.skipif(ON != "postgresql", reason="SQLite has one writer at a time; TRYTON_ON=postgresql tries it")
async def test_a_transaction_that_is_seen_late_is_not_passed_by(served: Served, erp: TrytonServer) -> None:
    import psycopg

    async with trading(served, erp) as (connector, client, people):
        await people.count("T-L", 5, erp.known["storage"])
        await connector.turn()
        with psycopg.connect(f"{erp.database.uri}{NAME}") as late:
            changed = late.execute(
                "UPDATE stock_move SET quantity = 2, internal_quantity = 2, write_date = CURRENT_TIMESTAMP "
                "WHERE product = %s AND state = 'done'",
                (erp.known["products"]["T-L"],),
            )
            assert changed.rowcount == 1
            for quantity in (7, 8):
                await people.count("T-M", quantity, erp.known["storage"])
                await connector.turn()
                assert [await sellable(client, sku) for sku in ("T-L", "T-M")] == [5, quantity]
        await connector.turn()
        assert await sellable(client, "T-L") == 2


async def test_paris_goes_to_files_and_back_with_orders_open_and_no_dip(
    served: Served, erp: TrytonServer, tmp_path: Path
) -> None:
    depot = ErpSettings(kind="csv", directory=str(tmp_path))
    async with Client(served.url) as client, People(erp) as people:
        shop = Sampled(client, "T-K", 20)
        async with trading(served, erp) as (connector, _, _):
            await people.count("T-K", 20, erp.known["storage"])
            await connector.turn()
            for key, units in (("h-0", 1), ("h-1", 2), ("h-2", 3)):
                await shop.order(key, units)
            await exported(connector, "h-0", "h-1", "h-2")
            await people.ship("h-0")
            for _ in range(2):
                await connector.turn()
            await shop.order("h-3", 1)  # it never gets there
            await shop.stays()
        await handed_over(served, "depot")
        await shop.stays()
        async with connected(served, "depot", depot) as connector:
            await read_events(connector, lambda store: store.entry("h-3") is not None)
            assert connector.store.entry("h-0") is None, "it has left"
            await export(connector, lambda store: store.waiting() == 0, 30)
            await stated_by_depot(connector, tmp_path, 1, ("h-1", "h-2", "h-3"), (19, 6), shop)
            await shop.order("h-4", 2)
            await read_events(connector, lambda store: store.entry("h-4") is not None)
            await export(connector, lambda store: store.waiting() == 0, 30)
            await stated_by_depot(connector, tmp_path, 3, ("h-4",), (19, 8), shop)
            put(tmp_path, name_of("depot", "shipments", 5), "ref,order_ref,sku,quantity,as_of\nS-1,h-1,T-K,2," + now())
            await stated_by_depot(connector, tmp_path, 6, (), (17, 6), shop)
            assert (await client.reservation("h-1")).state == "fulfilled"
        rows = [row for file in sorted((tmp_path / "out").glob("*.csv")) for row in file.read_text().splitlines()]
        assert sorted(row.split(",")[1] for row in rows if row.startswith("new,h-")) == ["h-1", "h-2", "h-3", "h-4"]
        await handed_over(served, "tryton")
        for shipment in await people.shipments("h-1"):  # people bring Tryton to what is true
            await people.rest.act("stock.shipment.out", shipment["id"], "cancel")
        await people.count("T-K", 17, erp.known["storage"])
        shutil.rmtree(directory_of(served.data, "tryton"))
        async with trading(served, erp) as (connector, _, _):
            await exported(connector, "h-2", "h-3", "h-4")
            for _ in range(2):
                await connector.turn()
                await shop.stays()
            assert connector.faults == {}
            assert connector.store.entry("h-1") is None
        assert await shop.ends() > 10
    found = "SELECT description, count(*) FROM sale_sale WHERE description LIKE 'holdfast:h-%' "
    assert erp.by_sql(found + "GROUP BY description ORDER BY description") == [
        (f"holdfast:h-{at}@paris", 1) for at in range(5)
    ]


class Sampled:
    """What can be sold of a SKU, asked all the time: never another figure than what was there less what was ordered."""

    def __init__(self, client: Client, sku: str, there: int) -> None:
        self._client, self._sku, self._wanted = client, sku, there
        self._samples = 0
        self._sampling: asyncio.Task[None] | None = None

    async def order(self, key: str, units: int) -> None:
        await self._pause()
        self._wanted -= units
        await ordered(self._client, key, (self._sku, units), order_ref=key)
        self._sampling = asyncio.create_task(self._sample())

    async def _sample(self) -> None:
        while True:
            assert await sellable(self._client, self._sku) == self._wanted
            self._samples += 1
            await asyncio.sleep(0.005)

    async def _pause(self) -> None:
        if self._sampling is not None:
            assert not self._sampling.done(), self._sampling.result()
            await cancel_and_wait(self._sampling)

    async def stays(self) -> None:
        """As it was all the time until now."""
        before = self._samples
        sampling = self._sampling
        assert sampling is not None
        await eventually(lambda: self._samples > before + 1 or sampling.done(), seconds=60)
        assert not sampling.done(), sampling.result()

    async def ends(self) -> int:
        """How often it was asked."""
        await self._pause()
        return self._samples


def now() -> str:
    return written(int(time.time() * 1000))


async def handed_over(served: Served, to: str) -> None:
    command = [sys.executable, "-m", "holdfast", "handover", "paris", "--to", to, "--yes", "--gateway", served.url]
    child = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    _, err = await child.communicate()
    assert child.returncode == 0, err.decode()


async def stated_by_depot(
    connector: Connector, folder: Path, number: int, keys: tuple[str, ...], there: tuple[int, int], shop: Sampled
) -> None:
    """The files of the new owner: what it has first, then the level that counts it."""
    if keys:
        rows = "".join(f"{key},T-K,paris,{now()}\n" for key in keys)
        put(folder, name_of("depot", "acks", number), "reservation,sku,location,as_of\n" + rows)
        number += 1
        await connector.turn()
        await shop.stays()
    level = f"sku,location,on_hand,allocated,basis,as_of\nT-K,paris,{there[0]},{there[1]},gross,{now()}\n"
    put(folder, name_of("depot", "levels", number), level)
    await connector.turn()
    assert connector.faults == {}
    assert list((folder / "rejected").iterdir()) == []
    await shop.stays()
