"""What the rounds found, as JSON and as docs/peers.md.

In: rows. Out: medians with the least and the most of the rounds; holdfast's rate in parts of each peer's.
Always: no ratio where the ranges of the two rates overlap: then the noise of the machine could have made it.
"""

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import SAMPLE, WORKLOADS, Plan, Row
from benchmarks.peers.servers import LAST_UNITS, STOCK, Peer, versions
from benchmarks.serving import ROOT
from holdfast import _core

US = "holdfast"


@dataclass(frozen=True)
class Figure:
    """One server under one load, over all rounds."""

    peer: str
    workload: str
    connections: int
    rate: float
    rate_min: float
    rate_max: float
    p50_ms: float
    p99_ms: float
    of_peer: float | None = None  # holdfast's rate / this one's, where the ranges are apart

    def apart(self, other: "Figure") -> bool:
        """Whether the two ranges of the rates have nothing in common."""
        return self.rate_min > other.rate_max or other.rate_min > self.rate_max


def figures(rows: Iterable[Row]) -> list[Figure]:
    """Medians, and holdfast beside each."""
    runs: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        runs.setdefault((row.workload, row.connections, row.peer), []).append(row)
    plain = {key: _median(own) for key, own in runs.items()}
    found = []
    for (workload, connections, peer), figure in plain.items():
        us = plain[workload, connections, US]
        ratio = round(us.rate / figure.rate, 2) if peer != US and us.apart(figure) else None
        found.append(Figure(**{**asdict(figure), "of_peer": ratio}))
    return found


def _median(rows: list[Row]) -> Figure:
    rates = [row.rate for row in rows]
    return Figure(
        peer=rows[0].peer,
        workload=rows[0].workload,
        connections=rows[0].connections,
        rate=round(statistics.median(rates), 1),
        rate_min=round(min(rates), 1),
        rate_max=round(max(rates), 1),
        p50_ms=round(statistics.median(row.p50_ms for row in rows), 3),
        p99_ms=round(statistics.median(row.p99_ms for row in rows), 3),
    )


def machine(directory: Path) -> dict[str, Any]:
    """What ran, on what."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) or [platform.machine()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    nats = subprocess.run(
        ["nats-server", "--version"], capture_output=True, text=True, check=False, env=_with_scripts()
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit.strip(),
        "processor": f"{os.cpu_count()} x {names[0].strip()}",
        "memory_gib": round(memory),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "busy_before": round(os.getloadavg()[0], 2),
        "fsync_ms": fsync_ms(directory),
        "extension": _core.build_profile,
        "versions": {
            **{name: version(name) for name in ("aiohttp", "uvloop", "redis", "asyncpg")},
            "nats-server": nats.stdout.strip().removeprefix("nats-server: v"),
            **versions(),
        },
    }


def _with_scripts() -> dict[str, str]:
    return {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ.get('PATH', '')}"}


def fsync_ms(directory: Path) -> float:
    """The median of 50 writes of 4 KiB, each synced, where all servers keep their files."""
    took = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4_096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1_000, 3)


def as_json(found: list[Figure], peers: list[Peer], plan: Plan, where: dict[str, Any]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "machine": where,
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "workloads": WORKLOADS},
        "servers": {peer.name: peer.durable for peer in peers},
        "figures": [asdict(figure) for figure in found],
    }


def page(found: list[Figure], peers: list[Peer], plan: Plan, where: dict[str, Any], picture: str) -> str:
    """docs/peers.md, whole."""
    names = [peer.name for peer in peers]
    tables = "\n".join(
        table(found, names, workload) for workload in WORKLOADS if any(f.workload == workload for f in found)
    )
    stated = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    durable = "\n".join(f"| {peer.name} | {peer.durable} |" for peer in peers)
    return f"""# holdfast beside other ways to hold units

Written by `make bench-peers`, all in one run. The same calls, a reservation of two lines (`PUT`) and an availability
read (`GET`), are served by a bare aiohttp handler and by a raw uvloop protocol, which parse, answer a constant and hold
nothing; by aiohttp with Redis and with PostgreSQL behind it, as a careful shop would write them
(`benchmarks/peers/stores.py`); and by holdfast. One process each in front, one load (`benchmarks/load.py`), everything
on one machine.

![Latency against throughput, of holdfast and its peers]({picture})

| server | what an answered reservation survives |
|---|---|
{durable}

One synced write takes {where["fsync_ms"]} ms here. Units sold and units left were compared with the stock: after each
run for the SKU of every hot cart and {SAMPLE} others, at the end for all {len(STOCK):,} SKUs of each server that holds
units. The last {LAST_UNITS} units of a SKU were asked for by 64 connections at once. Nothing was oversold.

{tables}
Rates are medians of {plan.rounds} rounds of {plan.seconds:g} s, each round in another order, with the least and the
most in brackets; p50 and p99 in ms. The last columns are holdfast's rate divided by the peer's; "~" where the ranges of
the two overlap, so that noise could have made the difference.

{where["processor"]}, {where["memory_gib"]} GiB, {where["system"]}; load average {where["busy_before"]} before the run
(0: a quiet machine); {where["date"]}, commit {where["commit"]}, extension built as {where["extension"]};
{stated}.

The databases do less than holdfast: one stock figure for each SKU, no locations, channels, rules, expiry, or log of
what happened. All figures: [peers.json](peers.json).
"""


def table(found: list[Figure], names: list[str], workload: str) -> str:
    """One workload."""
    others = [name for name in names if name != US]
    head = ["connections", US, "p50, p99", *others, *(f"/ {name}" for name in others)]
    lines = [f"## {WORKLOADS[workload]}\n", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for connections in sorted({figure.connections for figure in found if figure.workload == workload}):
        by_name = {f.peer: f for f in found if (f.workload, f.connections) == (workload, connections)}
        us = by_name[US]
        cells = [str(connections), _rate(us), f"{us.p50_ms:.2f}, {us.p99_ms:.2f}"]
        cells += [_rate(by_name[name]) for name in others]
        cells += ["~" if (ratio := by_name[name].of_peer) is None else f"{ratio:.2f}" for name in others]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rate(figure: Figure) -> str:
    return f"{figure.rate:,.0f} ({figure.rate_min:,.0f} to {figure.rate_max:,.0f})"
