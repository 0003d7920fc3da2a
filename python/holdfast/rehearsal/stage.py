"""Where a rehearsal plays: its own locations, channel and stock, so that it changes nothing else in the gateway.

In: opening stock. Out: the names to sell under. Always: every name carries the run's name, so that two runs against one
gateway do not meet; levels have an `as_of` shortly before the first return.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from holdfast.client import Client
from holdfast.rehearsal.openings import spread

FACTS_TOGETHER = 2_000


def _moment(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


class RejectedError(Exception):
    """The gateway rejected a fact that the rehearsal depends on."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The names of one run."""

    run: str
    places: int
    levels_as_of: str = field(default_factory=lambda: _moment(timedelta(minutes=1)))

    @property
    def channel(self) -> str:
        """The channel that sells."""
        return f"rehearsal-{self.run}"

    @property
    def source(self) -> str:
        """The source of the levels and the returns."""
        return f"rehearsal-{self.run}"

    @property
    def locations(self) -> list[str]:
        """The locations, the one with the most stock first."""
        return [f"rehearsal-{self.run}-{place}" for place in range(1, self.places + 1)]

    def reservation(self, ref: str) -> str:
        """The reservation of a cart."""
        return f"{self.run}-{ref}"

    async def declare(self, client: Client) -> None:
        """Declares the locations and the channel; a second time changes nothing."""
        declared: list[dict[str, Any]] = [
            {"kind": "location", "location": location, "type": "warehouse", "priority": 10 * number}
            for number, location in enumerate(self.locations, start=1)
        ]
        declared.append({"kind": "channel", "channel": self.channel, "locations": self.locations})
        answer = await client.policies(declared)
        if answer.rejected:
            raise RejectedError(f"the rehearsal's locations and channel: {answer.rejected[0].reason}")

    async def stock(self, client: Client, opening: Mapping[str, int], report: Callable[[int], None]) -> None:
        """Sends the opening stock. `report` is called with the number of levels sent."""
        levels_left = self._levels(opening)
        count = 0
        while levels := list(islice(levels_left, FACTS_TOGETHER)):
            answer = await client.facts(self.source, levels)
            if answer.rejected:
                first = answer.rejected[0]
                raise RejectedError(f"the level of {levels[first.index]['sku']}: {first.reason}")
            count += len(levels)
            report(count)

    def levels_count(self, opening: Mapping[str, int]) -> int:
        """The number of levels to send."""
        return sum(1 for _ in self._levels(opening))

    def _levels(self, opening: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        for sku, quantity in opening.items():
            for place, part in zip(self.locations, spread(quantity, self.places), strict=True):
                if part or place == self.locations[0]:
                    yield {
                        "kind": "stock.level",
                        "sku": sku,
                        "location": place,
                        "on_hand": part,
                        "basis": "net",
                        "as_of": self.levels_as_of,
                    }

    def returned(self, ref: str, lines: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
        """Goods that came back, as facts; they go to the first location."""
        as_of = _moment()
        return [
            {
                "kind": "return",
                "ref": ref,
                "sku": sku,
                "location": self.locations[0],
                "quantity": quantity,
                "condition": "sellable",
                "as_of": as_of,
            }
            for sku, quantity in lines
        ]
