"""What guards the adapters of Odoo and ERPNext against each trap of their contract servers: one test for each guard."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.erp.erpnext import calls as erpnext_calls
from holdfast.erp.erpnext.adapter import ErpNext
from holdfast.erp.interface import Erp, Order, RefusedError, UnusableError
from holdfast.erp.odoo import calls as odoo_calls
from holdfast.erp.odoo.adapter import Odoo
from holdfast.erp.store import Store
from tests.erp.test_odoo_and_erpnext import Turns, adapter, facts_of, order
from tests.support.erpnext_records import COMPANY
from tests.support.erpnext_server import ErpNextServer
from tests.support.odoo_server import OdooServer

KINDS = pytest.mark.parametrize("kind", ["odoo", "erpnext"])
CELL = ("T-A", "paris")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def server_of(kind: str, on_hand: int = 9) -> Any:
    server = OdooServer() if kind == "odoo" else ErpNextServer()
    server.records.count("T-A", on_hand)
    return server


async def supplied(erp: Erp) -> list[tuple[int, str]]:
    return [(fact["quantity"], fact["status"]) async for pulled in erp.supply(None) for fact in pulled.facts]


@KINDS
async def test_a_transaction_of_seconds_ago_is_seen(kind: str, store: Store) -> None:
    server = server_of(kind)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        commit = server.records.late(lambda: server.records.count("T-A", 2))
        server.records._last += timedelta(seconds=3)
        server.records.count("T-B", 7)
        for _ in range(3):
            await turns.take()
        commit()
        assert (await turns.take()).get(CELL) == (2, 0)


@KINDS
async def test_what_changed_is_stated_at_two_turns(kind: str, store: Store) -> None:
    server = server_of(kind)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        await turns.take()
        await turns.take()
        server.records.count("T-A", 4)
        assert [CELL in await turns.take() for _ in range(3)] == [True, True, False]


@KINDS
async def test_a_connection_that_starts_reads_all_levels(kind: str, store: Store) -> None:
    server = server_of(kind)
    async with adapter(server, store) as erp:
        turns = Turns(erp)
        turns.position = "2999-01-01 00:00:00"
        assert (await turns.take())[CELL] == (9, 0)


async def test_in_odoo_what_ships_while_levels_are_read_is_in_neither_figure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of("odoo")
    async with adapter(server, store) as erp:
        await erp.push([order("q-1", ("T-A", 2, "paris"))])
        [move] = [one for one in server.records.of("stock.move") if one["state"] == "confirmed"]
        stock = cast("Odoo", erp)._stock
        on_hand = stock._on_hand

        async def shipping(*given: Any) -> Any:
            if move["state"] == "confirmed":
                server.records.deliver(move["id"], 2.0)
            return await on_hand(*given)

        monkeypatch.setattr(stock, "_on_hand", shipping)
        assert (await Turns(erp).take())[CELL] == (7, 0)


async def test_in_erpnext_what_goes_on_hold_while_levels_are_read_stays_owed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        await erp.push([order("q-2", ("T-A", 2, "paris"))])
        [sale] = server.records.of("Sales Order")
        stock = cast("ErpNext", erp)._stock
        on_hold = stock._on_hold
        held: list[str] = []

        async def holding() -> Any:
            found = await on_hold()
            if not held:
                held.append(sale["name"])
                server.records.set_status(sale["name"], "On Hold")
            return found

        monkeypatch.setattr(stock, "_on_hold", holding)
        assert (await Turns(erp).take())[CELL] == (9, 2)


async def test_in_odoo_what_moves_elsewhere_is_owed_once_it_is_assigned(store: Store) -> None:
    server = server_of("odoo")
    records = server.records
    product, here = records.products["T-A"], records.places["WH"]
    async with adapter(server, store) as erp:
        records._move(product, here, records.places["WH2"], 3.0, "assigned")
        records._move(product, here, records.places["WH2"], 1.0, "confirmed")
        inner = records.add("stock.location", name="WH/B", usage="internal", parent=_stock_of(server))
        records._move(product, here, inner, 5.0, "assigned")
        assert (await Turns(erp).take())[CELL] == (9, 3)


def _stock_of(server: OdooServer) -> int:
    [place] = [one["id"] for one in server.records.of("stock.location", name="WH/Stock")]
    return int(place)


async def test_in_odoo_what_customers_send_back_is_no_supply(store: Store) -> None:
    server = server_of("odoo")
    records = server.records
    async with adapter(server, store) as erp:
        records._move(records.products["T-A"], records.customers, records.places["WH"], 1.0, "assigned")
        assert await supplied(erp) == []
        records.buy("T-A", 4.0)
        assert await supplied(erp) == [(4, "open")]


async def test_in_odoo_quants_of_one_place_are_added(store: Store) -> None:
    server = server_of("odoo")
    records = server.records
    async with adapter(server, store) as erp:
        records.receive(records.buy("T-A", 4.0))
        assert len(records.of("stock.quant", product_id=records.products["T-A"])) == 2
        assert (await Turns(erp).take())[CELL] == (13, 0)


async def test_in_odoo_two_products_of_one_code_are_refused(store: Store) -> None:
    server = server_of("odoo")
    server.records._product("T-A")
    async with adapter(server, store) as erp:
        [refused] = await erp.push([order("q-3", ("T-A", 1, "paris"))])
        assert isinstance(refused, RefusedError)
        assert "two products" in str(refused)


async def test_in_odoo_of_an_order_that_left_in_part_the_rest_is_cancelled(store: Store) -> None:
    server = server_of("odoo")
    async with adapter(server, store) as erp:
        wanted = order("q-4", ("T-A", 4, "paris"))
        await erp.push([wanted])
        [move] = [one for one in server.records.of("stock.move") if one["state"] == "confirmed"]
        server.records.deliver(move["id"], 1.0)
        [refused] = await erp.cancel([wanted])
        assert isinstance(refused, RefusedError)
        assert (refused.final, server.records.of("sale.order")[0]["state"]) == (True, "sale")
        [dropped] = await facts_of(erp, "q-4", "order.update")
        assert dropped["lines"] == [{"sku": "T-A", "quantity": 3}]


async def test_in_odoo_an_order_that_was_not_cancelled_is_not_said_to_be(store: Store) -> None:
    """A module that asks why before it cancels answers with a window, and with no error."""
    server = server_of("odoo")
    async with adapter(server, store) as erp:
        wanted = order("q-6", ("T-A", 1, "paris"))
        await erp.push([wanted])
        server.asks_why = True
        [refused] = await erp.cancel([wanted])
        assert isinstance(refused, RefusedError)
        assert (refused.final, "stays sale" in str(refused)) == (False, True)
        server.asks_why = False
        assert await erp.cancel([wanted]) == [server.records.of("sale.order")[0]["name"]]


@KINDS
async def test_an_order_that_is_a_draft_is_not_in_it_yet(kind: str, store: Store) -> None:
    server = server_of(kind)
    async with adapter(server, store) as erp:
        wanted = order("q-5", ("T-A", 1, "paris"))
        await erp.push([wanted])
        doctype, draft = ("sale.order", {"state": "draft"}) if kind == "odoo" else ("Sales Order", {"docstatus": 0})
        server.records.of(doctype)[0].update(draft)
        assert await erp.find(wanted) is None
        assert await facts_of(erp, "q-5", "order.update") == []


@KINDS
async def test_lists_of_several_pages_are_read_whole(kind: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odoo_calls if kind == "odoo" else erpnext_calls, "PAGE", 2)
    server = server_of(kind)
    for sku in ("T-B", "T-C"):
        server.records.count(sku, 3)
    async with adapter(server, store) as erp:
        found = await Turns(erp).take()
        assert {sku: found[sku, "paris"] for sku in ("T-A", "T-B", "T-C")} == {
            "T-A": (9, 0),
            "T-B": (3, 0),
            "T-C": (3, 0),
        }


async def test_in_erpnext_a_group_is_no_place_and_what_is_in_transit_is_nowhere(store: Store) -> None:
    async with adapter(server_of("erpnext"), store, warehouses="All Warehouses - S=paris") as erp:
        with pytest.raises(UnusableError, match="is a group"):
            await erp.describe()


async def test_in_erpnext_without_a_table_each_warehouse_but_those_in_transit_is_a_place(store: Store) -> None:
    async with adapter(server_of("erpnext"), store, warehouses="") as erp:
        assert set((await erp.describe()).locations) == {"Stores - S", "Lyon - S"}


async def test_in_erpnext_what_production_takes_is_owed(store: Store) -> None:
    server = server_of("erpnext")
    server.records.bin("T-A", "Stores - S").update(reserved_qty_for_production=2.0, reserved_qty_for_sub_contract=1.0)
    async with adapter(server, store) as erp:
        assert (await Turns(erp).take())[CELL] == (9, 3)


async def test_in_erpnext_what_left_of_an_order_on_hold_is_owed_no_more(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        await erp.push([order("q-6", ("T-A", 4, "paris"))])
        [sale] = server.records.of("Sales Order")
        server.records.note(sale["name"], sale["items"][0], 1.0)
        server.records.set_status(sale["name"], "On Hold")
        assert (await Turns(erp).take())[CELL] == (8, 3)


async def test_in_erpnext_a_purchase_that_is_closed_brings_nothing(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        name = server.records.buy("T-A", 1.0)
        assert await supplied(erp) == [(12, "open")]
        server.records.put("Purchase Order", name, status="Closed")
        found = [fact async for pulled in erp.supply("2026-01-01 00:00:00.000000") for fact in pulled.facts]
        assert [(one["quantity"], one["status"]) for one in found] == [(0, "cancelled")]


async def test_in_erpnext_an_order_is_not_the_one_whose_key_looks_like_it(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        await erp.push([order("q_7", ("T-A", 1, "paris"))])
        assert await erp.find(order("q%7", ("T-A", 1, "paris"))) is None


async def test_in_erpnext_of_two_drafts_of_one_key_the_older_is_the_order(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        wanted = order("q-8", ("T-A", 1, "paris"))
        [first] = await erp.push([wanted])
        [sale] = server.records.of("Sales Order")
        items = [{"item_code": "T-A", "qty": 1, "warehouse": "Stores - S", "uom": "Nos"}]
        server.records.sell({"company": COMPANY, "customer": sale["customer"], "po_no": sale["po_no"], "items": items})
        assert await erp.push([wanted]) == [first]
        assert [one["name"] for one in server.records.of("Sales Order")] == [first]


async def test_in_erpnext_a_note_that_was_cancelled_says_nothing(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        await erp.push([order("q-9", ("T-A", 4, "paris")), order("q-10", ("T-A", 1, "paris"))])
        sale, other = server.records.of("Sales Order")
        server.records.note(sale["name"], sale["items"][0], 2.0)
        back = server.records.note(sale["name"], sale["items"][0], 1.0, is_return=True)
        both = server.records.note(other["name"], other["items"][0], 1.0)
        note = next(one for one in server.records.of("Delivery Note") if one["name"] == both)
        note["items"].append(dict(note["items"][0], name="row", against_sales_order="", so_detail=""))
        server.records.cancel_note(back)
        found = [fact async for some, _ in erp.statuses(None) for one in some for fact in one.facts]
        assert [one["quantity"] for one in found if one["kind"] == "return"] == [0]
        [shipment] = [one for one in found if one["kind"] == "shipment" and one["reservation"] == "q-10"]
        assert len(shipment["lines"]) == 1, "the other row is of nobody"
        assert _order_only(await erp.documents(["q-10"]) or [], "q-10") == {"T-A": 1}


def _order_only(documents: Any, key: str) -> dict[str, int]:
    [one] = [one for one in documents if one.key == key]
    return dict(one.units)


async def test_in_erpnext_of_an_order_that_was_amended_the_cancelled_one_says_nothing(store: Store) -> None:
    server = server_of("erpnext")
    async with adapter(server, store) as erp:
        wanted: Order = order("q-11", ("T-A", 2, "paris"))
        await erp.push([wanted])
        [sale] = server.records.of("Sales Order")
        server.records.change(sale["name"], 2)
        items = [{"item_code": "T-A", "qty": 2, "warehouse": "Stores - S", "uom": "Nos"}]
        head = {"company": COMPANY, "customer": sale["customer"], "po_no": sale["po_no"]}
        amended = server.records.sell(head | {"items": items})
        server.records.change(amended["name"], 1)
        found = await facts_of(erp, "q-11", "order.update")
        assert [one["lines"] for one in found if one["lines"]] == []
