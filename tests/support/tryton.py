"""A real Tryton server, with a company, two warehouses and products.

In: a directory. Out: its address, an application key, and calls by which a test acts as people in the ERP do. Always:
the server is a process that the test ends; the database (tryton_databases.py) is made once for each version of the
modules, in the virtual environment, and copied for each use.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import pytest

from holdfast.erp.interface import ErpError
from holdfast.erp.tryton.rest import Record, Rest
from holdfast.settings import ErpSettings
from tests.support.ports import free_port
from tests.support.tryton_databases import NAME, ON, Database, copied, database_in, given_up, missing, working

MODULES = ("sale", "purchase", "stock")
SETUP = Path(__file__).with_name("tryton_setup.py")
_PACKAGES = ("trytond", *(f"trytond.modules.{one}" for one in MODULES))
MISSING = [_PACKAGES[0]] if find_spec("trytond") is None else [one for one in _PACKAGES if find_spec(one) is None]
MISSING += missing()
needs_tryton = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} ")


@dataclass
class TrytonServer:
    """One that runs. `known` has the records that the setup made."""

    url: str
    known: dict[str, Any]
    directory: Path
    database: Database
    _child: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """On the database as it is."""
        command = [
            str(Path(sys.executable).with_name("trytond")),
            "-c",
            str(self.directory / "trytond.conf"),
            "-d",
            NAME,
        ]
        with (self.directory / "tryton.log").open("ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """At once, whatever it was doing."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    async def ready(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + 60
        async with People(self) as people:
            while True:
                assert self._child is not None
                assert self._child.poll() is None
                assert time.monotonic() < deadline
                try:
                    await people.rest.search("company.company", [], ("id",))
                except ErpError:
                    await asyncio.sleep(0.1)
                else:
                    return

    def by_sql(self, statement: str) -> list[Any]:
        """What its database holds."""
        return self.database.by_sql(statement)

    def settings(self, **more: Any) -> ErpSettings:
        """Of a connection to it."""
        given: dict[str, Any] = {
            "kind": "tryton",
            "url": self.url,
            "database": NAME,
            "token": self.known["key"],
            "customer": self.known["customer_code"],
            "warehouses": "WH=paris,WH2=lyon",
            "overlap_ms": 60_000,
            "retry_first_ms": 20,
            "retry_wait_ms_max": 500,
            "breaker_rest_ms": 200,
            "orders_at_once": 1,
        }
        return ErpSettings(**(given | more))


class People:
    """What people do in the ERP."""

    def __init__(self, server: TrytonServer) -> None:
        self.known = server.known
        self.rest = Rest(server.url, NAME, server.known["key"], 30_000)
        self.rest.context = {"company": server.known["company"]}

    async def __aenter__(self) -> Self:
        await self.rest.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest.close()

    async def count(self, sku: str, quantity: float, place: int) -> None:
        """Have so many counted there."""
        line = {"product": self.known["products"][sku], "quantity": quantity}
        values = {"company": self.known["company"], "location": place, "lines": [["create", [line]]]}
        made = await self.rest.create("stock.inventory", values)
        for step in ("confirm",):
            await self.rest.act("stock.inventory", made["id"], step)

    async def sales(self, *fields: str) -> list[Record]:
        """All of them, oldest first."""
        return await self.rest.search("sale.sale", [], ("state", "number", "description", "reference", *fields))

    async def sell(self, sku: str, quantity: int, warehouse: str = "paris") -> int:
        """An order that came to the ERP by itself."""
        made = await self.rest.create("sale.sale", self._sale_of(sku, quantity, warehouse))
        for step in ("quote", "confirm"):
            await self.rest.act("sale.sale", made["id"], step)
        return int(made["id"])

    def _sale_of(self, sku: str, quantity: int, warehouse: str) -> Record:
        row = {
            "type": "line",
            "product": self.known["products"][sku],
            "quantity": quantity,
            "unit": self.known["unit"],
            "unit_price": {"__class__": "Decimal", "decimal": "1"},
        }
        return {
            "company": self.known["company"],
            "currency": self.known["currency"],
            "party": self.known["customer"],
            "invoice_address": self.known["address"],
            "shipment_address": self.known["address"],
            "warehouse": self.known[warehouse],
            "invoice_method": "manual",
            "shipment_method": "order",
            "lines": [["create", [row]]],
        }

    async def draft_like(self, sale: Record, sku: str, quantity: int) -> None:
        """A second draft with the same description."""
        values = self._sale_of(sku, quantity, "paris") | {
            "description": sale["description"],
            "reference": sale["reference"],
        }
        await self.rest.create("sale.sale", values)

    async def take_back(self, reference: str, sku: str, quantity: int) -> None:
        """A return of a shipped order, received and put away."""
        sale, *_ = await self.rest.search("sale.sale", [["reference", "=", reference]], ("id",))
        values = self._sale_of(sku, -quantity, "paris") | {"origin": f"sale.sale,{sale['id']}"}
        made = await self.rest.create("sale.sale", values)
        for step in ("quote", "confirm"):
            await self.rest.act("sale.sale", made["id"], step)
        domain = [["moves.origin.sale", "=", made["id"], "sale.line"]]
        for one in await self.rest.search("stock.shipment.out.return", domain, ("state",)):
            for step in ("receive", "do"):
                await self.rest.act("stock.shipment.out.return", one["id"], step)

    async def buy(self, sku: str, quantity: int) -> None:
        """A purchase, confirmed."""
        row = {
            "type": "line",
            "product": self.known["products"][sku],
            "quantity": quantity,
            "unit": self.known["unit"],
            "unit_price": {"__class__": "Decimal", "decimal": "1"},
        }
        values = {
            "company": self.known["company"],
            "currency": self.known["currency"],
            "party": self.known["supplier"],
            "invoice_address": self.known["supplier_address"],
            "warehouse": self.known["paris"],
            "invoice_method": "manual",
            "lines": [["create", [row]]],
        }
        made = await self.rest.create("purchase.purchase", values)
        for step in ("quote", "confirm"):
            await self.rest.act("purchase.purchase", made["id"], step)

    async def receive(self, sku: str) -> None:
        """All that was bought of it arrives, in one shipment, and is put away."""
        domain = [["product", "=", self.known["products"][sku]], ["state", "=", "draft"], ["shipment", "=", None]]
        moves = await self.rest.search("stock.move", domain, ("id",))
        values = {
            "company": self.known["company"],
            "supplier": self.known["supplier"],
            "warehouse": self.known["paris"],
            "warehouse_input": self.known["input"],
            "warehouse_storage": self.known["storage"],
            "incoming_moves": [["add", [one["id"] for one in moves]]],
        }
        made = await self.rest.create("stock.shipment.in", values)
        for step in ("receive", "do"):
            await self.rest.act("stock.shipment.in", made["id"], step)

    async def shipments(self, reference: str) -> list[Record]:
        """Of the sales with the shop's number."""
        domain = [["moves.origin.sale.reference", "=", reference, "sale.line"]]
        return await self.rest.search("stock.shipment.out", domain, ("state", "number"))

    async def ship(self, reference: str, *, force: bool = False) -> None:
        """Pick, pack and ship all that is open of an order."""
        for one in await self.shipments(reference):
            if one["state"] in {"waiting", "assigned", "draft"}:
                for step in ("assign_force" if force else "assign_try", "pick", "pack", "do"):
                    await self.rest.act("stock.shipment.out", one["id"], step)


@contextmanager
def tryton(directory: Path) -> Iterator[TrytonServer]:
    """Started on a copy of the database, and ended."""
    directory.mkdir(parents=True, exist_ok=True)
    filled = _filled()
    place = copied(filled, directory)
    database = database_in(place)
    database.begin()
    port = free_port()
    _configured(directory, port, database, place)
    known = json.loads((filled / "known.json").read_text())
    server = TrytonServer(f"http://127.0.0.1:{port}", known, directory, database)
    server.start()
    try:
        asyncio.run(server.ready())
        yield server
    finally:
        server.kill()
        database.end()
        given_up(directory, place)


def _configured(directory: Path, port: int, database: Database, place: Path) -> Path:
    conf = directory / "trytond.conf"
    conf.write_text(
        f"[database]\nuri = {database.uri}\npath = {place}\n[web]\nlisten = 127.0.0.1:{port}\n[queue]\nworker = false\n"
    )
    return conf


def _filled() -> Path:
    """The database that was made for these versions, and the setup's JSON beside it."""
    versions = "-".join(metadata.version(f"trytond{name}") for name in ("", *(f"_{one}" for one in MODULES)))
    kept = Path(sys.prefix) / f".tryton-{versions}{'' if ON == 'sqlite' else f'-{ON}'}"
    filled = kept / hashlib.sha256(SETUP.read_bytes()).hexdigest()[:12]
    filled.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "activated").exists():
            _activate(kept)
        if not (filled / "known.json").exists():
            with working(filled, kept) as (database, place):
                conf = _configured(filled, 0, database, place)
                command = [sys.executable, "-W", "ignore", str(SETUP), str(conf), NAME]
                made = subprocess.run(command, check=True, capture_output=True, text=True)
            (filled / "known.json").write_text(made.stdout)
    return filled


def _activate(kept: Path) -> None:
    """Takes half a minute of a processor core."""
    (kept / "password").write_text("not-used\n")
    environment = os.environ | {"TRYTONPASSFILE": str(kept / "password")}
    admin = str(Path(sys.executable).with_name("trytond-admin"))
    with working(kept) as (database, place):
        conf = _configured(kept, 0, database, place)
        update = [
            admin,
            "-c",
            str(conf),
            "-d",
            NAME,
            "-u",
            *MODULES,
            "--activate-dependencies",
            "--email",
            "a@b.example",
        ]
        subprocess.run(update, env=environment, check=True, capture_output=True)
    (kept / "activated").touch()
