"""Odoo and ERPNext, on contract servers with the traps that are documented: nobody has run these on real ones yet."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from holdfast.erp.interface import EXPERIMENTAL, Erp, Fact, Order, OrderLine, RefusedError, UnusableError
from holdfast.erp.made import adapter_of
from holdfast.erp.store import Store
from tests.erp.interleavings import one_on_erpnext, one_on_odoo
from tests.support.erpnext_server import ErpNextServer
from tests.support.odoo_server import OdooServer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


@asynccontextmanager
async def adapter(server: OdooServer | ErpNextServer, store: Store, **more: Any) -> AsyncIterator[Erp]:
    async with server.serving():
        erp = adapter_of("acme", server.settings(**more), store)
        await erp.open()
        try:
            yield erp
        finally:
            await erp.close()


def order(key: str, *lines: tuple[str, int, str]) -> Order:
    return Order(key, key, "web", f"R-{key}", "", tuple(OrderLine(*line) for line in lines))


class Turns:
    """The levels of one adapter, from turn to turn."""

    def __init__(self, erp: Erp) -> None:
        self._erp = erp
        self.position: str | None = None

    async def take(self) -> dict[tuple[str, str], tuple[int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        async for pulled in self._erp.levels(self.position):
            self.position = pulled.position or self.position
            found |= {(one["sku"], one["location"]): (one["on_hand"], one["allocated"]) for one in pulled.facts}
        return found


async def facts_of(erp: Erp, key: str, kind: str) -> list[Fact]:
    return [
        fact
        async for statuses, _ in erp.statuses(None)
        for one in statuses
        if one.key == key
        for fact in one.facts
        if fact["kind"] == kind
    ]


@pytest.mark.parametrize("erp", ["odoo 19", "odoo 17", "erpnext"])
@tries(max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_each_order_counts_once_in_any_order_of_arrival(erp: str, seed: int) -> None:
    asyncio.run(one_on_erpnext(seed) if erp == "erpnext" else one_on_odoo(seed, int(erp[-2:])))


@pytest.mark.parametrize("server", [OdooServer(), OdooServer(17), ErpNextServer()], ids=["19", "17", "erpnext"])
async def test_it_says_that_nobody_proved_it(server: OdooServer | ErpNextServer, store: Store) -> None:
    async with adapter(server, store) as erp:
        said = await erp.describe()
        assert EXPERIMENTAL in said.remarks
        assert set(said.locations) == {"paris", "lyon"}


# ---- Odoo


@pytest.mark.parametrize("version", [19, 17])
async def test_a_drop_to_zero_is_seen_though_its_quant_vanishes(version: int, store: Store) -> None:
    server = OdooServer(version)
    server.records.count("T-A", 5)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        assert (await turns.take())["T-A", "paris"] == (5, 0)
        server.records.count("T-A", 0)
        assert not server.records.of("stock.quant", product_id=server.records.products["T-A"])
        assert (await turns.take())["T-A", "paris"] == (0, 0)


@pytest.mark.parametrize("kind", ["odoo", "erpnext"])
async def test_a_transaction_that_is_seen_late_is_not_passed_by(kind: str, store: Store) -> None:
    server = OdooServer() if kind == "odoo" else ErpNextServer()
    server.records.count("T-A", 5)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        await turns.take()
        commit = server.records.late(lambda: server.records.count("T-A", 2))
        for quantity in (7, 8):
            server.records.count("T-B", quantity)
            assert (await turns.take())["T-B", "paris"] == (quantity, 0)
        commit()
        assert (await turns.take())["T-A", "paris"] == (2, 0)


async def test_two_changes_within_a_second_are_two(store: Store) -> None:
    server = OdooServer()
    server.records.count("T-A", 5)
    async with adapter(server, store) as erp:
        await erp.push([order("o-1", ("T-A", 2, "paris"))])
        assert await facts_of(erp, "o-1", "shipment") == []
        [move] = [one for one in server.records.of("stock.move") if one["state"] == "confirmed"]
        written = move["write_date"]
        server.records.deliver(move["id"], 2.0)
        move["write_date"] = written.replace(microsecond=999_999)
        [shipment] = await facts_of(erp, "o-1", "shipment")
        assert shipment["lines"] == [{"sku": "T-A", "quantity": 2, "line": str(move["id"]), "location": "paris"}]


@pytest.mark.parametrize("version", [19, 17])
async def test_of_two_quotations_of_one_key_the_older_is_the_order(version: int, store: Store) -> None:
    server = OdooServer(version)
    server.records.count("T-A", 5)
    async with adapter(server, store) as erp:
        wanted = order("o-2", ("T-A", 1, "paris"))
        first = await erp.push([wanted])
        [sale] = server.records.of("sale.order")
        line = {"product_id": server.records.products["T-A"], "product_uom_qty": 1.0}
        head = {name: value for name, value in sale.items() if name not in {"id", "name", "write_date", "state"}}
        server.records.sell(head | {"order_line": [[0, 0, line]]})
        assert await erp.push([wanted]) == first
        assert sorted(one["state"] for one in server.records.of("sale.order")) == ["cancel", "sale"]


@pytest.mark.parametrize("version", [19, 17])
async def test_a_locked_sale_is_refused_with_the_reason_of_odoo(version: int, store: Store) -> None:
    server = OdooServer(version)
    server.records.count("T-A", 5)
    async with adapter(server, store) as erp:
        wanted = order("o-3", ("T-A", 1, "paris"))
        await erp.push([wanted])
        server.records.of("sale.order")[0]["locked"] = True
        [refused] = await erp.cancel([wanted])
        assert isinstance(refused, RefusedError)
        assert "locked" in str(refused)


async def test_a_warehouse_that_delivers_in_several_steps_is_refused(store: Store) -> None:
    server = OdooServer()
    server.records.of("stock.warehouse")[0]["delivery_steps"] = "pick_ship"
    async with adapter(server, store) as erp:
        with pytest.raises(UnusableError, match="WH delivers in several steps"):
            await erp.describe()


@pytest.mark.parametrize("version", [19, 17])
async def test_a_wrong_key_is_said_to_be_one(version: int, store: Store) -> None:
    async with adapter(OdooServer(version), store, token="another") as erp:
        with pytest.raises(UnusableError):
            await erp.describe()


# ---- ERPNext


async def test_levels_come_without_the_webhooks_that_bins_do_not_have(store: Store) -> None:
    server = ErpNextServer()
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        await turns.take()
        server.records.count("T-A", 9, "Lyon - S")
        assert not [name for doctype, name in server.records.fired if doctype == "Bin"]
        assert (await turns.take())["T-A", "lyon"] == (9, 0)


async def test_rows_of_the_ledger_that_get_other_names_are_nothing_new(store: Store) -> None:
    server = ErpNextServer()
    server.records.count("T-A", 9)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        for _ in range(2):
            await turns.take()
        before = [one["name"] for one in server.records.of("Stock Ledger Entry")]
        server.records.rename_ledger()
        assert before != [one["name"] for one in server.records.of("Stock Ledger Entry")]
        assert await turns.take() == {}


async def test_what_is_owed_to_an_order_on_hold_stays_owed(store: Store) -> None:
    server = ErpNextServer()
    server.records.count("T-A", 9)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        await erp.push([order("e-1", ("T-A", 4, "paris"))])
        assert (await turns.take())["T-A", "paris"] == (9, 4)
        server.records.set_status(server.records.of("Sales Order")[0]["name"], "On Hold")
        assert server.records.bin("T-A", "Stores - S")["reserved_qty"] == 0
        assert (await turns.take())["T-A", "paris"] == (9, 4)


async def test_an_order_counts_in_units_though_the_item_is_sold_in_boxes(store: Store) -> None:
    server = ErpNextServer()
    server.records.count("T-A", 9)
    async with adapter(server, store) as erp:
        await erp.push([order("e-2", ("T-A", 2, "paris"), ("T-A", 1, "lyon"))])
        [sale] = server.records.of("Sales Order")
        assert [(row["warehouse"], row["stock_qty"]) for row in sale["items"]] == [("Stores - S", 2), ("Lyon - S", 1)]
        [mine] = [one for one in await erp.documents([]) or [] if one.place == "paris"]
        assert (mine.key, mine.reference, mine.units, mine.state) == ("e-2", "R-e-2", {"T-A": 2}, "open")


async def test_of_an_order_that_left_in_part_the_rest_is_closed(store: Store) -> None:
    server = ErpNextServer()
    server.records.count("T-A", 9)
    async with adapter(server, store) as erp:
        wanted = order("e-3", ("T-A", 4, "paris"))
        await erp.push([wanted])
        [sale] = server.records.of("Sales Order")
        note = server.records.note(sale["name"], sale["items"][0], 1.0)
        [refused] = await erp.cancel([wanted])
        assert isinstance(refused, RefusedError)
        assert (sale["status"], refused.final) == ("Closed", True)
        [dropped] = await facts_of(erp, "e-3", "order.update")
        assert dropped["lines"] == [{"sku": "T-A", "quantity": 3}]
        server.records.cancel_note(note)
        [shipment] = await facts_of(erp, "e-3", "shipment")
        assert shipment["lines"] == []


async def test_purchases_in_boxes_are_supply_in_units_until_they_arrive(store: Store) -> None:
    server = ErpNextServer()
    async with adapter(server, store) as erp:
        name = server.records.buy("T-A", 2.0)
        for boxes, expected in ((0.0, (24, "open")), (1.5, (6, "open")), (0.5, (0, "received"))):
            if boxes:
                server.records.receive(name, boxes)
            [line] = [fact async for pulled in erp.supply(None) for fact in pulled.facts] or [{}]
            assert (line.get("quantity", 0), line.get("status", "received")) == expected
