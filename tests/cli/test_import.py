"""`holdfast import`: the whole file or nothing of it, and a person can find each bad cell."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.csv_kinds import ALLOCATIONS, CHANNELS, ITEMS, KINDS, LEVELS, SAFETY, Kind
from holdfast.adapters.csv_table import BadCell, read_table, template
from holdfast.cli import run
from holdfast.gateway.keyring import KeyStore, Operation
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.served import serving
from tests.support.serving import running_gateway

NOW = "2026-11-23T15:00:00Z"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def written(directory: Path, text: str) -> str:
    file = directory / "file.csv"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_template_is_a_good_file(kind: str) -> None:
    table = read_table(template(KINDS[kind]), KINDS[kind], NOW)
    assert table.bad == []
    assert len(table.facts) == len(KINDS[kind].example)


def test_each_bad_cell_is_named_by_row_and_column() -> None:
    text = (
        "sku,location,on_hand,basis\n"
        "A,paris,x,net\n"
        "B,,3,gros\n"
        "C,paris,3\n"
        "D,paris,1000000000001,net\n"
        "E,paris,1,net\n"
        "E,paris,2,net\n"
    )
    table = read_table(text, LEVELS, NOW)
    assert [(cell.row, cell.column) for cell in table.bad] == [
        (2, "on_hand"),
        (3, "basis"),
        (3, "location"),
        (4, ""),
        (5, "on_hand"),
        (7, "sku"),
    ]
    assert "not a whole number" in table.bad[0].why
    assert table.bad[-1].why == "the same sku and location as row 6"


def test_a_header_of_another_kind_is_refused_before_any_row() -> None:
    table = read_table("location,type\nparis,store\n", LEVELS, NOW)
    assert table.facts == []
    assert BadCell(1, "sku", "this column is missing") in table.bad
    assert [cell for cell in table.bad if cell.column == "type" and "known are: sku" in cell.why]


def test_semicolons_and_a_byte_order_mark_are_what_spreadsheets_write() -> None:
    table = read_table("sku;location;on_hand\nA;paris;5\n", LEVELS, NOW)
    assert [fact["on_hand"] for fact in table.facts] == [5]


def test_a_level_that_does_not_say_is_gross_and_now() -> None:
    (fact,) = read_table("sku,location,on_hand\nA,paris,5\n", LEVELS, NOW).facts
    assert (fact["basis"], fact["as_of"]) == ("gross", NOW)


def bad(text: str, kind: Kind) -> list[tuple[int, str]]:
    return [(cell.row, cell.column) for cell in read_table(text, kind, NOW).bad]


RULE_CELLS = st.sampled_from(["", " ", "*", "A", "paris"])
FIGURES = st.sampled_from(["", "  ", "8", "0", "end", "END", "2.5", "x"])


@given(st.lists(st.tuples(RULE_CELLS, RULE_CELLS, FIGURES, FIGURES), min_size=1, max_size=6))
def test_an_empty_cell_never_makes_a_rule_for_all_nor_ends_one(rows: list[tuple[str, str, str, str]]) -> None:
    text = "sku,location,absolute,percent\n" + "".join(",".join(row) + "\n" for row in rows)
    table = read_table(text, SAFETY, NOW)
    for fact, row in zip(table.facts, table.rows, strict=True):
        sku, location, *figures = (cell.strip() for cell in rows[row - 2])
        assert ("sku" in fact, "location" in fact) == (sku != "*", location != "*")
        assert sku
        assert location
        ends = "absolute" not in fact and "percent" not in fact
        assert ends == ("end" in {figure.lower() for figure in figures})
    wrong = {cell.row for cell in table.bad}
    for number, (sku, location, absolute, percent) in enumerate(rows, start=2):
        blank = not (sku.strip() and location.strip()) or not (absolute.strip() or percent.strip())
        if blank and any((sku, location, absolute, percent)):
            assert number in wrong


def test_a_rule_file_may_leave_a_naming_column_out_but_no_cell_of_it_empty() -> None:
    assert bad("sku,absolute\nA,5\n,8\n", SAFETY) == [(3, "sku")]
    assert read_table("sku,absolute\nA,5\n*,8\n", SAFETY, NOW).facts[1] == {"kind": "safety", "absolute": 8}
    assert bad("absolute\n8\n", SAFETY) == [(1, "sku")]
    assert bad("sku\nA\n", SAFETY) == [(1, "absolute")]
    assert bad("sku,absolute,percent\nA,,\nB,end,5\nC,5,\n", SAFETY) == [(2, "absolute"), (3, "absolute")]


def test_an_allocation_ends_by_the_word_and_is_for_one_sku_on_one_channel() -> None:
    table = read_table("channel,sku,quantity\nweb,A,20\nweb,B,end\n", ALLOCATIONS, NOW)
    assert [fact["quantity"] for fact in table.facts] == [20, 0]
    assert bad("channel,sku,quantity\nweb,*,20\n,B,5\nweb,C,\n", ALLOCATIONS) == [
        (2, "sku"),
        (3, "channel"),
        (4, "quantity"),
    ]


NAMES = st.sampled_from("ABCDE")


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=3)), min_size=1, max_size=5))
def test_a_name_is_one_rows_alone_and_both_rows_are_named(rows: list[tuple[str, list[str]]]) -> None:
    text = "sku,aliases\n" + "".join(f"{sku},{';'.join(aliases)}\n" for sku, aliases in rows)
    table = read_table(text, ITEMS, NOW)
    names = [name for sku, aliases in rows for name in {sku, *aliases}]
    assert bool(table.bad) == (len(set(names)) < len(names))
    for cell in table.bad:
        first = int(cell.why.rpartition("row ")[2])
        mine, others = ({sku, *aliases} for sku, aliases in (rows[cell.row - 2], rows[first - 2]))
        assert mine & others


def test_an_alias_of_two_skus_is_refused_with_both_rows() -> None:
    (cell,) = read_table("sku,aliases\nA,590001\nB,590001\nC,\n", ITEMS, NOW).bad
    assert cell == (3, "aliases", "'590001' is an alias of row 2")
    (cell,) = read_table("sku,aliases\nA,B\nB,\n", ITEMS, NOW).bad
    assert cell == (2, "aliases", "'B' is the SKU of row 3")


@given(
    delimiter=st.sampled_from(",;\t"),
    spelled=st.sampled_from([str, str.upper, str.title, lambda name: name.replace("_", " ").title()]),
    order=st.permutations(["sku", "location", "on_hand", "quality_control"]),
    decimals=st.sampled_from(["", ".", ".0", ".000"]),
)
def test_spreadsheets_and_databases_write_one_file_in_many_ways(
    delimiter: str, spelled: Callable[[str], str], order: list[str], decimals: str
) -> None:
    cells = {"sku": "A", "location": "paris", "on_hand": f"12{decimals}", "quality_control": f"1{decimals}"}
    lines = [[spelled(name) for name in order], [cells[name] for name in order]]
    table = read_table("".join(delimiter.join(line) + "\r\n" for line in lines), LEVELS, NOW)
    assert table.bad == []
    (fact,) = table.facts
    assert (fact["on_hand"], fact["unsellable"], fact["sku"]) == (12, {"quality_control": 1}, "A")


@pytest.mark.parametrize("figure", ["12.5", "1_000", "1,000", "1e3", "nan", "--1", "\u0661", "9" * 30, "0x10"])
def test_what_is_no_whole_number_is_not_taken_for_one(figure: str) -> None:
    assert bad(f"sku;location;on_hand\nA;paris;{figure}\n", LEVELS) == [(2, "on_hand")]


def test_a_wrong_choice_names_the_choices() -> None:
    (cell,) = read_table("sku,location,on_hand,basis\nA,paris,1,gros\n", LEVELS, NOW).bad
    assert cell.why == "'gros' is not one of: gross, net"
    (cell,) = read_table("channel,locations,sourcing\nweb,*,near\n", CHANNELS, NOW).bad
    assert cell.why == "'near' is not one of: priority, region, fewest_splits"


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    table = read_table("sku,location,on_hand\n" + text, LEVELS, NOW)
    assert len(table.facts) == len(table.rows)


def test_a_file_with_one_bad_row_leaves_nothing_behind(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "sku,location,on_hand\nHALF,paris,5\nOTHER,paris,x\n")
    assert run(["import", file, "--source", "csv", "--gateway", gateway.url]) == 1
    said = capsys.readouterr()
    assert "on_hand" in said.out
    assert "nothing was imported" in said.err
    assert run(["explain", "HALF", "--channel", "web", "--gateway", gateway.url]) == 2


def test_locations_then_levels_then_the_figure_is_there(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = written(tmp_path, "location,type\nlyon,warehouse\nnice,store\n")
    assert run(["import", places, "--kind", "locations", "--gateway", gateway.url]) == 0
    levels = written(tmp_path, "sku,location,on_hand,damaged,basis\nMUG,lyon,10,1,net\nMUG,nice,4,,net\n")
    assert run(["import", levels, "--source", "csv", "--gateway", gateway.url]) == 0
    capsys.readouterr()
    assert run(["explain", "MUG", "--channel", "web", "--json", "--gateway", gateway.url]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sellable"] == 13 == sum(term["quantity"] for term in found["terms"])


def imported(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["import", *line, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_new_skus_are_listed_and_need_a_word_once_there_are_items(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--gateway", gateway.url]
    items = written(tmp_path, "sku,aliases\n00017,\n4006381333931,EAN-1;EAN-2\n")
    assert run(["import", items, "--kind", "items", "--new-skus", *at]) == 0
    places = written(tmp_path, "location\nnantes\n")
    assert run(["import", places, "--kind", "locations", *at]) == 0
    levels = written(tmp_path, "sku,location,on_hand\n17,nantes,5\n4.00638E+12,nantes,7\nEAN-1,nantes,1\n")
    new = [{"sku": "17", "row": 2, "like": "00017"}, {"sku": "4.00638E+12", "row": 3}]
    for more in ([], ["--check"]):
        status, found = imported(capsys, levels, "--source", "csv", *more, *at)
        assert (status, found["taken"], found["bad"], found["new_skus"]) == (1, 0, [], new)
    assert run(["import", levels, "--source", "csv", *at]) == 1
    said = capsys.readouterr()
    assert "rewritten" in said.out
    assert "differs from '00017' only in" in said.out
    assert "2 SKUs are new; nothing was imported. If that is right, give --new-skus." in said.err
    assert run(["explain", "17", "--channel", "web", *at]) == 2
    status, found = imported(capsys, levels, "--source", "csv", "--new-skus", *at)
    assert (status, found["taken"], found["new_skus"]) == (0, 3, new)
    kits = written(tmp_path, "sku,kit\nSET,00017=1;0017=2\n")
    status, found = imported(capsys, kits, "--kind", "items", *at)
    assert (status, [one["sku"] for one in found["new_skus"]]) == (1, ["SET", "0017"]), "components too"
    righted = written(tmp_path, "sku,aliases\n00017,17\n4006381333931,EAN-1;EAN-2;4.00638E+12\n")
    status, found = imported(capsys, righted, "--kind", "items", *at)
    assert (status, found["taken"], found["bad"]) == (0, 2, [])
    capsys.readouterr()
    for name, on_hand in (("17", 0), ("4.00638E+12", 1)):
        assert run(["explain", name, "--channel", "web", "--json", *at]) == 0
        assert json.loads(capsys.readouterr().out)["sellable"] == on_hand, "the name means the true SKU"
    assert run(["get", "anomalies", "--kind", "levels-dropped", "--json", *at]) == 0
    dropped = json.loads(capsys.readouterr().out)["items"]
    assert [(one["sku"], one["location"], one["ref"]) for one in dropped] == [
        ("00017", "nantes", "17"),
        ("4006381333931", "nantes", "4.00638E+12"),
    ]


def test_one_sku_under_two_of_its_names_is_refused_with_both_rows(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--gateway", gateway.url]
    items = written(tmp_path, "sku,aliases\nTWO,TWO-A;TWO-B\n")
    assert run(["import", items, "--kind", "items", "--new-skus", *at]) == 0
    places = written(tmp_path, "location\nlille\nbrest\n")
    assert run(["import", places, "--kind", "locations", *at]) == 0
    levels = written(tmp_path, "sku,location,on_hand\nTWO-A,lille,3\nTWO-B,brest,4\nTWO-B,lille,4\n")
    status, found = imported(capsys, levels, "--source", "csv", *at)
    assert (status, found["taken"], found["new_skus"]) == (1, 0, [])
    [cell] = found["bad"]
    assert cell["row"] == 4
    assert cell["why"].startswith("same-identity: row 2 counts TWO at lille as TWO-A, which is the same SKU")


def test_two_items_of_one_alias_are_refused_and_nothing_of_the_file_is_taken(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--gateway", gateway.url]
    one = written(tmp_path, "sku,aliases\nALL-A,590001\nALL-B,590001\nALL-C,\n")
    status, found = imported(capsys, one, "--kind", "items", "--new-skus", *at)
    assert (status, found["taken"]) == (1, 0)
    assert [cell["row"] for cell in found["bad"]] == [3]
    assert "row 2" in found["bad"][0]["why"]
    assert run(["explain", "ALL-A", "--channel", "web", *at]) == 2


def test_a_file_of_rows_that_fit_no_batch_is_taken_in_parts(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--gateway", gateway.url]
    places = written(tmp_path, "location\nrennes\n")
    assert run(["import", places, "--kind", "locations", *at]) == 0
    rows = "".join(f"{'L' * 100}-{n},rennes,1\n" for n in range(1_500))
    levels = written(tmp_path, "sku,location,on_hand\n" + rows)
    status, found = imported(capsys, levels, "--source", "csv", "--new-skus", *at)
    assert (status, found["taken"], found["new_skus_count"], len(found["new_skus"])) == (0, 1_500, 1_500, 100)


def test_a_check_asks_the_gateway_and_takes_nothing(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = written(tmp_path, "sku,location,on_hand\nCHECKED,nowhere-yet,5\n")
    line = [levels, "--source", "csv", "--check"]
    status, found = imported(capsys, *line, "--gateway", gateway.url)
    assert (status, found["asked"], [cell["why"] for cell in found["bad"]]) == (1, True, ["unknown-location"])
    assert run(["explain", "CHECKED", "--channel", "web", "--gateway", gateway.url]) == 2
    monkeypatch.setattr("holdfast.cli.connection.DEFAULT_URL", "http://127.0.0.1:9")
    status, found = imported(capsys, *line)
    assert (status, found["asked"], found["bad"]) == (0, False, []), "no gateway is named, and none is there"
    assert run(["import", *line]) == 0
    assert "Only the file was checked" in capsys.readouterr().err
    assert run(["import", *line, "--gateway", "http://127.0.0.1:9"]) == 2


def test_stock_needs_a_source_and_rules_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        file = written(tmp_path, template(KINDS[kind]))
        assert run(["import", file, "--kind", kind, "--gateway", "http://127.0.0.1:9"]) == 2
        assert ("needs --source" in capsys.readouterr().err) == (kind in {"levels", "supply"})


def test_an_erps_key_and_declared_channels_are_no_way_round_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path, auth="on") as served:
        _, admin = KeyStore(tmp_path / "store").add("admin", list(Operation))
        _, erp = KeyStore(tmp_path / "store").add("erp", [Operation.FACTS])
        at = ["--gateway", f"http://127.0.0.1:{served.port}"]
        places = written(tmp_path, "location\nparis\n")
        assert run(["import", places, "--kind", "locations", "--key", admin, *at]) == 0
        channels = written(tmp_path, "channel,locations\nweb,*\n")
        assert run(["import", channels, "--kind", "channels", "--key", admin, *at]) == 0
        levels = written(tmp_path, "sku,location,on_hand\nMUG,paris,5\n")
        line = [levels, "--source", "erp", *at]
        status, found = imported(capsys, *line, "--key", erp)
        assert (status, found["new_skus"]) == (1, [{"sku": "MUG", "row": 2}]), "it cannot ask whether there are any"
        assert imported(capsys, *line, "--key", admin)[0] == 0, "the first ones need no word"
        items = written(tmp_path, "sku,aliases\nCUP,EAN-1\n")
        assert run(["import", items, "--kind", "items", "--new-skus", "--key", admin, *at]) == 0
        levels = written(tmp_path, "sku,location,on_hand\nMUG,paris,6\nEAN-1,paris,7\nMUGG,paris,8\n")
        for key in (erp, admin):
            status, found = imported(capsys, *line, "--key", key)
            assert (status, found["bad"], found["new_skus"]) == (1, [], [{"sku": "MUGG", "row": 4}])
        assert imported(capsys, *line, "--key", erp, "--new-skus")[0] == 0
        assert run(["import", *line]) == 2
        assert "holdfast keys" in capsys.readouterr().err


def test_what_the_gateway_would_reject_stops_the_whole_file(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = written(tmp_path, "location\nknown\n")
    assert run(["import", places, "--kind", "locations", "--gateway", gateway.url]) == 0
    capsys.readouterr()
    levels = written(tmp_path, "sku,location,on_hand\nGOOD,known,10\nBAD,unheard-of,4\n")
    assert run(["import", levels, "--source", "csv", "--json", "--gateway", gateway.url]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(cell["row"], cell["why"]) for cell in found["bad"]] == [(3, "unknown-location")]
    assert found["taken"] == 0
    assert run(["explain", "GOOD", "--channel", "web", "--gateway", gateway.url]) == 2
