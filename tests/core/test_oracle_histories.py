"""The core beside the oracle on random histories of all fact kinds and commands.

After each batch every sellable, every reservation, every answer and every rejection must be the same; a follower that
applies the batches keeps the leader's digest, and so does a replay from the first batch. That the histories get deep
(not only far) is asserted, too. `HYPOTHESIS_PROFILE=long` goes on for longer; `HOLDFAST_SEED=n` begins elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support import commands, histories
from tests.support.histories import PickByHypothesis, PickBySeed
from tests.support.playing import EVERY_FACT, History
from tests.support.retell import retell, shorten

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
DEEP = (
    "state committed",
    "state in_erp",
    "state fulfilled",
    "state released",
    "state expired",
    "state cancelled",
    "state oversold",
    "superseded",
    "late confirm",
    "bound to supply",
    "unsourced unit has a node",
    "supply-bound unit on the shelf",
    "supply-bound unit unsourced again",
    "moved elsewhere by an ack or a shipment",
    "sold on own allocation",
    "unsourced on own allocation",
    "cap used",
    "kit of kits sold",
    "partial hold",
    "order twice under one ref",
    "an ack or update waits for its order",
    "hole filled by supply",
    "deducted though shipped",
    "counted repeats",
    "counted anomalies",
    "counted stale_levels",
    "counted stale_versions",
    "counted level_conflicts",
    "counted stale_periods",
    "counted unlocated",
    "409 insufficient-stock",
    "409 reservation-closed",
    "409 stale-revision",
    "409 renewals-exhausted",
    "409 oversold",
    "422 invalid",
    "404 unknown-reservation",
    "rejected foreign-clock",
    "rejected mixed-clock",
    "rejected kit-has-no-stock",
)


class Machine(RuleBasedStateMachine):
    """Hypothesis decides: it shrinks what fails."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()

    @initialize(data=st.data())
    def opening(self, data: st.DataObject) -> None:
        self.history.opening(PickByHypothesis(data))

    @rule(data=st.data())
    def stock_fact(self, data: st.DataObject) -> None:
        self.history.facts(PickByHypothesis(data), histories.STOCK_FACTS)

    @rule(data=st.data())
    def order_fact(self, data: st.DataObject) -> None:
        self.history.facts(PickByHypothesis(data), histories.ORDER_FACTS)

    @rule(data=st.data())
    def policy(self, data: st.DataObject) -> None:
        self.history.facts(PickByHypothesis(data), histories.POLICY_FACTS)

    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        self.history.ask(PickByHypothesis(data), [commands.put])

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        self.history.ask(PickByHypothesis(data), [commands.confirm])

    @rule(data=st.data())
    def command(self, data: st.DataObject) -> None:
        self.history.ask(PickByHypothesis(data), commands.COMMANDS)

    @rule(data=st.data())
    def buy(self, data: st.DataObject) -> None:
        self.history.buy(PickByHypothesis(data))

    @rule(data=st.data())
    def the_erp_catches_up(self, data: st.DataObject) -> None:
        self.history.catch_up(PickByHypothesis(data))

    @rule(data=st.data(), facts=st.integers(0, 3), asks=st.integers(0, 3))
    def together(self, data: st.DataObject, facts: int, asks: int) -> None:
        self.history.together(PickByHypothesis(data), EVERY_FACT, commands.COMMANDS, facts, asks)

    @rule(data=st.data())
    def late_duplicate(self, data: st.DataObject) -> None:
        self.history.again(PickByHypothesis(data))

    @rule(data=st.data())
    def time_goes_by(self, data: st.DataObject) -> None:
        self.history.wait(PickByHypothesis(data))

    @rule(data=st.data())
    def cart_check_equals_the_hold(self, data: st.DataObject) -> None:
        self.history.cart_check(PickByHypothesis(data))

    @rule(data=st.data())
    def promise(self, data: st.DataObject) -> None:
        self.history.promise(PickByHypothesis(data))

    def teardown(self) -> None:
        note(self.history.beside.history())
        self.history.beside.replay()


TestMachine = pytest.mark.slow(pytest.mark.timeout(7_200 if LONG else 600)(Machine.TestCase))
TestMachine.settings = settings(max_examples=5_000 if LONG else 80, stateful_step_count=40)


def play(seed: int, steps: int) -> History:
    """A long history that a seed decides: deeper than what hypothesis reaches. What fails is told again, shorter."""
    pick, history = PickBySeed(seed), History()
    history.opening(pick)
    moves: list[Callable[[], None]] = [
        *history.moves(pick),
        lambda: history.cart_check(pick),
        lambda: history.promise(pick),
    ]
    try:
        for _ in range(steps):
            pick.one(moves)()
        history.beside.replay()
    except Exception as error:
        told, read, rules = history.beside.told, history.read, history.beside.rules
        beside, again = retell(told, read, rules)
        short = shorten(told, again, read, rules) if again is not None else told
        beside.told = list(short)
        error.add_note(f"seed {seed}; the shortest history that fails likewise:\n{beside.history()}\n{again!r}")
        raise
    return history


@pytest.mark.slow
@pytest.mark.timeout(7_200 if LONG else 600)
def test_long_histories_agree_and_get_deep() -> None:
    first = int(os.environ.get("HOLDFAST_SEED", "1"))
    for seed in range(first, first + (20_000 if LONG else 200)):
        play(seed, steps=60)
    missing = [state for state in DEEP if not History.reached[state]]
    assert missing == [], f"never reached; of the others: {History.reached.most_common()}"
