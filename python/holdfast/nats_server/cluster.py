"""A NATS cluster of three servers on this machine, from the same wheel.

Role: what production has on three machines, on loopback: for rehearsals of failing servers, and for tests. In: a
directory. Out: one endpoint with every server's address. Always: each server has its own store under DIR/<name>, with
the same locks, secrets, fsync and restarts as an embedded one; names are stable, for JetStream knows a server by its
name; the routes are loopback and ask for a secret. It survives the loss of a server, not of the machine.
"""

import asyncio
import secrets
import socket
from contextlib import ExitStack
from pathlib import Path

from holdfast.errors import ApiError, LogError, ServerStartError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats_server.config import Member
from holdfast.nats_server.server import EmbeddedServer
from holdfast.nats_server.users import Users, new_seed
from holdfast.settings import LogSettings

CLUSTER_NAME = "holdfast"
_POLL_S = 0.1


class LocalCluster:
    """Starts the servers, waits until together they are a cluster, keeps them running, stops them."""

    def __init__(self, directory: Path, settings: LogSettings, size: int = 3, *, scope: str = "main") -> None:
        self.directory = directory
        self._settings = settings
        self.users = Users(directory)
        seed, route_secret = new_seed(), secrets.token_urlsafe(24)
        ports = _free_ports(size)
        self.servers = {
            f"s{at}": EmbeddedServer(
                directory / f"s{at}",
                settings,
                Member(
                    name=f"s{at}",
                    cluster=CLUSTER_NAME,
                    route_port=port,
                    peer_ports=tuple(other for other in ports if other != port),
                    seed=seed,
                    route_secret=route_secret,
                ),
                scope=scope,
                users=self.users,
            )
            for at, port in enumerate(ports, start=1)
        }

    @property
    def endpoint(self) -> Endpoint:
        """All servers; a client goes to another when one dies."""
        each = [server.endpoint for server in self.servers.values()]
        return Endpoint(tuple(url for one in each for url in one.urls), seed=each[0].seed)

    @property
    def url(self) -> str:
        """The endpoint as `--nats` takes it, with its secret: for a file that only its owner reads."""
        endpoint = self.endpoint
        return ",".join(url.replace("nats://", f"nats://{endpoint.seed}@") for url in endpoint.urls)

    async def start(self) -> None:
        """Start all servers and wait until they have a leader and every one of them is current.

        Raises StoreInUseError, ServerStartError.
        """
        self.users.add_lasting()  # before several servers would do it at once
        results = await asyncio.gather(*(server.start() for server in self.servers.values()), return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        try:
            if faults:
                raise faults[0]
            await self._wait_formed()
        except BaseException:
            started = [one for one, result in zip(self.servers.values(), results, strict=True) if result is None]
            await asyncio.gather(*(server.stop() for server in started))
            raise

    async def stop(self) -> None:
        """End all servers cleanly."""
        await asyncio.gather(*(server.stop() for server in self.servers.values()))

    async def failed(self) -> str:
        """Wait until a server cannot be kept running any more; which, and why."""
        waits = {asyncio.ensure_future(server.failed()): name for name, server in self.servers.items()}
        done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        first = done.pop()
        return f"{waits[first]}: {first.result()}"

    async def _wait_formed(self) -> None:
        """A stream that needs every server can be placed only once all are known and have a leader."""
        connection = Connection(self.endpoint, self._settings, "holdfast cluster")
        await connection.open()
        last = "no answer"
        probe = {"name": "HF_CLUSTER_PROBE", "subjects": ["hf.cluster.probe"], "num_replicas": len(self.servers)}
        try:
            async with asyncio.timeout(self._settings.server_start_timeout_ms / 1000):
                while True:
                    try:
                        await connection.api(f"STREAM.CREATE.{probe['name']}", probe)
                    except ApiError as fault:  # "no suitable peers", "no leader": not yet
                        last = str(fault)
                    except LogError as fault:
                        last = str(fault)
                    else:
                        await connection.api(f"STREAM.DELETE.{probe['name']}")
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as fault:
            raise ServerStartError(f"the servers did not become a cluster: {last}") from fault
        finally:
            await connection.close()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
