"""A gateway for one run: a child process `holdfast serve`, started, killed and started again at will.

In: a data directory. Out: a URL. Always: the child listens on loopback, on its own port, which stays the same over
restarts; it ends when this process ends, in whatever way; what it wrote to stderr is in DIR/gateway.log.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import orjson

from holdfast.client import NO_RETRY, Client, ClientError
from holdfast.guarded import bare_environment
from holdfast.nats_server.store import die_with_parent

LOG_TAIL_LINES = 15
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05


class GatewayStartError(Exception):
    """The gateway did not come up; the message has the last line of its log."""


class OwnGateway:
    """`async with OwnGateway(directory) as gateway: gateway.url`. `more`: options of `serve`."""

    def __init__(self, directory: Path, port: int | None = None, more: Sequence[str] = ()) -> None:
        self.directory = directory
        self.port = port or _free_port()
        self._more = more
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = directory / "gateway.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        if self._child is None:
            raise RuntimeError("not started")
        return self._child.pid

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> float:
        """Starts it and waits until it is ready; the seconds that took."""
        began = time.monotonic()
        self._spawn()
        await self._until_ready(began + START_TIMEOUT_S)
        return time.monotonic() - began

    def _spawn(self) -> None:
        command = [sys.executable, "-m", "holdfast", "serve", "--data", str(self.directory), "--port", str(self.port)]
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*command, "--auth", "off", *self._more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=bare_environment(),
                start_new_session=True,  # Ctrl-C is handled here; the child is stopped in stop()
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, and nothing else
            )

    async def _until_ready(self, deadline: float) -> None:
        async with Client(self.url, timeout_s=2.0, retry=NO_RETRY) as client:
            while True:
                if self._child is None or self._child.poll() is not None:
                    raise GatewayStartError(f"the gateway stopped while starting: {self._last_line()}")
                with contextlib.suppress(ClientError):
                    if await client.ready():
                        return
                if time.monotonic() > deadline:
                    raise GatewayStartError(
                        f"the gateway was not ready in {START_TIMEOUT_S:.0f} s: {self._last_line()}"
                    )
                await asyncio.sleep(POLL_S)

    async def kill(self) -> None:
        """kill -9, as a power cut would. What it answered before must be there afterwards."""
        if self._child is not None:
            self._child.kill()
            await self._gone(STOP_TIMEOUT_S)

    async def stop(self) -> None:
        """Asks it to stop; it answers what is under way first."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        if not await self._gone(STOP_TIMEOUT_S):
            self._child.kill()
            await self._gone(STOP_TIMEOUT_S)

    def kill_log_server(self) -> bool:
        """kill -9 of the nats-server that the gateway runs; False where none is known."""
        try:
            runtime = orjson.loads((self.directory / "nats" / "runtime.json").read_bytes())
            os.kill(runtime["server_pid"], signal.SIGKILL)
        except (OSError, KeyError, orjson.JSONDecodeError):
            return False
        return True

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        return f"(nothing in {self.log_file})"

    def _last_line(self) -> str:
        """What it said last, in one line."""
        lines = self.log_tail().splitlines()
        said = [line.removeprefix("holdfast: ") for line in lines if line.startswith("holdfast: ")]
        return (said or lines or [f"nothing is in {self.log_file}"])[-1]

    async def died(self) -> None:
        """Waits until it has ended."""
        while not await self._gone(STOP_TIMEOUT_S):
            pass

    async def _gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self._child is not None and self._child.poll() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
