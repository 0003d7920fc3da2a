"""Examples of events and figures, for the documents.

In: nothing. Out: values, as the publisher writes them. Always: each is read by the Structs of contracts.events (a test
checks it), and there is one of every kind.
"""

from typing import Any, Final

import orjson

_AT: Final = "2026-11-23T15:00:00Z"
_LINE: Final[dict[str, Any]] = {
    "sku": "MUG-BLUE",
    "quantity": 2,
    "open": 2,
    "fulfilled": 0,
    "cancelled": 0,
    "returned": 0,
    "unsourced": 0,
    "deficit": 0,
    "allocations": [{"location": "lyon-dc", "quantity": 2}],
}
_CLOSED: Final = {"released", "expired", "cancelled", "oversold"}
_STATES: Final = {
    "held": (None, "held"),
    "extended": ("held", "held"),
    "confirmed": ("held", "committed"),
    "released": ("held", "released"),
    "expired": ("held", "expired"),
    "cancelled": ("committed", "cancelled"),
    "oversold": ("expired", "oversold"),
    "fulfilled": ("in_erp", "fulfilled"),
    "deficit": ("committed", "committed"),
    "changed": ("committed", "in_erp"),
}


def _about_a_reservation(number: int, kind: str) -> dict[str, Any]:
    before, state = _STATES[kind]
    sequence = 1_200 + number
    line = _LINE | {"allocations": []} if state in _CLOSED else dict(_LINE)
    if state in _CLOSED:
        line |= {"open": 0, "cancelled": 2}
    if state == "fulfilled":
        line |= {"open": 0, "fulfilled": 2}
    if kind == "deficit":
        line |= {"deficit": 1}
    reservation = {
        "id": "cart-17",
        "state": state,
        "channel": "web",
        "owner": None,
        "order_ref": "1001" if state not in {"held", "released", "expired"} else None,
        "expires_at": "2026-11-23T15:10:00Z" if state == "held" else None,
        "lines": [line],
        "version": number + 1,
        "sequence": sequence,
    }
    return _placed(sequence, kind) | {"before": before, "unsourced": 0, "reservation": reservation}


def _placed(sequence: int, kind: str, channel: str = "web") -> dict[str, Any]:
    return {
        "id": f"{sequence}:0",
        "kind": kind,
        "sequence": sequence,
        "index": 0,
        "at": _AT,
        "channel": channel,
    }


EVENTS: Final[dict[str, dict[str, Any]]] = {
    **{kind: _about_a_reservation(number, kind) for number, kind in enumerate(_STATES)},
    "availability": _placed(1_220, "availability") | {"sku": "MUG-BLUE", "before": 2, "published": 0},
    "gap": {
        "id": "1300:1073741824",
        "kind": "gap",
        "sequence": 1_300,
        "index": 1_073_741_824,
        "from": 1_250,
        "upto": 1_300,
        "reason": "log-cut",
    },
}
FIGURE: Final[dict[str, Any]] = {
    "sku": "MUG-BLUE",
    "channel": "web",
    "published": 10,
    "sellable": 12,
    "unlimited": False,
    "gone": False,
    "sequence": 1_207,
    "at": _AT,
}
STREAM: Final = (
    "retry: 1000\nid: 1201:0\n\n"
    f"id: 1202:0\ndata: {orjson.dumps(EVENTS['confirmed']).decode()}\n\n"
    ": heartbeat\nid: 1219:0\n\n"
    f"id: 1220:0\ndata: {orjson.dumps(EVENTS['availability']).decode()}\n\n"
    'event: end\ndata: {"reason":"stopping","detail":"This process stops. Read on from the last id.","id":"1220:0"}\n\n'
)
"""What a client of `GET /v1/events` reads."""
