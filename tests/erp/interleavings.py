"""Thousands of interleavings of one order's messages, each counted once: on books in memory, and on a real Tryton.

In: `python -m tests.erp.interleavings --count 10000` (of each basis), `--tryton 200` for as many on a real one,
`--seed` for the first. Out: progress, and the history of the first that is wrong, with its seed; exit status 1 then.
Always: a seed is one history, whatever ran before it; core and oracle are compared at each of its steps.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from holdfast.erp.erpnext.adapter import ErpNext
from holdfast.erp.interface import Erp
from holdfast.erp.odoo.adapter import Odoo
from holdfast.erp.store import opened
from holdfast.erp.tryton.adapter import Tryton
from tests.support.books import Basis, Keeps
from tests.support.doubles_books import ErpNextBooks, OdooBooks
from tests.support.erpnext_records import WAREHOUSES
from tests.support.erpnext_server import ErpNextServer
from tests.support.interleaved import FAST, Shape, World, one
from tests.support.odoo_server import OdooServer
from tests.support.tryton import People, TrytonServer, tryton
from tests.support.tryton_books import TrytonBooks

SAYS_S = 10.0
STEPS = (5, 40)
SLOW_STEPS = (5, 30)


def shape_of(seed: int, basis: Basis, steps: tuple[int, int]) -> Shape:
    """Of one order; each tenth history has several, that get in each other's way."""
    choose = random.Random(f"shape {seed}")
    return Shape(basis, choose.randint(*steps), 1 if choose.randrange(10) else 20)


async def each(name: str, count: int, first: int, run: Callable[[int], Awaitable[None]]) -> bool:
    """One after the other; whether all were right. Of the first wrong one the history is printed, else the seed."""
    began, said = time.monotonic(), 0.0
    wrong: list[int] = []
    for number in range(count):
        try:
            await run(first + number)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the seed is what a person needs
            text = str(fault)
            print(
                f"{name}: seed {first + number} is wrong: {text if not wrong else text.partition(chr(10))[0]}",
                flush=True,
            )
            wrong.append(first + number)
        took = time.monotonic() - began
        if took - said > SAYS_S:
            said = took
            print(f"{name}: {number + 1:,} of {count:,}, {(number + 1) / took:.1f} a second", flush=True)
    outcome = f"wrong: {wrong}" if wrong else "each order counted once"
    print(f"{name}: {count:,} interleavings in {time.monotonic() - began:.0f} s, {outcome}", flush=True)
    return not wrong


@asynccontextmanager
async def world_of(seed: int, shape: Shape, sku: str) -> AsyncIterator[World]:
    """One whose ERP is asked over HTTP, and so has another clock."""
    with TemporaryDirectory(dir=FAST) as directory, opened(Path(directory)) as store:
        yield World(seed, shape, store, sku=sku, began_ms=int(time.time() * 1000))


async def live(world: World, books: Keeps, erp: Erp) -> None:
    """A whole history with an adapter."""
    await erp.open()
    try:
        await erp.describe()
        await world.begin(books, erp)
        await world.live_through()
    finally:
        await erp.close()


def stock_of(world: World) -> int:
    """At each place: so few for one order that it may be of both."""
    return 10 if world.shape.orders > 1 else world.choose.randint(1, 6)


async def one_on_tryton(seed: int, server: TrytonServer, people: People, sku: str = "T-A") -> None:
    async with world_of(seed, shape_of(seed, "gross", SLOW_STEPS), sku) as world:
        books = TrytonBooks(server, people, sku, world.choose)
        await books.begin(stock_of(world))
        await live(world, books, Tryton(server.settings(), world.moments))


async def one_on_odoo(seed: int, version: int) -> None:
    async with world_of(seed, shape_of(seed, "gross", SLOW_STEPS), "T-A") as world:
        server = OdooServer(version)
        for code in ("WH", "WH2"):
            server.records.count("T-A", stock_of(world), code)
        async with server.serving():
            await live(world, OdooBooks(server, "T-A", world.choose), Odoo(server.settings(), world.moments))


async def one_on_erpnext(seed: int) -> None:
    async with world_of(seed, shape_of(seed, "gross", SLOW_STEPS), "T-A") as world:
        server = ErpNextServer()
        for warehouse in WAREHOUSES:
            server.records.count("T-A", stock_of(world), warehouse)
        async with server.serving():
            await live(world, ErpNextBooks(server, "T-A", world.choose), ErpNext(server.settings(), world.moments))


async def on_tryton(count: int, first: int, server: TrytonServer) -> bool:
    async with People(server) as people:
        return await each("tryton", count, first, lambda seed: one_on_tryton(seed, server, people))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.erp.interleavings", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="of each basis, on books in memory")
    parser.add_argument("--basis", choices=("gross", "net"), help="only this one")
    parser.add_argument("--tryton", type=int, default=0, help="on a real Tryton")
    parser.add_argument("--doubles", type=int, default=0, help="on each contract server: Odoo 19, Odoo 17, ERPNext")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    given = parser.parse_args()
    runs: list[tuple[str, int, Callable[[int], Awaitable[None]]]] = [
        ("gross", given.count, lambda seed: one(seed, shape_of(seed, "gross", STEPS))),
        ("net", given.count, lambda seed: one(seed, shape_of(seed, "net", STEPS))),
        ("odoo 19", given.doubles, lambda seed: one_on_odoo(seed, 19)),
        ("odoo 17", given.doubles, lambda seed: one_on_odoo(seed, 17)),
        ("erpnext", given.doubles, one_on_erpnext),
    ]
    bases = {"gross", "net"} - {given.basis}
    if given.basis:
        runs = [one for one in runs if one[0] not in bases]
    right = True
    for name, count, run in runs:
        right &= not count or asyncio.run(each(name, count, given.seed, run))
    if given.tryton:
        with TemporaryDirectory(dir=FAST) as directory, tryton(Path(directory)) as server:
            right &= asyncio.run(on_tryton(given.tryton, given.seed, server))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
