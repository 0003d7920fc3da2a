"""Three nats-servers on the files of deploy/nats as they are, with TLS, and clients of each role.

In: a directory. Out: addresses, and clients as an adapter or a person has them. Always: what is deployed is used
unchanged, but for paths and ports of this machine; the servers end with the block.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import trustme
from nats.aio.client import Client

from holdfast.nats.connection import Endpoint, Tls, endpoint_of
from holdfast.nats_server.store import server_binary
from holdfast.settings import LogSettings, Settings
from tests.support.ports import free_ports
from tests.support.servers import ROOT

DEPLOYED = ROOT / "deploy" / "nats"
ROLES = ("node", "erp", "shop", "operator", "reader", "system")
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
    directory.mkdir(parents=True)
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


@contextmanager
def deployed_cluster(directory: Path) -> Iterator[Deployed]:
    """Three servers in `directory`, ended afterwards."""
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
