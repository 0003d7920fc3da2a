"""What a publisher costs the checkout beside it: durable reservations without and with one, in alternating runs.

    python -m benchmarks.publisher_cost [--pairs 5] [--seconds 3] [--connections 64] [--niceness 10] [--json]

Two gateways on one machine, each with its own log; one has a publisher (`publisher.enabled`), which derives every event
and figure meanwhile. One of them is loaded at a time. Rates tell what a machine with two cores has left for the load,
the gateway, the nats-server and the publisher together; processor time of the worker for each reservation tells what
the checkout's own way costs. Target: under 3 % of that.
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

from benchmarks.gateway_throughput import one_run
from benchmarks.serving import call, free_port, process, stock, wait_until_ready
from holdfast import _core

TARGET = 0.03


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        servers: dict[str, tuple[int, int]] = {}
        for name in ("without", "with"):
            port, log = free_port(), directory / f"{name}.log"
            line = ("-m", "holdfast", "serve", "--data", str(directory / name), "--port", str(port), "--auth", "off")
            more = (
                "--set",
                f"publisher.enabled={str(name == 'with').lower()}",
                "--set",
                f"publisher.niceness={options.niceness}",
            )
            child = stack.enter_context(process(*line, *more, log=log))
            wait_until_ready(port, "/readyz", child, log)
            call(port, "POST", "/v1/policies", {"facts": [{"kind": "channel", "channel": "web", "locations": "*"}]})
            stock(port)
            servers[name] = (port, int(call(port, "GET", "/v1/state")["pid"]))
        for pair in range(options.pairs):
            row: dict[str, Any] = {}
            for name in sorted(servers, reverse=pair % 2 == 1):
                row[name] = one_run(*servers[name], "PUT", f"{name}{pair}", options)
            rows.append(row)
            print(
                f"pair {pair + 1}: "
                + "   ".join(
                    f"{name} {row[name]['rate']:8,.0f}/s, {row[name]['cpu_us']:.1f} us each, "
                    f"p99 {row[name]['p99_ms']:.1f} ms"
                    for name in servers
                ),
                file=sys.stderr,
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--niceness", type=int, default=10, help="of the publisher")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    rows = compare(options)
    cpu = statistics.median(row["with"]["cpu_us"] / row["without"]["cpu_us"] for row in rows)
    rate = statistics.median(row["with"]["rate"] / row["without"]["rate"] for row in rows)
    failed = sum(int(row[name]["failed"]) for row in rows for name in row)
    found = {"cpu_ratio": round(cpu, 3), "rate_ratio": round(rate, 3), "failed": failed, "pairs": options.pairs}
    if options.json:
        print(json.dumps(found))
    else:
        print(
            f"Medians of {options.pairs} pairs, {options.connections} connections, {os.cpu_count()} cores: with a "
            f"publisher a reservation costs the worker {cpu - 1:+.1%} of processor time (target {TARGET:.0%} at most); "
            f"the machine answers {rate - 1:+.1%}; failed {failed}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
