"""`holdfast serve`: a gateway, with its own log or on a NATS that runs already.

In: a data directory and where to listen. Out: on stderr, where it listens and what to do next, then JSON logs.
Always: without keys nothing but loopback is served, and that has to be said (`--auth off`).
"""

import asyncio
import errno
import os
import resource
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from holdfast.cli.console import COULD_NOT_RUN, DONE, CouldNotRunError, remarks
from holdfast.settings import GatewaySettings, Settings

if TYPE_CHECKING:
    from holdfast.gateway.run import Service, Serving

PRIVATE = 0o700
CONNECTIONS_MAX = GatewaySettings().connections_max
FILES_BESIDE_CONNECTIONS = 512

Data = Annotated[Path, Parameter(help="Where the log, the keys and the owner key are kept.", env_var="HOLDFAST_DATA")]
Auth = Annotated[
    Literal["on", "off"], Parameter(help="`off`: no keys; only for an address of this machine's loopback.")
]
Nats = Annotated[
    str | None,
    Parameter(
        help="A NATS with JetStream, nats://user:password@host:4222; without it, one is started.",
        env_var="HOLDFAST_NATS",
    ),
]


def serve(
    *,
    data: Data,
    port: Annotated[int, Parameter(help="0 takes a free one.")] = 8080,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    auth: Auth = "on",
    nats: Nats = None,
    scope: Annotated[str, Parameter(help="The inventory universe: letters, digits, '_' and '-'.")] = "main",
    node: Annotated[str, Parameter(help="This process's name in the log.")] = "n1",
    connections_max: Annotated[int, Parameter(help="Beyond these, new connections are told 503.")] = CONNECTIONS_MAX,
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Parameter(help="What is logged.")] = "info",
    loop: Annotated[Literal["uvloop", "asyncio"], Parameter(help="The event loop.")] = "uvloop",
) -> int:
    """Serve the HTTP API until SIGTERM, which lets what is under way finish."""
    import uvloop

    from holdfast.gateway.logs import configure_logs
    from holdfast.gateway.run import Service
    from holdfast.gateway.run import serve as serve_until_stopped
    from holdfast.log.errors import LogFault

    _check(host, auth, nats, scope)
    configure_logs(log_level)
    settings = Settings(gateway=GatewaySettings(connections_max=connections_max))
    service = Service(data, host, port, auth == "on", nats, scope, node, settings)
    factory = uvloop.new_event_loop if loop == "uvloop" else None
    try:
        data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        _check_address(host, port, loopback=auth == "off")
        _allow_files(connections_max + FILES_BESIDE_CONNECTIONS)
        with asyncio.Runner(loop_factory=factory) as runner:
            why = runner.run(serve_until_stopped(service, lambda serving: _announce(service, serving)))
    except LogFault as error:
        raise CouldNotRunError(f"the log cannot be used: {error}") from error
    except OSError as error:
        advice = "Another program listens there; choose another --port." if error.errno == errno.EADDRINUSE else ""
        raise CouldNotRunError(str(error), advice) from error
    if why:
        remarks.print(f"holdfast: stopped, because going on could do harm: {why}", style="bold red", markup=False)
        return COULD_NOT_RUN
    return DONE


def _check(host: str, auth: str, nats: str | None, scope: str) -> None:
    from holdfast.gateway.gate import is_loopback
    from holdfast.gateway.run import endpoint_of

    if auth == "off" and not is_loopback(f"[{host}]" if ":" in host else host):
        raise _not_loopback(host)
    if not scope or not all(letter.isalnum() or letter in "_-" for letter in scope) or not scope.isascii():
        raise CouldNotRunError(f"{scope!r} is no scope", "A scope has letters, digits, '_' and '-'.")
    if nats is not None:
        try:
            endpoint_of(nats)
        except ValueError as error:
            raise CouldNotRunError(str(error)) from error


def _not_loopback(host: str) -> CouldNotRunError:
    return CouldNotRunError(
        f"--auth off is for loopback only, and {host} is not",
        "Leave --host out; or leave --auth off out and make a key: holdfast keys add NAME --operations all --data ...",
    )


def _check_address(host: str, port: int, *, loopback: bool) -> None:
    """Find out before the log is started, and by the address that the name stands for. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if loopback and not ip_address(address[0]).is_loopback:
        raise _not_loopback(f"{host} ({address[0]})")
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _announce(service: "Service", serving: "Serving") -> None:
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    url = f"http://{host}:{serving.port}"
    where = service.nats.rpartition("@")[2] if service.nats is not None else "a server of its own"
    lines = [
        f"holdfast listens on {url}",
        f"  data    {service.directory}, scope {service.scope}, log: {where}, process {os.getpid()}",
        f"  ready   curl {url}/readyz      docs   {url}/docs",
    ]
    if not service.auth:
        lines.append("  Authentication is off: whoever is on this machine may do everything. Try:")
        lines.append(f"  curl '{url}/v1/state'")
    elif not serving.keys:
        lines.append("  There are no keys yet, and all that matters needs one. Make one; it works at once:")
        lines.append(f"  holdfast keys add admin --operations all --data {service.directory}")
    remarks.print("\n".join(lines), markup=False)
