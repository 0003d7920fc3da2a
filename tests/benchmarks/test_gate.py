"""The gate of instruction counts: red on a core that was made slower, green on the same core, and readable."""

import shutil
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import gate
from benchmarks.gate import Group, Operation

TOOLS = {"compiler": "rustc 1"}


def built() -> bool:
    sources = gate.ROOT / "rust" / "gate" / "src" / "main.rs"
    return gate.PROGRAM.exists() and gate.PROGRAM.stat().st_mtime > sources.stat().st_mtime


def baseline(group: Group) -> dict[str, Any]:
    operations = {one.name: {"per": one.unit, "instructions": one.instructions} for one in group.operations}
    return {**asdict(group), "operations": operations}


def group(**instructions: float) -> Group:
    return Group("core", TOOLS, [Operation(name, "read", count) for name, count in instructions.items()])


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
@pytest.mark.skipif(not built(), reason="make gate-check builds the program")
@pytest.mark.timeout(300)
def test_a_core_that_was_made_slower_is_red_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    before = baseline(gate.core("short"))
    assert gate.check(gate.core("short"), before) == 0
    capsys.readouterr()
    assert gate.check(gate.core("short", "slowed"), before) == 1
    said = capsys.readouterr().out
    (marked,) = [line for line in said.splitlines() if line.endswith("<--")]
    assert marked.startswith("gate_hold_two_lines")
    assert "above the baseline: gate_hold_two_lines." in said
    assert "holdfast_core::" in said.partition("What grew")[2]
    assert "make gate" in said


@given(st.floats(1, 1e6), st.floats(0.5, 2))
def test_the_gate_is_red_exactly_above_three_percent(count: float, factor: float) -> None:
    now = group(hold=count * factor)
    assert gate.check(now, baseline(group(hold=count))) == int((count * factor / count - 1) * 100 > 3)


def test_other_tools_are_named_and_only_warn(capsys: pytest.CaptureFixture[str]) -> None:
    before = baseline(group(hold=100)) | {"toolchain": {"compiler": "rustc 2"}}
    assert gate.check(group(hold=200), before) == 0
    said = capsys.readouterr().out
    assert "another compiler: rustc 2; here: rustc 1" in said
    assert "Only a warning" in said


@pytest.mark.parametrize(("now", "before"), [({"a": 1.0, "b": 1.0}, {"a": 1.0}), ({"a": 1.0}, {"a": 1.0, "b": 1.0})])
def test_an_operation_that_only_one_of_them_has_is_red(now: dict[str, float], before: dict[str, float]) -> None:
    assert gate.check(group(**now), baseline(group(**before))) == 1


def test_a_profile_is_read_with_and_without_what_is_called() -> None:
    profile = "fn=outer\n1 10\ncfn=inner\ncalls=1 0\n1 90\n2 5\n\nfn=inner\n7 90\ntotals: 105\n"
    own, inclusive = gate.instructions(profile)
    assert own == {"outer": 15, "inner": 90}
    assert inclusive == {"outer": 105, "inner": 90}
    assert gate.total(profile) == 105


def test_names_of_functions_do_not_change_from_build_to_build() -> None:
    assert gate.most({"core::put::h0123456789abcdef": 5, "core::put::hfedcba9876543210": 2}) == {"core::put": 7}
