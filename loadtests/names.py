"""The names of a rehearsal's SKUs, the same for what opens the stock and for what sells it.

In: the name of a run. Out: SKUs. Always: two runs share none.
"""

PLACES = 3


def hot_skus(run: str, count: int) -> list[str]:
    """The few that everybody wants."""
    return [f"{run}-HOT-{number}" for number in range(1, count + 1)]


def plain_skus(run: str, count: int) -> list[str]:
    """The rest of what is sold."""
    return [f"{run}-{number:04}" for number in range(1, count + 1)]
