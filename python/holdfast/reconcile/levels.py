"""Levels of an ERP and of holdfast.

In: both sides. Out: cells that differ, with the level that would put each right. Always: the ERP owns its locations:
what another source owns is not compared; of a system that has no whole list only what it stated is.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import floor

from holdfast.erp.interface import Counted, Fact, Inventory
from holdfast.erp.store import StatedLevel
from holdfast.reconcile.cells import ErpCell, HeldCell, LastStated, Watch, judge_cell, later, rounded, same
from holdfast.reconcile.erp_side import ErpSide
from holdfast.reconcile.findings import ADVICE, CORRECTED, Compared, Correction, Difference, Found
from holdfast.reconcile.gateway_side import GatewaySide, Levels
from holdfast.reconcile.rounds import Verdict

_BETWEEN = "\x1f"
Cell = tuple[str, str]


@dataclass(slots=True)
class Reading:
    """Both, of some SKUs or of all."""

    cells: dict[Cell, ErpCell]
    counted: dict[Cell, Counted]
    held: Levels
    is_whole: bool
    read_at: dict[str, str]
    waits: str = ""
    left_out: int = 0


class LevelsComparison:
    """Of one connection."""

    def __init__(self, erp: ErpSide, gateway: GatewaySide) -> None:
        self._erp = erp
        self._gateway = gateway
        self._last: dict[Cell, StatedLevel] = {}

    async def read(self, only: Collection[str] | None) -> Reading:
        """See Comparison."""
        skus = await self._gateway.skus() if only is None else sorted({_cell(one)[0] for one in only})
        held = await self._gateway.levels(self._erp.source, skus)
        inventory = await self._erp.inventory(None if only is None else sorted({*skus, *held.names}))
        return self._reading(inventory, held)

    def _reading(self, inventory: Inventory, held: Levels) -> Reading:
        cells: dict[Cell, ErpCell] = {}
        counted: dict[Cell, Counted] = {}
        left_out = 0
        for one in inventory.cells:
            sku = held.names.get(one.sku, one.sku)
            factor = 1 if one.unit is None else held.units.get(sku, {}).get(one.unit, 0)
            if not factor or (sku, one.location) in held.foreign:
                left_out += 1
                continue
            allocated = None if one.allocated is None else int(one.allocated * factor)
            cells[sku, one.location] = ErpCell(one.on_hand * factor, allocated, one.as_of)
            counted[sku, one.location] = one
        at = min((str(one.as_of) for one in inventory.cells), default="nothing stated")
        read_at = {"erp": at, "holdfast": self._gateway.moment}
        return Reading(cells, counted, held, inventory.is_whole, read_at, inventory.waits, left_out)

    def differing(self, reading: Reading) -> Iterable[str]:
        """See Comparison."""
        for cell in {*reading.cells, *reading.held.cells}:
            if not same(reading.cells.get(cell), reading.held.cells.get(cell), is_whole=reading.is_whole):
                yield _BETWEEN.join(cell)

    def at_once(self, reading: Reading) -> list[Difference]:
        """Parts of units."""
        found = []
        for cell, there in reading.cells.items():
            here = reading.held.cells.get(cell)
            part = rounded(there) if same(there, here, is_whole=reading.is_whole) else None
            if part is not None:
                found.append(self._difference(cell, part, there, here, abs(there.on_hand - floor(there.on_hand))))
        return found

    async def settle(self) -> Watch:
        """See Comparison."""
        watch = await self._erp.settle("levels")
        self._last = self._erp.last_levels()
        return watch

    def judge(self, one: str, before: Reading, after: Reading, watch: Watch) -> Verdict:
        """See Comparison."""
        cell = _cell(one)
        there, here = (
            (before.cells.get(cell), after.cells.get(cell)),
            (before.held.cells.get(cell), after.held.cells.get(cell)),
        )
        found = judge_cell(there, here, self._stated(cell, after), watch, is_whole=after.is_whole)
        if not isinstance(found, Found):
            return found
        if after.waits and watch.passed:
            return "moving"
        erp, held = there[1], here[1]
        units = abs((erp.on_hand if erp else 0) - (held.on_hand if held else 0))
        difference = self._difference(cell, found, erp, held, units)
        if found.type in CORRECTED:
            difference.correction = self._correction(cell, after)
        return difference

    def _stated(self, cell: Cell, reading: Reading) -> LastStated | None:
        name = reading.counted[cell].sku if cell in reading.counted else cell[0]
        last = self._last.get((name, cell[1]))
        if last is None:
            return None
        on_hand = last.on_hand if last.unit is None else None
        return LastStated(on_hand, last.allocated, last.as_of, last.refused)

    def _difference(
        self, cell: Cell, found: Found, erp: ErpCell | None, held: HeldCell | None, units: float
    ) -> Difference:
        sku, location = cell
        return Difference(
            id=f"level|{self._erp.name}|{location}|{sku}",
            pair="erp-holdfast",
            what="level",
            type=found.type,
            connection=self._erp.name,
            sku=sku,
            location=location,
            figures={"erp": _shown(erp), "holdfast": _shown(held)},
            units=units,
            evidence=list(found.evidence),
            advice=ADVICE[found.type],
        )

    def _correction(self, cell: Cell, reading: Reading) -> Correction:
        """The ERP's level, as a fact; of a SKU that it does not have, none there."""
        sku, location = cell
        one, here = reading.counted.get(cell), reading.held.cells.get(cell)
        as_of = one.as_of if one is not None else here.as_of if here is not None else None
        level: Fact = {"kind": "stock.level", "sku": sku, "location": location, "as_of": as_of}
        if one is None:
            level |= {"on_hand": 0, "allocated": 0, "basis": "gross"}
        else:
            level |= {"on_hand": floor(one.on_hand), "basis": one.basis}
            level |= {} if one.allocated is None else {"allocated": int(one.allocated)}
            level |= {} if one.unit is None else {"unit": one.unit}
        reset: list[Fact] = []
        if one is not None and here is not None and later(here.as_of, as_of):
            reset = [{"kind": "source.reset", "source": self._erp.source, "location": location, "sku": sku}]
        return Correction(self._erp.name, [*reset, level])

    def summary(self, reading: Reading, found: list[Difference]) -> Compared:
        """See Comparison."""
        cells = set(reading.cells) | (set(reading.held.cells) if reading.is_whole else set())
        places = {location for _, location in cells}
        wrong = [one for one in found if one.type != "rounding"]
        by_location = {
            place: (
                sum(location == place for _, location in cells),
                sum(one.location == place for one in wrong),
            )
            for place in sorted(places)
        }
        remarks = [] if reading.is_whole else ["only what it stated is compared: it has no list of all that it has"]
        if reading.left_out:
            remarks.append(
                f"{reading.left_out} cells are left out: another source owns them, or their unit is not known"
            )
        return Compared(
            pair="erp-holdfast",
            what="level",
            connection=self._erp.name,
            compared=len(cells),
            read_at=reading.read_at,
            remarks=remarks,
            by_location=by_location,
        )


def _cell(one: str) -> Cell:
    sku, _, location = one.partition(_BETWEEN)
    return sku, location


def _shown(cell: ErpCell | HeldCell | None) -> str:
    if cell is None or (isinstance(cell, HeldCell) and cell.as_of is None):
        return "none"
    owed = f", owes {cell.allocated}" if cell.allocated else ""
    return f"{cell.on_hand:g}{owed}"
