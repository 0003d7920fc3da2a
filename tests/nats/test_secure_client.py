"""TLS before any secret: what a server that offers plain text gets to see when the address asks for TLS."""

import asyncio
import contextlib
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme

from holdfast.errors import UnreachableError
from holdfast.nats.connection import Connection, Endpoint, Tls, endpoint_of
from holdfast.nats_server.users import new_seed
from holdfast.settings import LogSettings
from tests.support.servers import embedded, until

QUICK = LogSettings(connect_deadline_ms=800)
SECRET = "a-secret-of-gateways"


@dataclass
class Impostor:
    """Listens where a nats-server should, offers plain text or, while `plain` is off, TLS, and notes what it gets."""

    context: ssl.SSLContext
    port: int = 0
    plain: bool = True
    connect_urls: list[str] = field(default_factory=list)
    got: bytearray = field(default_factory=bytearray)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """INFO, then TLS unless plain; after that whatever keeps a client talking."""
        self.connections += 1
        said: dict[str, Any] = {"server_id": "N", "version": "2.15.1", "max_payload": 1 << 20, "headers": True}
        said |= {"auth_required": True, "nonce": "abcdefgh", "connect_urls": self.connect_urls}
        said |= {} if self.plain else {"tls_required": True}
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"INFO " + orjson.dumps(said) + b"\r\n")
            await writer.drain()
            plain = self.plain
            if not plain:
                await writer.start_tls(self.context)
            self.writers.append(writer)
            while line := await reader.readline():
                if plain:
                    self.got += line
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        writer.close()


@asynccontextmanager
async def impostor(tmp_path: Path) -> AsyncIterator[tuple[Impostor, Tls]]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    one = Impostor(context)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one, Tls(tmp_path / "ca.pem")
    finally:
        server.close()
        for writer in one.writers:
            writer.close()


KINDS: list[Callable[[int, Tls], Endpoint]] = [
    lambda port, tls: Endpoint((f"tls://127.0.0.1:{port}",), "node", SECRET, tls=tls),
    lambda port, _: Endpoint((f"tls://127.0.0.1:{port}",), "node", SECRET),
    lambda port, tls: Endpoint((f"nats://127.0.0.1:{port}",), "node", SECRET, tls=tls),
    lambda port, _: endpoint_of(f"tls://node:{SECRET}@127.0.0.1:{port},nats://127.0.0.1:{port}", LogSettings()),
    lambda port, _: endpoint_of(f"nats://node:{SECRET}@127.0.0.1:{port},tls://127.0.0.1:{port}", LogSettings()),
    lambda port, tls: Endpoint((f"tls://127.0.0.1:{port}",), tls=tls, seed=new_seed()),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_of_plain_text_gets_not_one_byte(tmp_path: Path, kind: Callable[[int, Tls], Endpoint]) -> None:
    async with impostor(tmp_path) as (server, tls):
        connection = Connection(kind(server.port, tls), QUICK, "test")
        with pytest.raises(UnreachableError, match="offers no TLS"):
            await connection.open()
        assert server.connections > 0, "it was tried"
        assert bytes(server.got) == b""


async def test_nor_does_it_later_whatever_the_list_of_servers_says(tmp_path: Path) -> None:
    async with impostor(tmp_path) as (server, tls), impostor(tmp_path / "..") as (other, _):
        server.plain = False
        server.connect_urls = [f"127.0.0.1:{other.port}"]
        connection = Connection(Endpoint((f"tls://127.0.0.1:{server.port}",), "node", SECRET, tls=tls), QUICK, "test")
        await connection.open()
        try:
            server.plain = True
            before = server.connections
            for writer in server.writers:
                writer.close()
            await until(lambda: server.connections > before + 2 and other.connections > 2, 20)
            assert (bytes(server.got), bytes(other.got)) == (b"", b"")
            assert not connection.connected
            server.plain = False
            await until(lambda: connection.connected, 20)
        finally:
            await connection.close()


async def test_where_no_tls_was_asked_for_the_seed_is_never_sent(tmp_path: Path) -> None:
    """A local program that took over the port of the embedded server: it gets a signature of its nonce."""
    async with impostor(tmp_path) as (server, _):
        seed = new_seed()
        connection = Connection(endpoint_of(f"nats://{seed}@127.0.0.1:{server.port}", QUICK), QUICK, "test")
        await connection.open()
        await connection.close()
        assert b"sig" in server.got
        assert seed.encode() not in server.got


async def test_the_end_of_a_connection_does_not_wait_for_a_server_that_reads_nothing_more(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        connection = Connection(server.endpoint, LogSettings(), "stuck")
        await connection.open()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            sending = [asyncio.create_task(connection.publish("any", b"x" * 500_000)) for _ in range(64)]
            await asyncio.sleep(0.2)
            began = time.monotonic()
            await connection.close()
            assert time.monotonic() - began < 4
            assert not connection.connected
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await asyncio.gather(*sending, return_exceptions=True)
