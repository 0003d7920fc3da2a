"""A long text reaches a reader that is slow, however stdout is buffered."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
import uvloop
import holdfast.cli as cli

async def nothing():
    await asyncio.sleep(0.01)

def run(arguments):
    uvloop.run(nothing())
    print("x" * 200_000)
    return 0

cli.run = run
cli.main()
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_all_of_it_arrives(unbuffered: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    reader = "import sys, time; time.sleep(0.5); print(len(sys.stdin.buffer.read()))"
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        read = subprocess.run([sys.executable, "-c", reader], stdin=writer.stdout, capture_output=True, check=True)
    assert int(read.stdout) == 200_001
    assert writer.returncode == 0
