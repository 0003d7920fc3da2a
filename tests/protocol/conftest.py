"""What the tests of the protocol share: one that leads."""

import pytest

from tests.support.driver import Driver


@pytest.fixture
def leader() -> Driver:
    driver = Driver().caught_up().store()
    assert driver.role == "leading"
    return driver
