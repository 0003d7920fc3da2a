"""Quantities of ERPs, which have parts of units, as whole ones.

In: a quantity. Out: units. Always: down what is there, up what is owed, so that neither shows more than there is.
"""

import math


def whole(quantity: float) -> int:
    """Units that can be sold: holdfast counts whole units, and a part of one is none."""
    return math.floor(round(quantity, 6))


def begun(quantity: float) -> int:
    """Units that are owed: a part of one takes one."""
    return math.ceil(round(quantity, 6))
