"""Stories for the oracle alone, and for the core beside it.

In: a test that takes `story`. Out: the test twice. Always holds: at the end both say the same everywhere, and a replay
of the story gives the same digest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.oracle.beside import Beside


@pytest.fixture(params=["oracle", "core"])
def story(request: pytest.FixtureRequest) -> Iterator[Beside]:
    told = Beside(core=request.param == "core")
    yield told
    told.same_everywhere()
    told.replay()
