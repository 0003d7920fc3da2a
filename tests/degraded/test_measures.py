"""What a rule means is taken back exactly, whatever an operator changed meanwhile."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.contracts.listings import LevelEntry, LocationEntry, PolicyEntry
from holdfast.degraded.measures import Rule, ending, location_fact, steps_of

SKUS, PLACES = ("A", "B"), ("paris", "lyon")
CELLS = [(sku, place) for sku in SKUS for place in PLACES]
ABSOLUTE = st.one_of(st.none(), st.integers(0, 5))


def place_of(name: str, enabled: bool) -> LocationEntry:
    return LocationEntry(
        location=name, declared=True, type="warehouse", regions=["fr"], priority=7, enabled=enabled, owner="erp"
    )


def level_of(place: str, on_hand: int, safety: int) -> LevelEntry:
    rest = {"moved": 0, "unsellable": 0, "allocated": 0, "demand": 0, "committed": 0, "held": 0}
    return LevelEntry(
        location=place,
        owner="erp",
        source="erp",
        as_of=1,
        basis="net",
        on_hand=on_hand,
        safety=safety,
        at_hand=max(0, on_hand - safety),
        sequence=1,
        owed_sequence=0,
        **rest,
    )


def rule_of(cell: tuple[str, str], absolute: int) -> PolicyEntry:
    return PolicyEntry(kind="safety", sku=cell[0], location=cell[1], absolute=absolute, percent=None)


class Scope:
    """Locations and safety rules as a gateway has them: a fact sets them."""

    def __init__(
        self, enabled: dict[str, bool], rules: dict[tuple[str, str], int | None], on_hand: dict[Any, int]
    ) -> None:
        self.enabled, self.on_hand = dict(enabled), on_hand
        self.rules = {cell: absolute for cell, absolute in rules.items() if absolute is not None}

    @property
    def places(self) -> dict[str, LocationEntry]:
        return {name: place_of(name, enabled) for name, enabled in self.enabled.items()}

    @property
    def entries(self) -> dict[tuple[str, str], PolicyEntry]:
        return {cell: rule_of(cell, absolute) for cell, absolute in self.rules.items()}

    def levels(self) -> dict[tuple[str, str], LevelEntry]:
        return {cell: level_of(cell[1], on_hand, self.rules.get(cell, 0)) for cell, on_hand in self.on_hand.items()}

    def sellable(self, cell: tuple[str, str]) -> int:
        return self.levels()[cell].at_hand if self.enabled[cell[1]] else 0

    def take(self, fact: dict[str, Any]) -> None:
        if fact["kind"] == "location":
            assert fact == location_fact(place_of(fact["location"], fact["enabled"]), enabled=fact["enabled"])
            self.enabled[fact["location"]] = fact["enabled"]
        elif "absolute" in fact:
            self.rules[fact["sku"], fact["location"]] = fact["absolute"]
        else:
            self.rules.pop((fact["sku"], fact["location"]), None)


SCOPES = st.builds(
    Scope,
    st.fixed_dictionaries({name: st.booleans() for name in PLACES}),
    st.fixed_dictionaries(dict.fromkeys(CELLS, ABSOLUTE)),
    st.fixed_dictionaries(dict.fromkeys(CELLS, st.integers(0, 12))),
)
RULES = st.builds(
    Rule, st.just("erp"), st.just(1_000), st.sampled_from(("serve", "widen", "cap", "restrict")), st.integers(0, 6)
)


@given(scope=SCOPES, rule=RULES, changed=st.lists(st.tuples(st.sampled_from(CELLS), st.integers(20, 30)), max_size=2))
def test_a_rule_sells_as_it_says_and_ends_as_it_began(scope: Scope, rule: Rule, changed: list[Any]) -> None:
    before, enabled, rules = {cell: scope.sellable(cell) for cell in CELLS}, dict(scope.enabled), dict(scope.rules)
    steps = steps_of(rule, scope.places.values(), scope.levels(), scope.entries)
    for _ in range(2):  # done again after a crash
        for one in steps:
            scope.take(one.sent)
    for cell, figure in before.items():
        wanted = {
            "serve": figure,
            "widen": max(0, figure - rule.amount),
            "cap": min(figure, rule.amount),
            "restrict": 0,
        }[rule.action]
        assert scope.sellable(cell) == wanted
    for cell, absolute in changed:
        scope.rules[cell] = absolute
        rules[cell] = absolute
    for _ in range(2):
        for fact in ending(steps, scope.places, scope.entries):
            scope.take(fact)
    assert (scope.enabled, scope.rules) == (enabled, rules)
