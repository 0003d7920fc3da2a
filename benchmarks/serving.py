"""Servers that a benchmark starts: processes on free ports of loopback, asked until they answer, stopped at the end.

In: a command. Out: the process, or what it answered. Always: what was started here ends with the block that started it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import SKUS

ROOT = Path(__file__).parent.parent


@contextmanager
def process(*arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is asked to stop at the end."""
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log is not None else None
        child = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output, cwd=ROOT)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int, method: str, path: str, content: Any = None, *, raw: bool = False) -> Any:
    """What a server answers, read as JSON unless `raw`."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", None if content is None else orjson.dumps(content), method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = answer.read()
        return found if raw else orjson.loads(found)


def wait_until_ready(port: int, path: str, child: subprocess.Popen[bytes], log: Path | None = None) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            call(port, "GET", path)
            return
        except OSError:
            if child.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text()[-2_000:] if log is not None else ""
                raise SystemExit(f"a server did not come up\n{tail}") from None
        time.sleep(0.05)


def stock(port: int, more: dict[str, int] | None = None) -> None:
    """10,000 SKUs in one warehouse, a million of each, and more."""
    units = {f"SKU-{number:05}": 1_000_000 for number in range(SKUS)} | (more or {})
    call(port, "POST", "/v1/policies", {"facts": [{"kind": "location", "location": "W1", "type": "warehouse"}]})
    levels = [
        {
            "kind": "stock.level",
            "sku": sku,
            "location": "W1",
            "on_hand": on_hand,
            "basis": "net",
            "as_of": 1,
        }
        for sku, on_hand in units.items()
    ]
    for first in range(0, len(levels), SKUS):
        some = levels[first : first + SKUS]
        answer = call(port, "POST", "/v1/facts", {"source": "bench", "facts": some})
        if answer["accepted"] != len(some):
            raise SystemExit(f"the stock was not taken: {answer['rejected'][:3]}")


def cpu_s(pid: int) -> float:
    """What a process has used of a core so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, method: str, run: str, connections: int, seconds: float) -> dict[str, Any]:
    """What benchmarks/load.py measured."""
    arguments = [str(port), method, run, str(connections), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    found: dict[str, Any] = orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout)
    return found
