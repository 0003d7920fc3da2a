"""Business figures from LOG, against a plain recount in SQL: real orders, random ones, wherever counting stopped."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.hindsight.business import reading
from holdfast.hindsight.business.figures import Range, RangeError, range_of, report
from holdfast.hindsight.business.lives import bucket_of, middle_of
from holdfast.hindsight.business.reading import Counting, OtherLogError
from holdfast.hindsight.business.store import DAY_MINUTES, MINUTE_MS, Place, Store, Stretch
from holdfast.recovery.past import Past
from holdfast.settings import Settings
from tests.support.recount import Recount, figures_of
from tests.support.trade import DAY_MS, Order, Trade, opening_of, orders_of

SAMPLE = Path(__file__).parents[1] / "data" / "online-retail-3-days.csv.gz"
MONDAY_MS = 1_790_000_040_000


def counted(directory: Path, asked: list[list[dict[str, Any]]], *, step: int = 0) -> Counting:
    """Everything; `step`: so many stretches at once, and then opened again, as by another process."""
    refusals = [(n, found, 0) for n, found in enumerate(asked, 1)]
    past = Past(directory, "main", Settings())
    counting = Counting(directory, "main")
    for n in itertools.count(1):
        if counting.count(past, refusals, 0.0 if step else None):
            break
        if n % step == 0:
            counting.close()
            counting = Counting(directory, "main")
    return counting


def same(counting: Counting, recount: Recount, begin: int, end: int) -> dict[str, Any]:
    """The figures of whole minutes are the recount's, to the unit."""
    found: dict[str, Any] = report(counting.store, "main", Range(begin, end))
    flat = found | {"refused": sum(one["carts"] for one in found["refused"])}
    assert figures_of(flat) == recount.figures(begin * MINUTE_MS, end * MINUTE_MS)
    for name, all_ms in recount.durations(begin * MINUTE_MS, end * MINUTE_MS).items():
        (one,) = (one for one in found["times"] if one["name"] == name)
        assert one["count"] == len(all_ms)
        for share in (0.5, 0.9, 0.99) if all_ms else ():
            exact = all_ms[math.ceil(share * len(all_ms)) - 1]
            assert math.isclose(one[f"p{round(share * 100)}_ms"], exact, rel_tol=0.0051, abs_tol=1)
    return found


def minutes_of(trade: Trade) -> tuple[int, int]:
    return trade.began_ms // MINUTE_MS, trade.now_ms // MINUTE_MS + 1


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Trade:
    trade = Trade(tmp_path_factory.mktemp("trade"))
    orders = list(orders_of(SAMPLE))
    trade.run(orders, opening_of(orders))
    return trade


def test_three_days_of_real_orders_are_those_of_a_recount_in_sql_over_any_range(traded: Trade) -> None:
    counting = counted(traded.directory, traded.asked)
    recount = Recount(Past(traded.directory, "main", Settings()).messages(0), traded.asked)
    begin, end = minutes_of(traded)
    whole = same(counting, recount, begin, end)
    assert whole["orders"]["all"] > 200
    assert whole["orders"]["cancelled"] > 0 < whole["carts"]["expired"]
    assert whole["units_lost"] > whole["units_would_have_oversold"] > 0
    assert whole["accuracy"]["levels"] > whole["accuracy"]["exact"] > 0
    parts = [same(counting, recount, at, min(end, at + 700)) for at in range(begin, end, 700)]
    for name in whole["units"]:
        assert sum(part["units"][name] for part in parts) == whole["units"][name]
    counting.close()


lines = st.dictionaries(st.sampled_from("AB"), st.integers(1, 4), min_size=1)
moments = st.lists(st.tuples(st.integers(0, 40 * MINUTE_MS), lines, st.booleans()), min_size=1, max_size=12)


def orders(moments: Iterable[tuple[int, dict[str, int], bool]]) -> list[Order]:
    at_ms, found = MONDAY_MS, []
    for n, (after_ms, units, is_return) in enumerate(moments):
        at_ms += after_ms
        found.append((at_ms, f"o{n}", {} if is_return else units, units if is_return else {}))
    return found


@given(moments, st.integers(0, 1_000), st.integers(0, 8), st.integers(1, 3))
def test_random_trade_is_that_of_a_recount_wherever_the_count_was_interrupted(
    given_: list[tuple[int, dict[str, int], bool]], seed: int, stock: int, step: int
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK", 3)
        trade = Trade(Path(name), seed)
        trade.run(orders(given_), {"A": stock, "B": 2 * stock})
        counting = counted(Path(name), trade.asked, step=step)
        recount = Recount(Past(Path(name), "main", Settings()).messages(0), trade.asked)
        begin, end = minutes_of(trade)
        same(counting, recount, begin, end)
        same(counting, recount, begin + DAY_MINUTES, begin + DAY_MINUTES + 25)
        counting.close()


@given(st.integers(1, 10**10))
def test_a_duration_is_kept_right_to_half_a_percent(ms: int) -> None:
    assert math.isclose(middle_of(bucket_of(ms)), ms, rel_tol=0.0051)


def test_older_figures_are_by_day_and_sums_over_days_stay_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path / "figures.sqlite")
    first = MONDAY_MS // DAY_MS * DAY_MS
    total = 0
    for day in range(100):
        out = Stretch()
        for n in range(5):
            out.add(first + day * DAY_MS + n * 61_000, "orders", "web", n=n)
            total += n
        store.begin()
        store.commit(out, Place(day + 1, "", first + day * DAY_MS, first, 0, store.place().days))
    found: dict[str, Any] = report(store, "main", range_of(store, first, first + 100 * DAY_MS))
    assert found["orders"]["all"] == total
    for day in (0, 37, 99):
        at = first + day * DAY_MS
        assert report(store, "main", range_of(store, at, at + DAY_MS))["orders"]["all"] == 10  # type: ignore[index]
    (rows,) = store.db.execute("SELECT count(*) FROM counts").fetchone()
    assert rows < 100 + 62 * 5
    with pytest.raises(RangeError, match="by day"):
        range_of(store, first + MINUTE_MS, first + 100 * DAY_MS)
    with pytest.raises(RangeError, match="whole minute"):
        range_of(store, first, first + 100 * DAY_MS + 1)
    store.close()


def test_figures_of_another_log_are_not_counted_on(traded: Trade, tmp_path: Path) -> None:
    counted(traded.directory, traded.asked).close()
    other = Trade(tmp_path, seed=9)
    other.run(orders([(0, {"A": 1}, False), (5, {"A": 1}, False)]), {"A": 5})
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "main.sqlite").write_bytes((traded.directory / "figures" / "main.sqlite").read_bytes())
    counting = Counting(tmp_path, "main")
    with pytest.raises(OtherLogError, match="another log"):
        counting.count(Past(tmp_path, "main", Settings()), [])
    counting.close()
