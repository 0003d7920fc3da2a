"""The attacks in their short form: each was done once and worked; now it is held. `make attacks` has the full size."""

from pathlib import Path

import pytest

from tests.attacks.attack import Arena, Attack, every_attack
from tests.attacks.still_open import STILL_OPEN, STILL_OPEN_ON_CLUSTER

# On the cluster those alone that the accounts are for: the others differ from the single server in nothing.
ON_CLUSTER = {"forged-batch-by-a-consumer", "acknowledgement-into-log", "direct-calls"}


def _case(one: Attack, *, cluster: bool) -> object:
    still_open = STILL_OPEN_ON_CLUSTER if cluster else STILL_OPEN
    marks: list[pytest.MarkDecorator] = []
    if one.name in still_open:
        marks.append(pytest.mark.xfail(strict=True, reason="it still succeeds: tests/attacks/still_open.py"))
    if one.alone:
        marks.append(pytest.mark.alone)
    return pytest.param(one, cluster, marks=marks, id=f"{one.name}{'-on-a-cluster' if cluster else ''}")


CASES = [_case(one, cluster=False) for one in every_attack() if one.short]
CASES += [_case(one, cluster=True) for one in every_attack() if one.name in ON_CLUSTER]


@pytest.mark.slow
@pytest.mark.parametrize(("one", "cluster"), CASES)
async def test_an_attack_is_held(one: Attack, cluster: bool, tmp_path: Path) -> None:
    seen = await one.perform(Arena(tmp_path, full=False, cluster=cluster))
    assert seen.held, f"{seen.what} ({seen.figure}); right is: {one.right}"


def test_what_is_still_open_is_an_attack() -> None:
    names = {one.name for one in every_attack()}
    assert names >= STILL_OPEN | STILL_OPEN_ON_CLUSTER
