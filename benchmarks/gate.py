"""Instruction counts against a committed baseline: a regression gate that no busy machine can shake.

`gate.py check` fails when an operation takes more than 3 % more instructions than benchmarks/gate-baseline.json says,
and names the functions that grew; `gate.py renew` (`make gate`) writes that file again. Counted by valgrind's
callgrind: operations of the core (rust/gate), and a fixed script of requests through the gateway's Python
(benchmarks/python_path.py). Another compiler, valgrind, processor or profile, or for the script another interpreter,
counts differently: then the check only warns.

Exit status: 0 held (or skipped outside CI for want of valgrind), 1 a count went up, 2 could not run.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).with_name("gate-baseline.json")
PROFILE = "local"  # what `make install` has compiled already; counts are compared, so they need not be the smallest
PROGRAM = ROOT / "target" / PROFILE / "gate"
TOLERANCE_PERCENT = 3.0
FUNCTIONS_KEPT, FUNCTIONS_SHOWN = 60, 8
REQUESTS = 300  # of each kind, of the script through Python
CALLGRIND = ["valgrind", "--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]

NO_VALGRIND = """valgrind is not on this machine, and without it instructions cannot be counted.
Get it with:  apt-get install valgrind"""


@dataclass(frozen=True)
class Operation:
    """What one operation cost: instructions for each `unit` of its count."""

    name: str
    unit: str
    instructions: float


@dataclass(frozen=True)
class Group:
    """Operations that are counted in one run, with what decides how many instructions the same source takes.

    `functions`: the instructions of each function itself, over the whole run, of those that took most.
    """

    name: str
    toolchain: dict[str, str]
    operations: list[Operation]
    functions: dict[str, int] = field(default_factory=dict)


class CannotRunError(Exception):
    """The gate could not count; the message says what to do."""


def main() -> int:
    task = sys.argv[1] if len(sys.argv) == 2 else ""
    if task not in {"check", "renew"}:
        print(f"usage: {Path(sys.argv[0]).name} check | renew", file=sys.stderr)
        return 2
    if shutil.which("valgrind") is None:
        print(NO_VALGRIND, file=sys.stderr)
        if task == "check" and os.environ.get("CI", "") in {"", "0", "false"}:
            print("Skipped: the instruction counts are not checked.", file=sys.stderr)
            return 0
        return 2
    try:
        build()
        groups = [core(), python_path()]
        if task == "renew":
            renew(groups)
            return 0
        if not BASELINE.exists():
            raise CannotRunError(f"{BASELINE.name} is missing; `make gate` writes it.")
        baseline = json.loads(BASELINE.read_bytes())
        return max(check(group, baseline.get(group.name, {})) for group in groups)
    except CannotRunError as error:
        print(error, file=sys.stderr)
        return 2


def check(group: Group, baseline: dict[str, Any]) -> int:
    """Compares and says what is found: 1 when a count went up, and the tools are those of the baseline."""
    known: dict[str, float] = {name: entry["instructions"] for name, entry in baseline.get("operations", {}).items()}
    print_table(group, known)
    changes = {o.name: change_percent(o, known) for o in group.operations if o.name in known}
    worse = [name for name, change in changes.items() if change > TOLERANCE_PERCENT]
    better = [name for name, change in changes.items() if change < -TOLERANCE_PERCENT]
    strange = sorted({o.name for o in group.operations} ^ known.keys())
    before = baseline.get("toolchain", {})
    other = {key: value for key, value in group.toolchain.items() if before.get(key) != value}
    for key, value in other.items():
        print(f"The baseline was counted with another {key}: {before.get(key)}; here: {value}.")
    if better:
        print(f"Better than the baseline: {', '.join(better)}. `make gate` keeps the gain.")
    if strange:
        print(f"Only in one of program and baseline: {', '.join(strange)}. `make gate` renews the baseline.")
    if not worse and not strange:
        print(f"No operation takes more than {TOLERANCE_PERCENT:g} % more instructions than its baseline.\n")
        return 0
    if worse:
        print(f"More than {TOLERANCE_PERCENT:g} % above the baseline: {', '.join(worse)}.")
        print_grown(group, baseline.get("functions", {}))
        print("Make it as fast as before, or, when the cost is meant, renew the baseline with `make gate` and say why.")
    if other:
        print("Only a warning, because the tools differ from the baseline's.\n")
        return 0
    return 1


def renew(groups: list[Group]) -> None:
    baseline = json.loads(BASELINE.read_bytes()) if BASELINE.exists() else {}
    document = {}
    for group in groups:
        before = baseline.get(group.name, {}).get("operations", {})
        print_table(group, {name: entry["instructions"] for name, entry in before.items()})
        document[group.name] = {
            "toolchain": group.toolchain,
            "operations": {o.name: {"per": o.unit, "instructions": o.instructions} for o in group.operations},
            "functions": group.functions,
        }
    BASELINE.write_text(json.dumps(document, indent=2) + "\n")
    print(f"Wrote {BASELINE.relative_to(ROOT)}. Commit it with the change that moved the counts.")


def change_percent(operation: Operation, known: dict[str, float]) -> float:
    return (operation.instructions / known[operation.name] - 1) * 100


def print_table(group: Group, known: dict[str, float]) -> None:
    print(f"{group.name + ': operation':<34} {'instructions per':<18} {'now':>12} {'baseline':>12} {'change':>9}")
    for o in group.operations:
        before = f"{known[o.name]:>12,.1f} {change_percent(o, known):>+7.1f} %" if o.name in known else f"{'-':>12}"
        mark = "  <--" if o.name in known and change_percent(o, known) > TOLERANCE_PERCENT else ""
        print(f"{o.name:<34} {o.unit:<18} {o.instructions:>12,.1f} {before}{mark}")


def print_grown(group: Group, before: dict[str, int]) -> None:
    """The functions that took most more than before, by themselves, over the whole run."""
    grown = {name: now - before[name] for name, now in group.functions.items() if now > before.get(name, now)}
    grown |= {name: now for name, now in group.functions.items() if name not in before}
    if before and grown:
        print("What grew, in instructions of the whole run, without what is called from there:")
        for name, more in sorted(grown.items(), key=lambda item: -item[1])[:FUNCTIONS_SHOWN]:
            new = "" if name in before else "   (not among the baseline's)"
            print(f"  {more:>+13,}  {name[:90]}{new}")


def tools() -> dict[str, str]:
    """What decides how many instructions the same source takes."""
    cpu = Path("/proc/cpuinfo")
    wide = "avx2" if cpu.exists() and " avx2" in cpu.read_text() else "no avx2"
    return {
        "compiler": said(["rustc", "--version"]),
        "valgrind": said(["valgrind", "--version"]),
        "processor": f"{platform.machine()}, {wide}",
    }


def build() -> None:
    print("Building the gate program (some tens of seconds when new) ...", flush=True)
    said(["cargo", "build", "--quiet", "--profile", PROFILE, "--locked", "-p", "holdfast-gate"])


def core(*arguments: str) -> Group:
    """The operations of the program rust/gate."""
    print("Counting instructions of the core under valgrind ...", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory) / "callgrind.out"
        lines = said([*CALLGRIND, f"--callgrind-out-file={counts}", str(PROGRAM), *arguments]).splitlines()
        own, inclusive = instructions(counts.read_text())
    operations = []
    for line in lines:
        said_by_program: dict[str, Any] = json.loads(line)
        name = said_by_program["operation"]
        # A symbol carries its path, and a hash after it: the name stands between characters that no name is made of.
        found = [cost for function, cost in inclusive.items() if re.search(rf"(?<![a-z_]){name}(?![a-z_])", function)]
        if len(found) != 1:
            raise CannotRunError(f"{len(found)} functions are called {name}; rust/gate must have one.")
        per_unit = round(found[0] / said_by_program["count"], 1)
        operations.append(Operation(name, said_by_program["unit"], per_unit))
    return Group("core", tools() | {"profile": PROFILE}, operations, most(own))


def python_path() -> Group:
    """A read and a reservation through HTTP, routes, answers and the core, with one client that waits for each."""
    print("Counting instructions of requests through Python under valgrind ...", flush=True)
    scripts = {"python_read": ("read", (REQUESTS, 0)), "python_hold": ("reservation", (0, REQUESTS))}
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:

        def profile(name: str) -> str:
            counts = Path(directory) / f"{name}.out"
            script = [sys.executable, "-m", "benchmarks.python_path", *map(str, scripts[name][1])]
            callgrind = [*CALLGRIND, "--instr-atstart=no", f"--callgrind-out-file={counts}"]
            said([*callgrind, *script], CALLGRIND="1", PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
            return counts.read_text()

        profiles = dict(zip(scripts, pool.map(profile, scripts), strict=True))
    operations = [
        Operation(name, unit, round(total(profiles[name]) / REQUESTS, 1)) for name, (unit, _) in scripts.items()
    ]
    own: Counter[str] = Counter()
    for text in profiles.values():
        own.update(instructions(text)[0])
    return Group("python", tools() | python_tools(), operations, most(own))


def python_tools() -> dict[str, str]:
    """What else decides it there; packages are those of requirements.lock, so a new version shows as a change."""
    from holdfast import _core

    return {"interpreter": f"{sys.implementation.name} {platform.python_version()}", "extension": _core.build_profile}


def total(profile: str) -> int:
    """All instructions that were counted."""
    found = re.findall(r"^totals: (\d+)$", profile, re.MULTILINE)
    if not found:
        raise CannotRunError("callgrind wrote no total; counting was not switched on.")
    return max(map(int, found))


def most(own: dict[str, int]) -> dict[str, int]:
    """Those that took most, by names that do not change from build to build."""
    named: dict[str, int] = {}
    for function, cost in own.items():
        name = re.sub(r"::h[0-9a-f]{16}|'\d+$|^0x[0-9a-f]+$", "", function) or "without a name"
        named[name] = named.get(name, 0) + cost
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0]))[:FUNCTIONS_KEPT])


def instructions(profile: str) -> tuple[dict[str, int], dict[str, int]]:
    """Each function's own instructions, and those plus what it calls, from a callgrind profile with one event (Ir)."""
    own: dict[str, int] = {}
    inclusive: dict[str, int] = {}
    function, called = "", False
    for line in profile.splitlines():
        if line.startswith("fn="):
            function = line.removeprefix("fn=")
        elif line.startswith("calls="):
            called = True  # the next line gives what the call took in all
        elif line[:1].isdigit() and function:
            cost = int(line.split()[-1])
            inclusive[function] = inclusive.get(function, 0) + cost
            if not called:
                own[function] = own.get(function, 0) + cost
            called = False
    return own, inclusive


def said(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise CannotRunError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
