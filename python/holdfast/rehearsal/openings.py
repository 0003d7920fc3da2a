"""The stock to start from, so that a stated share of the demand cannot be met.

In: the orders, once. Out: units per SKU, spread over locations.
Always: were every SKU's demand served unit by unit in the file's order, that share of it, rounded down per SKU, would
find nothing left of the opening and the returns so far. (A SKU that returns alone nearly cover can fall short by less.)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from holdfast.rehearsal.orders import Cart, GoodsBack


@dataclass(slots=True)
class _Course:
    """One SKU through the file: units asked for, and the highest value of asked minus returned."""

    asked: int = 0
    net: int = 0
    peak: int = 0


@dataclass(slots=True)
class Demand:
    """What the whole file asks for."""

    courses: dict[str, _Course] = field(default_factory=dict)

    def take(self, orders: Iterable[Cart | GoodsBack]) -> "Demand":
        """Adds the orders up."""
        for order in orders:
            sign = 1 if isinstance(order, Cart) else -1
            for sku, quantity in order.lines:
                course = self.courses.get(sku)
                if course is None:
                    course = self.courses[sku] = _Course()
                course.net += sign * quantity
                if sign > 0:
                    course.asked += quantity
                    course.peak = max(course.peak, course.net)
        return self

    @property
    def units(self) -> int:
        """Units asked for, over all SKUs."""
        return sum(course.asked for course in self.courses.values())

    def openings(self, short_percent: float) -> dict[str, int]:
        """Units per SKU such that `short_percent` of each SKU's demand cannot be met."""
        return {
            sku: max(0, course.peak - int(course.asked * short_percent / 100)) for sku, course in self.courses.items()
        }


def spread(quantity: int, places: int) -> list[int]:
    """The quantity over locations: half at the first, half of the rest at the next, the remainder at the last."""
    parts = []
    for _ in range(places - 1):
        part = quantity - quantity // 2
        parts.append(part)
        quantity -= part
    return [*parts, quantity]
