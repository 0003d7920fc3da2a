"""Commands as they must have been: from the facts that they became, and from the refusals that ASK keeps.

In: facts of LOG, refusals, answers. Out: commands to decide again; units by SKU. Always: owners are named by the hash
that LOG has, so that the same ones are still the same; where a cart is not kept whole there is no command.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.hindsight.again import Command
from holdfast.hindsight.differences import Units

ACCEPTED = (200, 201)
_AS_OF = b"{}"
_VERBS = {
    "reservation.held": "put",
    "reservation.confirmed": "confirm",
    "reservation.released": "release",
    "reservation.cancelled": "cancel",
    "reservation.extended": "extend",
    "reservation.fulfilled": "fulfil",
    "reservation.oversold": "confirm",
}
_OF_A_PUT = ("channel", "region", "owner", "ttl_ms", "partial", "supersede", "revision")
_OF_A_LINE = ("sku", "requested", "sellable", "reason")


def command_of(kind: str, fact: Mapping[str, Any]) -> Command:
    """What was asked for, where the answer was yes."""
    verb = _VERBS[kind]
    body: dict[str, Any] = {}
    if verb == "put":
        body = {name: fact[name] for name in _OF_A_PUT if fact.get(name) is not None}
        body["lines"] = [_line(line) for line in fact["lines"]]
    elif verb == "confirm" and fact.get("order_ref") is not None:
        body = {"order_ref": fact["order_ref"]}
    elif verb == "extend":
        body = {"ttl_ms": fact["ttl_ms"]}
    elif verb == "fulfil":
        body = {"lines": fact["lines"]}
    return verb, fact["id"], orjson.dumps(body), None, fact.get("by")


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    asked = line["units"] if line.get("units") else line.get("asked") or line["quantity"]
    found = {"sku": line["sku"], "quantity": asked}
    return found | {name: line[name] for name in ("unit", "location") if line.get(name) is not None}


def put_of(refusal: Mapping[str, Any]) -> bytes | None:
    """The body of a refused reservation; None where ASK does not have the cart."""
    asked = refusal.get("asked")
    return None if asked is None else orjson.dumps({**asked, "channel": refusal["channel"]})


def same_place(core: Engine, refusal: Mapping[str, Any]) -> bool:
    """Whether a state is the one in which a cart was refused: by the figures that the refusal gave."""
    asked = refusal["asked"]
    body: dict[str, Any] = {"channel": refusal["channel"], "lines": asked["lines"]}
    if asked.get("region"):
        body["region"] = asked["region"]
    status, answer = core.validate(orjson.dumps(body), None, _AS_OF)
    if status not in ACCEPTED:
        return False
    lines = orjson.loads(answer)["lines"]
    stated = [[line.get(name) for name in _OF_A_LINE] for line in refusal["lines"]]
    return stated in (_wrong(lines, {}, len(stated)), _wrong(lines, held_of(core, refusal["reservation"]), len(stated)))


def _wrong(lines: list[dict[str, Any]], own: Units, most: int) -> list[list[Any]]:
    """What a cart check says of the lines that do not fit, where its hold gives `own` units back."""
    found = []
    for line in lines:
        sellable = line["sellable"] + own.get(line["sku"], 0)
        if not line["ok"] and (sellable < line["requested"] or line.get("reason") != "insufficient-stock"):
            found.append([line["sku"], line["requested"], sellable, line.get("reason")])
    return found[:most]


def held_of(core: Engine, reservation: str) -> Units:
    """Units of a hold; none where it is no hold."""
    status, body = core.reservation(reservation, None, _AS_OF)
    read = orjson.loads(body) if status in ACCEPTED else {}
    return units_of(read["lines"]) if read.get("state") == "held" else {}


def in_deficit(core: Engine, reservation: str) -> bool:
    """Whether units of a reservation are covered by nothing."""
    status, body = core.reservation(reservation, None, _AS_OF)
    return status in ACCEPTED and any(line["deficit"] for line in orjson.loads(body)["lines"])


def units_of(lines: Iterable[Mapping[str, Any]]) -> Units:
    """Units held, by SKU."""
    found: Units = {}
    for line in lines:
        if line["quantity"]:
            found[line["sku"]] = found.get(line["sku"], 0) + line["quantity"]
    return found


def granted(answer: bytes, asked: Iterable[Mapping[str, Any]], *, partial: bool) -> Units:
    """Units that an accepted hold got: what was asked for, unless less was enough or units were named."""
    return units_of(orjson.loads(answer)["lines"]) if partial else units_of(asked)


def problem_of(answer: tuple[int, bytes]) -> str:
    """The name of the problem that a command was answered with; "" where it was accepted."""
    if answer[0] in ACCEPTED:
        return ""
    return str(orjson.loads(answer[1]).get("type", "")).rpartition(":")[2]
