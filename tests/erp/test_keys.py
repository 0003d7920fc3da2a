"""A connection under its key: what it may do, and what `erp check` says of a key that may not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.erp.checks import check_connection
from holdfast.settings import ErpSettings, Settings
from tests.support.erp import Served, serving

KEYS = [
    "whole --operations read facts --source acme",
    "writes --operations facts --source acme",
    "reads --operations read",
    "other --operations read facts --source other",
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(Path(tmp_path_factory.mktemp("keys")) / "d", keys=KEYS) as found:
        yield found


@pytest.mark.parametrize(
    ("key", "orders", "wrong"),
    [
        ("whole", True, {}),
        ("writes", True, {"orders": "read"}),
        ("writes", False, {}),
        ("reads", True, {"gateway": "facts"}),
        ("other", True, {"gateway": "acme"}),
        ("", True, {"gateway": "key"}),
    ],
)
async def test_a_check_says_what_a_key_may_not(
    served: Served, tmp_path: Path, key: str, *, orders: bool, wrong: dict[str, str]
) -> None:
    token = (served.data / f"{key}.key").read_text().strip() if key else ""
    settings = ErpSettings(kind="csv", directory=str(tmp_path), key=token, orders=orders)
    found = await check_connection("acme", settings, served.place, Settings())
    assert {one.part for one in found if not one.ok and one.part != "events"} == set(wrong), found
    assert all(why in one.what for one in found for part, why in wrong.items() if one.part == part), found
