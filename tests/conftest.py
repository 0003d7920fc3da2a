"""What every test has: hypothesis profiles, an event loop on which nothing may block, and a nats-server on request.

In: HYPOTHESIS_PROFILE (ci, the default; long for a night's run); FAILED_TESTS, a file for the names of tests that
fail. Always: `ci` tries the same examples each time.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from holdfast.nats_server.server import EmbeddedServer
from tests.support.servers import embedded

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("long", max_examples=5_000, deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down what failed, once each, for tools/python_tests.sh. Workers of xdist leave it to the one that leads."""
    names = os.environ.get("FAILED_TESTS")
    if not names or not report.failed or "PYTEST_XDIST_WORKER" in os.environ:
        return
    with Path(names).open("a+") as file:
        file.seek(0)
        if report.nodeid not in file.read().splitlines():
            file.write(f"{report.nodeid}\n")


@pytest.fixture(autouse=True)
def no_waiting_on_the_event_loop() -> Iterator[None]:
    """A call of holdfast that would make the event loop wait (a sleep, a lock, a socket) fails the test that met it.

    Small local files are read and written where a process starts and stops, so those calls are let through. SQLite is
    used by connections to other systems alone, in processes that serve nobody.
    """
    with blockbuster_ctx("holdfast") as blockbuster:
        for name, function in blockbuster.functions.items():
            if name.startswith(("os.", "io.", "builtins.", "sqlite3.")):
                function.deactivate()
        yield


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A nats-server of the test's own."""
    async with embedded(tmp_path) as running:
        yield running
