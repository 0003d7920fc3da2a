"""What a Tryton has on hand, owes, and expects.

In: Tryton's moves and quantities. Out: facts of levels and supply. Always: a level is gross, and `allocated` is what
open moves take out of it; both are read until no move changed in between, so that they are of one moment.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from holdfast.erp.amounts import begun, whole
from holdfast.erp.interface import Counted, ErpDownError, Fact, Inventory, Pulled, level_of
from holdfast.erp.moments import Moments
from holdfast.erp.tryton.layout import Layout
from holdfast.erp.tryton.rest import Record, Rest, changed_since, moment

_PRODUCTS = 200
_READINGS_MAX = 8
_MOVE = ("state", "product", "internal_quantity", "from_location", "to_location", "write_date", "create_date")
_INCOMING = (*_MOVE, "planned_date", "origin", "shipment", "rec_name")
_OPEN = ["draft", "assigned"]


class Changes:
    """Moves that changed since a position, each once, though every question reaches back."""

    def __init__(self, rest: Rest, overlap_ms: int) -> None:
        self._rest = rest
        self._overlap_ms = overlap_ms
        self._seen: dict[int, str] = {}

    async def since(self, position: str | None, domain: list[Any], fields: Sequence[str]) -> tuple[list[Record], str]:
        """What is new, and the next position."""
        back = None if position is None else _earlier(position, self._overlap_ms)
        found = await self._rest.search("stock.move", [*domain, *changed_since(back)], fields)
        stamps = {one["id"]: stamp_of(one) for one in found}
        fresh = [one for one in found if self._seen.get(one["id"]) != stamps[one["id"]]]
        self._seen = stamps
        return fresh, max([*stamps.values(), position or ""]) or "1970-01-01T00:00:00"


def stamp_of(record: Record) -> str:
    """When it changed last, on Tryton's clock."""
    return moment(record.get("write_date")) or moment(record.get("create_date")) or ""


def _earlier(position: str, by_ms: int) -> str:
    return (datetime.fromisoformat(position) - timedelta(milliseconds=by_ms)).isoformat(timespec="microseconds")


class Stock:
    """Levels and supply of one connection."""

    def __init__(self, rest: Rest, moments: Moments, overlap_ms: int) -> None:
        self._rest = rest
        self._moments = moments
        self._moved = Changes(rest, overlap_ms)
        self._expected = Changes(rest, overlap_ms)
        self._read_all = False
        self._changed_before: set[int] = set()
        self._supply_read = False

    async def levels(self, since: str | None, layout: Layout) -> AsyncIterator[Pulled]:
        """Of products whose moves changed; of all, at the first time in a process: what was deleted leaves no trace.

        Each is stated at two turns: an order that came between the reading of the states and that of the levels is
        acknowledged at the second one, and only a level after that counts it.
        """
        position = since if self._read_all else None
        moved, following = await self._moved.since(position, [], _MOVE)
        changed = {one["product"] for one in moved}
        products = await self._products(None if position is None else sorted(changed | self._changed_before))
        for start in range(0, len(products), _PRODUCTS):
            some = dict(list(products.items())[start : start + _PRODUCTS])
            yield Pulled(await self._levels_of(some, layout))
        self._read_all, self._changed_before = True, changed
        yield Pulled([], position=following)

    async def _products(self, records: list[int] | None) -> dict[int, str]:
        """SKU by record."""
        chosen = [] if records is None else [["id", "in", records]]
        found = (
            []
            if records == []
            else await self._rest.search(
                "product.product", [["type", "=", "goods"], *chosen], ("code",), context={"active_test": False}
            )
        )
        return {one["id"]: one["code"] for one in found if one["code"]}

    async def inventory(self, skus: Sequence[str] | None, layout: Layout) -> Inventory:
        """What is there now, with parts of units."""
        products = await self._products(None if skus is None else await self._records(skus))
        found: list[Counted] = []
        for start in range(0, len(products), _PRODUCTS):
            some = dict(list(products.items())[start : start + _PRODUCTS])
            found += await self._counted(some, layout)
        return Inventory(found, is_whole=True)

    async def _records(self, skus: Sequence[str]) -> list[int]:
        found: list[int] = []
        for start in range(0, len(skus), _PRODUCTS):
            domain = [["code", "in", list(skus[start : start + _PRODUCTS])]]
            answer = await self._rest.search("product.product", domain, ("id",), context={"active_test": False})
            found += [one["id"] for one in answer]
        return found

    async def _levels_of(self, products: dict[int, str], layout: Layout) -> list[Fact]:
        return [level_of(one) for one in await self._counted(products, layout)]

    async def _counted(self, products: dict[int, str], layout: Layout) -> list[Counted]:
        for _ in range(_READINGS_MAX):
            as_of = self._moments.now()
            before = await self._leaving(list(products), layout)
            on_hand = {name: await self._on_hand(list(products), zones) for name, zones in layout.zones.items()}
            if before == await self._leaving(list(products), layout):
                break
        else:
            raise ErpDownError("moves change faster than levels can be read")
        allocated: dict[tuple[str, int], int] = {}
        for place, _, product, quantity, _ in before:
            allocated[place, product] = allocated.get((place, product), 0) + quantity
        return [
            Counted(sku, name, on_hand[name].get(product, 0.0), allocated.get((name, product), 0), as_of)
            for name in layout.zones
            for product, sku in products.items()
        ]

    async def _on_hand(self, products: list[int], zones: list[int]) -> dict[int, float]:
        found = await self._rest.search(
            "product.product",
            [["id", "in", products]],
            ("quantity",),
            context={"locations": zones, "with_childs": True, "active_test": False},
        )
        return {one["id"]: round(one["quantity"], 6) for one in found}

    async def _leaving(self, products: list[int], layout: Layout) -> list[tuple[str, int, int, int, str]]:
        """Open moves out of a warehouse: to customers whatever their state, elsewhere those that are assigned."""
        places = [zone for zones in layout.zones.values() for zone in zones]
        domain = [
            ["product", "in", products],
            ["state", "in", _OPEN],
            ["from_location", "child_of", places, "parent"],
        ]
        found = []
        for one in await self._rest.search("stock.move", domain, _MOVE):
            name = layout.inside.get(one["from_location"])
            to = one["to_location"]
            if name is None or layout.home.get(to) == name:
                continue
            if layout.kinds.get(to) == "customer" or one["state"] == "assigned":
                found.append((name, one["id"], one["product"], begun(one["internal_quantity"]), one["state"]))
        return found

    async def supply(self, since: str | None, layout: Layout) -> AsyncIterator[Pulled]:
        """Lines of purchases and moves between warehouses that changed; all open ones at the first time."""
        position, as_of = since if self._supply_read else None, self._moments.now()
        ways = ["from_location.type", "in", ["supplier", "storage"]]
        narrowed = [["state", "in", _OPEN]] if position is None and since is None else []
        moved, following = await self._expected.since(position, [ways, *narrowed], _INCOMING)
        coming = [one for one in moved if _comes_in(one, layout)]
        skus = await self._products(sorted({one["product"] for one in coming}))
        lines: dict[str, list[Record]] = {}
        for one in coming:
            lines.setdefault(_line_of(one), []).append(one)
        purchases = [line for line in lines if line.startswith("purchase.line,")]
        for start in range(0, len(purchases), _PRODUCTS):
            for line in purchases[start : start + _PRODUCTS]:
                lines[line] = []
            domain = [["origin", "in", purchases[start : start + _PRODUCTS]]]
            for one in await self._rest.search("stock.move", domain, _INCOMING):
                if _comes_in(one, layout):
                    lines[_line_of(one)].append(one)
        facts = [
            fact
            for line, moves in lines.items()
            if moves and moves[0]["product"] in skus
            for fact in self._supply_of(line, moves, skus[moves[0]["product"]], layout, as_of)
        ]
        self._supply_read = True
        yield Pulled(facts, position=following)

    def _supply_of(self, line: str, moves: list[Record], sku: str, layout: Layout, as_of: str) -> list[Fact]:
        """What is still open of a line, at each warehouse that it comes to."""
        facts = []
        places = dict.fromkeys(layout.home[one["to_location"]] for one in moves)
        for place in places:
            here = [one for one in moves if layout.home[one["to_location"]] == place]
            still = [one for one in here if one["state"] in _OPEN]
            done = any(one["state"] == "done" for one in here)
            dues = [due for one in (still or here) if (due := moment(one["planned_date"])) is not None]
            facts.append(
                {
                    "kind": "supply",
                    "ref": line.partition("@")[0],
                    "line": line if len(places) == 1 else f"{line}@{place}",
                    "sku": sku,
                    "location": place,
                    "quantity": sum(whole(one["internal_quantity"]) for one in still),
                    "due": min(dues) if dues else "2999-12-31",
                    "as_of": as_of,
                    "status": "open" if still else "received" if done else "cancelled",
                }
            )
        return facts


def _comes_in(move: Record, layout: Layout) -> bool:
    """From outside of a warehouse into it, and not for nobody knows whom."""
    to = layout.home.get(move["to_location"])
    return to is not None and layout.home.get(move["from_location"]) != to and move["state"] != "staging"


def _line_of(move: Record) -> str:
    """What a move is of: the line of a purchase, however often it is split; else itself."""
    origin = move["origin"] or ""
    return origin if origin.startswith("purchase.line,") else f"stock.move,{move['id']}"
