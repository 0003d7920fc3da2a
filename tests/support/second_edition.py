"""Stories of the second edition: the oracle alone must pass them all, the core beside it those that it meets already.

In: the rule that a story is about, by its name in `NOT_YET` of the oracle's edition.py; None: one that was met before.
Out: the story twice, without and with the core. Always holds: a rule that the core meets and that is still listed there
fails (strict xfail), so the list cannot be too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase

from tests.support.oracle import edition
from tests.support.oracle.beside import Beside


def expected(rule: str | None) -> list[pytest.MarkDecorator]:
    """A strict xfail for what the core does not meet yet."""
    late = rule is not None and rule in edition.NOT_YET
    mark = pytest.mark.xfail(reason=f"the core has not yet: {rule}", raises=AssertionError, strict=True)
    return [mark] if late else []


def phases(rule: str) -> list[Phase]:
    """Of a property test: what fails as expected is not made shorter."""
    found = list(Phase)
    return found if rule not in edition.NOT_YET else [one for one in found if one not in (Phase.shrink, Phase.explain)]


def about(rule: str | None) -> Callable[..., Any]:
    """Runs the story by the rules of the second edition, without the core and beside it."""
    core = pytest.param("core", marks=expected(rule))
    return pytest.mark.parametrize("story", ["oracle", core], indirect=True)


@pytest.fixture
def story(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    monkeypatch.setattr(edition, "EDITION", 2)
    told = Beside(core=request.param == "core")
    yield told
    if request.node.get_closest_marker("xfail") is None:
        told.same_everywhere()
        told.replay()
