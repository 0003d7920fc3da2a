"""What the same sale would have been with shops that read the raw ERP quantity.

In: the carts that were offered, in their order. Out: units sold beyond what there was.
Always: the shop of the comparison is a simple one, and the output states that: each channel takes the on-hand figure of
the ERP as it was when the sale began (all places together, damaged units in it, kits by their scarcest part), counts
its own orders off it, and knows nothing of the other channels until the sale is over.
"""

from collections import Counter
from collections.abc import Sequence

from holdfast.demonstration import catalogue


class RawShops:
    """One such shop per channel."""

    def __init__(self) -> None:
        on_hand = {product.sku: product.on_hand for product in catalogue.PRODUCTS}
        on_hand[catalogue.KIT] = min(on_hand[sku] // each for sku, each in catalogue.KIT_PARTS.items())
        self._shown = {channel: dict(on_hand) for channel in catalogue.CHANNELS}
        self._handed_over: Counter[str] = Counter()

    def offer(self, channel: str, lines: Sequence[tuple[str, int]]) -> None:
        """A cart comes: the shop takes it if its own figures allow."""
        shown = self._shown[channel]
        if any(shown[sku] < quantity for sku, quantity in lines):
            return
        for sku, quantity in lines:
            shown[sku] -= quantity
            self._handed_over.update(catalogue.parts(sku, quantity))

    def oversold(self) -> dict[str, int]:
        """Units sold beyond the stock, by SKU."""
        there = catalogue.there_ever_was()
        return {sku: sold - there[sku] for sku, sold in sorted(self._handed_over.items()) if sold > there[sku]}
