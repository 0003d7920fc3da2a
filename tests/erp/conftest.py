"""One gateway for all tests of a file: each uses its own SKUs and sources."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.erp import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(Path(tmp_path_factory.mktemp("erp")) / "d") as found:
        yield found
