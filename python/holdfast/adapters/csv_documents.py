"""The kinds of CSV files that an ERP or a warehouse sends about movements and orders.

In: nothing. Out: a Kind for each. Always: rows that differ only in the columns of a line are one document: a shipment
of three lines has three rows; a row that names no line, in a document with a version, withdraws it.
"""

from typing import Any

from holdfast.adapters.csv_kinds import Kind, Parse, integer, text
from holdfast.adapters.csv_kinds import as_of as moment
from holdfast.contracts import facts

_ORDER: dict[str, Parse] = {"order_ref": text, "reservation": text, "channel": text}
_LINE: dict[str, Parse] = {"line": text, "sku": text, "location": text, "quantity": integer, "unit": text}
_MOVED: dict[str, Parse] = {"sku": text, "location": text, "quantity": integer}
_VERSIONED: dict[str, Parse] = {"as_of": moment, "version": integer}


def _kind(
    fact: Any,
    columns: dict[str, Parse],
    required: tuple[str, ...],
    meaning: str,
    example: dict[str, str],
    line: Any = None,
) -> Kind:
    return Kind(
        fact=fact,
        columns=columns,
        required=required,
        unique=tuple(columns),
        example=(example,),
        policy=False,
        meaning=meaning,
        line=line,
    )


DELTAS = _kind(
    facts.StockDelta,
    {"ref": text, "line": text, **_MOVED, "reason": text, **_VERSIONED, "unit": text},
    ("ref", "sku", "location", "quantity", "reason"),
    "movements of stock that no order explains",
    {"ref": "ADJ-77", "sku": "MUG-BLUE", "location": "paris", "quantity": "-2", "reason": "broken"},
)
RECEIPTS = _kind(
    facts.Receipt,
    {"ref": text, "line": text, **_MOVED, **_VERSIONED, "unit": text},
    ("ref", "line", "sku", "location", "quantity"),
    "units of supply lines that arrived",
    {"ref": "PO-1001", "line": "1", "sku": "MUG-RED", "location": "paris", "quantity": "240"},
)
TRANSFERS = _kind(
    facts.Transfer,
    {
        "ref": text,
        "line": text,
        "sku": text,
        "from": text,
        "to": text,
        "quantity": integer,
        "status": text,
        "due": text,
        **_VERSIONED,
        "unit": text,
    },
    ("ref", "sku", "from", "to", "quantity", "status"),
    "units on their way from one location to another",
    {"ref": "TR-5", "sku": "MUG-RED", "from": "paris", "to": "lyon-store", "quantity": "12", "status": "shipped"},
)
DEMAND = _kind(
    facts.Demand,
    {"ref": text, "line": text, **_MOVED, "class": text, "due": text, **_ORDER, **_VERSIONED, "unit": text},
    ("ref", "line", "sku", "quantity"),
    "what is owed outside of reservations, such as marketplace orders; 0 closes a line",
    {"ref": "B2B-9", "line": "1", "sku": "MUG-BLUE", "location": "paris", "quantity": "30", "class": "b2b"},
)
ACKS = _kind(
    facts.OrderAck,
    {**_ORDER, "sku": text, "location": text, "as_of": moment},
    (),
    "orders that the ERP has taken, with where it ships each SKU from, if it says so",
    {"order_ref": "1001", "sku": "MUG-BLUE", "location": "paris"},
    line=facts.AckLine,
)
SHIPMENTS = _kind(
    facts.Shipment,
    {"ref": text, **_ORDER, **_LINE, **_VERSIONED},
    ("ref",),
    "what left for an order",
    {"ref": "SHP-1", "order_ref": "1001", "sku": "MUG-BLUE", "location": "paris", "quantity": "1"},
    line=facts.QuantityLine,
)
UPDATES = _kind(
    facts.OrderUpdate,
    {"ref": text, "status": text, **_ORDER, **_LINE, **_VERSIONED},
    ("ref", "status"),
    "what the ERP took off an order: cancelled, refused or short",
    {"ref": "PICK-3", "status": "short", "order_ref": "1001", "sku": "MUG-RED", "location": "paris", "quantity": "1"},
    line=facts.QuantityLine,
)
RETURNS = _kind(
    facts.Return,
    {"ref": text, "line": text, **_MOVED, "condition": text, **_ORDER, **_VERSIONED, "unit": text},
    ("ref", "sku", "location", "quantity", "condition"),
    "what came back",
    {
        "ref": "RET-1",
        "order_ref": "1001",
        "sku": "MUG-BLUE",
        "location": "paris",
        "quantity": "1",
        "condition": "sellable",
    },
)

DOCUMENTS = {
    "deltas": DELTAS,
    "receipts": RECEIPTS,
    "transfers": TRANSFERS,
    "demand": DEMAND,
    "acks": ACKS,
    "shipments": SHIPMENTS,
    "updates": UPDATES,
    "returns": RETURNS,
}
