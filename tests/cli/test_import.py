"""`holdfast import`: the whole file or nothing of it, and a person can find each bad cell."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.csv_kinds import KINDS, LEVELS
from holdfast.adapters.csv_table import BadCell, read_table, template
from holdfast.cli import run
from holdfast.rehearsal.own_gateway import OwnGateway
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
    assert "not an integer" in table.bad[0].why
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


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    table = read_table("sku,location,on_hand\n" + text, LEVELS, NOW)
    assert len(table.facts) == len(table.rows)


def test_a_file_with_one_bad_row_leaves_nothing_behind(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "sku,location,on_hand\nHALF,paris,5\nOTHER,paris,x\n")
    assert run(["import", file, "--gateway", gateway.url]) == 1
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
    assert run(["import", levels, "--gateway", gateway.url]) == 0
    capsys.readouterr()
    assert run(["explain", "MUG", "--channel", "web", "--json", "--gateway", gateway.url]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sellable"] == 13 == sum(term["quantity"] for term in found["terms"])


def test_what_the_gateway_would_reject_stops_the_whole_file(
    gateway: OwnGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = written(tmp_path, "location\nknown\n")
    assert run(["import", places, "--kind", "locations", "--gateway", gateway.url]) == 0
    capsys.readouterr()
    levels = written(tmp_path, "sku,location,on_hand\nGOOD,known,10\nBAD,unheard-of,4\n")
    assert run(["import", levels, "--json", "--gateway", gateway.url]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(cell["row"], cell["why"]) for cell in found["bad"]] == [(3, "unknown-location")]
    assert found["taken"] == 0
    assert run(["explain", "GOOD", "--channel", "web", "--gateway", gateway.url]) == 2
