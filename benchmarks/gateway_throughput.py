"""The gateway beside a bare aiohttp handler: durable reservations, and availability reads.

    python benchmarks/gateway_throughput.py [--pairs 5] [--seconds 3] [--connections 64] [--only BATCH]

What is compared, in alternating runs on one machine:

- PUT: a bare aiohttp + uvloop handler with a path parameter that parses the same body (orjson) and answers a constant,
  beside `holdfast serve` with its embedded log, every reservation fsynced before it is answered. Target: 0.60.
- GET: a bare handler that answers a constant, beside an availability read. Target: 0.80.
- BATCH: 500 of the PUT's carts in one request, on a quarter of the connections (8 at most). The bare handler parses the
  same body and makes an answer of the same form. Rates count reservations. Target: 0.60.

Both servers are one process each (holdfast's supervisor idles beside it). The load comes from one further process that
costs a small part of either: raw asyncio protocols on uvloop, request bytes prepared beforehand, of each answer only
status and length read. (wrk would do, but is one more thing to install and cannot send a fresh reservation id each time
without Lua.) The log's server and the load share the second core in the one case, the load has it alone in the other:
the ratio includes that.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if not __package__:  # run by its path, not with -m
    sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.load import BATCH
from benchmarks.serving import call, cpu_s, free_port, load, process, stock, wait_until_ready
from holdfast import _core

TARGETS = {"PUT": 0.60, "GET": 0.80, "BATCH": 0.60}


def one_run(port: int, pid: int, method: str, run: str, options: argparse.Namespace) -> dict[str, float]:
    many = method == "BATCH"
    connections = max(1, min(8, options.connections // 4)) if many else options.connections
    before = cpu_s(pid)
    found = load(port, method, run, connections, options.seconds)
    found["rate"] *= BATCH if many else 1
    found["asked"] *= BATCH if many else 1
    return found | {"cpu_us": (cpu_s(pid) - before) * 1e6 / found["asked"]}


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.directory))).resolve()
        log = directory / "serve.log"
        bare, real = free_port(), free_port()
        bare_child = stack.enter_context(process("-m", "benchmarks.peers.serve", "bare", str(bare)))
        real_child = stack.enter_context(
            process(
                *("-m", "holdfast", "serve", "--data", str(directory / "data"), "--port", str(real), "--auth", "off"),
                log=log,
            )
        )
        wait_until_ready(bare, "/v1/availability/x?channel=web", bare_child)
        wait_until_ready(real, "/readyz", real_child, log)
        stock(real)
        worker = int(call(real, "GET", "/v1/state")["pid"])  # what serves; its supervisor does next to nothing
        for method in options.only or TARGETS:
            for pair in range(options.pairs):
                servers = {"bare": (bare, bare_child.pid), "holdfast": (real, worker)}
                row: dict[str, Any] = {"method": method, "pair": pair + 1}
                for name in sorted(servers, reverse=pair % 2 == 1):
                    row[name] = one_run(*servers[name], method, f"{name}{pair}", options)
                row["ratio"] = row["holdfast"]["rate"] / row["bare"]["rate"]
                rows.append(row)
                print(
                    f"{method:5} pair {pair + 1}: bare {row['bare']['rate']:9,.0f}/s   "
                    f"holdfast {row['holdfast']['rate']:9,.0f}/s   ratio {row['ratio']:.2f}   "
                    f"CPU {row['bare']['cpu_us']:.1f} and {row['holdfast']['cpu_us']:.1f} us for each   "
                    f"p50 {row['holdfast']['p50_ms']:.2f} ms  p99 {row['holdfast']['p99_ms']:.2f} ms",
                    file=sys.stderr,
                )
    return rows


def summarise(rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    summary = {}
    for method in options.only or TARGETS:
        target = TARGETS[method]
        own = [row for row in rows if row["method"] == method]
        summary[method] = {
            "ratio": round(statistics.median(row["ratio"] for row in own), 3),
            "target": target,
            "bare_per_s": round(statistics.median(row["bare"]["rate"] for row in own)),
            "holdfast_per_s": round(statistics.median(row["holdfast"]["rate"] for row in own)),
            "holdfast_p50_ms": round(statistics.median(row["holdfast"]["p50_ms"] for row in own), 2),
            "holdfast_p99_ms": round(statistics.median(row["holdfast"]["p99_ms"] for row in own), 2),
            "bare_cpu_us": round(statistics.median(row["bare"]["cpu_us"] for row in own), 1),
            "holdfast_cpu_us": round(statistics.median(row["holdfast"]["cpu_us"] for row in own), 1),
            "failed": sum(int(row[name]["failed"]) for row in own for name in ("bare", "holdfast")),
        }
    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        names = {"PUT": "durable reservations", "GET": "availability reads", "BATCH": "the same in batches"}
        print(f"\nMedians of {options.pairs} pairs, {options.connections} connections, {os.cpu_count()} cores:")
        for method, found in summary.items():
            print(
                f"  {names[method]:21} {found['holdfast_per_s']:7,}/s of {found['bare_per_s']:7,}/s bare: "
                f"ratio {found['ratio']:.2f} (target {found['target']:.2f})   p50 {found['holdfast_p50_ms']} ms, "
                f"p99 {found['holdfast_p99_ms']} ms, failed {found['failed']}"
            )
    missed = any(found["ratio"] < found["target"] or found["failed"] for found in summary.values())
    return int(missed and options.check)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument(
        "--directory", help="where the log is kept meanwhile (default: the system's temporary directory)"
    )
    parser.add_argument("--only", action="append", choices=TARGETS, help="this comparison alone (may be repeated)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    return summarise(compare(options), options)


if __name__ == "__main__":
    sys.exit(main())
