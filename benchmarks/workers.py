"""Two workers beside one: durable reservations (a follower sends them to the leader) and availability reads.

    python -m benchmarks.workers [--pairs 3] [--seconds 3] [--connections 64] [--only PUT]

In: `holdfast serve --workers 1` and `--workers 2`, each with its own log, asked in alternating runs by the same load.
Out: for each, the rate, and the processor time of its workers and of everything (workers, nats-server, load) a request.
Always: the ratio of rates says what a retailer gets, on a machine with nothing else to do and as many cores as it has;
processor time says the same of a busy one. How many of the requests a follower took is printed: the kernel spreads
connections as it likes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.serving import call, cpu_s, free_port, load, process, stock, wait_until_ready
from holdfast import _core


class Gateway:
    """A gateway with so many workers, and what it has used."""

    def __init__(self, stack: ExitStack, place: Path, workers: int) -> None:
        self.workers = workers
        self.port = free_port()
        log = place / "serve.log"
        place.mkdir()
        arguments = ("--data", str(place / "data"), "--port", str(self.port), "--auth", "off")
        serve = ("-m", "holdfast", "serve", *arguments, "--workers", str(workers))
        child = stack.enter_context(process(*serve, log=log))
        wait_until_ready(self.port, "/readyz", child, log)
        stock(self.port)
        listening = self._workers(place / "data" / "gateway.json")
        self.urls = [one["url"] for one in listening]
        self.pids = [int(one["pid"]) for one in listening]
        self.all = _descendants(child.pid)

    def _workers(self, record: Path) -> list[dict[str, Any]]:
        """Once all of them listen."""
        deadline = time.monotonic() + 60
        while True:
            found: list[dict[str, Any]] = json.loads(record.read_bytes())["workers"] if record.exists() else []
            if len(found) == self.workers and all(one.get("url") for one in found):
                return found
            if time.monotonic() > deadline:
                raise SystemExit("not every worker came up")
            time.sleep(0.05)

    def used_s(self) -> tuple[float, float]:
        """Processor time of the workers, and of every process."""
        return sum(map(cpu_s, self.pids)), sum(map(cpu_s, self.all))

    def forwarded(self) -> int:
        """Writes that a follower sent to the leader so far."""
        total = 0
        for url in self.urls:
            text = call(int(url.rpartition(":")[2]), "GET", "/metrics", raw=True).decode()
            total += sum(
                int(float(line.split()[-1]))
                for line in text.splitlines()
                if line.startswith("holdfast_node_commands_forwarded_total")
            )
        return total


def _descendants(pid: int) -> list[int]:
    """The process, and those that it started."""
    found, parents = [pid], {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def one_run(gateway: Gateway, method: str, name: str, options: argparse.Namespace) -> dict[str, float]:
    workers_s, all_s = gateway.used_s()
    forwarded = gateway.forwarded()
    found = load(gateway.port, method, name, options.connections, options.seconds)
    after = gateway.used_s()
    load_us = found["load_cpu"] * 1e6 / found["rate"]
    return {
        "rate": found["rate"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "failed": found["failed"],
        "workers_us": (after[0] - workers_s) * 1e6 / found["asked"],
        "all_us": (after[1] - all_s) * 1e6 / found["asked"] + load_us,
        "forwarded": (gateway.forwarded() - forwarded) / found["asked"],
    }


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.directory))).resolve()
        gateways = [Gateway(stack, place / f"with-{workers}", workers) for workers in (1, 2)]
        for method in options.only or ("PUT", "GET"):
            for pair in range(options.pairs):
                row: dict[str, Any] = {"method": method}
                for gateway in gateways if pair % 2 == 0 else reversed(gateways):
                    row[str(gateway.workers)] = one_run(gateway, method, f"r{pair}", options)
                rows.append(row)
                one, two = row["1"], row["2"]
                print(
                    f"{method:4} pair {pair + 1}: one {one['rate']:7,.0f}/s  two {two['rate']:7,.0f}/s  "
                    f"ratio {two['rate'] / one['rate']:.2f}   a request: workers {one['workers_us']:.0f} and "
                    f"{two['workers_us']:.0f} us, everything {one['all_us']:.0f} and {two['all_us']:.0f} us   "
                    f"{two['forwarded']:.0%} forwarded   p99 {one['p99_ms']:.1f} and {two['p99_ms']:.1f} ms",
                    file=sys.stderr,
                )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--directory", help="where the logs are kept meanwhile (default: the system's)")
    parser.add_argument("--only", action="append", choices=["PUT", "HOT", "GET"], help="this alone (may be repeated)")
    options = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    rows = compare(options)
    print(f"\nMedians of {options.pairs} pairs, {options.connections} connections, {os.cpu_count()} cores:")
    for method in options.only or ("PUT", "GET"):
        own = [row for row in rows if row["method"] == method]
        ratio = statistics.median(row["2"]["rate"] / row["1"]["rate"] for row in own)
        cost = {
            kind: statistics.median(row["2"][kind] / row["1"][kind] for row in own) for kind in ("workers_us", "all_us")
        }
        failed = sum(int(row[count]["failed"]) for row in own for count in ("1", "2"))
        print(
            f"  {method:4} two workers / one: {ratio:.2f} of the rate; processor time a request: workers "
            f"{cost['workers_us']:.2f}, everything {cost['all_us']:.2f}; failed {failed}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
