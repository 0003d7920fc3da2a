"""The rehearsal's own accounts: units sold and returned, by SKU, in arithmetic that shares nothing with holdfast.

In: what the gateway acknowledged. Out: what does not add up.
Always: only acknowledged units are booked, each once; conservation is opening - sold + returned == closing, per SKU,
where closing is what the gateway can still sell, as it answers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Misfit(NamedTuple):
    """A SKU whose units do not add up."""

    sku: str
    opening: int
    sold: int
    returned: int
    expected: int
    closing: int | None


@dataclass(slots=True)
class Books:
    """What was acknowledged so far."""

    opening: Mapping[str, int]
    carts_offered: int = 0
    lines_offered: int = 0
    units_offered: int = 0
    carts_held: int = 0
    lines_held: int = 0
    units_held: int = 0
    carts_sold: int = 0
    carts_late: int = 0
    refused_carts: Counter[str] = field(default_factory=Counter)
    refused_lines: Counter[str] = field(default_factory=Counter)
    units_refused: int = 0
    returns: int = 0
    facts_rejected: Counter[str] = field(default_factory=Counter)
    sold: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)

    def offer(self, lines: Iterable[tuple[str, int]]) -> None:
        """A cart was sent."""
        self.carts_offered += 1
        for _, quantity in lines:
            self.lines_offered += 1
            self.units_offered += quantity

    def hold(self, lines: Iterable[tuple[str, int]]) -> None:
        """A cart was acknowledged as held, with these units."""
        self.carts_held += 1
        for _, quantity in lines:
            self.lines_held += 1
            self.units_held += quantity

    def sell(self, lines: Iterable[tuple[str, int]]) -> None:
        """A held cart was acknowledged as confirmed."""
        self.carts_sold += 1
        for sku, quantity in lines:
            self.sold[sku] += quantity

    def refuse(self, problem: str, lines: Iterable[tuple[str, int]], reasons: Iterable[str]) -> None:
        """A cart was refused as a whole, because of lines with these reasons."""
        self.refused_carts[problem] += 1
        self.refused_lines.update(reasons)
        self.units_refused += sum(quantity for _, quantity in lines)

    def take_back(self, lines: Iterable[tuple[str, int]]) -> None:
        """Returned units were acknowledged."""
        self.returns += 1
        for sku, quantity in lines:
            self.returned[sku] += quantity

    def expected(self, sku: str) -> int:
        """The units that must be left of a SKU."""
        return self.opening[sku] - self.sold[sku] + self.returned[sku]

    def oversold(self) -> dict[str, int]:
        """Units sold beyond all stock there ever was, by SKU."""
        return {sku: -left for sku in self.opening if (left := self.expected(sku)) < 0}

    def misfits(self, closing: Mapping[str, int | None]) -> list[Misfit]:
        """The SKUs whose closing is not what it must be."""
        return [
            Misfit(sku, opening, self.sold[sku], self.returned[sku], self.expected(sku), closing.get(sku))
            for sku, opening in self.opening.items()
            if closing.get(sku) != self.expected(sku)
        ]
