"""A story for the oracle alone, and for the core beside it."""

from __future__ import annotations

import pytest

from tests.support.oracle.beside import Beside


@pytest.fixture(params=["oracle", "core"])
def story(request: pytest.FixtureRequest) -> Beside:
    beside = Beside(core=request.param == "core")
    beside.locations("lyon", "paris")
    beside.channel("web")
    return beside
