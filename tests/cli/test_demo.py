"""`holdfast demo --exit`: the whole story, short."""

import json

import pytest

from tests.support.serving import holdfast


@pytest.mark.slow
def test_the_demonstration_sells_dies_rebuilds_and_adds_up() -> None:
    done = holdfast("demo", "--exit", "--json", "--seconds", "5", "--carts", "200")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["oversold_units"] == 0
    assert told["raw_erp_oversold_units"] > 0, "the sale is larger than the stock"
    assert told["missing"] == []
    assert told["acknowledged"] > 300
    assert told["before_kill"]["equal"]
    assert told["end"]["equal"]
    assert told["gateway_away_s"] > 0


def test_it_starts_from_nothing_or_not_at_all(tmp_path: "object") -> None:
    done = holdfast("demo", "--exit", "--data", "tests")
    assert done.returncode == 2
    assert "not empty" in done.stderr
