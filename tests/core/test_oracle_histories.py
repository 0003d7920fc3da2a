"""The core beside the oracle on random histories of all fact kinds and commands.

After each batch every sellable, every reservation, every answer and every rejection must be the same, and so must the
maintained digest, the recounted one and that of a restored snapshot; a follower that applies the batches keeps the
leader's digest, and so does a replay from the first batch. That the histories get deep
(not only far) is asserted, too. `HYPOTHESIS_PROFILE=long` goes on for longer; `HOLDFAST_SEED=n` begins elsewhere.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support import commands, histories
from tests.support.histories import PickByHypothesis
from tests.support.many_histories import missing, play
from tests.support.order_histories import ORDER_FACTS
from tests.support.playing import EVERY_FACT, History
from tests.support.supply_histories import SOURCE_FACTS, SUPPLY_FACTS

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


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
        self.history.facts(PickByHypothesis(data), ORDER_FACTS)

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
    def backorder(self, data: st.DataObject) -> None:
        self.history.backorder(PickByHypothesis(data))

    @rule(data=st.data())
    def a_supply_ends(self, data: st.DataObject) -> None:
        self.history.supply_ends(PickByHypothesis(data))

    @rule(data=st.data())
    def supply_fact(self, data: st.DataObject) -> None:
        self.history.facts(PickByHypothesis(data), SUPPLY_FACTS)

    @rule(data=st.data())
    def goods_arrive(self, data: st.DataObject) -> None:
        self.history.goods_arrive(PickByHypothesis(data))

    @rule(data=st.data())
    def levels_begin_anew(self, data: st.DataObject) -> None:
        self.history.facts(PickByHypothesis(data), SOURCE_FACTS)

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


TestMachine = pytest.mark.slow(pytest.mark.timeout(7_200 if LONG else 1_200)(Machine.TestCase))
TestMachine.settings = settings(max_examples=5_000 if LONG else 80, stateful_step_count=40)


@pytest.mark.slow
@pytest.mark.timeout(7_200 if LONG else 1_200)
def test_long_histories_agree_and_get_deep() -> None:
    first = int(os.environ.get("HOLDFAST_SEED", "1"))
    for seed in range(first, first + (20_000 if LONG else 200)):
        play(seed, steps=60)
    assert missing(rare=LONG) == [], f"never reached; of the others: {History.reached.most_common()}"
