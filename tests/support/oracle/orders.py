"""Reservations: the commands of docs/rules.md, section 2.

In: the world and a command. Out: (status, problem name or None, verdicts or None); the world changed, or
left as it was when the status is no 2xx (a failed late confirm apart: that one says `oversold`).
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from tests.support.oracle.cart import Kept, Verdict, judge, match_old, place, units_of
from tests.support.oracle.order_facts import apply_waiting
from tests.support.oracle.recipes import base_lines, factor_for
from tests.support.oracle.sellable import cap_epoch, inside
from tests.support.oracle.shipments import hand_over, take_up
from tests.support.oracle.world import Reservation, Unit, World

Outcome = tuple[int, str | None, list[Verdict] | None]
OK: Outcome = (200, None, None)
CLOSED: Outcome = (409, "reservation-closed", None)
DEFAULTS = {"region": None, "owner": None, "partial": False, "supersede": False, "revision": None}


def state_of(world: World, reservation: Reservation) -> str:
    """The state's name follows from the units."""
    if reservation.phase != "confirmed":
        return reservation.phase
    if not reservation.units:
        return "cancelled"
    still_open = [unit for unit in reservation.units if unit.open]
    if not still_open:
        return "fulfilled"
    return "in_erp" if all(inside(world, unit) for unit in still_open) else "committed"


def with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    lines = [{"unit": None, "location": None} | line for line in body["lines"]]
    return DEFAULTS | body | {"lines": lines}


def same_body(world: World, old: Reservation, body: dict[str, Any]) -> bool:
    """Units converted as they were held."""

    def base(body: dict[str, Any]) -> dict[str, Any]:
        lines = []
        for line in body["lines"]:
            sku = world.sku(line["sku"])
            each = factor_for(world, old, sku, line["unit"]) if sku is not None else None
            converted = {"quantity": line["quantity"] * each, "unit": None} if each is not None else {}
            lines.append(line | {"sku": sku or line["sku"]} | converted)
        return body | {"lines": lines}

    return base(body) == base(old.body)


# --- put --------------------------------------------------------------------------------------------------------------


def put(world: World, name: str, sent: dict[str, Any]) -> Outcome:
    body = with_defaults(sent)
    if body["supersede"] and body["owner"] is None:
        return 422, "invalid", None
    old = world.reservations.get(name)
    if old is not None:
        new_revision, known = body["revision"], old.revision
        older = new_revision is not None and known is not None and new_revision <= known
        same = same_body(world, old, body)
        if older and (new_revision != known or not same):
            return 409, "stale-revision", None
        if same:
            dead = state_of(world, old) in ("released", "expired", "cancelled", "oversold")
            return CLOSED if dead else OK
        if old.phase != "held":
            return CLOSED
    if world.channel(body["channel"]).regional == "require" and body["region"] is None:
        return 422, "invalid", None
    if any(world.sku(line["sku"]) is None for line in body["lines"]):
        return 404, "unknown-sku", None
    if any(line["location"] is not None and line["location"] not in world.locations for line in body["lines"]):
        return 422, "invalid", None
    if old is not None and old.renewals + 1 > world.rule("renewals_max"):
        return 409, "renewals-exhausted", None
    before = copy.deepcopy(world.reservations)
    outcome = place_body(world, name, body, old)
    if outcome[0] >= 400:
        world.reservations = before
    return outcome


def place_body(world: World, name: str, body: dict[str, Any], old: Reservation | None) -> Outcome:
    """Supersede, judge, keep, give back, place: one step."""
    channel, region = body["channel"], body["region"]
    if body["supersede"]:
        for other in held_by(world, body["owner"]):
            if other.id != name and other.channel == channel:
                other.phase, other.superseded_by, other.units = "released", name, []
    if old is not None and (old.channel, old.region) != (channel, region):
        old.units, old.lines = [], []  # as if released first
    kept = Kept(list(old.units), Counter()) if old else None
    if old and kept:
        for line in old.lines:
            kept.kits.update({kit: each * line.quantity for kit, each in line.kits.items()})
    verdicts = judge(world, channel, region, body["lines"], kept, body["partial"])
    partial = body["partial"] and all(unit_known(world, line) for line in body["lines"])
    if not any(verdict.taken for verdict in verdicts) or (not partial and not all(verdict.ok for verdict in verdicts)):
        return 409, "insufficient-stock", verdicts
    if too_many_for_owner(world, name, channel, body["owner"], verdicts):
        return 409, "owner-limit", None
    if old is None:
        world.serials += 1
        old = Reservation(name, world.serials, body, channel, region, body["owner"], [], 0)
        world.reservations[name] = old
        status = 201
    else:
        old.renewals += 1
        status = 200
    old.body, old.channel, old.region, old.owner = body, channel, region, body["owner"]
    old.revision = body["revision"] if body["revision"] is not None else old.revision
    old.expires_lead = world.lead_ms + body["ttl_ms"]
    old_units, old.units, old.lines = old.units, [], []
    fill_lines(world, old, verdicts, old_units)
    return status, None, None


def unit_known(world: World, line: dict[str, Any]) -> bool:
    """A line in a unit that its item does not have fails the whole body, also a partial one."""
    sku = world.sku(line["sku"])
    return sku is not None and world.items[sku].factor(line["unit"]) is not None


def fill_lines(world: World, reservation: Reservation, verdicts: list[Verdict], old_units: list[Unit]) -> None:
    """Keep what the new lines still need of the old units, give the rest back, place what is missing."""
    wanted: list[Unit] = []
    for number, verdict in enumerate(verdicts):
        assert verdict.line is not None
        line, parts = verdict.line, verdict.line.parts
        # The caps of kits count a line as a whole, in the period in which it was last put.
        line.caps = {kit: cap_epoch(world, reservation.channel, kit) for kit in line.kits}
        reservation.lines.append(line)
        wanted += units_of(parts, number, verdict.location, verdict.taken)
    kept = match_old(wanted, old_units)
    for unit in wanted:
        if (old := kept.get(id(unit))) is not None:
            old.line, old.location = unit.line, unit.location
    reservation.units = [kept[id(unit)] for unit in wanted if id(unit) in kept]
    place(world, reservation, [unit for unit in wanted if id(unit) not in kept])
    reservation.units.sort(key=lambda u: u.line)


def held_by(world: World, owner: str) -> list[Reservation]:
    return [r for r in world.reservations.values() if r.phase == "held" and r.owner == owner]


def too_many_for_owner(world: World, name: str, channel: str, owner: str | None, verdicts: list[Verdict]) -> bool:
    most, holds_most = world.rule("owner_units_max"), world.rule("owner_holds_max")
    if owner is None:
        return False
    here = [r for r in held_by(world, owner) if r.id != name and r.channel == channel]
    if 0 < holds_most <= len(here):
        return True
    if most == 0:
        return False
    others = sum(len(r.units) for r in held_by(world, owner) if r.id != name)
    return others + sum(sum(v.line.parts.values()) * v.taken for v in verdicts if v.line is not None) > most


# --- the other commands -----------------------------------------------------------------------------------------------


def confirm(world: World, reservation: Reservation, order_ref: str | None) -> Outcome:
    state = state_of(world, reservation)
    if state == "cancelled" and reservation.ordered:
        return CLOSED
    if reservation.phase == "confirmed":
        if order_ref is not None and reservation.order_ref not in (None, order_ref):
            return CLOSED
    elif reservation.phase == "held":
        reservation.phase = "confirmed"
    else:
        asked = [
            {"sku": n.sku, "quantity": n.quantity, "location": n.location, "held": n}
            for n in reservation.lines
            if n.quantity
        ]
        verdicts = judge(world, reservation.channel, reservation.region, asked)
        if not all(verdict.ok for verdict in verdicts):
            reservation.phase = "oversold"
            return 409, "oversold", verdicts
        judged = iter(verdicts)  # a line that `partial` cut to nothing stays in its place
        again = [
            next(judged) if line.quantity else Verdict(line.sku, 0, 0, None, line=line) for line in reservation.lines
        ]
        reservation.phase, reservation.lines, reservation.superseded_by = "confirmed", [], None
        reservation.dropped = []
        fill_lines(world, reservation, again, [])
    is_news = state not in ("committed", "in_erp", "fulfilled")
    reservation.ordered = True
    if order_ref is not None and reservation.order_ref is None:
        reservation.order_ref, is_news = order_ref, True
    apply_waiting(world, reservation)
    if is_news:
        take_up(world, [reservation])  # what was shipped before the order was known has left it
    return OK


def release(world: World, reservation: Reservation) -> Outcome:
    if reservation.phase in ("released", "expired"):
        return OK
    if reservation.phase != "held":
        return CLOSED
    reservation.phase, reservation.units = "released", []
    return OK


def cancel(world: World, reservation: Reservation) -> Outcome:
    state = state_of(world, reservation)
    if state == "cancelled":
        return OK
    if state not in ("held", "committed", "in_erp"):
        return CLOSED
    reservation.units = [unit for unit in reservation.units if not unit.open]
    reservation.phase, reservation.dropped = "cancelled", []
    return OK


def extend(world: World, reservation: Reservation, ttl_ms: int) -> Outcome:
    if reservation.phase != "held":
        return CLOSED
    if reservation.renewals + 1 > world.rule("renewals_max"):
        return 409, "renewals-exhausted", None
    reservation.renewals += 1
    reservation.expires_lead = world.lead_ms + ttl_ms
    return OK


def fulfil(world: World, reservation: Reservation, lines: list[dict[str, Any]]) -> Outcome:
    """Handed over, says the shop. The units stay deducted until an ack or a shipment fact covers them."""
    if state_of(world, reservation) not in ("committed", "in_erp", "fulfilled"):
        return CLOSED
    named = [(world.sku(line["sku"]), line.get("unit")) for line in lines]
    if any(sku is not None and factor_for(world, reservation, sku, unit) is None for sku, unit in named):
        return 422, "invalid", None
    before = copy.deepcopy(world.reservations)
    for sku, location, quantity in base_lines(world, lines, [reservation]):
        chosen = hand_over(world, reservation, sku, location, quantity)
        if len(chosen) < quantity:
            world.reservations = before
            return 422, "invalid", None
        for unit in chosen:
            unit.fulfilled = True
    return OK


def expire(world: World) -> int:
    """Every hold that is due, at most `expire_batch_max`, earliest first."""
    due = [r for r in world.reservations.values() if r.phase == "held" and r.expires_lead <= world.lead_ms]
    due.sort(key=lambda r: (r.expires_lead, r.serial))
    for reservation in due[: world.rule("expire_batch_max")]:
        reservation.phase, reservation.units = "expired", []
    return len(due)
