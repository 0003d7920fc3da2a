"""Which SKUs holdfast knows.

Role: ask once for each SKU. In: SKUs of orders; the gateway. Out: those that are known; which orders wait for the
others. Always: what is known stays known; what is not is asked for again; what waits is bounded.
"""

from collections.abc import Collection

from holdfast.client import Client

_ASKED_MAX = 1_000
_KNOWN_MAX = 2_000_000
_WAITING_MAX = 1_000
_ORDERS_MAX = 10_000


class KnownSkus:
    """Of one channel. `waiting`: orders by a SKU that holdfast did not know."""

    def __init__(self, client: Client, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._known: set[str] = set()
        self.waiting: dict[str, set[int]] = {}

    async def known(self, skus: Collection[str]) -> set[str]:
        """Those of them that holdfast knows. Raises ClientError."""
        asked = sorted(sku for sku in skus if sku not in self._known)
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
        for at in range(0, len(asked), _ASKED_MAX):
            items = await self._client.availabilities(self._channel, asked[at : at + _ASKED_MAX])
            self._known |= {one.sku for one in items if one.error != "unknown-sku"}
        return {sku for sku in skus if sku in self._known}

    def await_sku(self, order: int, skus: list[str]) -> None:
        """The order has lines of these, which holdfast does not know."""
        for sku in skus:
            if sku in self.waiting or len(self.waiting) < _WAITING_MAX:
                orders = self.waiting.setdefault(sku, set())
                if len(orders) < _ORDERS_MAX:
                    orders.add(order)
