"""holdfast and other ways to hold units, measured in one run; writes docs/peers.md, docs/peers.json and the picture.

    python -m benchmarks.peers [--rounds 3] [--seconds 2.4] [--connections 1,16,64,256] [--to DIR]

Exit status: 0 measured, nothing oversold; 1 a server oversold or failed; 2 something is missing, with how to get it.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.peers.measure import OversoldError, Plan, Row, measure
from benchmarks.peers.picture import drawn
from benchmarks.peers.report import as_json, figures, machine, page, table
from benchmarks.peers.servers import missing, running
from benchmarks.serving import ROOT
from holdfast import _core


def main() -> int:
    """Measures, and writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--connections", default=",".join(map(str, Plan.connections)))
    parser.add_argument("--to", type=Path, default=ROOT / "docs", help="where the page, the figures and the picture go")
    parser.add_argument("--directory", help="where the servers keep their files meanwhile")
    options = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    if lacking := missing():
        print("\n".join(lacking), file=sys.stderr)
        return 2
    plan = Plan(options.rounds, options.seconds, tuple(int(number) for number in options.connections.split(",")))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-peers-", dir=options.directory) as name:
        directory = Path(name).resolve()
        where = machine(directory)
        with running(directory) as peers:
            try:
                rows = measure(peers, plan, shown)
            except OversoldError as error:
                print(f"OVERSOLD. {error}", file=sys.stderr)
                return 1
    found = figures(rows)
    pictures = options.to / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / "peers.svg").write_text(drawn(found, [peer.name for peer in peers]))
    content = as_json(found, peers, plan, where)
    (options.to / "peers.json").write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    (options.to / "peers.md").write_text(page(found, peers, plan, where, "pictures/peers.svg"))
    for workload in plan.workloads:
        print(table(found, [peer.name for peer in peers], workload))
    print(
        f"Nothing was oversold. Wrote peers.md, peers.json and pictures/peers.svg, in {time.monotonic() - began:.0f} s."
    )
    return 0


def shown(row: Row) -> None:
    """Progress, a line a run."""
    print(
        f"round {row.round}  {row.workload}  {row.connections:3} connections  {row.peer:20} {row.rate:9,.0f}/s   "
        f"p50 {row.p50_ms:7.2f} ms  p99 {row.p99_ms:7.2f} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
