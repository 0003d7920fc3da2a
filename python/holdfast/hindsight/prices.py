"""What a unit costs, for sums of money.

In: a CSV file with the columns `sku` and `price`. Out: prices by SKU. Always: a row that is no price is named.
"""

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path

from holdfast.errors import LogError

_ROWS_MAX = 10_000_000


class PricesError(LogError):
    """The file of prices cannot be used."""


def read(path: Path) -> dict[str, Decimal]:
    """Raises PricesError."""
    found: dict[str, Decimal] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"sku", "price"} <= set(rows.fieldnames or ()):
                raise PricesError(f"{path}: the first row must name the columns sku and price")
            for number, row in enumerate(rows, start=2):
                price = _price(row["price"])
                if price is None or not row["sku"] or number > _ROWS_MAX:
                    raise PricesError(f"{path}: row {number} is not a SKU and a price, like MUG,12.50")
                found[row["sku"]] = price
    except (OSError, UnicodeError, csv.Error) as error:
        raise PricesError(f"{path} cannot be read: {error}") from error
    return found


def _price(text: str | None) -> Decimal | None:
    try:
        found = Decimal(text or "")
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < Decimal("1e15") else None
