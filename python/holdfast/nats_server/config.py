"""The configuration file of a nats-server that holdfast starts.

In: paths, a port, settings, the server's part in a cluster, and the accounts. Out: the file's text.
Always: loopback; every acknowledged message is fsynced; no secret of a user is in it.
"""

from dataclasses import dataclass, field

from holdfast.nats_server.store import StoreDirectory
from holdfast.settings import LogSettings

_CONFIG = """\
# Rewritten at each start. Everything acknowledged is on the disk: keep sync_interval as it is.
server_name: "{name}"
listen: "127.0.0.1:{port}"
max_payload: {payload}
log_file: "{log_file}"
logfile_size_limit: {log_bytes}
logfile_max_num: {log_files}
jetstream {{ store_dir: "{store}", sync_interval: always, max_memory_store: {memory}, max_file_store: {file} }}
"""
_CLUSTER = """\
cluster {{
  name: "{cluster}", listen: "127.0.0.1:{port}", no_advertise: true, pool_size: 1
  authorization {{ user: "holdfast-route", password: "{secret}" }}
  routes: [ {routes} ]
}}
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One server's part in a cluster on this machine: its name, where its peers listen, and what they share."""

    name: str  # JetStream knows a server of a cluster by its name: the same at every start
    cluster: str
    route_port: int
    peer_ports: tuple[int, ...]
    seed: str = field(repr=False)  # of the gateways, one for all servers
    route_secret: str = field(repr=False)

    @property
    def config(self) -> str:
        """The part of the configuration that a single server lacks."""
        routes = ", ".join(f'"nats://holdfast-route:{self.route_secret}@127.0.0.1:{port}"' for port in self.peer_ports)
        return _CLUSTER.format(cluster=self.cluster, port=self.route_port, secret=self.route_secret, routes=routes)


def server_config(
    name: str, port: int, store: StoreDirectory, settings: LogSettings, accounts: str, member: Member | None
) -> str:
    """The whole file."""
    room = max(settings.server_room_bytes, settings.streams_bytes)
    text = _CONFIG.format(
        name=name,
        port=port,
        payload=settings.server_payload_bytes_max,
        log_file=store.log_file,
        log_bytes=settings.server_log_bytes_max,
        log_files=settings.server_log_files_max,
        store=store.store,
        memory=settings.server_memory_bytes_max,
        file=room * 2,
    )
    return text + accounts + (member.config if member is not None else "")
