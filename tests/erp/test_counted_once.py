"""Each order counted once, end to end: the messages of orders interleaved, late and repeated, core and oracle beside.

At no moment may more be sellable than there is, and once all has arrived exactly that must be. The long form, also on a
real Tryton: `python -m tests.erp.interleavings`.
"""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from tests.support.books import Basis
from tests.support.interleaved import Shape, one

EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 40


@pytest.mark.parametrize("basis", ["gross", "net"])
@tries(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 60), orders=st.sampled_from([1, 20]))
def test_each_order_counts_once_in_any_order_of_arrival(basis: Basis, seed: int, steps: int, orders: int) -> None:
    asyncio.run(one(seed, Shape(basis, steps, orders)))
