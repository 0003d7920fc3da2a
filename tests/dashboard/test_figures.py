"""The figures of the page against a plain count: rates over several processes, restarts, and quantiles of buckets."""

import json
import math
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.test_page import STATIC

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: figures.js cannot run")
CASES = 200
BOUNDS = (0.001, 0.005, 0.01, 0.1, 1.0)
RUN = """
import { Figures, quantile } from "./figures.js";
import { readFileSync } from "node:fs";
const shown = (value) => value === Infinity ? "beyond" : value;
const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ counts, bounds, shares, samples }) => {
  const figures = new Figures();
  for (const [now, overview] of samples) figures.add(overview, now);
  return {
    quantiles: shares.map((share) => shown(quantile(counts, bounds, share))),
    rate: figures.rate((one) => one.calls.reserve?.answered["2xx"] ?? 0),
    seen: figures.latest().map((one) => `${one.node} ${one.pid}`),
    bounded: [...figures.runs.values()].every((samples) => samples.length <= 200),
  };
})));
"""


def overview(node: str, pid: float, uptime_s: float, holds: float) -> dict[str, Any]:
    return {"node": node, "pid": pid, "uptime_s": uptime_s, "calls": {"reserve": {"answered": {"2xx": holds}}}}


def case(seed: int) -> dict[str, Any]:
    """Processes that are asked in any order, count, and are now and then killed and started again."""
    chance = random.Random(seed)
    processes = {f"n{n}": [1, 0.0, 0] for n in range(chance.randint(1, 4))}
    samples, pids, now = [], 1, 0
    for _ in range(chance.randint(2, 60)):
        now += chance.choice((500, 2_000, 2_000, 5_000))
        for name, run in processes.items():
            run[1] += 2.0
            run[2] += chance.randint(0, 30)
            if chance.random() < 0.05:
                pids += 1
                processes[name] = [pids, 0.1, 0]
        name = chance.choice(list(processes))
        samples.append((now, overview(name, *processes[name])))
    counts = [chance.choice((0, 0, chance.randint(1, 500))) for _ in range(len(BOUNDS) + 1)]
    shares = [chance.choice((0.5, 0.9, 0.99, 1.0)) for _ in range(3)]
    return {"counts": counts, "bounds": BOUNDS, "shares": shares, "samples": samples}


def plain_rate(samples: list[tuple[int, dict[str, Any]]]) -> tuple[float, list[str]]:
    """Of each process that was seen in the last 20 s: what its newest run counted over the last 10 s."""
    runs: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    for now, one in samples:
        runs = {name: run for name, run in runs.items() if now - run[1][-1]["now"] <= 20_000 or name == one["node"]}
        pid, kept = runs.get(one["node"], (one["pid"], []))
        silent = bool(kept) and now - kept[-1]["now"] > 20_000
        kept = [] if pid != one["pid"] or silent else kept
        kept = [past for past in [*kept, {**one, "now": now}] if now - past["now"] <= 300_000]
        runs[one["node"]] = (one["pid"], kept)
    rate = 0.0
    for _, kept in runs.values():
        last = kept[-1]
        early = [past for past in kept if last["uptime_s"] - past["uptime_s"] >= 10]
        first = early[-1] if early else kept[0]
        seconds = last["uptime_s"] - first["uptime_s"]
        held = (one["calls"]["reserve"]["answered"]["2xx"] for one in (last, first))
        rate += (next(held) - next(held)) / seconds if seconds > 0 else 0
    return rate, sorted(f"{name} {pid}" for name, (pid, _) in runs.items())


def holds(counts: list[int], share: float, found: float | str | None) -> bool:
    """The quantile is in the bucket in which a sorted list has it."""
    if not sum(counts):
        return found is None
    place, bucket = share * sum(counts), 0
    while place > counts[bucket] or not counts[bucket]:
        place -= counts[bucket]
        bucket += 1
    if bucket == len(BOUNDS):
        return found == "beyond"
    low = BOUNDS[bucket - 1] if bucket else 0.0
    return isinstance(found, float | int) and low - 1e-9 <= found <= BOUNDS[bucket] + 1e-9


def test_rates_and_quantiles_are_those_of_a_plain_count(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type":"module"}')
    (tmp_path / "run.js").write_text(RUN)
    shutil.copy(STATIC / "dashboard" / "figures.js", tmp_path)
    cases = [case(seed) for seed in range(CASES)]
    given = json.dumps(cases)
    done = subprocess.run(
        ["node", tmp_path / "run.js"], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for seed, (one, found) in enumerate(zip(cases, json.loads(done.stdout), strict=True)):
        rate, seen = plain_rate(one["samples"])
        assert math.isclose(found["rate"], rate, rel_tol=1e-9, abs_tol=1e-9), seed
        assert found["seen"] == seen, seed
        assert found["bounded"], seed
        for share, value in zip(one["shares"], found["quantiles"], strict=True):
            assert holds(one["counts"], share, value), (seed, share, value, one["counts"])
