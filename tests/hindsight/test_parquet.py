"""`holdfast export`: each fact of LOG is a row once, however often and wherever the export is stopped."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from holdfast._core import Engine
from holdfast.hindsight import parquet
from holdfast.hindsight.batches import batches, position_of
from holdfast.hindsight.parquet import Exported, ExportError, export
from holdfast.hindsight.replaying import END, Moment
from holdfast.recovery.past import NotKeptError, Past
from holdfast.settings import Settings
from tests.support.serving import holdfast
from tests.support.trade import Trade, opening_of, orders_of

ROOT = Path(__file__).parents[2]
ORDERS = ROOT / "tests" / "data" / "online-retail-3-days.csv.gz"
INVOICES = 120


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Real orders of a shop: held, given up, bought, shipped in parts, returned and counted again."""
    directory = tmp_path_factory.mktemp("traded")
    orders = list(orders_of(ORDERS))[:INVOICES]
    Trade(directory).run(orders, opening_of(orders))
    return Past(directory, "main", Settings())


@pytest.fixture
def past(traded: Past) -> Past:
    return Past(traded.data, "main", Settings())


def of_log(past: Past, after: int = 0, upto: int | None = None) -> list[tuple[int, int, datetime, str]]:
    """What a plain reading of LOG gives."""
    read = batches(past.messages(0), position_of(Engine("main", None, past.keys)), "main", past.keys)
    return [
        (batch.sequence, index, datetime.fromtimestamp(batch.now_ms / 1000, UTC), bytes(raw).decode())
        for batch in read
        if after < batch.sequence and (upto is None or batch.sequence <= upto)
        for index, (_, raw) in enumerate(batch.facts)
    ]


def table_of(folder: Path) -> pa.Table:
    found = ds.dataset(folder, partitioning="hive").to_table()
    return found.sort_by([("sequence", "ascending"), ("index", "ascending")])


def rows_of(folder: Path) -> list[tuple[int, int, datetime, str]]:
    found = table_of(folder).select(["sequence", "index", "at", "fact"]).to_pylist()
    return [(row["sequence"], row["index"], row["at"], row["fact"]) for row in found]


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def silent(_: int) -> None:
    """No progress."""


def test_each_fact_is_a_row_once_and_the_columns_are_what_it_says(past: Past, tmp_path: Path) -> None:
    found = export(past, tmp_path / "out", END, END, silent)
    assert rows_of(tmp_path / "out") == of_log(past)
    assert (found.began, found.upto, found.missing) == (1, past.last, 0)
    assert found.rows == len(of_log(past))
    for row in table_of(tmp_path / "out").to_pylist():
        fact: dict[str, Any] = json.loads(row["fact"])
        assert row["kind"] == fact["kind"]
        assert row["day"] == row["at"].date().isoformat()
        assert row["scope"] == "main"
        for name in ("sku", "location", "channel", "order_ref", "source", "quantity", "on_hand"):
            assert row[name] == fact.get(name), fact
        if fact["kind"].startswith("reservation."):
            assert row["reservation"] == fact["id"]
        named = [fact.get("sku"), *(line["sku"] for line in fact.get("lines", ()))]
        assert Counter(row["skus"]) == Counter({sku for sku in named if sku}), fact
    assert all(name.startswith("scope=main/day=2010-1") for name in files_of(tmp_path / "out"))


@pytest.mark.parametrize("pieces", [(1,), (7, 8, 9), (40, 41, 100), (5, 5, 5)])
def test_an_export_goes_on_where_the_folder_ends(past: Past, tmp_path: Path, pieces: tuple[int, ...]) -> None:
    out = tmp_path / "out"
    for upto in pieces:
        assert export(past, out, END, Moment(sequence=upto), silent).upto == upto
    export(past, out, END, END, silent)
    assert rows_of(out) == of_log(past)
    before = files_of(out)
    again = export(past, out, END, END, silent)
    assert (again.rows, again.files, again.upto, files_of(out)) == (0, [], past.last, before)


def test_small_groups_and_files_have_the_same_rows(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_IN_GROUP", 7)
    monkeypatch.setattr(parquet, "ROWS_IN_FILE_MAX", 50)
    found = export(past, tmp_path / "out", END, END, silent)
    assert rows_of(tmp_path / "out") == of_log(past)
    assert len(found.files) > found.rows // 200 > 1


def test_what_is_stopped_in_the_middle_leaves_whole_files_and_is_gone_on_with(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_IN_GROUP", 7)
    monkeypatch.setattr(parquet, "ROWS_IN_FILE_MAX", 100)
    out = tmp_path / "out"
    times = 0
    for stop in (30, 60, 90, 10_000):

        def interrupt(sequence: int, stop: int = stop) -> None:
            if sequence == stop:
                raise KeyboardInterrupt

        if stop < past.last:
            times += 1
            with pytest.raises(KeyboardInterrupt):
                export(past, out, END, END, interrupt)
            assert not any(name.endswith(".partial") for name in files_of(out))
            if files_of(out):
                assert rows_of(out) == of_log(past, 0, parquet.last_of(out / "scope=main"))
        else:
            export(past, out, END, END, interrupt)
    assert times > 1
    assert rows_of(out) == of_log(past)


def test_what_a_killed_export_left_behind_is_taken_away(past: Past, tmp_path: Path) -> None:
    place = tmp_path / "out" / "scope=main"
    place.mkdir(parents=True)
    (place / "facts.partial").write_bytes(b"PAR1 half a file")
    export(past, tmp_path / "out", END, END, silent)
    assert rows_of(tmp_path / "out") == of_log(past)
    assert not (place / "facts.partial").exists()


def test_two_at_once_are_refused(past: Past, tmp_path: Path) -> None:
    refused: list[str] = []

    def beside(_: int) -> None:
        if not refused:
            with pytest.raises(ExportError) as fault:
                export(past, tmp_path / "out", END, END, silent)
            refused.append(str(fault.value))

    export(past, tmp_path / "out", END, END, beside)
    assert "another export writes to" in refused[0]
    assert rows_of(tmp_path / "out") == of_log(past)


def test_a_beginning_is_taken_once(past: Past, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(past, out, Moment(sequence=50), Moment(sequence=60), silent)
    assert rows_of(out) == of_log(past, 49, 60)
    with pytest.raises(ExportError, match="up to message 60"):
        export(past, out, Moment(sequence=50), END, silent)
    export(past, out, END, END, silent)
    assert rows_of(out) == of_log(past, 49)


def test_an_end_that_is_not_kept_is_said(past: Past, tmp_path: Path) -> None:
    with pytest.raises(NotKeptError):
        export(past, tmp_path / "out", END, Moment(sequence=past.last + 1), silent)


def test_messages_that_are_kept_no_longer_are_counted(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(past, tmp_path / "out", END, Moment(sequence=20), silent)
    real = Past.messages

    def forgetful(self: Past, after: int) -> Iterator[tuple[int, bytes]]:
        return ((sequence, message) for sequence, message in real(self, after) if sequence > 30)

    monkeypatch.setattr(Past, "first", property(lambda _: 31))
    monkeypatch.setattr(parquet, "start", lambda past, _: _core_at(past, 30, real))
    monkeypatch.setattr(Past, "messages", forgetful)
    found: Exported = export(past, tmp_path / "out", END, END, silent)
    assert (found.began, found.missing) == (31, 10)


def _core_at(past: Past, upto: int, messages: Any) -> Engine:
    core = Engine("main", None, past.keys)
    for sequence, message in messages(past, 0):
        if sequence <= upto:
            core.apply(sequence, message)
    return core


def test_the_command_says_what_it_wrote(traded: Past, tmp_path: Path) -> None:
    line = ("export", "--data", str(traded.data), "--into", str(tmp_path / "out"))
    found = json.loads(holdfast(*line, "--json", "--upto", "100").stdout)
    assert (found["from"], found["upto"], found["missing"]) == (1, 100, 0)
    assert all(Path(path).is_file() for path in found["files"])
    shown = holdfast(*line).stdout
    assert "facts in" in shown
    assert f"up to message {traded.last}" in shown
    assert "Nothing is new" in holdfast(*line).stdout
    assert rows_of(tmp_path / "out") == of_log(traded)


def test_the_question_of_the_page_is_answered(traded: Past, tmp_path: Path) -> None:
    export(Past(traded.data, "main", Settings()), tmp_path, END, END, silent)
    page = (ROOT / "docs" / "warehouse.md").read_text()
    question = page.partition("```sql\n")[2].partition("```")[0].replace("/srv/warehouse/holdfast", str(tmp_path))
    answer = duckdb.sql(question)
    assert answer is not None
    found = {(str(day), sku): units for day, sku, units in answer.fetchall()}
    counted: Counter[tuple[str, str]] = Counter()
    for _, _, at, text in of_log(traded):
        fact = json.loads(text)
        if fact["kind"] == "reservation.held":
            for line in fact["lines"]:
                counted[at.date().isoformat(), line["sku"]] += line["quantity"]
    assert found == counted
