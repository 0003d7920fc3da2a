"""`holdfast serve`: a gateway, with its own log or on a NATS that runs already.

In: a data directory and where to listen. Out: on stderr, where it listens and what to do next, then JSON logs.
Always: without keys nothing but loopback is served, and that has to be said (`--auth off`); this process supervises,
and the workers that it starts serve.
"""

import asyncio
import contextlib
import errno
import os
import resource
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from holdfast.cli.console import COULD_NOT_RUN, DONE, CouldNotRunError, remarks
from holdfast.settings import GatewaySettings, LogSettings, Settings

if TYPE_CHECKING:
    from holdfast.supervisor.run import Announcement, Plan

PRIVATE = 0o700
REPLICAS_OF_A_CLUSTER = 3
CONNECTIONS_MAX = GatewaySettings().connections_max
FILES_BESIDE_CONNECTIONS = 512
NAME_CHARS_MAX = 64

Data = Annotated[Path, Parameter(help="Where the log, the keys and the owner key are kept.", env_var="HOLDFAST_DATA")]
Auth = Annotated[
    Literal["on", "off"], Parameter(help="`off`: no keys; only for an address of this machine's loopback.")
]
Nats = Annotated[
    str | None,
    Parameter(
        help="A NATS with JetStream, nats://user:password@host:4222[,...]; without it, one is started.",
        env_var="HOLDFAST_NATS",
    ),
]
Replicas = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1, lte=5),
        help="Copies of a log that is yet to be made; without it 3 where --nats names several servers, else 1.",
        show_default=False,
    ),
]
NatsCa = Annotated[
    Path | None, Parameter(help="Who signs the NATS servers' certificates (PEM).", env_var="HOLDFAST_NATS_CA")
]
NatsCert = Annotated[
    Path | None, Parameter(help="Our certificate, where they ask for one (PEM).", env_var="HOLDFAST_NATS_CERT")
]
NatsKey = Annotated[Path | None, Parameter(help="Its key (PEM).", env_var="HOLDFAST_NATS_KEY")]
NatsCreds = Annotated[
    Path | None, Parameter(help="A credentials file, instead of a user in --nats.", env_var="HOLDFAST_NATS_CREDS")
]
Workers = Annotated[
    int,
    Parameter(
        validator=validators.Number(gte=1, lte=64),
        help="Processes that share the port. Each holds the whole state; one leads.",
    ),
]


def serve(
    *,
    data: Data,
    port: Annotated[int, Parameter(help="0 takes a free one.")] = 8080,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    auth: Auth = "on",
    workers: Workers = 1,
    nats: Nats = None,
    replicas: Replicas = None,
    nats_ca: NatsCa = None,
    nats_cert: NatsCert = None,
    nats_key: NatsKey = None,
    nats_creds: NatsCreds = None,
    scope: Annotated[str, Parameter(help="The inventory universe: letters, digits, '_' and '-'.")] = "main",
    node: Annotated[
        str,
        Parameter(
            help="This machine's name in the log, another one on each: letters, digits, '_' and '-'.",
            env_var="HOLDFAST_NODE",
        ),
    ] = "n1",
    connections_max: Annotated[
        int, Parameter(help="Of one worker. Beyond these, new connections are told 503.")
    ] = CONNECTIONS_MAX,
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Parameter(help="What is logged.")] = "info",
    loop: Annotated[Literal["uvloop", "asyncio"], Parameter(help="The workers' event loop.")] = "uvloop",
) -> int:
    """Serve the HTTP API until SIGTERM, which lets what is under way finish.

    This process supervises: it keeps the port, a nats-server of its own (unless --nats names one that runs) and the
    workers, and starts again what dies. Workers are named n1-1, n1-2 ... (n1 when there is one). All of them answer
    reads; the one that leads decides. DIR/gateway.json says where it listens and who its processes are.

    ```
    holdfast serve --data DIR --auth off
    holdfast serve --data DIR --workers 2 --host 0.0.0.0
    holdfast serve --data DIR --nats nats://user:password@a:4222,nats://b:4222 --node n2
    ```
    """
    from holdfast.supervisor.run import Plan

    _check(nats, scope, node)
    settings = Settings(
        log=LogSettings(
            replicas=replicas or (1 if nats is None or "," not in nats else REPLICAS_OF_A_CLUSTER),
            tls_ca=named_file(nats_ca),
            tls_certificate=named_file(nats_cert),
            tls_key=named_file(nats_key),
            credentials=named_file(nats_creds),
        ),
        gateway=GatewaySettings(connections_max=connections_max),
    )
    plan = Plan(data, host, port, auth == "on", nats, scope, node, workers, log_level, loop, settings)
    why = _supervised(plan)
    if why:
        remarks.print(f"holdfast: stopped, because going on could do harm: {why}", style="bold red", markup=False)
        return COULD_NOT_RUN
    return DONE


def named_file(path: Path | None) -> str:
    """As the settings have it. Raises CouldNotRunError."""
    if path is None:
        return ""
    if not path.is_file():
        raise CouldNotRunError(f"there is no file {path}", "Name a PEM or credentials file.")
    return str(path.resolve())


def _supervised(plan: "Plan") -> str:
    """Until it is over; why, where nobody told it to stop."""
    from holdfast.errors import LogError
    from holdfast.logs import configure_logs
    from holdfast.supervisor.run import StartError, supervise

    configure_logs(plan.log_level, process="supervisor")
    try:
        if not plan.auth:
            _check_loopback(plan.host, plan.port)
        plan.directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        _allow_files(plan.settings.gateway.connections_max + FILES_BESIDE_CONNECTIONS)
        return asyncio.run(supervise(plan, lambda announcement: _announce(plan, announcement)))
    except LogError as error:
        raise CouldNotRunError(f"the log cannot be used: {error}") from error
    except StartError as error:
        raise CouldNotRunError(str(error)) from error
    except OSError as error:
        advice = "Another program listens there; choose another --port." if error.errno == errno.EADDRINUSE else ""
        raise CouldNotRunError(str(error), advice) from error


def _check(nats: str | None, scope: str, node: str) -> None:
    for what, name in (("scope", scope), ("node", node)):
        # Both are parts of NATS subjects.
        if not 0 < len(name) <= NAME_CHARS_MAX or not all(
            letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name
        ):
            raise CouldNotRunError(f"{name!r} is no {what}", f"A {what} has letters, digits, '_' and '-'.")
    if nats is not None and not any(part.strip() for part in nats.split(",")):
        raise CouldNotRunError("an address of NATS is like nats://127.0.0.1:4222")


def _not_loopback(host: str) -> CouldNotRunError:
    return CouldNotRunError(
        f"--auth off is for loopback only, and {host} is not",
        "Leave --host out; or leave --auth off out and make a key: holdfast keys add NAME --operations all --data ...",
    )


def _check_loopback(host: str, port: int) -> None:
    """By the addresses that the name stands for. Raises OSError."""
    for _, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not ip_address(address[0]).is_loopback:
            raise _not_loopback(host if host == address[0] else f"{host} ({address[0]})")


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _announce(plan: "Plan", found: "Announcement") -> None:
    where = plan.nats.rpartition("@")[2] if plan.nats is not None else "a server of its own"
    workers = ", ".join(f"{one.node} (process {one.pid})" for one in found.workers)
    lines = [
        f"holdfast listens on {found.url}",
        f"  data    {plan.directory}, scope {plan.scope}, log: {where}, process {os.getpid()}",
        f"  workers {workers}",
        f"  ready   curl {found.url}/readyz      docs   {found.url}/docs",
    ]
    if not plan.auth:
        lines.append("  Authentication is off: whoever is on this machine may do everything. Try:")
        lines.append(f"  curl '{found.url}/v1/state'")
    elif not found.keys:
        lines.append("  There are no keys yet, and all that matters needs one. Make one; it works at once:")
        lines.append(f"  holdfast keys add admin --operations all --data {plan.directory}")
    with contextlib.suppress(OSError):  # nobody reads it, or the disk that it goes to is full: no reason not to serve
        remarks.print("\n".join(lines), markup=False)
