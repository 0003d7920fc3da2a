"""Random commands over the universe of histories.py.

In: the world so far (to name what exists), the step, and `Pick`. Out: a command `(verb, name, body)`.
Always holds: shapes are right; names, orders and revisions are often late, double or wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.histories import CHANNELS, LOCATIONS, REGIONS, Pick, optional
from tests.support.oracle.world import Verb, World

MANY = 8
Ask = tuple[Verb, str, dict[str, Any]]


def reservation_name(pick: Pick, world: World) -> str:
    """One that exists; those that are still open more often."""
    live = [r.id for r in world.reservations.values() if r.phase in ("held", "confirmed")]
    return pick.one([*live, *live, *world.reservations] or ["r0"]) if not pick.once_in(15) else "r0"


def many_wait(world: World) -> bool:
    """So many units are sold beyond any node that the oracle, which looks at each by itself, would become slow."""
    return sum(unit.node is None for r in world.reservations.values() for unit in r.units) > MANY


def cart(pick: Pick, world: World) -> dict[str, Any]:
    name = pick.one(["web", *CHANNELS])
    must = world.channel(name).regional == "require"
    lines = [
        optional(
            sku=pick.one(["A", "A", "A", "B", "B", "K", "R", "KK"]),
            quantity=pick.between(1, 1 if many_wait(world) else 5),
            unit=pick.seldom(["pair"], 8),
            location=pick.seldom(LOCATIONS, 12),
        )
        for _ in range(pick.one([1, 1, 2, 3]))
    ]
    region = pick.one(REGIONS) if must else pick.seldom(REGIONS, 4)
    return optional(channel=name, region=region, owner=pick.seldom(["ann"], 2), lines=lines)


def put(pick: Pick, world: World, step: int) -> Ask:
    name = f"r{step}" if pick.between(1, 3) < 3 else reservation_name(pick, world)
    known = world.reservations.get(name)
    if known is not None and pick.once_in(5):  # the same again, or nearly
        same = optional(**known.body) | {"lines": [optional(**line) for line in known.body["lines"]]}
        return "put", name, same | ({"revision": 3} if pick.once_in(4) else {})
    body = cart(pick, world)
    more = optional(
        ttl_ms=pick.one([1_000, 20_000, 900_000]),
        partial=pick.seldom([True]),
        revision=pick.seldom([1, 2, 3]),
        supersede=True if "owner" in body and pick.once_in(2) else None,
    )
    return "put", name, body | more


def confirm(pick: Pick, world: World, step: int) -> Ask:
    name = reservation_name(pick, world)
    return "confirm", name, optional(order_ref=pick.one([f"o-{name}", f"o-{name}", "o1", None]))


def buy(pick: Pick, world: World, step: int) -> list[Ask]:
    """A hold that is confirmed at once."""
    order_ref = pick.one([f"o-r{step}", f"o-r{step}", "o1"])
    return [
        ("put", f"r{step}", cart(pick, world) | {"ttl_ms": 20_000}),
        ("confirm", f"r{step}", {"order_ref": order_ref}),
    ]


def backorder(pick: Pick, world: World, step: int) -> list[Ask]:
    """A hold of kits and what they are made of, side by side, which may be confirmed at once."""
    if many_wait(world):
        return [pick.one([release, cancel])(pick, world, step)]
    skus = [pick.one(["K", "R", "KK"]), *(pick.one(["A", "B", "R"]) for _ in range(pick.between(1, 2)))]
    lines = [{"sku": sku, "quantity": pick.between(1, 2)} for sku in skus]
    region = pick.one(REGIONS) if world.channel("web").regional == "require" else None
    body = optional(channel="web", region=region, lines=lines, ttl_ms=20_000)
    asks: list[Ask] = [("put", f"r{step}", body)]
    if not pick.once_in(3):
        asks.append(("confirm", f"r{step}", {"order_ref": f"o-r{step}"}))
    return asks


def release(pick: Pick, world: World, step: int) -> Ask:
    return "release", reservation_name(pick, world), {}


def cancel(pick: Pick, world: World, step: int) -> Ask:
    return "cancel", reservation_name(pick, world), {}


def put_again(pick: Pick, world: World, step: int) -> Ask:
    """The body of a reservation once more, of a dead one where there is any."""
    dead = [r for r in world.reservations.values() if r.phase not in ("held", "confirmed")]
    if not (dead or world.reservations):
        return put(pick, world, step)
    known = pick.one(dead or list(world.reservations.values()))
    return "put", known.id, optional(**known.body) | {"lines": [optional(**line) for line in known.body["lines"]]}


def extend(pick: Pick, world: World, step: int) -> Ask:
    return "extend", reservation_name(pick, world), {"ttl_ms": pick.one([1_000, 20_000])}


def fulfil(pick: Pick, world: World, step: int) -> Ask:
    name = reservation_name(pick, world)
    ordered = sorted({unit.sku for unit in world.reservations[name].units}) if name in world.reservations else []
    line = optional(
        sku=pick.one([*ordered, *ordered, "A", "K"]), quantity=pick.between(1, 3), location=pick.seldom(LOCATIONS, 3)
    )
    if pick.once_in(8):
        line["unit"] = "pair"
    return "fulfil", name, {"lines": [line]}


Asks = Callable[[Pick, World, int], Ask]
COMMANDS: list[Asks] = [put, put, put, put_again, confirm, confirm, release, cancel, extend, fulfil]
