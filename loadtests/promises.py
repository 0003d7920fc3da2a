"""Judges a rehearsal by slo.toml.

In: the file, what was measured. Out: each promise, with what was found. Always: a name that is not measured is an error
of the file; a call that did not happen keeps its promise, and is shown with 0 calls.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.accounts import Accounts, percentile

CALLS = ("browse", "validate", "reserve", "confirm", "release", "facts")
SHARES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}


class PromisesError(Exception):
    """The file cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Promise:
    """One line of the file, and what became of it."""

    name: str
    most: float
    found: float

    @property
    def kept(self) -> bool:
        """At most what was promised."""
        return self.found <= self.most


def read(path: Path) -> dict[str, dict[str, float]]:
    """The file. Raises PromisesError."""
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PromisesError(f"{path} cannot be read: {error}") from error
    for table, lines in tables.items():
        if table not in {*SHARES, "at_most"} or not isinstance(lines, dict):
            raise PromisesError(f"{path} has [{table}]; there are: {', '.join(SHARES)}, at_most")
        for name, most in lines.items():
            if table in SHARES and name not in CALLS:
                raise PromisesError(f"{path}, [{table}]: no call {name}; there are: {', '.join(CALLS)}")
            if isinstance(most, bool) or not isinstance(most, int | float):
                raise PromisesError(f"{path}, [{table}] {name}: {most!r} is not a number")
    return tables


def judge(tables: Mapping[str, Mapping[str, float]], accounts: Accounts, counted: Mapping[str, float]) -> list[Promise]:
    """All promises; `counted` has the figures of [at_most]. Raises PromisesError."""
    found = []
    for table, lines in tables.items():
        for name, most in lines.items():
            if table in SHARES:
                measured: float = percentile(accounts.overall(name), SHARES[table])
                found.append(Promise(f"{name} {table.removesuffix('_ms')}, ms", most, measured))
            elif name in counted:
                found.append(Promise(name.replace("_", " "), most, counted[name]))
            else:
                raise PromisesError(f"[at_most] {name} is not measured; there are: {', '.join(counted)}")
    return found
