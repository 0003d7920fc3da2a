"""Twice what a gateway can do, for minutes: checkouts go on, reports are refused with a reason, memory stays.

    python -m benchmarks.overload [--minutes 2] [--times 2] [--workers 1] [--unlimited] [--check]

The capacity is measured first, of each kind of call by itself, on a gateway that limits nothing: C checkouts (closed
loop, benchmarks/load.py), or R reads of 200 figures, a second. Calm is half of C as checkouts, open loop, alone: they
are well below what the gateway can do, for otherwise checkouts themselves had to be refused. Between two calm minutes
the same checkouts are offered with so many reads that both together are `--times` the capacity: half of C and 1.5 R
make 2. All is on one machine, the load too, so the server has less than it had alone. Reads that find no free
connection are `not sent`: each of their connections has one under way, and refusals are held back
(`gateway.refusal_hold_ms`).

Out: success, p50 and p99 of the checkouts, calm before and after, and between; what became of the reads; memory of all
processes: checkouts replace the same 49,999 carts again and again, so it must stay. Exit status 1 with --check where
success falls below 99.9 %, p99 is above twice that of calm (the mean of both), a read was refused without a reason or
Retry-After, or memory grew by more than 10 %.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
import psutil

from benchmarks.serving import ROOT, free_port, load, process, stock, wait_until_ready

CALM_S = 60.0
SUCCESS_MIN, P99_TIMES_MAX, GROWTH_MAX = 0.999, 2.0, 0.10
SAMPLE_S = 1.0
AGAIN = ("--set", "rules.renewals_max=1000000")
UNLIMITED = ("--set", "gateway.late_ms=3600000", "--set", "gateway.requests_in_flight_max=1000000")


class Memory:
    """Of a process and all below it, once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ends = threading.Event()
        self.samples: list[int] = []
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.samples.append(resident(self._pid))
            if self._ends.wait(SAMPLE_S):
                return


def resident(pid: int) -> int:
    """Bytes in memory."""
    total = 0
    for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue
    return total


def offered(port: int, seconds: float, run: str, checkouts: float, reads: float) -> dict[str, Any]:
    line = [sys.executable, "-m", "benchmarks.offered", str(port), str(seconds), run, str(checkouts), str(reads)]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def success(part: dict[str, Any]) -> float:
    return float(part["answered"].get("2xx", 0) / part["offered"])


@contextmanager
def gateway(options: argparse.Namespace, *more: str) -> Iterator[tuple[int, int]]:
    """A gateway with stock: its port and the pid of its supervisor."""
    port = free_port()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        log = Path(name) / "serve.log"
        serve = ["-m", "holdfast", "serve", "--data", f"{name}/data", "--port", str(port), "--auth", "off"]
        with process(*serve, "--workers", str(options.workers), *AGAIN, *more, log=log) as child:
            wait_until_ready(port, "/readyz", child, log)
            stock(port)
            yield port, child.pid


def measured(options: argparse.Namespace) -> dict[str, Any]:
    with gateway(options, *UNLIMITED) as (port, _):
        checkouts = load(port, "PUT", "capacity", 64, 5.0)["rate"]
        reads = closed_reads(port)
    print(f"capacity: {checkouts:,.0f} checkouts/s, or {reads:,.0f} reads/s", flush=True)
    with gateway(options, *(UNLIMITED if options.unlimited else ())) as (port, pid):
        calm = offered(port, CALM_S, "cart", checkouts / 2, 0)
        begin = resident(pid)
        more = (options.times - 0.5) * reads
        print(f"offered from now on: {checkouts / 2:,.0f} checkouts/s and {more:,.0f} reads/s", flush=True)
        with Memory(pid) as memory:
            busy = offered(port, options.minutes * 60, "cart", checkouts / 2, more)
        after = offered(port, CALM_S, "cart", checkouts / 2, 0)
    grown = max(memory.samples[-5:]) / begin - 1
    return {
        "capacity": {"checkouts": checkouts, "reads": reads},
        "calm": calm["checkouts"],
        "busy": busy["checkouts"],
        "after": after["checkouts"],
        "reads": busy["reads"],
        "memory_mib": [round(one / 2**20) for one in (begin, max(memory.samples), memory.samples[-1])],
        "grown": round(grown, 3),
    }


def closed_reads(port: int) -> float:
    """Reads a second with few connections, each of which asks again as soon as it is answered."""
    low, rate = 0.0, 200.0
    while True:  # the highest rate that is answered whole, doubled until it is not
        part = offered(port, 2.0, "reads", 0, rate)["reads"]
        answered = part["answered"].get("2xx", 0) / part["seconds"]
        if answered < 0.95 * rate or part["p99_ms"] > 250:
            return max(low, float(answered))
        low, rate = float(answered), rate * 1.5


def wrong(found: dict[str, Any]) -> list[str]:
    busy, reads = found["busy"], found["reads"]
    calm_ms = (found["calm"]["p99_ms"] + found["after"]["p99_ms"]) / 2
    said = []
    if success(busy) < SUCCESS_MIN:
        said.append(f"{success(busy):.2%} of the checkouts succeeded; {busy['answered']}")
    if busy["p99_ms"] is None or busy["p99_ms"] > P99_TIMES_MAX * calm_ms:
        said.append(f"p99 of a checkout was {busy['p99_ms']} ms, calm {calm_ms:.2f} ms")
    said_why = {"2xx", "503 overloaded", "not sent"}
    silent = {why: count for why, count in reads["answered"].items() if why not in said_why}
    if silent:
        said.append(f"reads came to something else than an answer or a reason: {silent}")
    if found["grown"] > GROWTH_MAX:
        said.append(f"memory grew by {found['grown']:.0%}: {found['memory_mib']} MiB")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--times", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--directory")
    parser.add_argument("--unlimited", action="store_true", help="as if nothing was limited, to compare")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = measured(options)
    for name in ("calm", "busy", "after"):
        part = found[name]
        print(
            f"{name:5} {part['offered'] / part['seconds']:8,.0f} checkouts/s offered, {success(part):8.3%} succeeded, "
            f"p50 {part['p50_ms']} ms, p99 {part['p99_ms']} ms"
        )
    reads = found["reads"]
    print(f"reads {reads['offered'] / reads['seconds']:8,.0f}/s offered: {reads['answered']}")
    first, most, last = found["memory_mib"]
    print(f"memory {first} MiB, at most {most}, at the end {last}: {found['grown']:+.1%}")
    for one in wrong(found):
        print(f"not kept: {one}")
    return int(options.check and bool(wrong(found)))


if __name__ == "__main__":
    sys.exit(main())
