"""What the simulation has found: the seed that found it, and the shortest history that shows it.

Each test tells one story and failed before it was put right. `SEEDS` are played too: a seed tells another story once
the simulator draws its chances in another order, so the scripted story is what stays; the seed costs nothing.
"""

import pytest

from holdfast.node.clocks import Clocks
from holdfast.settings import NodeSettings
from tests.simulation.run import play

SEEDS = {
    1: "lead time moved for the time before the process led: up to a tick, after a pause up to `lead_step_ms_max`",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_found_something_finds_nothing_now(seed: int) -> None:
    result = play(seed)
    assert result.seed is None, f"{result.invariant}: {result.what}"


def test_the_time_before_a_process_leads_is_not_led() -> None:
    """A claim was under way as the process was paused; its first reading as leader saw the whole pause."""
    clocks = Clocks(NodeSettings())
    clocks.observe(1_000, 1_000, None)
    clocks.lead_from(500, 1_000)  # the acknowledgement is heard, then the clocks are read
    clocks.observe(9_000, 9_000, 1 << 62)
    assert clocks.lead_ms == 500
    clocks.observe(9_025, 9_025, 1 << 62)
    assert clocks.lead_ms == 525


def test_time_between_two_leads_of_one_process_is_not_led() -> None:
    clocks = Clocks(NodeSettings())
    clocks.lead_from(0, 0)
    clocks.observe(0, 0, 1 << 62)
    clocks.observe(20, 20, 1 << 62)
    clocks.lead_from(30, 0)  # fenced and leading again between two readings
    clocks.observe(40, 40, 1 << 62)
    assert clocks.lead_ms == 30
