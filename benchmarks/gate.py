"""Instruction counts of core operations against a committed baseline: a regression gate that no busy machine can shake.

`gate.py check` fails when an operation takes more than 5 % more instructions than benchmarks/gate-baseline.json says;
`gate.py renew` (`make gate`) writes that file again. Both run rust/gate under valgrind's callgrind,
which counts instead of timing. Another compiler, valgrind or processor counts differently: then the check only warns.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).with_name("gate-baseline.json")
PROGRAM = ROOT / "target" / "release" / "gate"
TOLERANCE_PERCENT = 5.0

NO_VALGRIND = """valgrind is not on this machine, and without it instructions cannot be counted.
Get it with:  apt-get install valgrind"""


@dataclass(frozen=True)
class Operation:
    """What one operation of the gate program cost: instructions for each `unit` of its `count`."""

    name: str
    unit: str
    instructions: float


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
        operations, toolchain = measure(), tools()
        if task == "renew":
            renew(operations, toolchain)
            return 0
        return check(operations, toolchain)
    except CannotRunError as error:
        print(error, file=sys.stderr)
        return 2


def check(operations: list[Operation], toolchain: dict[str, str]) -> int:
    if not BASELINE.exists():
        raise CannotRunError(f"{BASELINE.name} is missing; `make gate` writes it.")
    baseline = json.loads(BASELINE.read_bytes())
    known: dict[str, float] = {name: entry["instructions"] for name, entry in baseline["operations"].items()}
    print_table(operations, known)
    worse = [o.name for o in operations if o.name in known and change_percent(o, known) > TOLERANCE_PERCENT]
    better = [o.name for o in operations if o.name in known and change_percent(o, known) < -TOLERANCE_PERCENT]
    names = {o.name for o in operations}
    strange = sorted(names ^ known.keys())
    other = {key: value for key, value in toolchain.items() if baseline["toolchain"].get(key) != value}
    for key, value in other.items():
        print(f"The baseline was counted with another {key}: {baseline['toolchain'].get(key)}; here: {value}.")
    if better:
        print(f"Better than the baseline: {', '.join(better)}. `make gate` keeps the gain.")
    if strange:
        print(f"Only in one of program and baseline: {', '.join(strange)}. `make gate` renews the baseline.")
    if not worse and not strange:
        print(f"No operation takes more than {TOLERANCE_PERCENT:g} % more instructions than its baseline.")
        return 0
    if worse:
        print(f"More than {TOLERANCE_PERCENT:g} % above the baseline: {', '.join(worse)}.")
        print("Make it as fast as before, or, when the cost is meant, renew the baseline with `make gate` and say why.")
    if other:
        print("Only a warning, because the tools differ from the baseline's.")
        return 0
    return 1


def renew(operations: list[Operation], toolchain: dict[str, str]) -> None:
    known: dict[str, float] = {}
    if BASELINE.exists():
        known = {name: entry["instructions"] for name, entry in json.loads(BASELINE.read_bytes())["operations"].items()}
    print_table(operations, known)
    document = {
        "toolchain": toolchain,
        "operations": {o.name: {"per": o.unit, "instructions": o.instructions} for o in operations},
    }
    BASELINE.write_text(json.dumps(document, indent=2) + "\n")
    print(f"Wrote {BASELINE.relative_to(ROOT)}. Commit it with the change that moved the counts.")


def change_percent(operation: Operation, known: dict[str, float]) -> float:
    return (operation.instructions / known[operation.name] - 1) * 100


def print_table(operations: list[Operation], known: dict[str, float]) -> None:
    print(f"{'operation':<34} {'instructions per':<18} {'now':>12} {'baseline':>12} {'change':>9}")
    for o in operations:
        before = f"{known[o.name]:>12,.1f} {change_percent(o, known):>+7.1f} %" if o.name in known else f"{'-':>12}"
        print(f"{o.name:<34} {o.unit:<18} {o.instructions:>12,.1f} {before}")


def tools() -> dict[str, str]:
    """What decides how many instructions the same source takes."""
    cpu = Path("/proc/cpuinfo")
    wide = "avx2" if cpu.exists() and " avx2" in cpu.read_text() else "no avx2"
    return {
        "compiler": said(["rustc", "--version"]),
        "valgrind": said(["valgrind", "--version"]),
        "processor": f"{platform.machine()}, {wide}",
    }


def measure() -> list[Operation]:
    print(
        "Building the gate program (release, whole-program optimisation: some tens of seconds when new) ...", flush=True
    )
    said(["cargo", "build", "--quiet", "--release", "--locked", "-p", "holdfast-gate"])
    print("Counting instructions under valgrind ...", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory) / "callgrind.out"
        callgrind = ["valgrind", "--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]
        lines = said([*callgrind, f"--callgrind-out-file={counts}", str(PROGRAM)]).splitlines()
        inclusive = inclusive_instructions(counts.read_text())
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
    return operations


def inclusive_instructions(profile: str) -> dict[str, int]:
    """Each function's own instructions plus those of what it calls, from a callgrind profile with one event (Ir)."""
    cost: dict[str, int] = {}
    function = ""
    for line in profile.splitlines():
        if line.startswith("fn="):
            function = line.removeprefix("fn=")
        elif line[:1].isdigit() and function:
            # "<line> <instructions>"; after a "calls=" line the same form gives what the call took in all.
            cost[function] = cost.get(function, 0) + int(line.split()[-1])
    return cost


def said(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRunError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
