"""Ten differences, planted in a Tryton, a folder of files, a shop and a gateway that all run: each is found by its
type, and nothing else is. Before them nothing is found; after the corrections what can be corrected has ended.
"""

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.erp.moments import written
from holdfast.woo.stores import Files, Store, rendered
from tests.erp.test_csv_folder import levels, name_of, put
from tests.support.erp import Served, ordered, serving
from tests.support.tryton import People, TrytonServer, needs_tryton, tryton
from tests.support.tryton_databases import NAME
from tests.support.woo_store.model import Model
from tests.support.woo_store.server import KEY, StoreServer, opened

pytestmark = [needs_tryton, pytest.mark.timeout(600)]
WITHIN_S = 90


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    with tryton(Path(tmp_path_factory.mktemp("tryton"))) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, erp: TrytonServer, folder: Path) -> Iterator[Served]:
    config = f"""
[woo]
enabled = true
[reconcile]
settle_ms = 60_000
every_ms = 3_600_000
key = "@reconcile.key"
[erp.tryton]
kind = "tryton"
url = "{erp.url}"
database = "{NAME}"
token = "{erp.known["key"]}"
customer = "{erp.known["customer_code"]}"
warehouses = "WH=paris,WH2=lyon"
every_ms = 500
retry_first_ms = 20
tries_max = 2
key = "@tryton.key"
[erp.depot]
kind = "csv"
directory = "{folder}"
orders = false
every_ms = 500
key = "@depot.key"
"""
    keys = [
        "reconcile --operations read",
        "tryton --operations read facts policies --source tryton",
        "depot --operations facts --source depot",
        "shop --operations read reserve order facts --source shop",
    ]
    with serving(Path(tmp_path_factory.mktemp("reconcile")) / "d", config, keys) as found:
        yield found


async def holds(wanted: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        found = wanted()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def compared(served: Served, *more: str) -> dict[str, Any]:
    """As people call it."""
    command = [sys.executable, "-m", "holdfast", "reconcile", "--json", "--data", str(served.data)]
    config = ["--config", str(served.data / "holdfast.toml")]
    child = await asyncio.create_subprocess_exec(*command, *config, *more, stdout=-1, stderr=-1)
    out, err = await child.communicate()
    assert child.returncode in {0, 1}, err.decode()
    report: dict[str, Any] = json.loads(out)
    assert [one for one in report["comparisons"] if one.get("failed")] == [], err.decode()
    assert (child.returncode == 0) == all(one["type"] == "rounding" for one in report.get("differences", []))
    return report


def found_in(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Type, what, and of which SKU or order."""
    return {(one["type"], one["what"], one.get("sku") or one["order"]) for one in report.get("differences", [])}


def status_of(served: Served, name: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((served.data / "erp" / name / "status.json").read_text())
        return found
    return {"turns": 0}


async def turns(served: Served, name: str, number: int) -> None:
    """Wait until a connection has taken so many whole turns from now on."""
    upto = status_of(served, name)["turns"] + number + 1
    await holds(lambda: status_of(served, name)["turns"] >= upto, f"{name} took no {number} turns")


def store_of(served: Served, url: str) -> Files:
    files = Files(served.data, "shop")
    files.write(files.rest, "\n".join(KEY))
    files.write(files.key, (served.data / "shop.key").read_text())
    files.write(files.settings, rendered(Store(url=url, channel="web")))
    return files


async def kilograms(people: People) -> int:
    """A product that is counted in kilograms: its record."""
    [unit] = await people.rest.search("product.uom", [["symbol", "=", "kg"]], ("id",))
    price = {"__class__": "Decimal", "decimal": "1"}
    values = {"name": "Flour", "type": "goods", "default_uom": unit["id"], "list_price": price}
    made = await people.rest.create(
        "product.template", values | {"products": [["create", [{"suffix_code": "FLOUR"}]]]}, ("products",)
    )
    return int(made["products"][0])


async def settled(served: Served, erp: TrytonServer, folder: Path, people: People, server: StoreServer) -> str:
    """All that is there by right; the number of an order of the shop."""
    shop = server.model
    async with served.client() as client:
        await client.policies(
            [
                {"kind": "location", "location": "depot", "type": "warehouse"},
                {"kind": "channel", "channel": "web", "locations": "*", "buffer": 0},
            ]
        )
        for sku in ("T-A", "T-B", "T-D", "T-E"):
            await people.count(sku, 7, erp.known["storage"])
        people.known["products"]["FLOUR"] = await kilograms(people)
        await people.count("FLOUR", 2, erp.known["storage"])
        rows = [(sku, 10) for sku in ("MUG", "CUP", "PLATE", "BOWL")]
        put(folder, name_of("depot", "levels", 1), levels("depot", *rows))
        known = {"T-A", "T-B", "T-D", "T-E", "FLOUR", "MUG", "CUP", "PLATE", "BOWL"}

        async def all_there() -> bool:
            return known <= {one.sku async for one in client.skus()}

        await holds(all_there, "the levels did not come")
        await ordered(client, "r-1", ("T-E", 2), order_ref="9001")
        order = shop.place([("T-D", 1)], "processing")
        store_of(served, server.url)

        async def quiet() -> bool:
            counted = (await client.reservation("r-1")).state == "in_erp"
            stock = {sku: shop.by_sku(sku)[0].stock for sku in ("MUG", "CUP", "T-D")}
            return counted and stock == {"MUG": 10, "CUP": 10, "T-D": 6}

        await holds(quiet, "the parts did not settle")
        return str(order.id)


async def planted(
    served: Served, erp: TrytonServer, folder: Path, people: People, shop: Model, order: str
) -> set[tuple[str, str, str]]:
    """What is wrong from now on."""
    await turns(served, "tryton", 3)
    with contextlib.closing(sqlite3.connect(erp.directory / f"{NAME}.sqlite", timeout=30)) as database:
        product = erp.known["products"]["T-A"]
        database.execute(
            "UPDATE stock_move SET quantity = 9, internal_quantity = 9 WHERE product = ? AND state = 'done'", (product,)
        )
        database.commit()
    put(folder, name_of("depot", "levels", 3), levels("depot", ("PLATE", 4)))
    await holds(lambda: "levels" in status_of(served, "depot").get("faults", {}), "the gap was not noticed")
    await people.count("FLOUR", 2.5, erp.known["storage"])
    async with served.client() as client:
        level = {"kind": "stock.level", "sku": "T-B", "location": "paris", "on_hand": 99, "allocated": 0}
        await client.facts("tryton", [level | {"basis": "gross", "as_of": written(int(time.time() * 1000) + 60_000)}])
        await ordered(client, "r-2", ("BOWL", 3), order_ref="9002")
    typed = people._sale_of("T-D", 1, "paris") | {"reference": order}
    made = await people.rest.create("sale.sale", typed)
    for step in ("quote", "confirm"):
        await people.rest.act("sale.sale", made["id"], step)
    await people.draft_like({"description": "holdfast:nobody@paris", "reference": "nobody"}, "T-A", 1)
    del shop.products[shop.by_sku("MUG")[0].id]
    shop.by_sku("CUP")[0].stock = 3
    clock, shop.clock = shop.clock, lambda: time.time() - 86_400
    lost = shop.place([("CUP", 1)], "processing")
    shop.clock = clock
    shop.events.clear()
    await turns(served, "tryton", 3)
    return {
        ("missing-event", "level", "T-A"),
        ("late", "level", "PLATE"),
        ("rounding", "level", "FLOUR"),
        ("manual-edit", "level", "T-B"),
        ("not-counted-yet", "order", "9002"),
        ("duplicate", "order", order),
        ("unknown", "order", "nobody"),
        ("deleted-sku", "stock", "MUG"),
        ("manual-edit", "stock", "CUP"),
        ("missing-event", "order", str(lost.id)),
    }


async def test_each_planted_difference_is_found_by_its_type_and_no_other(
    served: Served, erp: TrytonServer, folder: Path, tmp_path: Path
) -> None:
    shop = Model(moves_stock=False)
    async with opened(StoreServer(shop, plugin=True)) as server, People(erp) as people:
        for sku in ("MUG", "CUP", "T-D"):
            shop.add(sku, 0)
        order = await settled(served, erp, folder, people, server)
        report = await compared(served)
        assert found_in(report) == set(), report["differences"]
        assert sum(one["compared"] for one in report["comparisons"]) > 10

        wanted = await planted(served, erp, folder, people, shop, order)
        page = tmp_path / "report.html"
        report = await compared(served, "--html", str(page))
        assert found_in(report) == wanted, report["differences"]
        assert {one["pair"] for one in report["differences"]} == {"erp-holdfast", "shop-holdfast", "erp-shop"}
        assert all(one["evidence"] and one["advice"] and one["figures"] for one in report["differences"])
        text = page.read_text()
        assert all(kind in text for kind, _, _ in wanted)
        assert "<script" not in text

        report = await compared(served, "--apply", "all")
        assert all(one.get("age_ms", 0) > 0 for one in report["differences"])
        assert len([one for one in report["applied"] if one["run"] == report["run"]]) == 4, report["applied"]
        corrected = {one for one in wanted if one[0] in {"missing-event", "manual-edit"}}
        await holds(lambda: shop.by_sku("CUP")[0].stock == 9, "the figure was not written again")
        report = await compared(served)
        assert found_in(report) == wanted - corrected, report["differences"]
        on_schedule = served.data / "reconcile" / "report.html"
        await holds(on_schedule.exists, "nothing was compared on schedule")
