"""Master data: what would go wrong later is found now, and connections use its names and units exactly."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import run
from holdfast.client import Client
from holdfast.contracts.listings import LocationEntry
from holdfast.erp.interface import Adapter, Order, OrderLine, RefusedError
from holdfast.erp.renamed import Renamed
from holdfast.master.gtin import LENGTHS, check_digit, fault_of
from holdfast.master.lint import Connections, lint
from holdfast.master.tables import Named, read_master
from tests.erp.test_csv_folder import levels, name_of, put, settings_of
from tests.support.erp import Served, connected, export, ordered, read_events, sellable, serving

GOOD = {
    "master.toml": 'version = 3\n[owners]\nstatus = "erp"\nbarcodes = "pim"\n',
    "items.erp.csv": "sku,status,units\nMUG,active,case=12\nLID,active,\nSET,active,\n",
    "items.pim.csv": "sku,barcodes,kit,tax_class\nMUG,4006381333931,,full\nSET,,MUG=1;LID=2,\n",
    "names.acme.csv": "sku,name,factor\nMUG,T-100,12\nLID,T-200,\n",
}


CONNECTIONS = Connections({"acme"}, {"shop": ["parcel-lost"]})


def written(directory: Path, **changes: str) -> Path:
    """`name__csv`: what stands in the place of a file, or is added to it after a `+`."""
    directory.mkdir(exist_ok=True)
    for name, text in GOOD.items():
        (directory / name).write_text(text)
    for name, text in changes.items():
        file = directory / name.replace("__", ".")
        file.write_text(file.read_text() + text[1:] if text.startswith("+") else text)
    return directory


def found_in(directory: Path, places: tuple[LocationEntry, ...] = ()) -> list[str]:
    return [one.what for one in lint(read_master(directory), CONNECTIONS, places)]


def test_good_tables_have_no_findings_and_each_value_its_writer(tmp_path: Path) -> None:
    master = read_master(written(tmp_path / "m"))
    assert found_in(tmp_path / "m") == []
    assert (master.version, master.items["MUG"].writers["barcodes"], master.items["MUG"].writers["status"]) == (
        3,
        "pim",
        "erp",
    )
    assert master.names["acme"] == [Named("MUG", "T-100", 12), Named("LID", "T-200", 1)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"items__pim__csv": "+LID,4006381333931,,\n"}, "LID and MUG have one barcode"),
        ({"items__pim__csv": "+LID,4006381333932,,\n"}, "the check digit of 4006381333932 is not right: it would be 1"),
        ({"items__pim__csv": "+LID,12,,\n"}, "is no GTIN"),
        ({"items__erp__csv": "sku,units\nMUG,case\nLID,\nSET,\n"}, "'case' has no factor"),
        ({"items__erp__csv": "sku,status\nMUG,active\nLID,discontinued\n"}, "its part LID is discontinued"),
        ({"items__erp__csv": "sku,status\nMUG,active\n"}, "the kit SET has a part that is no item: LID"),
        ({"items__pim__csv": "sku,kit\nSET,MUG=1\nMUG,SET=1\n"}, "contains itself"),
        ({"items__pim__csv": "sku,status,kit\nSET,active,MUG=1\n"}, "status of SET is owned by erp"),
        ({"items__pim__csv": "sku,units\nMUG,box=6\n"}, "units of MUG is given by erp already; `owners` says whose"),
        ({"items__erp__csv": "sku,aliases\nMUG,LID\nLID,\nSET,\n"}, "LID, an alias of MUG, is a SKU itself"),
        ({"items__erp__csv": "sku,colour\nMUG,red\nLID,\nSET,\n"}, "its first line names columns once each"),
        ({"names__acme__csv": "+GONE,T-9,1\n"}, "GONE is no item"),
        ({"names__acme__csv": "+LID,T-201,1\n"}, "LID has two names there"),
        ({"names__acme__csv": "+LID,T-100,1\n"}, "T-100 is named already"),
        ({"names__acme__csv": "+SET,T-3,half\n"}, "'half' is no number above 0"),
        ({"names__wms__csv": "sku,name\nMUG,M\n"}, "no connection is called wms"),
        ({"statuses__wms__csv": "of,status,means\nupdate,X,short\n"}, "no connection is called wms"),
        ({"statuses__acme__csv": "of,status,means\nupdate,X,gone\n"}, "'gone' is not cancelled, refused, short"),
        ({"statuses__acme__csv": "of,status,means\npick,X,short\n"}, "'pick' is not order, update, supply, transfer"),
        (
            {"statuses__acme__csv": "of,status,means\nupdate,X,short\nupdate,X,refused\n"},
            "update X is there already, in statuses.acme.csv:2",
        ),
        ({"statuses__acme__csv": "of,status,means\norder,X,open\n"}, "acme is an ERP"),
        ({"statuses__shop__csv": "of,status,means\nsupply,X,open\n"}, "shop is a shop, which states no supply"),
        ({"statuses__shop__csv": "of,status,means\norder,x,open\n"}, "[statuses] parcel-lost: statuses.shop.csv owns"),
        ({"returns__acme__csv": "condition,means\nB,broken\n"}, "'broken' is not sellable, damaged, quality_control"),
        ({"returns__shop__csv": "condition,means\nB,damaged\n"}, "shop is a shop, which states no condition"),
        ({"returns__acme__csv": "condition\nB\n"}, "its first line names columns once each"),
        ({"master__toml": "x = 1\n"}, "x is not `version`"),
        ({"other__csv": "a\n"}, "not a file of master data"),
    ],
)
def test_each_fault_is_found(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    assert any(said in one for one in found_in(written(tmp_path / "m", **changes))), found_in(tmp_path / "m")


def test_a_location_without_a_source_is_found(tmp_path: Path) -> None:
    rest: dict[str, Any] = {"declared": True, "type": "warehouse", "regions": [], "priority": 1}
    places = (
        LocationEntry(location="paris", enabled=True, owner="acme", **rest),
        LocationEntry(location="lyon", enabled=True, owner=None, **rest),
        LocationEntry(location="old", enabled=False, owner=None, **rest),
    )
    assert [one for one in found_in(written(tmp_path / "m"), places) if "lyon" in one or "old" in one] == [
        "no source states the levels of the location lyon: it sells nothing"
    ]


DIGITS = st.sampled_from(LENGTHS).flatmap(
    lambda length: st.text("0123456789", min_size=length - 1, max_size=length - 1)
)


@given(body=DIGITS, at=st.integers(0, 13), other=st.integers(1, 9))
def test_one_wrong_digit_of_a_barcode_is_always_found(body: str, at: int, other: int) -> None:
    whole = body + str(check_digit(body))
    assert fault_of(whole) == ""
    at %= len(whole)
    changed = whole[:at] + str((int(whole[at]) + other) % 10) + whole[at + 1 :]
    assert fault_of(changed) != ""


class Nothing(Adapter):
    pass


@given(
    factor=st.integers(1, 50),
    quantity=st.integers(1, 500),
    sku=st.sampled_from(("MUG", "LID")),
    on_hand=st.integers(-5, 99),
)
def test_units_are_exact_or_refused(factor: int, quantity: int, sku: str, on_hand: int) -> None:
    erp = Renamed(Nothing(), [Named("MUG", "T-100", factor)])  # type: ignore[arg-type]
    order = Order("k", "k", "web", "1", "", (OrderLine(sku, quantity, "paris"),))
    if sku == "MUG" and quantity % factor:
        with pytest.raises(RefusedError, match="no whole number"):
            erp.order(order)
    else:
        [line] = erp.order(order).lines
        named = ("T-100", factor) if sku == "MUG" else ("LID", 1)
        assert (line.sku, line.quantity * named[1]) == (named[0], quantity)
        shipped = {"kind": "shipment", "ref": "S", "lines": [{"sku": line.sku, "quantity": line.quantity}]}
        assert erp.fact(shipped)["lines"] == [{"sku": sku, "quantity": quantity}]
    level = {"kind": "stock.level", "sku": "T-100", "on_hand": on_hand, "allocated": 1, "unsellable": {"damaged": 2}}
    found = erp.fact(level)
    assert (found["sku"], found["on_hand"], found["allocated"]) == ("MUG", on_hand * factor, factor)
    assert found["unsellable"] == {"damaged": 2 * factor}
    assert erp.fact(level | {"unit": "case"})["on_hand"] == on_hand, "a unit that is named is holdfast's to convert"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(Path(tmp_path_factory.mktemp("master")) / "d") as found:
        yield found


async def test_a_connection_uses_the_names_in_and_out(served: Served, tmp_path: Path) -> None:
    written(served.data / "master")
    async with connected(served, "acme", settings_of(tmp_path / "f")) as connector, Client(served.url) as client:
        put(tmp_path / "f", name_of("acme", "levels", 1), levels("acme", ("T-100", 3), ("T-200", 5), ("OTHER", 1)))
        await connector.turn()
        assert connector.faults == {}
        assert [await sellable(client, sku) for sku in ("MUG", "LID", "OTHER")] == [36, 5, 1]
        await ordered(client, "m-1", ("MUG", 24), ("LID", 1))
        await ordered(client, "m-2", ("MUG", 5))
        await read_events(connector, lambda store: store.waiting() == 2, 30)
        await export(connector, lambda store: store.waiting() == 0, 30)
        [file] = (tmp_path / "f" / "out").glob("*.csv")
        rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
        assert [(row[7], row[8]) for row in rows] == [("T-100", "2"), ("T-200", "1")]
        [parked] = connector.store.of("parked")
        assert parked.why == "5 of MUG is no whole number of T-100, which is 12 of them"


async def stated(url: str, source: str, fact: dict[str, Any]) -> None:
    async with Client(url) as client:
        assert (await client.facts(source, [fact])).rejected == []


def test_items_are_applied_once_a_version_and_listed(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    def verb(*words: str) -> tuple[int, str]:
        status = run(["master", *words, "--data", str(served.data)])
        return status, "".join(capfd.readouterr())

    written(served.data / "master", names__acme__csv="sku,name\nMUG,T-100\n")
    (served.data / "master" / "names.acme.csv").unlink()
    status, said = verb("lint")
    assert (status, "location" in said) == (1, True), "lyon and paris have no source"
    status, said = verb("apply", "--json")
    assert (status, sorted(json.loads(said)["changed"])) == (0, ["LID", "MUG", "SET"])
    status, said = verb("apply", "--json")
    assert (status, json.loads(said)["changed"], json.loads(said)["same"]) == (0, {}, 3)
    written(served.data / "master", items__pim__csv="+LID,96385074,,\n")
    (served.data / "master" / "names.acme.csv").unlink()
    assert "version 3 was applied with another content" in verb("apply")[1]
    head = served.data / "master" / "master.toml"
    head.write_text(head.read_text().replace("version = 3", "version = 4"))
    status, said = verb("apply", "--json")
    assert json.loads(said)["changed"] == {"LID": {"aliases": [[], ["96385074"]]}}
    assert "something else wrote" not in verb("lint")[1]
    other = {"kind": "item", "sku": "MUG", "base_unit": "piece", "status": "discontinued"}
    asyncio.run(stated(served.url, "pim", other))
    status, said = verb("lint")
    assert "status of MUG is owned by erp, which says 'active'; something else wrote 'discontinued'" in said
    assert json.loads(verb("apply", "--json")[1])["changed"]["MUG"]["status"] == ["discontinued", "active"]
    assert "something else wrote" not in verb("lint")[1]
    status, said = verb("show", "MUG")
    assert status == 0
    assert "4006381333931" in said
    assert verb("show", "NOBODY")[0] == 2
