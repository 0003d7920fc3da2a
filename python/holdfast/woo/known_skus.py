"""Which SKUs holdfast knows.

Role: ask once for each SKU. In: SKUs of orders; the gateway. Out: those that are known; which orders wait for the
others; what kits are made of. Always: what is known stays known; what is not is asked for again; what waits is bounded;
that a SKU is a kit is learned where it matters, for most SKUs are none: of a bundle, and of demand that was rejected.
"""

import time
from collections.abc import Collection

from holdfast.client import Client
from holdfast.client.errors import NotFoundError

_ASKED_MAX = 1_000
_KNOWN_MAX = 2_000_000
_WAITING_MAX = 1_000
_ORDERS_MAX = 10_000
_KIT_S = 60.0
"""For how long it counts whether a SKU is a kit."""


class KnownSkus:
    """Of one channel. `waiting`: orders by a SKU that holdfast did not know."""

    def __init__(self, client: Client, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._known: set[str] = set()
        self._kits: dict[str, tuple[float, dict[str, int]]] = {}
        self.rejected: set[str] = set()
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

    async def kits(self, skus: Collection[str]) -> dict[str, dict[str, int]]:
        """Of those that are kits: units of each base component in one kit. Raises ClientError."""
        if len(self._kits) > _KNOWN_MAX:
            self._kits.clear()
        for sku in sorted(skus):
            asked_s, _ = self._kits.get(sku, (float("-inf"), {}))
            if time.monotonic() - asked_s > _KIT_S:
                self._kits[sku] = (time.monotonic(), await self._recipe(sku))
        return {sku: recipe for sku in skus if (recipe := self._kits[sku][1])}

    async def _recipe(self, sku: str) -> dict[str, int]:
        """Kits within kits resolved; empty for a SKU that is no kit."""
        try:
            item = (await self._client.sku(sku)).item
        except NotFoundError:
            return {}
        units: dict[str, int] = {}
        for part in [] if item is None else item.kit:
            for base, each in (await self._recipe(part.sku) or {part.sku: 1}).items():
                units[base] = units.get(base, 0) + each * part.quantity
        return units

    def await_sku(self, order: int, skus: list[str]) -> None:
        """The order has lines of these, which holdfast does not know."""
        for sku in skus:
            if sku in self.waiting or len(self.waiting) < _WAITING_MAX:
                orders = self.waiting.setdefault(sku, set())
                if len(orders) < _ORDERS_MAX:
                    orders.add(order)
