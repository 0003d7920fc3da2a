"""What every adapter must get right, tried on each: the folder, a real Tryton, contract servers of Odoo (both of its
interfaces) and ERPNext, and the example of docs/erp.md.
"""

import sqlite3
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from holdfast.contracts.facts import Fact
from holdfast.erp.interface import Erp, ErpDownError, ErpError, Order, OrderLine, RefusedError
from holdfast.erp.made import adapter_of
from holdfast.erp.store import Store
from holdfast.settings import ErpSettings
from tests.support.erpnext_server import ErpNextServer
from tests.support.odoo_server import OdooServer
from tests.support.tryton import MISSING, People, TrytonServer, tryton

PAGE = Path(__file__).parent.parent.parent / "docs" / "erp.md"
EACH = ["csv", "tryton", "odoo", "odoo 17", "erpnext", "python"]


@dataclass
class Bench:
    """An adapter, and what its ERP holds. `documents`: how many it has of an order; `known`: a SKU and place."""

    erp: Erp
    documents: Callable[[str], Awaitable[int]]
    known: tuple[str, str]

    def order(self, key: str, quantity: int = 1) -> Order:
        sku, place = self.known
        return Order(key, key, "web", f"R{key}", "2026-01-01T00:00:00Z", (OrderLine(sku, quantity, place),))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer | None]:
    if MISSING:
        yield None
        return
    with tryton(Path(tmp_path_factory.mktemp("contract"))) as running:
        yield running


@pytest.fixture(params=EACH)
async def bench(request: pytest.FixtureRequest, tmp_path: Path, server: TrytonServer | None) -> AsyncIterator[Bench]:
    if request.param == "tryton" and server is None:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    store = Store(tmp_path / "store")
    kind = str(request.param)
    is_double = kind.startswith(("odoo", "erpnext"))
    async with _double(kind, store) if is_double else _made(kind, tmp_path, server, store) as made:
        yield made
    store.close()


@asynccontextmanager
async def _double(kind: str, store: Store) -> AsyncIterator[Bench]:
    """On a contract server."""
    if kind == "erpnext":
        site = ErpNextServer()
        site.records.count("T-A", 5)

        async def of(key: str) -> int:
            return sum(str(one["po_no"]).startswith(f"holdfast:{key} ") for one in site.records.of("Sales Order"))

        server: ErpNextServer | OdooServer = site
    else:
        odoo = OdooServer(17 if kind.endswith("17") else 19)
        odoo.records.count("T-A", 5)

        async def of(key: str) -> int:
            return sum(f":{key}@" in str(one["origin"]) for one in odoo.records.of("sale.order"))

        server = odoo
    async with server.serving():
        erp = adapter_of("acme", server.settings(), store)
        await erp.open()
        try:
            yield Bench(erp, of, ("T-A", "paris"))
        finally:
            await erp.close()


@asynccontextmanager
async def _made(kind: str, directory: Path, server: TrytonServer | None, store: Store) -> AsyncIterator[Bench]:
    match kind:
        case "csv":
            settings = ErpSettings(kind="csv", directory=str(directory))
        case "tryton":
            assert server is not None
            settings = server.settings()
        case _:
            settings = ErpSettings(kind="python", adapter="example_of_the_page:Ledger", url=str(_ledger(directory)))
            sys.modules["example_of_the_page"] = example()
    erp = adapter_of("acme", settings, store)
    await erp.open()
    await erp.describe()
    try:
        if kind == "csv":
            rows = "sku,location,on_hand\nT-A,paris,5\n"
            (directory / "in" / "acme_levels_20260101T000000Z_1.csv").write_text(rows)
            yield Bench(erp, lambda key: _rows(directory, key), ("T-A", "paris"))
        elif kind == "tryton":
            assert server is not None
            async with People(server) as people:
                await people.count("T-A", 5, server.known["storage"])

                async def sales(key: str) -> int:
                    return sum(f":{key}@" in (one["description"] or "") for one in await people.sales())

                yield Bench(erp, sales, ("T-A", "paris"))
        else:
            yield Bench(erp, lambda key: _sales(directory, key), ("T-A", "paris"))
    finally:
        await erp.close()


def example() -> types.ModuleType:
    """The code of the page, as a module."""
    code = PAGE.read_text().partition("## Write an adapter")[2].partition("```python\n")[2].partition("```")[0]
    assert code.count("\n") <= 65
    module = types.ModuleType("example_of_the_page")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module


def _ledger(directory: Path) -> Path:
    file = directory / "ledger.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE stock (sku, place, on_hand, owed, changed)")
        database.execute("INSERT INTO stock VALUES ('T-A', 'paris', 5, 0, 1)")
        database.execute("CREATE TABLE sale (number INTEGER PRIMARY KEY, key, state, sku, quantity)")
    database.close()
    return file


async def _sales(directory: Path, key: str) -> int:
    with sqlite3.connect(directory / "ledger.sqlite") as database:
        found: int = database.execute("SELECT count(*) FROM sale WHERE key = ?", (key,)).fetchone()[0]
    database.close()
    return found


async def _rows(directory: Path, key: str) -> int:
    files = [path.read_text() for path in (directory / "out").glob("*.csv")]
    return sum(row.startswith(f"new,{key},") for text in files for row in text.splitlines())


pytestmark = pytest.mark.timeout(600)


async def test_it_says_what_it_is_and_states_facts_as_they_are_written(bench: Bench) -> None:
    assert (await bench.erp.describe()).product
    found, position = [], None
    async for pulled in bench.erp.levels(None):
        found += list(pulled.facts)
        position = pulled.position or position
    assert position is not None
    assert {fact["on_hand"] for fact in found if (fact["sku"], fact["location"]) == bench.known} == {5}
    for pull in (bench.erp.levels, bench.erp.supply, bench.erp.demand):
        async for pulled in pull(None):
            msgspec.convert(list(pulled.facts), list[Fact])
    async for statuses, _ in bench.erp.statuses(None):
        msgspec.convert([fact for one in statuses for fact in one.facts], list[Fact])


async def test_an_order_that_is_there_is_not_made_again_and_is_found_by_its_key(bench: Bench) -> None:
    order = bench.order("c-1")
    assert await bench.erp.find(bench.order("c-0")) is None
    first = await bench.erp.push([order])
    assert [isinstance(one, str) for one in first] == [True]
    assert await bench.erp.push([order]) == first
    assert await bench.erp.find(order) == first[0]
    assert await bench.documents("c-1") == 1


async def test_what_is_refused_of_orders_that_go_together_leaves_the_others_alone(bench: Bench) -> None:
    orders = [bench.order(f"g-{number}") for number in range(1, 5)]
    orders[1] = msgspec.structs.replace(orders[1], lines=(OrderLine("NONE", 1, "paris"),))
    places = (await bench.erp.describe()).locations
    if places:
        orders[2] = msgspec.structs.replace(orders[2], lines=(OrderLine("T-A", 1, "nowhere"),))
    found = await bench.erp.push(orders)
    refused = [isinstance(one, RefusedError) for one in found]
    assert refused == ([False, True, True, False] if len(places) > 1 else [False] * 4), found
    assert [await bench.documents(one.key) for one in orders] == [int(not one) for one in refused]


@pytest.mark.parametrize("bench", ["tryton"], indirect=True)
async def test_tryton_makes_the_others_where_it_refuses_one_of_those_that_go_together(bench: Bench) -> None:
    orders = [bench.order(f"h-{number}") for number in range(1, 4)]
    orders[1] = msgspec.structs.replace(orders[1], order_ref="two\nlines")
    found = await bench.erp.push(orders)
    assert [isinstance(one, RefusedError) for one in found] == [False, True, False], found
    assert [await bench.documents(one.key) for one in orders] == [1, 0, 1]
    assert await bench.erp.push([orders[0], orders[2]]) == [found[0], found[2]]
    assert await bench.documents("h-1") == 1


async def test_a_cancellation_may_come_twice_and_of_an_order_that_is_not_there(bench: Bench) -> None:
    order = bench.order("c-2")
    await bench.erp.push([order])
    for _ in range(2):
        assert all(isinstance(one, str) for one in await bench.erp.cancel([order]))
    assert all(isinstance(one, str) for one in await bench.erp.cancel([bench.order("c-3")]))


async def test_its_times_rise_a_level_is_dated_before_and_an_acknowledgement_after(bench: Bench) -> None:
    times = []
    for _ in range(2):
        async for pulled in bench.erp.levels(None):
            times += [fact["as_of"] for fact in pulled.facts]
        async for statuses, _ in bench.erp.statuses(None):
            times += [fact["as_of"] for one in statuses for fact in one.facts if fact["kind"] == "order.ack"]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", EACH)
async def test_what_does_not_answer_is_down(kind: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    settings = {
        "csv": ErpSettings(kind="csv", directory=str(tmp_path / "gone")),
        "tryton": ErpSettings(kind="tryton", url="http://127.0.0.1:9", database="x", token="y", timeout_ms=500),
        "odoo": ErpSettings(kind="odoo", url="http://127.0.0.1:9", database="x", token="y", timeout_ms=500),
        "odoo 17": ErpSettings(kind="odoo", url="http://127.0.0.1:9", database="x", token="y", timeout_ms=500),
        "erpnext": ErpSettings(kind="erpnext", url="http://127.0.0.1:9", token="x:y", timeout_ms=500),
        "python": ErpSettings(kind="python", adapter="example_of_the_page:Ledger", url=str(tmp_path / "gone")),
    }[kind]
    sys.modules["example_of_the_page"] = example()
    erp = adapter_of("acme", settings, store)
    await erp.open()
    order = Order("k", "k", "web", None, "", (OrderLine("T-A", 1, "paris"),))
    with pytest.raises(ErpError):
        await erp.describe()
    if kind != "tryton":  # it is described before it is asked
        with pytest.raises(ErpDownError):
            await erp.push([order])
    await erp.close()
    store.close()


@pytest.mark.parametrize("adapter", ["nowhere.at_all:Ledger", "json:Nothing"])
def test_an_adapter_that_is_not_there_is_named(adapter: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ErpError, match=adapter.replace(".", r"\.")):
        adapter_of("acme", ErpSettings(kind="python", adapter=adapter), store)
    store.close()
