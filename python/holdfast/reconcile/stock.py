"""Stock of a shop, and what holdfast can sell on its channel.

In: both sides. Out: SKUs of which the shop shows another figure. Always: a SKU that the shop never had is no
difference; a figure that the shop itself may be moving for a young order is left alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from holdfast.reconcile.findings import ADVICE, CORRECTED, Compared, Correction, Difference, Found, Type
from holdfast.reconcile.gateway_side import GatewaySide
from holdfast.reconcile.rounds import Verdict
from holdfast.reconcile.shop_side import ShopSide, ShopWatch
from holdfast.woo.mapping import Found as Products
from holdfast.woo.mapping import Place


@dataclass(slots=True)
class Reading:
    """By SKU. `wanted`: the figure that the place where it is written should have."""

    wanted: dict[str, int]
    shop: Products
    figures: dict[str, int] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    read_at: dict[str, str] = field(default_factory=dict)


class StockComparison:
    """Of one store. `seen`: SKUs that were products of the shop before."""

    def __init__(self, shop: ShopSide, gateway: GatewaySide, seen: Collection[str]) -> None:
        self._shop = shop
        self._gateway = gateway
        self._seen = frozenset(seen)
        self.there: set[str] = set()

    async def read(self, only: Collection[str] | None) -> Reading:
        """See Comparison."""
        if only is None:
            skus = await self._gateway.skus()
            products = await self._shop.products(skus)
            wanted = await self._wanted(skus, products)
            self.there = set(products.places)
            return self._at(Reading(wanted, products))
        asked = sorted(only)
        first = await self._shop.products(asked)
        skus = sorted({*asked, *(sibling for place in first.places.values() for sibling in place.siblings)})
        wanted = await self._wanted(skus, first)
        await self._shop.published(self._gateway.client.sequence)
        figures = await self._shop.figures(asked)
        again = await self._wanted(skus, first)
        moved = {sku for sku, figure in wanted.items() if again.get(sku) != figure}
        return self._at(Reading(wanted, first, figures, moved | await self._shop.just_moved()))

    async def _wanted(self, skus: list[str], products: Products) -> dict[str, int]:
        published = await self._gateway.published(self._shop.store.channel, skus)
        wanted = dict(published)
        for sku, place in products.places.items():
            if place.siblings and sku in wanted:
                wanted[sku] = sum(published.get(sibling, 0) for sibling in place.siblings)
        return wanted

    def _at(self, reading: Reading) -> Reading:
        reading.read_at = {"shop": f"{self._shop.clock_s:.0f} s on its clock", "holdfast": self._gateway.moment}
        return reading

    def differing(self, reading: Reading) -> Iterable[str]:
        """See Comparison."""
        for sku, wanted in reading.wanted.items():
            place = reading.shop.places.get(sku)
            lost = sku in reading.shop.missing and sku in self._seen
            if lost or (place is not None and place.stock != wanted):
                yield sku

    def at_once(self, reading: Reading) -> list[Difference]:  # noqa: ARG002
        """None."""
        return []

    async def settle(self) -> ShopWatch:
        """See Comparison."""
        return await self._shop.settle(self._gateway.client.sequence)

    def judge(self, one: str, before: Reading, after: Reading, watch: ShopWatch) -> Verdict:
        """See Comparison."""
        was, place = before.shop.places.get(one), after.shop.places.get(one)
        wanted = after.wanted.get(one)
        if wanted is None or (place is not None and place.stock == wanted):
            return "agrees"
        if before.wanted.get(one) != wanted or (was and was.stock) != (place and place.stock) or one in after.moved:
            return "moving"
        if place is None:
            gone = ("the shop had a product of this SKU, and has none now",)
            return self._difference(one, Found("deleted-sku", gone), None, wanted, after)
        return self._difference(one, _judged(one, place, wanted, after, watch), place.stock, wanted, after)

    def _difference(self, sku: str, found: Found, stock: int | None, wanted: int, after: Reading) -> Difference:
        kind: Type = found.type
        return Difference(
            id=f"stock|{self._shop.name}|{sku}",
            pair="shop-holdfast",
            what="stock",
            type=kind,
            connection=self._shop.name,
            sku=sku,
            figures={
                "shop": "none" if stock is None else str(stock),
                "holdfast": str(wanted),
                **({"published": str(after.figures[sku])} if sku in after.figures else {}),
            },
            units=abs(wanted - (stock or 0)),
            evidence=list(found.evidence),
            advice=ADVICE[kind],
            correction=Correction(self._shop.name, push=True) if kind in CORRECTED and stock is not None else None,
        )

    def summary(self, reading: Reading, found: list[Difference]) -> Compared:  # noqa: ARG002
        """See Comparison."""
        absent = len(reading.shop.missing - self._seen)
        remarks = [f"{absent} SKUs of holdfast are no products of the shop"] if absent else []
        if reading.shop.double:
            remarks.append(f"{len(reading.shop.double)} SKUs are several products, and are not written")
        return Compared(
            pair="shop-holdfast",
            what="stock",
            connection=self._shop.name,
            compared=len(reading.shop.places),
            read_at=reading.read_at,
            remarks=remarks,
        )


def _judged(sku: str, place: Place, wanted: int, after: Reading, watch: ShopWatch) -> Found:
    if sku in watch.problems:
        return Found("late", (f"the connector cannot write it: {watch.problems[sku]}",))
    if not watch.stock:
        return Found("late", (watch.why,))
    figure = after.figures.get(sku)
    if figure is None or (figure != wanted and not place.siblings):
        published = "no figure of it was published" if figure is None else f"the last published figure is {figure}"
        return Found("missing-event", (published,))
    shown = "no managed stock" if place.stock is None else f"{place.stock}"
    return Found("manual-edit", (f"all figures were written, and the shop has {shown}: it was changed there",))
