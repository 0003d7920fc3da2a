"""A small believable homeware shop: four places, three channels, a kit, rules, and stock that a flash sale can empty.

Out: the facts that make it, in the order in which they are to be sent, and what attracts the shoppers.
Always: the same catalogue each time except for the dates, which are counted from today.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

SOURCE = "acme"  # the ERP's name
CHANNELS = ("web", "marketplace", "pos")
KIT = "READING-CORNER"
KIT_PARTS = {"LAMP-OAK": 1, "SHADE-LINEN": 1, "BULB-E27": 2}


class Product(NamedTuple):
    """A SKU, how many are at each location, how many of all are damaged, and how keen shoppers are on it."""

    sku: str
    lyon: int
    lille: int
    paris: int
    brussels: int
    damaged: int
    keen: int

    @property
    def on_hand(self) -> int:
        """The ERP's stock figure, over all locations."""
        return self.lyon + self.lille + self.paris + self.brussels


PRODUCTS = (
    Product("LAMP-OAK", 180, 90, 24, 18, 6, 30),
    Product("LAMP-WALNUT", 40, 20, 6, 4, 0, 14),
    Product("SHADE-LINEN", 220, 80, 30, 20, 4, 16),
    Product("BULB-E27", 700, 300, 60, 40, 0, 22),
    Product("MUG-BLUE", 260, 120, 36, 24, 8, 18),
    Product("MUG-RED", 90, 40, 20, 12, 0, 12),
    Product("TEAPOT-STEEL", 70, 30, 12, 8, 2, 10),
    Product("THROW-WOOL", 60, 25, 10, 6, 0, 10),
    Product("CLOCK-BRASS", 30, 12, 5, 3, 0, 8),
    Product("VASE-GREEN", 45, 20, 8, 4, 3, 7),
    Product("STOOL-ASH", 25, 10, 4, 3, 0, 6),
    Product("CANDLE-FIG", 300, 150, 40, 30, 0, 12),
)
KIT_KEEN = 15
CAP_MARKETPLACE = {"LAMP-OAK": 60}
ALLOCATED_POS = {"MUG-BLUE": 20, "LAMP-OAK": 12}
LOCATIONS = (
    {"location": "lyon-dc", "type": "warehouse", "regions": ["FR", "BE", "DE"], "priority": 10},
    {"location": "lille-3pl", "type": "3pl", "regions": ["FR", "BE"], "priority": 20},
    {"location": "paris-store", "type": "store", "regions": ["FR"], "priority": 50},
    {"location": "brussels-store", "type": "store", "regions": ["BE"], "priority": 60},
)


def policies() -> list[dict[str, Any]]:
    """Locations, channels, items and the rules of selling."""
    return [
        *({"kind": "location", **location} for location in LOCATIONS),
        {"kind": "channel", "channel": "web", "locations": "*", "supply_horizon_days": 14},
        {"kind": "channel", "channel": "marketplace", "locations": ["lyon-dc", "lille-3pl"]},
        {"kind": "channel", "channel": "pos", "locations": ["paris-store", "brussels-store"]},
        *(
            {"kind": "item", "sku": product.sku, "base_unit": "each", "units": {"case": 12}, "status": "active"}
            for product in PRODUCTS
        ),
        {
            "kind": "item",
            "sku": KIT,
            "base_unit": "each",
            "status": "active",
            "kit": [{"sku": sku, "quantity": quantity} for sku, quantity in KIT_PARTS.items()],
        },
        {"kind": "safety", "percent": 2},
        {"kind": "safety", "location": "paris-store", "absolute": 2},
        *(
            {"kind": "cap", "channel": "marketplace", "sku": sku, "quantity": quantity}
            for sku, quantity in CAP_MARKETPLACE.items()
        ),
        *(
            {"kind": "allocation", "channel": "pos", "sku": sku, "quantity": quantity}
            for sku, quantity in ALLOCATED_POS.items()
        ),
    ]


def stock() -> list[dict[str, Any]]:
    """What the ERP reports: levels at each location, and one delivery on its way."""
    now = datetime.now(UTC)
    as_of = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    levels: list[dict[str, Any]] = []
    for product in PRODUCTS:
        held = (product.lyon, product.lille, product.paris, product.brussels)
        for place, on_hand in zip(LOCATIONS, held, strict=True):
            level = {"kind": "stock.level", "sku": product.sku, "location": place["location"], "on_hand": on_hand}
            level |= {"basis": "net", "as_of": as_of}
            if product.damaged and place["location"] == "lyon-dc":
                level["unsellable"] = {"damaged": product.damaged}
            levels.append(level)
    delivery = {"kind": "supply", "ref": "PO-1001", "line": "1", "sku": "LAMP-WALNUT", "location": "lyon-dc"}
    due = (now + timedelta(days=5)).date().isoformat()
    return [*levels, delivery | {"quantity": 60, "due": due, "status": "open"}]


def parts(sku: str, quantity: int) -> dict[str, int]:
    """The units of stock that a line takes."""
    if sku != KIT:
        return {sku: quantity}
    return {part: quantity * each for part, each in KIT_PARTS.items()}


def there_ever_was() -> dict[str, int]:
    """Units by SKU that can be handed over at all: on hand less damaged, and what the web may promise of the
    delivery.
    """
    units = {product.sku: product.on_hand - product.damaged for product in PRODUCTS}
    units["LAMP-WALNUT"] += 60
    return units
