"""Work that fails is tried again ever later, and can never cost more than its share of a core."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.recovery.backoff import Backoff
from holdfast.settings import SnapshotSettings

BOUNDS = SnapshotSettings()


def backoff() -> Backoff:
    return Backoff(BOUNDS.retry_ms, BOUNDS.retry_ms_max, BOUNDS.retry_rest_factor)


def test_the_wait_doubles_up_to_a_bound_and_a_success_starts_over() -> None:
    waiting = backoff()
    minutes = [waiting.failed("the disk is full", took_ms=10).wait_ms / 60_000 for _ in range(7)]
    assert minutes == [1, 2, 4, 8, 15, 15, 15]
    waiting.succeeded()
    again = waiting.failed("the disk is full", took_ms=10)
    assert (again.wait_ms, again.in_a_row) == (60_000, 1)


def test_an_attempt_that_took_long_is_followed_by_a_rest_that_is_longer_than_the_bound() -> None:
    assert backoff().failed("the digest differs", took_ms=120_000).wait_ms == 20 * 120_000


@given(st.lists(st.floats(0, 600_000), min_size=1, max_size=200))
def test_failing_attempts_get_at_most_one_part_in_twenty_one_of_a_core(took_ms: list[float]) -> None:
    waiting = backoff()
    waited_ms = sum(waiting.failed("no", took).wait_ms for took in took_ms)
    worked_ms = sum(took_ms)
    assert worked_ms <= (worked_ms + waited_ms + len(took_ms)) / 21, "but for a millisecond of rounding each"


def test_a_cause_is_news_once_until_it_changes_or_ends() -> None:
    waiting = backoff()
    digests = ("6b4471d97f049dd36150d1ddbaadd19b", "32f7044e7f6fb1b348b90e424028ed21")
    told = [
        f"at {sequence} the log gives digest {digest}" for sequence, digest in zip((17, 1_205), digests, strict=True)
    ]
    assert [waiting.failed(why, 1).is_news for why in told] == [True, False]
    assert waiting.failed("the disk is full", 1).is_news
    assert waiting.failed(told[0], 1).is_news
    waiting.succeeded()
    assert waiting.failed(told[1], 1).is_news
