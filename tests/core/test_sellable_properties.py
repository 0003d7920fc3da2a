"""What must hold of any sellable in any world; the worlds are random, and the core is asked beside the oracle.

The whole of what is sellable can be held and one more cannot; sold one by one it comes to the same; more stock never
lowers it; and in which order a level, an acknowledgement and a shipment arrive makes no difference.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from holdfast._core import Engine
from tests.support import histories
from tests.support.histories import BASE, CHANNELS, LOCATIONS, REGIONS, SKUS, SOURCE_OF, PickBySeed
from tests.support.oracle.beside import AS_OF, NOON, Beside
from tests.support.oracle.sellable import oversell, parts_of
from tests.support.playing import History

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
some_worlds = settings(max_examples=1_000 if LONG else 25)
pytestmark = pytest.mark.timeout(3_600 if LONG else 1_200)
seeds = st.integers(0, 2**32)


def busy_world(seed: int, steps: int = 25) -> Beside:
    pick, history = PickBySeed(seed), History()
    history.opening(pick, histories.in_business)
    for _ in range(steps):
        pick.one(history.moves(pick))()
    note(f"the world of seed {seed}:\n{history.beside.history()}")
    return history.beside


def questions(world: Beside, data: st.DataObject) -> Iterator[tuple[str, dict[str, Any]]]:
    """Some (SKU, channel and region): the region where one must be named."""
    for _ in range(3):
        sku, channel = data.draw(st.sampled_from(SKUS)), data.draw(st.sampled_from(CHANNELS))
        regional = world.oracle.world.channel(channel).regional == "require"
        yield sku, {"channel": channel} | ({"region": data.draw(st.sampled_from(REGIONS))} if regional else {})


def unsourced(world: Beside, name: str) -> int:
    """Units of the reservation that are in no allocation."""
    view = world.oracle.world.reservations[name]
    return sum(1 for unit in view.units if unit.node is None)


@some_worlds
@given(seeds, st.data())
def test_the_whole_of_what_is_sellable_can_be_held_and_one_more_cannot(seed: int, data: st.DataObject) -> None:
    world = busy_world(seed)
    for sku, question in questions(world, data):
        most, unlimited, reason = world.both_say(sku, **question)
        step = world.oracle.world.items[sku].sell_multiple
        if most:
            trial = world.fork()
            assert trial.hold("all", (sku, most), **question).status == 201
            state, channel = world.oracle.world, question["channel"]
            if all(oversell(state, channel, base) == 0 for base in parts_of(state, sku)):
                assert unsourced(trial, "all") == 0
        if not unlimited:
            refused = world.fork().hold("more", (sku, most + step), **question)
            assert (refused.status, refused.body["lines"][0]["reason"]) == (409, reason or "insufficient-stock")


@some_worlds
@given(seeds)
def test_what_explains_a_sellable_adds_up_to_it(seed: int) -> None:
    world = busy_world(seed)
    assert world.engine is not None
    for sku, channel in itertools.product(SKUS, CHANNELS):
        for region in REGIONS if world.oracle.world.channel(channel).regional == "require" else [None]:
            status, answer = world.engine.explain(sku, channel, region, AS_OF)
            told = json.loads(answer)
            assert status == 200
            assert told["sellable"] == world.both_say(sku, channel, region)[0]
            assert sum(term["quantity"] for term in told["terms"]) == told["sellable"], told


@some_worlds
@given(seeds)
def test_a_core_that_forgets_closed_reservations_soon_keeps_its_books(seed: int) -> None:
    """The oracle remembers all, so the core plays alone; a hold that is forgotten was given back before."""
    pick, history = PickBySeed(seed), History()
    history.opening(pick)
    for _ in range(25):
        pick.one(history.moves(pick))()
    forgetful, batches = Engine("main"), 1
    lead = forgetful.lead_batch("n1", NOON, json.dumps({"renewals_max": 2, "remember_closed_ms": 500}).encode())
    assert forgetful.apply(batches, lead)
    for now_ms, lead_ms, commands, incoming in history.beside.told:
        decision = forgetful.decide(now_ms, lead_ms, commands, incoming)
        if decision.message is not None:
            batches += 1
            forgetful.commit(batches)
        assert forgetful.check_thoroughly() == []


@some_worlds
@given(seeds, st.data())
def test_sold_one_by_one_it_comes_to_exactly_what_was_sellable(seed: int, data: st.DataObject) -> None:
    world = busy_world(seed)
    for sku, question in questions(world, data):
        most, unlimited, _ = world.both_say(sku, **question)
        step = world.oracle.world.items[sku].sell_multiple
        trial, sold = world.fork(), 0
        while not unlimited and trial.hold(f"one-{sold}", (sku, step), **question).status == 201:
            sold += step
            assert sold <= most
            assert trial.both_say(sku, **question)[0] == most - sold
        assert unlimited or sold == most


@some_worlds
@given(seeds, st.data(), st.sampled_from(BASE), st.sampled_from(LOCATIONS), st.integers(1, 9))
def test_more_stock_never_lowers_any_sellable(
    seed: int, data: st.DataObject, sku: str, location: str, quantity: int
) -> None:
    """But that of a single region under `regional: require`, whose allocation spans regions."""
    world = busy_world(seed)
    source = world.oracle.world.locations[location].owner or SOURCE_OF[location]
    as_of = 1_000_000 if world.oracle.world.clocks.get(source, int) is int else "2026-01-01T12:04:59Z"
    richer = world.fork()
    windfall = {"sku": sku, "location": location, "quantity": quantity, "reason": "found", "ref": "windfall"}
    richer.accept("stock.delta", source=source, as_of=as_of, **windfall)
    for asked, question in questions(world, data):
        if "region" not in question:
            assert richer.both_say(asked, **question)[0] >= world.both_say(asked, **question)[0]


@settings(max_examples=1_000 if LONG else 60)
@given(st.data())
def test_the_order_of_arrival_of_levels_an_ack_and_shipments_does_not_matter(data: st.DataObject) -> None:
    """The newest level of each location decides, whichever of them came first."""
    when = st.integers(2, 6)
    facts: list[tuple[str, dict[str, Any]]] = []
    for number in range(data.draw(st.integers(1, 2))):
        allocated = data.draw(st.none() | st.integers(0, 3))
        body = {"sku": "A", "location": "paris", "on_hand": data.draw(st.integers(0, 9)), "as_of": 3 + 2 * number}
        basis = data.draw(st.sampled_from(["gross", "net"]))
        facts.append(("stock.level", body | {"basis": basis, "allocated": allocated}))
    if data.draw(st.booleans()):
        facts.append(("order.ack", {"order_ref": "o", "as_of": data.draw(when)}))
    for number in range(data.draw(st.integers(0, 2))):
        line = {"sku": "A", "location": "paris", "quantity": data.draw(st.integers(1, 3))}
        facts.append(("shipment", {"ref": f"s{number}", "order_ref": "o", "lines": [line], "as_of": data.draw(when)}))
    seen = set()
    for order in (facts, data.draw(st.permutations(facts))):
        world = Beside(presume_receipts=False)
        world.locations("paris")
        world.level("A", "paris", 9, as_of=1, allocated=0)
        world.buy("r", ("A", 4), order_ref="o")
        for kind, body in order:
            world.accept(kind, **body)
        seen.add((world.sellable("A", "web"), world.state("r")))
    assert len(seen) == 1
