"""What the tests of the whole product share: a gateway for each module, and a caller of it with two locations."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.served import Api, Served, places, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest_asyncio.fixture
async def api(served: Served) -> AsyncIterator[Api]:
    caller = Api(served.port)
    channels = [{"kind": "channel", "channel": name, "locations": "*"} for name in ("web", "pos")]
    await caller.policies(*places("W1", "W2"), *channels)
    yield caller
