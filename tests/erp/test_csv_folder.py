"""CSV files in a folder: each counts once, in the order of its number, or is refused with its reason."""

import asyncio
import hashlib
import json
import mmap
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import Client
from holdfast.erp.connector import Connector
from holdfast.erp.csv_folder.adapter import CsvFolder
from holdfast.erp.interface import Pulled, Taken
from holdfast.erp.store import Store
from holdfast.settings import ErpSettings
from holdfast.tasks import cancel_and_wait
from tests.support.erp import Served, connected, export, ordered, read_events, sellable


def settings_of(directory: Path, **more: Any) -> ErpSettings:
    directory.mkdir(parents=True, exist_ok=True)
    return ErpSettings(kind="csv", directory=str(directory), **more)


def name_of(source: str, kind: str, number: int, minute: int = 0) -> str:
    return f"{source}_{kind}_20260101T00{minute or number:02}00Z_{number}.csv"


def put(directory: Path, name: str, text: str, manifest: dict[str, Any] | None = None) -> None:
    if manifest is not None:
        told = {"rows": text.count("\n") - 1, "sha256": hashlib.sha256(text.encode()).hexdigest()} | manifest
        (directory / "in" / name.replace(".csv", ".manifest.json")).write_text(json.dumps(told))
    (directory / "in" / f".{name}.tmp").write_text(text)
    (directory / "in" / f".{name}.tmp").rename(directory / "in" / name)


def levels(location: str, *rows: tuple[str, int]) -> str:
    return "sku,location,on_hand,basis\n" + "".join(f"{sku},{location},{on_hand},net\n" for sku, on_hand in rows)


def report(directory: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "reports" / f"{name}.json").read_text())
    return found


def folders(directory: Path) -> dict[str, list[str]]:
    return {
        name: sorted(path.name for path in (directory / name).glob("*.csv")) for name in ("in", "processed", "rejected")
    }


async def test_files_are_taken_in_their_order_and_each_has_a_report(served: Served, tmp_path: Path) -> None:
    async with connected(served, "order", settings_of(tmp_path)) as connector, Client(served.url) as client:
        for number in (3, 1, 2):
            put(tmp_path, name_of("order", "levels", number), levels("order", ("O-A", number), ("O-B", 10)))
        put(tmp_path, "order_levels_20260101T000000Z_4.csv.part", "half a file")
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "O-A") == 3
        assert folders(tmp_path)["processed"] == [name_of("order", "levels", number) for number in (1, 2, 3)]
        found = report(tmp_path, name_of("order", "levels", 1))
        assert (found["rows"], found["accepted"], found["rejected"]) == (2, 2, [])
        assert found["created"] == ["O-A", "O-B"]


async def test_a_gap_stops_until_the_missing_file_is_there_or_skipped(served: Served, tmp_path: Path) -> None:
    async with connected(served, "gap", settings_of(tmp_path, first_sequence=7)) as connector:
        put(tmp_path, name_of("gap", "levels", 8), levels("gap", ("G-A", 8)))
        (tmp_path / "in" / name_of("gap", "levels", 8)).touch()
        await connector.turn()
        assert folders(tmp_path)["processed"] == []
        _make_old(tmp_path)
        await connector.turn()
        assert "file number 7 is missing, and this one is 8" in connector.faults["levels"]
        put(tmp_path, name_of("gap", "levels", 7), levels("gap", ("G-A", 7)))
        await connector.turn()
        assert connector.faults == {}
        assert len(folders(tmp_path)["processed"]) == 2


def _make_old(directory: Path) -> None:
    for path in (directory / "in").iterdir():
        os.utime(path, (1, 1))


@pytest.mark.parametrize(
    ("text", "manifest", "why"),
    [
        ("sku,location\nR-A,paris\n", None, "on_hand: this column is missing"),
        ("sku,location,on_hand\nR-A,paris,many\n", None, "row 2, on_hand: 'many' is not a whole number"),
        ("sku,location,on_hand\n4.00638E+12,paris,1\n", None, "looks as if a spreadsheet had rewritten a number"),
        ("sku,location,on_hand\nR-A,paris,1\n", {"rows": 2}, "it has 1 rows, the manifest says 2"),
        ("sku,location,on_hand\nR-A,paris,1\n", {"sha256": "0" * 64}, "the manifest says 0000"),
        ("sku,location,on_hand\nR-A,paris,1\n", {"full": True}, "a full snapshot names its locations"),
        ("sku,location,on_hand\nR-A,paris,1\n", {"ful": True}, "not a manifest"),
    ],
)
async def test_a_file_that_is_wrong_is_refused_whole_and_stops_those_after_it(
    served: Served, tmp_path: Path, text: str, manifest: dict[str, Any] | None, why: str
) -> None:
    source = "bad-" + hashlib.sha256(why.encode()).hexdigest()[:8]
    async with connected(served, source, settings_of(tmp_path)) as connector, Client(served.url) as client:
        put(tmp_path, name_of(source, "levels", 1), text, manifest)
        put(tmp_path, name_of(source, "levels", 2), levels(source, ("R-B", 1)))
        _make_old(tmp_path)
        await connector.turn()
        assert why in connector.faults["levels"]
        assert why in report(tmp_path, name_of(source, "levels", 1))["why"]
        assert folders(tmp_path)["rejected"] == [name_of(source, "levels", 1)]
        await connector.turn()
        assert "file number 1 is missing (it was rejected: see reports)" in connector.faults["levels"]
        assert "R-A" not in {entry.sku async for entry in client.skus()}


async def test_rows_that_the_gateway_refuses_are_named_and_the_others_count(served: Served, tmp_path: Path) -> None:
    async with connected(served, "rows", settings_of(tmp_path)) as connector, Client(served.url) as client:
        text = "sku,location,on_hand,basis\nW-A,rows,5,net\nW-B,nowhere,5,net\n"
        put(tmp_path, name_of("rows", "levels", 1), text)
        await connector.turn()
        found = report(tmp_path, name_of("rows", "levels", 1))
        assert (found["accepted"], found["rejected_count"]) == (1, 1)
        assert found["rejected"] == [{"row": 3, "why": "unknown-location"}]
        assert await sellable(client, "W-A") == 5


async def test_a_full_snapshot_sets_what_it_leaves_out_to_zero_within_a_bound(served: Served, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, shrink_percent_max=25)
    async with connected(served, "full", settings) as connector, Client(served.url) as client:
        four = [(f"F-{at}", 5) for at in range(4)]
        put(tmp_path, name_of("full", "levels", 1), levels("full", *four))
        put(tmp_path, name_of("full", "levels", 2), levels("full", *four[:1]))  # not full: nothing is left out
        await connector.turn()
        assert await sellable(client, "F-3") == 5
        put(tmp_path, name_of("full", "levels", 3), levels("full", *four[:3]), {"full": True, "locations": ["full"]})
        await connector.turn()
        assert [await sellable(client, f"F-{at}") for at in range(4)] == [5, 5, 5, 0]
        assert report(tmp_path, name_of("full", "levels", 3))["set_to_zero"] == 1
        put(tmp_path, name_of("full", "levels", 4), levels("full", *four[:2]), {"full": True, "locations": ["full"]})
        _make_old(tmp_path)
        await connector.turn()
        assert "leaves out 2 of 4 SKUs at full, more than 25 percent" in connector.faults["levels"]
        assert await sellable(client, "F-2") == 5


async def test_a_file_waits_for_its_manifest_where_one_is_required(served: Served, tmp_path: Path) -> None:
    async with connected(served, "req", settings_of(tmp_path, manifest="required")) as connector:
        put(tmp_path, name_of("req", "levels", 1), levels("req", ("Q-A", 1)))
        await connector.turn()
        assert (connector.faults, folders(tmp_path)["processed"]) == ({}, [])
        put(tmp_path, name_of("req", "levels", 1), levels("req", ("Q-A", 1)), {})
        await connector.turn()
        assert folders(tmp_path)["processed"] == [name_of("req", "levels", 1)]


async def test_a_file_that_comes_while_a_turn_looks_is_seen_at_once(served: Served, tmp_path: Path) -> None:
    """It came after the look at the folder and before the wait for news: no watch saw it come."""
    async with connected(served, "between", settings_of(tmp_path, every_ms=60_000)) as connector:
        whole_turn, turns = connector.turn, 0

        async def turn() -> None:
            nonlocal turns
            turns += 1
            if turns == 1:
                put(tmp_path, name_of("between", "levels", 1), levels("between", ("BETWEEN-A", 4)))
            else:
                await whole_turn()

        connector.turn = turn  # type: ignore[method-assign]
        running = asyncio.create_task(connector._pull_for_ever())
        try:
            async with asyncio.timeout(30), Client(served.url) as client:
                while not folders(tmp_path)["processed"]:  # noqa: ASYNC110 - a folder reports nothing
                    await asyncio.sleep(0.02)
                assert await sellable(client, "BETWEEN-A") == 4
        finally:
            await cancel_and_wait(running)


async def test_news_is_seen_where_the_watch_reports_nothing(tmp_path: Path) -> None:
    """As on network drives: here a file changes through memory, of which the system reports nothing."""
    directory = tmp_path / "drive"
    adapter = CsvFolder("drive", settings_of(directory), Store(tmp_path / "store"))
    await adapter.describe()
    with (directory / "in" / "growing.csv").open("w+b") as file:
        file.write(b"x" * 4096)
        file.flush()
        news = asyncio.create_task(adapter.news())
        await asyncio.sleep(0.1)
        with mmap.mmap(file.fileno(), 0) as content:
            content[:1] = b"y"
            content.flush()
        async with asyncio.timeout(30):
            await news


async def test_a_number_that_was_taken_is_not_taken_again(served: Served, tmp_path: Path) -> None:
    async with connected(served, "again", settings_of(tmp_path)) as connector, Client(served.url) as client:
        put(tmp_path, name_of("again", "levels", 1), levels("again", ("N-A", 1)))
        await connector.turn()
        put(tmp_path, name_of("again", "levels", 1, minute=30), levels("again", ("N-A", 99)))
        await connector.turn()
        assert await sellable(client, "N-A") == 1
        assert report(tmp_path, name_of("again", "levels", 1, minute=30))["repeated"] is True


class CrashError(Exception):
    """The process ended here."""


def crashing(connector: Connector, choose: random.Random) -> None:
    """Has it end at one of the points between which a file's state changes."""
    point = choose.choice(["before", "sent", "stored", "moved"])
    send, read, store = connector.feed.send, connector._erp.levels, connector.store

    async def broken_send(facts: Any, name: str = "") -> Taken:
        if point == "before":
            raise CrashError
        taken = await send(facts, name)
        if point == "sent":
            raise CrashError
        return taken

    async def broken_levels(since: str | None) -> AsyncIterator[Pulled]:
        async for pulled in read(since):

            async def settle(taken: Taken, pulled: Pulled = pulled) -> None:
                if point == "stored":
                    raise CrashError
                assert pulled.settle is not None
                await pulled.settle(taken)
                raise CrashError

            yield pulled._replace(settle=settle)

    assert isinstance(store, Store)
    connector.feed.send = broken_send  # type: ignore[method-assign]
    connector._erp.levels = broken_levels  # type: ignore[method-assign]


async def test_a_crash_at_any_point_neither_loses_nor_doubles_a_file(served: Served, tmp_path: Path) -> None:
    choose = random.Random(3)
    settings = settings_of(tmp_path)
    (tmp_path / "in").mkdir()
    put(tmp_path, name_of("crash", "levels", 1), levels("crash", ("C-A", 100)))
    for number in range(2, 14):
        row = f"D{number},C-A,crash,-{number},sold,2026-01-02T00:00:{number:02}Z\n"
        put(tmp_path, name_of("crash", "deltas", number), f"ref,sku,location,quantity,reason,as_of\n{row}")
    async with Client(served.url) as client:
        for _ in range(24):
            async with connected(served, "crash", settings) as connector:
                crashing(connector, choose)
                try:
                    await connector.turn()
                except CrashError:
                    continue
        async with connected(served, "crash", settings) as connector:
            await connector.turn()
        assert folders(tmp_path)["in"] == []
        assert await sellable(client, "C-A") == 100 - sum(range(2, 14))


async def test_orders_leave_as_numbered_files_and_their_acknowledgement_counts_them_once(
    served: Served, tmp_path: Path
) -> None:
    async with connected(served, "out", settings_of(tmp_path)) as connector, Client(served.url) as client:
        put(tmp_path, name_of("out", "levels", 1), levels("out", ("X-A", 10), ("X-B", 10)))
        await connector.turn()
        for name in ("x-1", "x-2", "x-3"):
            await ordered(client, name, ("X-A", 2), ("X-B", 1))
        await read_events(connector, lambda store: store.waiting() >= 3)
        await client.cancel("x-3")
        await export(connector, lambda store: store.waiting() == 0)
        await read_events(connector, lambda store: store.waiting() == 1)
        await export(connector, lambda store: store.waiting() == 0)
        files = [path.read_text().splitlines() for path in sorted((tmp_path / "out").glob("*.csv"))]
        rows = [row.split(",") for file in files for row in file[1:]]
        assert [(row[0], row[1], row[7], row[8], row[9]) for row in rows if row[1] in {"x-1", "x-3"}] == [
            ("new", "x-1", "X-A", "2", "out"),
            ("new", "x-1", "X-B", "1", "out"),
            ("new", "x-3", "X-A", "2", "out"),
            ("new", "x-3", "X-B", "1", "out"),
            ("cancel", "x-3", "", "", ""),
        ]
        assert await sellable(client, "X-A") == 6
        put(tmp_path, name_of("out", "acks", 2), "order_ref\nx-1\nx-2\n")
        put(tmp_path, name_of("out", "levels", 3), levels("out", ("X-A", 6), ("X-B", 8)))
        await connector.turn()
        assert connector.faults == {}
        assert await sellable(client, "X-A") == 6
        assert (await client.reservation("x-1")).state == "in_erp"
        assert connector.store.counts() == {"acknowledged": 2, "cancelled": 1}
        shipped = "ref,order_ref,sku,location,quantity\nS1,x-1,X-A,out,2\nS1,x-1,X-B,out,1\n"
        put(tmp_path, name_of("out", "shipments", 4), shipped)
        await connector.turn()
        assert (await client.reservation("x-1")).state == "fulfilled"
        assert await sellable(client, "X-A") == 6


async def test_the_recipes_of_the_page_do_what_they_say(served: Served, tmp_path: Path) -> None:
    """A warehouse that picks short, and a marketplace's orders."""
    page = (Path(__file__).parent.parent.parent / "docs" / "erp.md").read_text().partition("## Any system")[2]
    short, market = (part.partition("```")[0].replace("paris", "recipe") for part in page.split("```csv\n")[1:3])
    async with connected(served, "recipe", settings_of(tmp_path)) as connector, Client(served.url) as client:
        put(tmp_path, name_of("recipe", "levels", 1), levels("recipe", ("MUG-RED", 5), ("MUG-BLUE", 5)))
        await connector.turn()
        await ordered(client, "recipe-1", ("MUG-RED", 3), order_ref="1001")
        put(tmp_path, name_of("recipe", "updates", 2), short.replace("2026-11-27T10:00:00Z", "2026-01-01T00:02:00Z"))
        put(tmp_path, name_of("recipe", "demand", 3), market)
        await connector.turn()
        assert connector.faults == {}
        assert [report(tmp_path, path.name)["rejected_count"] for path in (tmp_path / "processed").glob("*")] == [0] * 3
        [line] = (await client.reservation("recipe-1")).lines
        assert (line.open, line.fulfilled) == (2, 1)
        assert await sellable(client, "MUG-BLUE") == 3


async def test_a_link_in_the_folder_shows_nobody_another_file(served: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sku,location,on_hand\nhidden,paris,not-a-number\n")
    folder = tmp_path / "folder"
    async with connected(served, "link", settings_of(folder)) as connector:
        (folder / "in" / name_of("link", "levels", 1)).symlink_to(secret)
        written = tmp_path / "written"
        for name in (name_of("link", "levels", 1), name_of("link", "levels", 2)):
            (folder / "reports" / f".{name}.json.tmp").symlink_to(written)
        for path in (folder / "in").iterdir():
            os.utime(path, (1, 1), follow_symlinks=False)
        os.utime(secret, (1, 1))
        await connector.turn()
        found = report(folder, name_of("link", "levels", 1))
        assert found["why"] == "it is a link, and only files are read"
        assert not written.exists()
        assert secret.exists()
