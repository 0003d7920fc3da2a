"""What spans cost a reservation, in instructions: off, on without being sampled, and sampled.

    python -m benchmarks.spans [--requests 200] [--check]

In: the script of requests of benchmarks/python_path.py, under valgrind's callgrind, with a collector in another process
that takes what comes. Out: instructions for each reservation, and what the default, one in 100, adds to them. Always:
the work of the thread that exports is counted with the rest; a busy machine changes nothing. What the log and the
client cost is not in these figures, so the share of a real reservation is smaller. Exit status 1 with --check when one
in 100 costs 5 %.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from benchmarks.gate import CALLGRIND, ROOT
from benchmarks.python_path import DecidingNode as Node
from benchmarks.python_path import counting, read, reserve, stocked
from holdfast.settings import TraceSettings
from holdfast.spans import record, spans, stop
from tests.support.collector import Collector, collecting
from tests.support.gateway import listening

WARM = 20
SHARE = 100
MOST_PERCENT = 5.0


async def collect() -> None:
    """A collector, until the process is ended; its address goes to stdout."""
    async with collecting(Collector()) as collector:
        print(collector.endpoint, flush=True)
        await asyncio.Event().wait()


async def play(mode: str, requests: int, endpoint: str) -> None:
    async with AsyncExitStack() as stack:
        if mode != "off":
            one_in = 1 if mode == "sampled" else 1_000_000
            record(TraceSettings(endpoint=endpoint, one_in=one_in, per_s_max=100_000), "n1")
            stack.push_async_callback(stop)
        async with listening(Node(engine=stocked())) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def ask(request: bytes) -> None:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.split(b" ", 2)[1] in {b"200", b"201"}, head
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length))

            for number in range(WARM):
                await ask(read(number))
                await ask(reserve(10**6 + number))
            if (made := spans()) is not None:
                await asyncio.to_thread(made.flush)
            counting("on")
            for number in range(requests):
                await ask(reserve(number))
            if made is not None:
                await asyncio.to_thread(made.flush)
            counting("off")
            writer.close()


def count(mode: str, requests: int, endpoint: str) -> float:
    """Instructions of one reservation."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        line = [
            *CALLGRIND,
            "--instr-atstart=no",
            f"--callgrind-out-file={out}",
            sys.executable,
            "-m",
            "benchmarks.spans",
        ]
        settings = {**os.environ, "CALLGRIND": "1", "PYTHONHASHSEED": "0"}
        subprocess.run(
            [*line, "--play", mode, "--requests", str(requests), "--endpoint", endpoint],
            check=True,
            cwd=ROOT,
            env=settings,
        )
        totals = re.findall(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
        return max(int(total) for total in totals) / requests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--play", choices=["off", "on", "sampled", "collect"], help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        asked = play(options.play, options.requests, options.endpoint) if options.play != "collect" else collect()
        uvloop.run(asked)
        return 0
    line = [sys.executable, "-m", "benchmarks.spans", "--play", "collect"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        endpoint = collector.stdout.readline().strip()
        try:
            found = {mode: count(mode, options.requests, endpoint) for mode in ("off", "on", "sampled")}
        finally:
            collector.terminate()
    for mode, instructions in found.items():
        print(f"{mode:8} {instructions:12,.0f} instructions a reservation")
    at_default = found["on"] + (found["sampled"] - found["on"]) / SHARE
    percent = (at_default / found["off"] - 1) * 100
    print(f"One in {SHARE} sampled: {percent:+.2f} % (at most {MOST_PERCENT:g} %)")
    return int(options.check and percent > MOST_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
