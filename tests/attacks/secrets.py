"""Attacks on the way of a secret: to a server that is not the one meant, or to other users of the machine.

In: an arena. Out: what was seen. Always: what was captured is judged by what it opens, not by what it looks like: it
is sent again, byte for byte, to the real server.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field

from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import spawned, stage, until_ready
from tests.support.ports import free_port
from tests.support.servers import ROOT, running

PASSWORD = "a-password-that-nobody-else-may-have"
GREETING = {
    "server_id": "EVIL",
    "server_name": "evil",
    "version": "2.15.0",
    "proto": 1,
    "host": "127.0.0.1",
    "headers": True,
    "auth_required": True,
    "max_payload": 1_048_576,
    "jetstream": True,
    "nonce": "bm9uY2Utb2YtdGhlLWV2aWwtb25l",
}


@dataclass
class Impostor:
    """Listens on a port as nats-server would, without TLS, and keeps what comes."""

    port: int
    captured: list[bytes] = field(default_factory=list)
    connections: int = 0
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def listen(self, patience_s: float = 10.0) -> bool:
        """As soon as the port is free; False when it does not become free."""
        ends = time.monotonic() + patience_s
        while time.monotonic() < ends:
            with contextlib.suppress(OSError):
                self._server = await asyncio.start_server(self._greet, "127.0.0.1", self.port, reuse_address=True)
                return True
            await asyncio.sleep(0.001)
        return False

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the test ends
            writer.write(b"INFO " + json.dumps(GREETING).encode() + b" \r\n")
            await writer.drain()
            while content := await reader.read(65_536):
                self.captured.append(content)
                if b"PING" in content:
                    writer.write(b"PONG\r\n")
                    await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()

    def greetings(self) -> list[bytes]:
        """The CONNECT lines that came."""
        lines = b"".join(self.captured).split(b"\r\n")
        return [line for line in lines if line.startswith(b"CONNECT ")]


def opens(port: int, connect: bytes) -> bool:
    """Whether the real server lets somebody in who sends this CONNECT line."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.recv(65_536)
        connection.sendall(connect + b"\r\nPING\r\n")
        answer = b""
        with contextlib.suppress(OSError):
            while b"PONG" not in answer and b"-ERR" not in answer:
                more = connection.recv(65_536)
                if not more:
                    break
                answer += more
        return b"PONG" in answer and b"-ERR" not in answer


@attack(
    done="a server at a tls:// address that offers plain text",
    right="the handshake comes first: no secret before it, and none at all without it",
)
async def plain_text_for_tls(arena: Arena) -> Seen:
    impostor = Impostor(free_port())
    assert await impostor.listen()
    store = arena.directory / "store"
    store.mkdir(mode=0o700)
    url = f"tls://node:{PASSWORD}@127.0.0.1:{impostor.port}"
    command = [sys.executable, "-m", "holdfast", "serve", "--data", str(store), "--port", str(free_port())]
    command += ["--auth", "off", "--set", "log.connect_deadline_ms=2000"]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "python"), "HOLDFAST_NATS": url}
    with (arena.directory / "serve.log").open("wb") as output:
        child = spawned(command, output, variables)
    try:
        for _ in range(arena.size(100, 30)):
            await asyncio.sleep(0.1)
            if child.poll() is not None:
                break
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait, 20)
        await impostor.close()
    captured = b"".join(impostor.captured)
    if PASSWORD.encode() in captured or b"CONNECT" in captured:
        return Seen(False, "the password was sent in clear", f"{impostor.connections} connections")
    return Seen(True, "nothing was sent in clear", f"{impostor.connections} connections")


@attack(
    done="nats-server dies and another local user binds its port",
    right="what the gateway then sends opens nothing: a challenge, or secrets that are new at each start",
)
async def port_taken_over(arena: Arena) -> Seen:
    async with stage(arena, "--workers", "2") as found:
        runtime = running(found.store)
        impostor = Impostor(runtime.port)
        os.kill(runtime.server_pid, signal.SIGKILL)
        took = await impostor.listen()
        for _ in range(arena.size(100, 30)):
            await asyncio.sleep(0.1)
            if impostor.greetings():
                await asyncio.sleep(0.5)
                break
        await impostor.close()
        took_s = await until_ready(found, 90)
        greetings = set(impostor.greetings())
        now = running(found.store)
        opened = [line for line in greetings if await asyncio.to_thread(opens, now.port, line)]
        figure = f"{impostor.connections} connections, {len(greetings)} greetings; ready {took_s:.1f} s after"
        if opened:
            return Seen(False, f"{len(opened)} captured greetings open the real server", figure)
        return Seen(True, "nothing captured opens the real server" if took else "the port stayed held", figure)


@attack(
    done="another user of the machine lists the processes, their arguments and their environment",
    right="no password in arguments, nor in the environment of children",
)
async def secrets_of_processes(arena: Arena) -> Seen:
    async with stage(arena, "--workers", "2") as found:
        runtime = running(found.store)
        secret_of = {
            "the seed of NATS": runtime.seed,
            "the owners' key": (found.store / "owner.key").read_bytes().hex(),
        }
        shown = []
        for process in found.processes():
            with contextlib.suppress(OSError):
                where = {
                    "arguments": " ".join(process.cmdline()),
                    "environment": " ".join(f"{name}={value}" for name, value in process.environ().items()),
                }
                shown += [
                    f"{name} in the {place} of {process.name()}"
                    for place, text in where.items()
                    for name, secret in secret_of.items()
                    if secret in text
                ]
        return Seen(not shown, "; ".join(shown) or "none shown", f"{len(found.processes())} processes")


@attack(
    done="the password of a NATS user given as part of --nats, then the processes listed",
    right="refused or removed before anything is started: secrets come from files",
)
async def password_in_the_address(arena: Arena) -> Seen:
    impostor = Impostor(free_port())
    assert await impostor.listen()
    store = arena.directory / "store"
    store.mkdir(mode=0o700)
    url = f"nats://node:{PASSWORD}@127.0.0.1:{impostor.port}"
    command = [sys.executable, "-m", "holdfast", "serve", "--data", str(store), "--port", str(free_port())]
    command += ["--auth", "off", "--nats", url, "--set", "log.connect_deadline_ms=3000"]
    log = arena.directory / "serve.log"
    with log.open("wb") as output:
        child = spawned(command, output, os.environ | {"PYTHONPATH": str(ROOT / "python")})
    try:
        for _ in range(600):  # a busy machine is slow to refuse
            await asyncio.sleep(0.1)
            if child.poll() is not None or impostor.connections:
                break
        ended = child.poll()
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait, 20)
        await impostor.close()
    refused = ended == 2 and impostor.connections == 0
    if PASSWORD in log.read_text(errors="replace"):
        return Seen(False, "the password is in the log")
    return Seen(refused, "refused" if refused else "taken from the arguments, where every user reads it")
