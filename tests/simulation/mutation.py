"""How soon each mutant is found.

Role: play histories with each wrong protocol until one finds it, and with the harmless ones to show that none does. In:
how many seeds at most. Out: a table (docs/simulation.md has it); exit status 1 when a mutant is not found, or a
harmless one is. Always: the first seed is 1, so the table is the same on every machine.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from tests.simulation.mutants import HARMLESS, MUTANTS
from tests.simulation.run import Result, play


@dataclass(frozen=True, slots=True)
class Row:
    """One mutant, and what found it."""

    name: str
    what: str
    harmless: bool
    result: Result
    took_s: float

    @property
    def as_it_should_be(self) -> bool:
        """A mutant is found, a harmless one is not."""
        return self.harmless == (self.result.seed is None)


def hunt(name: str, seeds: int) -> Row:
    """Play up to so many histories with this mutant."""
    harmless = name in HARMLESS
    mutant = HARMLESS[name] if harmless else MUTANTS[name]
    total, began_s = Result(), time.monotonic()
    for seed in range(1, seeds + 1):
        total.add(play(seed, mutant.cast))
        if total.seed is not None:
            break
    return Row(name, " ".join(mutant.what.split()), harmless, total, time.monotonic() - began_s)


def table(rows: list[Row]) -> list[str]:
    """In Markdown."""
    lines = ["| mutant | what it breaks | histories until found | what found it |", "|---|---|---|---|"]
    for row in rows:
        found = row.result.seed is not None
        until = str(row.result.seeds) if found else f"not in {row.result.seeds}"
        lines.append(f"| `{row.name}` | {row.what} | {until} | {row.result.invariant if found else '-'} |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutation", description="Hunt the mutants.")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many histories at most for each mutant")
    parser.add_argument("--harmless", type=int, default=1_000, help="how many for each harmless one")
    parser.add_argument("names", nargs="*", help="these alone")
    asked = parser.parse_args(arguments)
    names = asked.names or [*MUTANTS, *HARMLESS]
    seeds = [asked.harmless if name in HARMLESS else asked.seeds for name in names]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(hunt, names, seeds))
    print("\n".join(table(rows)))
    wrong = [row for row in rows if not row.as_it_should_be]
    for row in wrong:
        if row.harmless:
            print(f"\n{row.name} should be harmless; seed {row.result.seed}: {row.result.invariant}: {row.result.what}")
        else:
            print(f"\n{row.name} was not found in {row.result.seeds} histories")
    histories, took_s = sum(row.result.seeds for row in rows), sum(row.took_s for row in rows)
    print(f"\n{len(rows)} mutants, {histories} histories, {took_s:.0f} s of processor time")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
