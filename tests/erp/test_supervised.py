"""A connection that `serve` runs, and the verbs around it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli import run
from holdfast.client import Client
from holdfast.erp.store import directory_of, opened
from tests.erp.test_csv_folder import levels, name_of, put
from tests.support.erp import Served, eventually, ordered, sellable, serving

Verb = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    base = Path(tmp_path_factory.mktemp("supervised"))
    folder = base / "folder"
    folder.mkdir()
    config = f'[erp.acme]\nkind = "csv"\ndirectory = "{folder}"\nevery_ms = 60_000\n'
    with serving(base / "d", config) as served:
        yield served, folder


@pytest.fixture
def verb(supervised: tuple[Served, Path], capfd: pytest.CaptureFixture[str]) -> Verb:
    data = supervised[0].data

    def called(name: str, *arguments: str, json_too: bool = True) -> tuple[int, Any]:
        options = ["--data", str(data), "--config", str(data / "holdfast.toml"), *["--json"] * json_too]
        status = run(["erp", name, *arguments, *options])
        out, err = capfd.readouterr()
        return status, json.loads(out) if json_too else out + err

    return called


async def test_serve_runs_it_a_file_is_seen_at_once_and_a_kill_loses_nothing(
    supervised: tuple[Served, Path],
) -> None:
    served, folder = supervised
    status = directory_of(served.data, "acme") / "status.json"
    await eventually(lambda: (folder / "in").is_dir() and status.exists(), seconds=30)
    async with Client(served.url) as client:
        began = time.monotonic()
        put(folder, name_of("acme", "levels", 1), levels("paris", ("Z-A", 50)))
        await eventually(lambda: bool(list((folder / "processed").glob("*.csv"))), seconds=20)
        assert time.monotonic() - began < 15, "it waits a minute between two looks, so it was notified"
        for at in range(3):
            await ordered(client, f"z-{at}", ("Z-A", 1))
        os.kill(json.loads(status.read_text())["pid"], signal.SIGKILL)
        for at in range(3, 6):
            await ordered(client, f"z-{at}", ("Z-A", 1))

        def exported() -> list[str]:
            rows = [row for path in sorted((folder / "out").glob("*.csv")) for row in path.read_text().splitlines()]
            return [row.split(",")[1] for row in rows if row.startswith("new,")]

        await eventually(lambda: len(exported()) >= 6, seconds=30)
        assert exported() == [f"z-{at}" for at in range(6)]
        assert await sellable(client, "Z-A") == 44


def test_the_verbs_say_how_it_goes(supervised: tuple[Served, Path], verb: Verb) -> None:
    served, _ = supervised
    status, said = verb("status", "acme")
    assert (status, said["runs"], said["process"]["product"]) == (0, True, "CSV folder")
    assert said["orders"]["exported"] == 6
    assert said["positions"]["levels"] == "1"
    assert verb("check", "acme")[1] == [
        {"part": "erp", "ok": True, "what": "the connection runs: `holdfast erp status` says how it goes"},
        {"part": "gateway", "ok": True, "what": f"{served.url} takes facts of acme"},
        {"part": "orders", "ok": True, "what": "the key may read them"},
        {"part": "events", "ok": True, "what": verb("check", "acme")[1][3]["what"]},
    ]
    assert verb("parked", "acme") == (0, [])
    with opened(directory_of(served.data, "acme"), reads=True) as store:
        store.set_state(["z-0"], "parked", why="no such customer")
    assert verb("parked", "acme") == (1, [{"key": "z-0", "order_ref": "z-0", "why": "no such customer"}])
    assert verb("status", "acme")[0] == 1
    status, text = verb("resume", "acme", "z-9", json_too=False)
    assert (status, "1 of them are not parked" in text) == (2, True)
    assert verb("resume", "acme", json_too=False)[0] == 0
    assert verb("parked", "acme") == (0, [])
    status, text = verb("skip", "acme", "7", json_too=False)
    assert (status, "7 is not the file that is waited for. That is 2." in text) == (2, True)
    assert verb("skip", "acme", "2", json_too=False)[0] == 0
    assert verb("status", "acme")[1]["positions"]["levels"] == "2"


def test_a_second_one_beside_it_does_not_run(verb: Verb) -> None:
    status, text = verb("run", "acme", json_too=False)
    assert (status, "the connection runs already" in text) == (2, True)
