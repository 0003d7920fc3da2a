"""What a connection calls the states of things: one map a connection, in versions, used by what reads its orders."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.cli import run
from holdfast.client import Client
from holdfast.erp.interface import Adapter, UnusableError
from holdfast.erp.made import Place, connection_of
from holdfast.erp.renamed import Renamed
from holdfast.master.maps import MEANINGS, ORDER, Maps
from holdfast.master.tables import read_master
from holdfast.master.used import VersionError, note_used
from holdfast.settings import ErpSettings, LogSettings
from holdfast.woo.stores import Files, Role, StoreError
from tests.erp.test_csv_folder import levels, name_of, put, settings_of
from tests.support.erp import Served, connected, ordered, sellable, serving

STATUSES = "of,status,means\nupdate,FEHLT,short\nsupply,bestellt,open\ntransfer,unterwegs,shipped\n"
RETURNS = "condition,means\nB-Ware,damaged\nA-Ware,sellable\n"


def written(data: Path, version: int = 1, **files: str) -> Path:
    """`name__csv`: a file of DATA/master, beside its version."""
    directory = data / "master"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "master.toml").write_text(f"version = {version}\n" if version else "[owners]\n")
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def used(directory: Path, name: str) -> None:
    note_used(directory, name, read_master(directory, only=name))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(Path(tmp_path_factory.mktemp("maps")) / "d") as found:
        yield found


async def test_a_folder_states_its_own_statuses_and_conditions(served: Served, tmp_path: Path) -> None:
    written(served.data, statuses__acme__csv=STATUSES, returns__acme__csv=RETURNS)
    folder = tmp_path / "f"
    async with connected(served, "acme", settings_of(folder)) as connector, Client(served.url) as client:
        put(folder, name_of("acme", "levels", 1), levels("acme", ("MUG", 9)))
        await connector.turn()
        await ordered(client, "o-1", ("MUG", 4))
        update = "ref,status,reservation,sku,location,quantity\nPICK-1,{},o-1,MUG,acme,1\n"
        put(folder, name_of("acme", "updates", 2), update.format("FEHLT"))
        supply = "ref,line,sku,location,quantity,due,status\nPO-1,1,MUG,acme,7,2030-01-01,bestellt\n"
        put(folder, name_of("acme", "supply", 3), supply)
        back = "ref,sku,location,quantity,condition,as_of\nR-{0},MUG,acme,{0},{1},2026-11-27T10:00:00Z\n"
        put(folder, name_of("acme", "returns", 4), back.format(2, "B-Ware"))
        await connector.turn()
        assert connector.faults == {}
        assert (await client.reservation("o-1")).lines[0].open == 3, "a unit was not found"
        assert [one.status async for one in client.supplies()] == ["open"]
        assert await sellable(client, "MUG") == 9 - 4, "what came back damaged cannot be sold"
        put(folder, name_of("acme", "returns", 5), back.format(1, "C-Ware"))
        os.utime(folder / "in" / name_of("acme", "returns", 5), (1, 1))  # it is whole
        await connector.turn()
        assert "'C-Ware' is not one of: sellable, damaged, quality_control" in connector.faults["levels"]


def test_an_adapter_of_an_api_is_translated_likewise() -> None:
    maps = Maps({"update": {"X": "refused"}, "supply": {"X": "received"}}, {"B": "damaged"})
    erp = Renamed(Adapter(), [], maps)  # type: ignore[arg-type]
    assert erp.fact({"kind": "order.update", "status": "X", "lines": []})["status"] == "refused"
    assert erp.fact({"kind": "supply", "status": "X", "sku": "A"})["status"] == "received"
    assert erp.fact({"kind": "supply", "status": "open", "sku": "A"})["status"] == "open"
    assert erp.fact({"kind": "return", "condition": "B", "sku": "A"})["condition"] == "damaged"
    assert erp.fact({"kind": "item", "status": "X", "sku": "A"})["status"] == "X"


def test_the_meanings_of_a_shops_orders_are_those_of_a_store() -> None:
    assert MEANINGS[ORDER] == tuple(Role)


def test_a_map_owns_the_statuses_of_a_store(tmp_path: Path) -> None:
    files = Files(tmp_path, "shop")
    files.write(files.settings, 'url = "http://shop.example"\nchannel = "web"\n[statuses]\npicked = "none"\n')
    assert files.load().role("picked") is Role.NONE
    directory = written(tmp_path, statuses__shop__csv="of,status,means\norder,wc-packed,open\norder,pending,open\n")
    store = files.load()
    assert [store.role(one) for one in ("packed", "wc-packed", "pending", "completed")] == [
        *[Role.OPEN] * 3,
        Role.SHIPPED,
    ]
    assert not store.knows("picked"), "what the store's own file says does not count beside the map"
    assert files.load_own().role("picked") is Role.NONE
    files.note_used()
    written(tmp_path, statuses__shop__csv="of,status,means\norder,packed,shipped\n")
    with pytest.raises(StoreError, match="version 1 with another content"):
        files.note_used()
    written(tmp_path, 2, statuses__shop__csv="of,status,means\norder,packed,left\n")
    with pytest.raises(StoreError, match=r"statuses.shop.csv:2: means: 'left' is not none"):
        files.load()
    assert (directory / "used" / "shop.json").exists()


def test_each_change_has_a_version_and_a_line_of_the_audit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def verb(*words: str) -> tuple[int, str]:
        status = run(["master", *words, "--data", str(tmp_path)])
        return status, "".join(capfd.readouterr())

    (tmp_path / "nats").mkdir()
    directory = written(tmp_path, 3, returns__acme__csv=RETURNS, names__acme__csv="sku,name,factor\nMUG,T-1,6\n")
    used(directory, "acme")
    used(directory, "acme")
    written(tmp_path, 3, returns__acme__csv=RETURNS.replace("damaged", "quality_control"))
    with pytest.raises(VersionError, match="acme used version 3 with another content"):
        used(directory, "acme")
    written(tmp_path, 2)
    with pytest.raises(VersionError, match="higher"):
        used(directory, "acme")
    written(tmp_path, 4)
    used(directory, "acme")
    used(directory, "other")
    (directory / "returns.acme.csv").unlink()
    written(tmp_path, 5)
    used(directory, "acme")
    found = json.loads(verb("history", "--json")[1])
    assert [(one["version"], one["connection"], one["changed"]) for one in found] == [
        (
            3,
            "acme",
            {"names T-1": [None, "MUG x 6"], "returns A-Ware": [None, "sellable"], "returns B-Ware": [None, "damaged"]},
        ),
        (4, "acme", {"returns B-Ware": ["damaged", "quality_control"]}),
        (5, "acme", {"returns A-Ware": ["sellable", None], "returns B-Ware": ["quality_control", None]}),
    ]
    status, said = verb("history")
    assert (status, "B-Ware" in said, "quality_control" in said) == (0, True, True)
    written(tmp_path, 6, statuses__acme__csv=STATUSES)
    assert json.loads(verb("maps", "acme", "--json")[1])["maps"]["acme"]["statuses update FEHLT"] == "short"
    assert "FEHLT" in verb("maps")[1]
    assert verb("maps", "nobody")[0] == 2


@pytest.mark.parametrize(
    ("version", "text", "why"),
    [
        (0, RETURNS, "it states no `version`"),
        (2, RETURNS.replace("damaged", "broken"), "'broken' is not sellable"),
        (1, RETURNS.replace("damaged", "sellable"), "version 1 with another content"),
    ],
)
async def test_a_connection_does_not_begin_with_tables_that_are_wrong(
    tmp_path: Path, version: int, text: str, why: str
) -> None:
    settings = ErpSettings(kind="csv", directory=str(tmp_path), orders=False)
    place = Place(tmp_path, "http://127.0.0.1:9")
    if version == 1:
        written(tmp_path, 1, returns__acme__csv=RETURNS)
        async with connection_of("acme", settings, place, LogSettings()):
            pass
    written(tmp_path, version, returns__acme__csv=text)
    with pytest.raises(UnusableError, match=why):
        async with connection_of("acme", settings, place, LogSettings()):
            pass
