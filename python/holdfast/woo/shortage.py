"""What the shop's orders are owed, and is not there.

Role: say what was sold beyond the stock, for a person to decide: by orders that were taken while no gateway answered,
or past the checkout. In: what was stated of the orders; the gateway. Out: units that are missing, by SKU. Always: only
SKUs of which nothing can be sold are looked at, and a bounded number of them.
"""

from collections import Counter

from holdfast.client import Client
from holdfast.woo.orderbook import OrderBook

_ASKED_MAX = 1_000
_LOOKED_AT_MAX = 200


async def short(client: Client, channel: str, book: OrderBook) -> dict[str, int]:
    """Units by SKU that orders without a reservation are owed, beyond what is there for them. Raises ClientError."""
    owed: Counter[str] = Counter()
    for order in book.open_orders():
        for sku, units in book.known(order).lines.values():
            owed[sku] += units
    names, gone = sorted(owed), []
    for at in range(0, len(names), _ASKED_MAX):
        items = await client.availabilities(channel, names[at : at + _ASKED_MAX])
        gone += [one.sku for one in items if one.error != "unknown-sku" and one.sellable == 0]
    found = {}
    for sku in gone[:_LOOKED_AT_MAX]:
        record = await client.sku(sku)
        if record.item is not None and record.item.kit:
            continue  # its components are what is missing, each of them a separate SKU
        there = sum(one.at_hand + one.demand for one in record.levels)
        if owed[sku] > max(0, there):
            found[sku] = owed[sku] - max(0, there)
    return found
