"""deploy/nats as it is: three servers, TLS, one user per role with the least that it needs."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import orjson
import pytest
import trustme
from nats.aio.client import Client

from holdfast._core import Engine
from holdfast.errors import LogError, UnreachableError
from holdfast.nats.connection import Connection, Endpoint, Tls, endpoint_of
from holdfast.nats.shared_snapshots import SharedSnapshots
from holdfast.nats.streams import Names
from holdfast.nats_server.store import server_binary
from holdfast.node.node import Node
from holdfast.settings import LogSettings, Settings
from tests.support.ports import free_ports
from tests.support.servers import OWNER_KEY, ROOT, connected, put, stocked

DEPLOYED = ROOT / "deploy" / "nats"
ROLES = ("node", "erp", "shop", "operator", "system")
THREE = Settings(log=LogSettings(replicas=3))


@dataclass(frozen=True, slots=True)
class Deployed:
    """Three servers that run on the deployed configuration."""

    urls: tuple[str, ...]
    tls: Tls
    directory: Path

    def violations(self, role: str) -> list[str]:
        """What the servers kept a role from doing, from their logs."""
        lines = [line for log in self.directory.glob("s*/server.log") for line in log.read_text().splitlines()]
        return [line for line in lines if "Violation" in line and f"user:{role}" in line]

    def endpoint(self, role: str) -> Endpoint:
        """As `serve --nats --nats-ca` reads it."""
        first = self.urls[0].replace("tls://", f"tls://{role}:{role}-secret@")
        return endpoint_of(",".join((first, *self.urls[1:])), LogSettings(tls_ca=str(self.tls.ca)))

    async def client(self, role: str, faults: list[Exception]) -> Client:
        """A plain client, as an adapter or a person has it."""

        async def note(fault: Exception) -> None:
            faults.append(fault)

        return await nats.connect(
            list(self.urls),
            user=role,
            password=f"{role}-secret",
            tls=self.tls.context(),
            inbox_prefix=f"_INBOX_{role}",
            error_cb=note,
        )


def _certificates(directory: Path) -> Tls:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    directory.mkdir()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate.private_key_pem.write_to_path(directory / "server-key.pem")
    for at, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(directory / "server.pem", append=at > 0)
    return Tls(directory / "ca.pem")


def _configure(directory: Path, tls: Path, client_port: int, route_port: int) -> Path:
    """The deployed files with this machine's paths and ports; nothing else is changed."""
    directory.mkdir()
    text = (DEPLOYED / "nats.conf").read_text()
    for deployed, here in {
        "0.0.0.0:4222": f"127.0.0.1:{client_port}",
        "0.0.0.0:6222": f"127.0.0.1:{route_port}",
        'http: "127.0.0.1:8222"': "",
        "/var/lib/nats": str(directory / "store"),
        "/etc/holdfast/tls": str(tls),
    }.items():
        assert deployed in text, f"{deployed} is no longer in nats.conf"
        text = text.replace(deployed, here)
    (directory / "nats.conf").write_text(text)
    (directory / "users.conf").write_text((DEPLOYED / "users.conf").read_text())
    return directory / "nats.conf"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    directory = tmp_path_factory.mktemp("deployed")
    tls = _certificates(directory / "tls")
    ports = free_ports(6)
    clients, routes = ports[:3], ports[3:]
    environment = os.environ | {
        "ROUTE_PASSWORD": "route-secret",
        **{
            f"NATS_ROUTE_{at}": f'"nats-route://route:route-secret@127.0.0.1:{port}"'
            for at, port in enumerate(routes, 1)
        },
        **{f"{role.upper()}_PASSWORD": f'"{role}-secret"' for role in ROLES},
    }
    servers = []
    try:
        for at, (client, route) in enumerate(zip(clients, routes, strict=True), 1):
            config = _configure(directory / f"s{at}", directory / "tls", client, route)
            log = (directory / f"s{at}" / "server.log").open("wb")
            servers.append(
                subprocess.Popen(
                    [str(server_binary()), "--config", str(config)],
                    env=environment | {"NATS_NAME": f"nats-{at}"},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        yield Deployed(tuple(f"tls://127.0.0.1:{port}" for port in clients), tls, directory)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)


@asynccontextmanager
async def node_of(deployed: Deployed) -> AsyncIterator[Node[Engine]]:
    """A node with the node's own rights, leading on three replicas; the cluster may still be choosing a leader."""
    async with asyncio.timeout(60):
        while True:
            node = Node("main", deployed.endpoint("node"), lambda: Engine("main", OWNER_KEY), THREE)
            try:
                await node.start()
                break
            except LogError:
                await node.stop(drain=False)
                await asyncio.sleep(0.5)
        await node.wait_ready()
    try:
        yield node
    finally:
        await node.stop(drain=False)


async def published(client: Client, subject: str, faults: list[Exception]) -> bool:
    """Whether the server let a message through."""
    before = len(faults)
    await client.publish(subject, b"{}")
    await client.flush()
    await asyncio.sleep(0.1)
    return len(faults) == before


async def test_each_role_can_do_its_work_and_no_more(deployed: Deployed, tmp_path: Path) -> None:
    async with node_of(deployed) as node:
        await stocked(node)
        assert (await put(node, "r1", ("S1", 2)))[0] == 201

        faults: list[Exception] = []
        erp = await deployed.client("erp", faults)
        level = {"kind": "stock.level", "sku": "S1", "location": "w1", "on_hand": 7, "basis": "net", "as_of": 2}
        ack = await erp.request("hf.main.in.erp.erp", orjson.dumps({"source": "erp", "facts": [level]}), timeout=5)
        assert orjson.loads(ack.data)["stream"] == "HF_main_IN"
        for forbidden in (
            "hf.main.log",
            "hf.main.in.erp.other",
            "hf.main.in.policy",
            "$JS.API.STREAM.PURGE.HF_main_LOG",
        ):
            assert not await published(erp, forbidden, faults), forbidden
        before = len(faults)
        await erp.subscribe("_INBOX.>")
        await erp.flush()
        await asyncio.sleep(0.1)
        assert len(faults) == before + 1, "nobody listens to another role's answers"
        await erp.close()

        faults = []
        operator = await deployed.client("operator", faults)
        message = await operator.jetstream().get_last_msg("HF_main_LOG", "hf.main.log")
        assert message.data is not None
        assert orjson.loads(message.data)["scope"] == "main"
        for forbidden in ("hf.main.log", "$JS.API.STREAM.DELETE.HF_main_LOG", "$JS.API.STREAM.PURGE.HF_main_LOG"):
            assert not await published(operator, forbidden, faults), forbidden
        await operator.close()
    async with connected(deployed.endpoint("node")) as connection:  # as a gateway on this cluster shares its snapshots
        shared = SharedSnapshots(connection, Names("main"), THREE.snapshots, THREE.log)
        for at in range(THREE.snapshots.shared_retained + 1):
            (tmp_path / f"main-{at}.hfsnap").write_bytes(os.urandom(300_000))
            await shared.put(tmp_path / f"main-{at}.hfsnap")
        newest, *others = await shared.names()
        assert len(others) == THREE.snapshots.shared_retained - 1, "the oldest was let go"
        await shared.fetch(newest, tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == (tmp_path / newest).read_bytes()
    assert deployed.violations("erp"), "the servers write violations down"
    assert deployed.violations("node") == [], "a node may do all that it does"


async def test_without_the_right_authority_or_secret_there_is_no_way_in(deployed: Deployed, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    quick = LogSettings(connect_deadline_ms=1_500)
    for endpoint in (
        Endpoint(deployed.urls, "node", "node-secret", tls=Tls(tmp_path / "other.pem")),
        Endpoint(deployed.urls, "node", "wrong", tls=deployed.tls),
        Endpoint(deployed.urls, tls=deployed.tls),
        Endpoint(tuple(url.replace("tls://", "nats://") for url in deployed.urls), "node", "node-secret"),
    ):
        connection = Connection(endpoint, quick, "test")
        with pytest.raises(UnreachableError):
            await connection.open()
