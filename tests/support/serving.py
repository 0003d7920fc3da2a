"""A gateway of the tests' own, and the command line run as a person runs it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.rehearsal.own_gateway import OwnGateway

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def running_gateway(directory: Path) -> Iterator[OwnGateway]:
    """`holdfast serve --auth off` on its own log; stopped at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    gateway = OwnGateway(directory)
    try:
        asyncio.run(gateway.start())
        yield gateway
    finally:
        asyncio.run(gateway.stop())


def holdfast(*arguments: str, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
    """The command line: exit status, stdout and stderr."""
    command = [sys.executable, "-m", "holdfast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT)
