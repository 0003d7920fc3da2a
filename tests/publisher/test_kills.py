"""The kill run in short; `python -m tests.publisher.kills` is the long one."""

from pathlib import Path

import pytest

from tests.publisher.kills import killed


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_consumer_killed_beside_a_killed_publisher_misses_nothing(tmp_path: Path) -> None:
    assert "none missed" in await killed(tmp_path, consumers=4, publishers=2)
