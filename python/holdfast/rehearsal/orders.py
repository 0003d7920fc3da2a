"""The file of orders: rows of a CSV file in, carts and returns out, one at a time and in the file's order.

Always: an invoice of more lines than a cart may have becomes several; the file is read as a stream, and nothing of it
is kept except the current invoice; rows of one invoice that stand together are one cart; SKUs that differ only by
letter case are two; every row is a line of a cart, part of a return, or counted with the reason why not.
"""

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from holdfast.contracts.fields import ID_LENGTH_MAX, LINES_MAX, QUANTITY_MAX

NO_GOODS = (
    "POST",
    "DOT",
    "M",
    "m",
    "D",
    "S",
    "B",
    "C2",
    "CRUK",
    "AMAZONFEE",
    "BANK CHARGES",
    "gift_*",
)
"""Codes of the default file that name postage, fees, corrections and vouchers; `*` and `?` stand for any text."""

BAD_ROWS_SHOWN = 20
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
INVOICE_CHARS_MAX = 80  # reservation ids are made of it


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the file's columns. The defaults fit the UCI "Online Retail" file."""

    invoice: str = "invoice_no"
    sku: str = "stock_code"
    quantity: str = "quantity"


@dataclass(frozen=True, slots=True)
class Cart:
    """An invoice's sold lines. `ref` is unique in the file: the invoice and the row that it starts at."""

    ref: str
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GoodsBack:
    """An invoice's negative lines, summed by SKU; the quantities are positive."""

    ref: str
    lines: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Reading:
    """What was read so far, and what was left out, with reasons."""

    rows: int = 0
    carts: int = 0
    cart_lines: int = 0
    returns: int = 0
    return_lines: int = 0
    no_goods: Counter[str] = field(default_factory=Counter)
    zero_quantity: int = 0
    bad_rows: int = 0
    bad_rows_first: list[str] = field(default_factory=list)

    def bad(self, row: int, why: str) -> None:
        """Counts a row that cannot be read, and keeps the first few."""
        self.bad_rows += 1
        if len(self.bad_rows_first) < BAD_ROWS_SHOWN:
            self.bad_rows_first.append(f"row {row}: {why}")


class UnreadableError(Exception):
    """The file cannot be read as orders; the message says what to do."""


@dataclass(slots=True)
class OrderFile:
    """A CSV file of order lines, plain or gzip. `rows_max` stops early, for a quick look."""

    path: Path
    columns: Columns = Columns()
    skip: tuple[str, ...] = NO_GOODS
    rows_max: int | None = None

    def check(self) -> None:
        """That it can be opened, and has the columns. Raises UnreadableError."""
        next(iter(self._lines(Reading())), None)

    def read(self, reading: Reading) -> Iterator[Cart | GoodsBack]:
        """The orders in the file's order; `reading` is kept up to date. Raises UnreadableError."""
        invoice, first, sold, back = "", 0, list[tuple[str, int]](), dict[str, int]()
        for number, (name, sku, quantity) in self._lines(reading):
            if name != invoice or len(sold) >= LINES_MAX:
                yield from _invoice(invoice, first, sold, back, reading)
                invoice, first, sold, back = name, number, [], {}
            if quantity > 0:
                sold.append((sku, quantity))
            else:
                back[sku] = back.get(sku, 0) - quantity
        yield from _invoice(invoice, first, sold, back, reading)

    def _lines(self, reading: Reading) -> Iterator[tuple[int, tuple[str, str, int]]]:
        """(row, (invoice, SKU, quantity)) of each row that is a line of goods."""
        try:
            with _open(self.path) as stream:
                rows = csv.reader(stream)
                at = self._positions(next(rows, []))
                for number, row in enumerate(rows, start=2):
                    if self.rows_max is not None and reading.rows >= self.rows_max:
                        return
                    reading.rows += 1
                    if (line := self._line(row, number, at, reading)) is not None:
                        yield number, line
        except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
            raise UnreadableError(f"{self.path} cannot be read after row {reading.rows + 1}: {error}.") from error

    def _positions(self, header: list[str]) -> tuple[int, int, int]:
        wanted = (self.columns.invoice, self.columns.sku, self.columns.quantity)
        missing = [name for name in wanted if name not in header]
        if missing:
            there = ", ".join(header) or "nothing at all"
            raise UnreadableError(
                f"{self.path}: no column {', '.join(missing)}; the first row has: {there}. Name the columns with "
                "--invoice-column, --sku-column and --quantity-column."
            )
        return header.index(wanted[0]), header.index(wanted[1]), header.index(wanted[2])

    def _line(
        self, row: list[str], number: int, at: tuple[int, int, int], reading: Reading
    ) -> tuple[str, str, int] | None:
        if len(row) <= max(at):
            reading.bad(number, f"{len(row)} columns only")
            return None
        invoice, sku, text = row[at[0]], row[at[1]], row[at[2]]
        try:
            quantity = int(text)
        except ValueError:
            reading.bad(number, f"quantity {text!r} is not an integer")
            return None
        if not 1 <= len(invoice) <= INVOICE_CHARS_MAX or not 1 <= len(sku) <= ID_LENGTH_MAX or CONTROL.search(sku):
            reading.bad(number, "no invoice or SKU, or one that is too long or has control characters")
        elif abs(quantity) > QUANTITY_MAX:
            reading.bad(number, "a quantity beyond 10^9")
        elif any(fnmatchcase(sku, pattern) for pattern in self.skip):
            reading.no_goods[sku] += 1
        elif quantity == 0:
            reading.zero_quantity += 1
        else:
            return invoice, sku, quantity
        return None


def _invoice(
    invoice: str, first: int, sold: list[tuple[str, int]], back: dict[str, int], reading: Reading
) -> Iterator[Cart | GoodsBack]:
    ref = f"{invoice}-{first}"
    if sold:
        reading.carts += 1
        reading.cart_lines += len(sold)
        yield Cart(ref, tuple(sold))
    if back:
        reading.returns += 1
        reading.return_lines += len(back)
        yield GoodsBack(ref, tuple(back.items()))


def _open(path: Path) -> IO[str]:
    try:
        raw = path.open("rb")
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        return io.TextIOWrapper(stream, encoding="utf-8", errors="strict", newline="")
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}. Give the path of a CSV file, plain or gzip.") from error
