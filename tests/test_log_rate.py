"""Log lines of one kind are bounded in rate, and what is left out is counted."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.logs import LineRate

AT_ONCE, PER_S, KINDS_MAX = 3, 1.0, 4


@given(st.lists(st.tuples(st.integers(0, 7), st.floats(0, 3)), max_size=200))
def test_no_kind_exceeds_its_rate_and_no_line_is_lost_without_a_count(lines: list[tuple[int, float]]) -> None:
    now_s = 0.0
    rate = LineRate(AT_ONCE, PER_S, KINDS_MAX, lambda: now_s)
    written, left_out, told = 0, 0, 0
    for kind, wait_s in lines:
        now_s += wait_s
        taken = rate.take((str(kind),))
        if taken is None:
            left_out += 1
        else:
            written += 1
            told += taken
    kinds = min(len({kind for kind, _ in lines}), KINDS_MAX + 1)
    assert written <= kinds * (AT_ONCE + now_s * PER_S)
    assert written + left_out == len(lines)
    assert told <= left_out
    now_s += 1 / PER_S
    last = {kind: rate.take((str(kind),)) for kind in {kind for kind, _ in lines}}
    assert told + sum(count or 0 for count in last.values()) == left_out


def test_a_burst_is_written_whole_and_other_kinds_do_not_wait_for_it() -> None:
    rate = LineRate(AT_ONCE, PER_S, KINDS_MAX, lambda: 0.0)
    assert [rate.take(("end-not-read", "LOG")) for _ in range(5)] == [0, 0, 0, None, None]
    assert rate.take(("end-not-read", "IN")) == 0
