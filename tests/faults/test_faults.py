"""`make faults` in short: each kind of fault on real processes under load, and the judge over every answer."""

from pathlib import Path

import pytest

from tests.faults.checker import judge
from tests.faults.history import History, Operation
from tests.faults.rounds import rounds, run_round

IN_SHORT = {"kill-leader": 2, "pause-leader": 1, "take-over": 3, "kill-nats": 2, "full-disk": 1, "second-owner": 1}
SHORT = [one for one in rounds(0.0) if one.name in IN_SHORT]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("one", SHORT, ids=lambda one: one.name)
async def test_nothing_acknowledged_is_lost_and_nothing_oversold(one: object, tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.faults.rounds import Round

    assert isinstance(one, Round)
    result = await run_round(replace(one, count=IN_SHORT[one.name]), tmp_path, 1, lambda _: None)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.verdict.complaints == []
    assert result.verdict.acknowledged > 100, "there was load"
    assert result.verdict.lost == result.verdict.oversold == 0


def lead(batch: int, epoch: int = 1) -> bytes:
    from holdfast._core import Engine

    assert batch == epoch == 1
    return Engine("main", None).lead_batch("n1", 1, None)


def operation(verb: str, name: str, status: int, sequence: int) -> Operation:
    return Operation(verb, name, (("S", 1),), 1.0, 2.0, status, sequence)


def test_the_judge_sees_what_is_lost() -> None:
    history = History([operation("put", "a", 201, 1), operation("delta", "d", 202, 1)])
    verdict = judge([lead(1)], history, {})
    assert verdict.lost == 2
    assert {text[:2] for text in verdict.complaints} == {"I1"}


def test_the_judge_sees_a_state_that_differs() -> None:
    state = {"sequence": 1, "digest": "f" * 32}
    assert [text[:2] for text in judge([lead(1)], History(), {"n1": state}).complaints] == ["I5"]


def test_the_judge_sees_a_void_batch() -> None:
    assert judge([lead(1), lead(1)], History(), {}).void == 1


def test_the_judge_sees_answers_out_of_order_and_reads_of_the_past() -> None:
    history = History([operation("put", "a", 200, 9)], reads=[(0.0, 5, 4, "live")])
    later = operation("put", "b", 200, 3)
    later.began_s = 3.0
    history.operations.append(later)
    assert {text[:2] for text in judge([lead(1)], history, {}).complaints} == {"I1", "I7", "I8"}
