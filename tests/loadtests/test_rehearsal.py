"""`make rehearsal` in a short form: all accounted for through a leader's end, promises judged, one file to read."""

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rehearsal.books import Books
from loadtests.accounts import Accounts, percentile, rounded_ms
from loadtests.curve import FLASH_AT, shoppers
from loadtests.promises import PromisesError, judge, read
from loadtests.rehearsal import ROOT, Choice, Played, book, longest_gap_s
from loadtests.report import as_html, verdict

SLO = ROOT / "loadtests" / "slo.toml"
PATIENT = """
[p99_ms]
reserve = 60_000
[at_most]
oversold_units = 0
not_conserved_skus = 0
missing_reservations = 0
unexpected = 0
facts_rejected = 0
gave_up = 0
"""


def rehearsal(tmp_path: Path, slo: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "slo.toml").write_text(slo)
    files = ["--slo", str(tmp_path / "slo.toml"), "--html", str(tmp_path / "report.html")]
    return subprocess.run(
        [sys.executable, "-m", "loadtests", *files, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


class Texts(HTMLParser):
    """What a reader sees, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [tag] if tag in {"script", "link", "img", "iframe"} else []
        self.loads += [str(value) for name, value in attrs if name.endswith("href") and not str(value).startswith("#")]

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.mark.timeout(300)
def test_a_flash_sale_sells_every_unit_once_through_the_end_of_the_leader(tmp_path: Path) -> None:
    options = ("--seconds", "5", "--peak", "12", "--hot-units", "5", "--think", "0.1", "--erp", "400", "--kill-leader")
    done = rehearsal(tmp_path, PATIENT, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "oversold: 0" in done.stdout
    assert "leader killed" in done.stdout
    assert "the same as the gateway's" in done.stdout
    page = Texts()
    page.feed((tmp_path / "report.html").read_text())
    assert page.loads == []
    assert "Every promise was kept." in page.text
    assert "leader killed" in page.text
    assert "insufficient-stock" in page.text, "the hot SKUs were sold out"


def test_a_promise_that_nothing_measures_is_named_before_anything_is_played(tmp_path: Path) -> None:
    done = rehearsal(tmp_path, "[at_most]\nopinions = 0\n")
    assert done.returncode == 2
    assert "opinions is not measured" in done.stderr


def played(accounts: Accounts, opening: dict[str, int]) -> Played:
    books = Books(opening)
    book(books, accounts)
    return Played("run", "http://127.0.0.1:1", Choice(), accounts, books, [], [])


def test_an_oversold_unit_and_a_slow_call_are_missed_promises() -> None:
    accounts = Accounts(
        waited={"reserve": {10: {900: 5}, 11: {20: 3}}},
        opened={"a": {"MUG": 1}, "b": {"MUG": 1}, "c": {"MUG": 5}},
        closed={"a": "confirmed", "b": "confirmed", "c": "refused"},
    )
    found = played(accounts, {"MUG": 1})
    promises = judge(read(SLO), found.accounts, found.counted)
    missed = verdict(promises, found)
    assert any(line.startswith("reserve p99, ms: 900") for line in missed)
    assert any(line.startswith("oversold units: 1") for line in missed)
    assert len(missed) == 3, "and p50"
    assert "Missed:" in as_html(found, promises)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[p42_ms]\nreserve = 1\n", "p42_ms"),
        ("[p99_ms]\nwonder = 1\n", "wonder"),
        ("[at_most]\naway_s = true\n", "True"),
    ],
)
def test_a_promise_that_cannot_be_read_says_what_there_is(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "slo.toml").write_text(text)
    with pytest.raises(PromisesError, match=says):
        judge(read(tmp_path / "slo.toml"), Accounts(), {})


def test_what_comes_from_outside_is_text_in_the_report() -> None:
    accounts = Accounts(refused={"<script>alert(1)</script>": 1})
    assert "<script" not in as_html(played(accounts, {}), [])


outcomes = st.sampled_from(["confirmed", "released", "refused", "late", "open"])
carts = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("ABC"), st.integers(1, 3), min_size=1), outcomes, st.integers(0, 2))
)


@given(carts)
def test_accounts_of_many_processes_are_those_of_one(carts: list[tuple[dict[str, int], str, int]]) -> None:
    """However the outcomes are spread over processes and reports, the sum is the same, and nothing counts twice."""
    one, total = Accounts(), Accounts()
    several = [Accounts(), Accounts(), Accounts()]
    for number, (lines, outcome, where) in enumerate(carts):
        for accounts in (one, several[where]):
            accounts.opened[str(number)] = lines
            accounts.count("refused", outcome)
        if where == 1:  # opened in one report, closed in the next
            total.add(several[where].take())
        if outcome != "open":
            for accounts in (one, several[where]):
                accounts.closed[str(number)] = outcome
    for accounts in several:
        total.add(accounts.take())
        total.add(accounts.take())
    assert total == one
    books = Books(dict.fromkeys("ABC", 10**6))
    book(books, total)
    sold: Counter[str] = Counter()
    for lines, outcome, _ in carts:
        sold.update(lines if outcome == "confirmed" else {})
    assert +books.sold == +sold
    assert len(total.open) == sum(1 for _, outcome, _ in carts if outcome == "open")


@given(st.floats(0, 3_600))
def test_rounded_durations_are_near(seconds: float) -> None:
    millis = seconds * 1_000
    assert abs(rounded_ms(seconds) - millis) <= max(1, millis * 0.06)


@given(st.dictionaries(st.integers(1, 999), st.integers(1, 5), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_a_duration_that_came(millis: dict[int, int], share: float) -> None:
    every = sorted(value for value, times in millis.items() for _ in range(times))
    found = percentile(millis, share)
    assert found in millis
    assert sum(1 for value in every if value <= found) >= share * len(every)
    assert sum(1 for value in every if value < found) < max(1, share * len(every) + 1e-9)


@given(st.sampled_from(["ramp", "flash", "soak"]), st.floats(0, 1), st.integers(1, 10_000))
def test_there_are_never_more_shoppers_than_the_peak_and_all_of_them_at_the_end(
    shape: str, at: float, peak: int
) -> None:
    assert 1 <= shoppers(shape, at, peak) <= peak
    assert shoppers(shape, 1.0, peak) == peak
    assert shoppers("flash", FLASH_AT, peak) == peak


@given(st.sets(st.integers(0, 100), min_size=1))
def test_the_longest_gap_is_counted_in_whole_seconds_without_an_answer(seconds: set[int]) -> None:
    silent = "".join("x" if second in seconds else " " for second in range(min(seconds), max(seconds) + 1))
    waited = {"reserve": {second: {1: 1} for second in seconds}}
    assert longest_gap_s(Accounts(waited=waited)) == max(map(len, re.findall(" *", silent)))
