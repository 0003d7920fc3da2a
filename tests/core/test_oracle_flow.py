"""The oracle's max-flow against networkx and against the closed form that docs/rules.md gives for F."""

from itertools import chain, combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from tests.support.oracle.flow import reach, served

NODES = "abcd"
CLAIMS = st.lists(st.tuples(st.integers(0, 9), st.frozensets(st.sampled_from(NODES))), max_size=5)
STOCK = st.fixed_dictionaries({node: st.integers(0, 9) for node in NODES})


def by_networkx(claims: list[tuple[int, frozenset[str]]], stock: dict[str, int]) -> int:
    graph: nx.DiGraph[int | str] = nx.DiGraph()
    graph.add_nodes_from(["source", "sink"])
    for number, (quantity, nodes) in enumerate(claims):
        graph.add_edge("source", number, capacity=quantity)
        for node in nodes:
            graph.add_edge(number, node)
    for node, quantity in stock.items():
        graph.add_edge(node, "sink", capacity=quantity)
    return int(nx.maximum_flow_value(graph, "source", "sink"))


def by_closed_form(nodes: frozenset[str], claims: list[tuple[int, frozenset[str]]], stock: dict[str, int]) -> int:
    def least(extra: frozenset[str]) -> int:
        sets = chain.from_iterable(combinations(range(len(claims)), size) for size in range(len(claims) + 1))
        totals = []
        for chosen in sets:
            outside = sum(quantity for number, (quantity, _) in enumerate(claims) if number not in chosen)
            covered = extra.union(*(claims[number][1] for number in chosen))
            totals.append(outside + sum(stock[node] for node in covered))
        return min(totals)

    return least(nodes) - least(frozenset())


@given(CLAIMS, STOCK)
def test_served_is_the_maximum_flow_that_networkx_finds(
    claims: list[tuple[int, frozenset[str]]], stock: dict[str, int]
) -> None:
    assert served(claims, stock) == by_networkx(claims, stock)


@given(st.frozensets(st.sampled_from(NODES)), CLAIMS, STOCK)
def test_reach_is_the_closed_form_of_the_rules(
    nodes: frozenset[str], claims: list[tuple[int, frozenset[str]]], stock: dict[str, int]
) -> None:
    assert reach(nodes, claims, stock) == by_closed_form(nodes, claims, stock)


def test_one_claim_takes_only_what_it_must_have() -> None:
    # One claim of 3 over a and b; a channel on a alone: min(3 + 5, 5 + 4) - min(3, 9) = 8 - 3.
    stock = {"a": 5, "b": 4}
    assert reach({"a"}, [(3, frozenset("ab"))], stock) == 5
    assert reach({"a"}, [(6, frozenset("ab"))], stock) == 3
    assert reach({"a"}, [(6, frozenset("b"))], stock) == 5


def test_a_claim_that_is_not_connected_takes_nothing() -> None:
    assert reach({"a"}, [(100, frozenset("b"))], {"a": 5, "b": 4}) == 5
