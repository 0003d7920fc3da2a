"""`holdfast rehearse`: real orders as checkouts, and every unit accounted for, whatever dies on the way."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rehearsal.books import Books
from holdfast.rehearsal.openings import Demand, spread
from holdfast.rehearsal.orders import Cart, Columns, GoodsBack, OrderFile, Reading, UnreadableError
from holdfast.rehearsal.percentiles import Latencies
from tests.support.serving import holdfast

SAMPLE = Path(__file__).parent.parent / "data" / "online-retail-3-days.csv.gz"

quantities = st.integers(1, 50)
orders = st.lists(
    st.one_of(
        st.builds(lambda sku, q: Cart("c", ((sku, q),)), st.sampled_from("ABab"), quantities),
        st.builds(lambda sku, q: GoodsBack("r", ((sku, q),)), st.sampled_from("ABab"), quantities),
    )
)


def read(file: Path, **options: object) -> tuple[list[Cart | GoodsBack], Reading]:
    reading = Reading()
    return list(OrderFile(file, **options).read(reading)), reading  # type: ignore[arg-type]


def test_every_row_of_the_sample_has_its_place() -> None:
    found, reading = read(SAMPLE)
    left_out = reading.no_goods.total() + reading.zero_quantity + reading.bad_rows
    lines = sum(len(order.lines) for order in found if isinstance(order, Cart))
    assert reading.rows == 7419
    assert lines == reading.cart_lines
    assert reading.rows - left_out - lines >= reading.return_lines > 0, "returned rows of one SKU are summed"
    assert set(reading.no_goods) >= {"POST", "DOT", "M", "BANK CHARGES"}


def test_skus_that_differ_by_letter_case_are_two(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("invoice_no,stock_code,quantity\n1,85123A,2\n1,85123a,3\n")
    (cart,), _ = read(file)
    assert cart.lines == (("85123A", 2), ("85123a", 3))


def test_columns_go_by_the_names_that_are_given_and_bad_rows_are_told(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv.gz"
    file.write_bytes(gzip.compress(b"qty,order,item\n2,1,A\nmany,1,B\n3\n-4,1,A\n-1,1,A\n0,1,C\n"))
    found, reading = read(file, columns=Columns("order", "item", "qty"))
    assert found == [Cart("1-2", (("A", 2),)), GoodsBack("1-2", (("A", 5),))]
    assert (reading.bad_rows, reading.zero_quantity) == (2, 1)
    assert reading.bad_rows_first == ["row 3: quantity 'many' is not an integer", "row 4: 1 columns only"]


def test_a_file_without_the_columns_says_which_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("a,b\n")
    with pytest.raises(UnreadableError, match=r"no column invoice_no, stock_code, quantity.*--sku-column"):
        read(file)


@given(orders, st.integers(0, 100))
def test_the_opening_stock_is_short_of_the_stated_share(orders: list[Cart | GoodsBack], percent: int) -> None:
    demand = Demand().take(orders)
    stock = demand.openings(percent)
    unmet: Counter[str] = Counter()
    for order in orders:
        for sku, quantity in order.lines:
            if isinstance(order, Cart):
                unmet[sku] += max(0, quantity - stock[sku])
                stock[sku] = max(0, stock[sku] - quantity)
            else:
                stock[sku] += quantity
    for sku, course in demand.courses.items():
        assert unmet[sku] == min(course.peak, course.asked * percent // 100)


@given(st.integers(0, 10**12), st.integers(1, 9))
def test_stock_is_spread_without_a_rest(quantity: int, places: int) -> None:
    parts = spread(quantity, places)
    assert len(parts) == places
    assert sum(parts) == quantity
    assert min(parts) >= 0


def test_the_books_notice_what_is_oversold_and_what_does_not_add_up() -> None:
    books = Books({"A": 5, "B": 5})
    books.sell([("A", 6), ("B", 2)])
    books.take_back([("B", 1)])
    assert books.oversold() == {"A": 1}
    assert [misfit.sku for misfit in books.misfits({"A": 0, "B": 4})] == ["A"]
    assert [misfit.sku for misfit in books.misfits({"A": -1, "B": None})] == ["B"]


def test_percentiles_are_durations_that_were_measured() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 101):
        latencies.add(milliseconds / 1_000)
    took = latencies.percentiles()
    assert (took.calls, took.p50_ms, took.p90_ms, took.p99_ms, took.max_ms) == (100, 50, 90, 99, 100)
    assert Latencies().percentiles().calls == 0


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--partial", "--short", "20"), ("--chaos",)])
def test_three_days_of_real_orders_leave_every_unit_accounted_for(tmp_path: Path, options: tuple[str, ...]) -> None:
    report = tmp_path / "report.json"
    done = holdfast("rehearse", str(SAMPLE), "--json", "--report", str(report), *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert json.loads(report.read_text()) == found
    assert found["ok"]
    assert found["oversold_units"] == 0
    assert found["conservation"]["conserved"] == found["conservation"]["skus"] == 1860
    assert found["kept"]["missing"] == 0
    assert found["orders"]["refused"], "the stock is short of the demand"
    assert found["orders"]["sold"] + sum(found["orders"]["refused"].values()) == found["orders"]["offered"] == 351
    assert found["rebuilt"]["equal"]
    assert len(found["killed"]) == (2 if "--chaos" in options else 0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"invoice_no,stock_code,quantity\n1,A,2\n" * 400)[:60], id="cut short"),
        pytest.param(b"invoice_no,stock_code,quantity\n1,\xff,2\n", id="not UTF-8"),
        pytest.param(b"invoice_no,stock_code,quantity\n", id="no rows"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_said_so_without_a_traceback(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes(content)
    done = holdfast("rehearse", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr
