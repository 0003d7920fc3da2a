"""What would have been decided otherwise, by reservation, and what that comes to.

In: decisions as they were and as they would have been. Out: one entry a reservation; sums by SKU, in units and money.
Always: units of a cart count once, by its newest decision; what depends on an earlier difference is marked uncertain.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

LISTED_MAX = 200_000

Units = dict[str, int]
"""By SKU."""


@dataclass(slots=True)
class Difference:
    """One reservation that went, or would have gone, another way.

    `was`, `would`: units that it had, and would have had, by its newest decision. `became`: what it was in the end.
    `later`: units that the shopper got under the same name afterwards.
    """

    reservation: str
    sequence: int
    at_ms: int
    channel: str | None
    verb: str
    reason: str
    was: Units
    would: Units
    became: str
    certain: bool = True
    later: Units = field(default_factory=dict)

    def change(self) -> Units:
        """Units more (or fewer) of each SKU."""
        names = dict.fromkeys([*self.would, *self.was])
        had = {name: max(self.was.get(name, 0), self.later.get(name, 0)) for name in names}
        return {name: by for name in names if (by := self.would.get(name, 0) - had[name])}

    @property
    def ordered(self) -> bool:
        """Whether it became an order."""
        return self.became in {"confirmed", "fulfilled"}


@dataclass(slots=True)
class BySku:
    """Units gained and lost of a SKU. `lost`: of orders; `held_only`: of holds that never became orders."""

    gained: int = 0
    lost: int = 0
    held_only: int = 0


@dataclass(slots=True)
class Differences:
    """All of them. `same_after`: decisions that came out the same, though an earlier difference touched their SKUs."""

    by_reservation: dict[str, Difference] = field(default_factory=dict)
    not_listed: int = 0
    same_after: int = 0
    followed: int = 0

    def get(self, reservation: str) -> Difference | None:
        """What is known of a reservation."""
        return self.by_reservation.get(reservation)

    def add(self, one: Difference) -> None:
        """A reservation went another way for the first time; beyond the bound it is only counted."""
        if len(self.by_reservation) < LISTED_MAX:
            self.by_reservation[one.reservation] = one
        else:
            self.not_listed += 1

    def listed(self) -> list[Difference]:
        """Those that end with other units, or were decided otherwise; in order."""
        return list(self.by_reservation.values())

    def by_sku(self) -> dict[str, BySku]:
        """The most units first."""
        found: dict[str, BySku] = {}
        for one in self.listed():
            for sku, by in one.change().items():
                row = found.setdefault(sku, BySku())
                if by > 0:
                    row.gained += by
                elif one.ordered:
                    row.lost -= by
                else:
                    row.held_only -= by
        return dict(sorted(found.items(), key=lambda item: (-item[1].gained - item[1].lost, item[0])))


def document(found: Differences, prices: dict[str, Decimal] | None) -> dict[str, Any]:
    """As JSON has it; money only where prices are given, and only of SKUs that have one."""
    rows = found.by_sku()
    listed = found.listed()

    def money(units: dict[str, int]) -> dict[str, Any]:
        if prices is None:
            return {}
        return {"money": str(sum((prices[sku] * by for sku, by in units.items() if sku in prices), Decimal(0)))}

    sums = {}
    for name in ("gained", "lost", "held_only"):
        units = {sku: getattr(row, name) for sku, row in rows.items()}
        sums[name] = {"units": sum(units.values()), **money(units)}
    return {
        "differ": len(listed) + found.not_listed,
        "certain": sum(one.certain for one in listed),
        "uncertain": sum(not one.certain for one in listed),
        "not_listed": found.not_listed,
        "same_after": found.same_after,
        "followed": found.followed,
        **sums,
        **({} if prices is None else {"without_price": sorted(sku for sku in rows if sku not in prices)[:100]}),
        "by_sku": [
            {"sku": sku, "gained": row.gained, "lost": row.lost, "held_only": row.held_only}
            for sku, row in rows.items()
        ],
        "list": [_entry(one, money(one.change())) for one in listed],
    }


def _entry(one: Difference, money: dict[str, Any]) -> dict[str, Any]:
    return {
        "reservation": one.reservation,
        "sequence": one.sequence,
        "at_ms": one.at_ms,
        "channel": one.channel,
        "verb": one.verb,
        "reason": one.reason,
        "certain": one.certain,
        "became": one.became,
        "lines": [
            {"sku": sku, "was": one.was.get(sku, 0), "would_be": one.would.get(sku, 0)}
            for sku in dict.fromkeys([*one.was, *one.would])
        ],
        "units": sum(one.change().values()),
        **money,
    }
