"""Textbook max-flow, for F of docs/rules.md, section 1.

In: claims (a quantity and the nodes that may serve it) and the stock of each node. Out: how much of the claims can be
served at once, and F: what one more, boundless claim can take while the others stay as reachable as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

N = TypeVar("N")
BOUNDLESS = 10**15


def served(claims: Iterable[tuple[int, frozenset[N]]], stock: Mapping[N, int]) -> int:
    """The most units of the claims that the nodes can serve together: augmenting paths, claim by claim."""
    wanted = list(claims)
    left = dict(stock)
    given: list[dict[N, int]] = [{} for _ in wanted]  # claim -> node -> units

    def push(claim: int, want: int, seen: set[N]) -> int:
        """Serve up to `want` more of the claim, re-routing others where that frees a node. 0: there is no path."""
        for node in sorted(wanted[claim][1], key=repr):
            if node in seen or node not in left:
                continue
            seen.add(node)
            moved = min(want, left[node])
            if moved:
                left[node] -= moved
            else:
                for other in range(len(wanted)):
                    if other != claim and given[other].get(node):
                        moved = push(other, min(want, given[other][node]), seen)
                        if moved:
                            given[other][node] -= moved
                            break
            if moved:
                given[claim][node] = given[claim].get(node, 0) + moved
                return moved
        return 0

    total = 0
    for claim, (quantity, _) in enumerate(wanted):
        need = quantity
        while need and (moved := push(claim, need, set())):
            need -= moved
            total += moved
    return total


def reach(nodes: Iterable[N], claims: Iterable[tuple[int, frozenset[N]]], stock: Mapping[N, int]) -> int:
    """F: what can be taken from `nodes` while the claims stay as reachable as before."""
    others = [claim for claim in claims if claim[0] > 0 and claim[1]]
    return served([(BOUNDLESS, frozenset(nodes)), *others], stock) - served(others, stock)
