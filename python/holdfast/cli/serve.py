"""`holdfast serve`: a gateway, with its own log or on a NATS that runs already.

In: a data directory and where to listen. Out: on stderr, where it listens and what to do next, then JSON logs.
Always: without keys nothing but loopback is served, and `--auth off` has to be given; this process supervises,
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
from typing import TYPE_CHECKING

import structlog

from holdfast.cli.console import COULD_NOT_RUN, DONE, CouldNotRunError, remarks
from holdfast.cli.settings_options import Assignments, Config, ServeOptions, TlsOptions, invalid, settings_from
from holdfast.settings.resolve import InvalidSettingsError, Resolved

if TYPE_CHECKING:
    from holdfast.supervisor.run import Announcement, Plan

log = structlog.get_logger(__name__)

PRIVATE = 0o700
FILES_BESIDE_CONNECTIONS = 512


def serve(
    *,
    options: ServeOptions | None = None,
    tls: TlsOptions | None = None,
    config: Config = None,
    assignments: Assignments = None,
) -> int:
    """Serve the HTTP API until SIGTERM, which lets requests under way finish.

    This process supervises: it owns the port, its own nats-server (unless --nats names a running one) and the
    workers, and restarts each one that dies. Workers are named n1-1, n1-2 ... (n1 when there is one). All of them
    answer reads; the one that leads decides. DIR/gateway.json says where it listens and what its processes are.

    ```
    holdfast serve --data DIR --auth off
    holdfast serve --data DIR --workers 2 --host 0.0.0.0
    holdfast serve --data DIR --nats nats://user:password@a:4222,nats://b:4222 --node n2
    holdfast serve --config holdfast.toml --set gateway.keepalive_ms=60000
    ```
    """
    options, tls = options or ServeOptions(), tls or TlsOptions()
    found = settings_from(config, options.options() | tls.options(), assignments)
    try:
        found = found.for_serve()
    except InvalidSettingsError as error:
        raise invalid(error.faults) from error
    plan = _plan(found)
    why = _supervised(plan, found)
    if why:
        remarks.print(f"holdfast: stopped, because it would be unsafe to go on: {why}", style="bold red", markup=False)
        return COULD_NOT_RUN
    return DONE


def _plan(found: Resolved) -> "Plan":
    from holdfast.supervisor.run import Plan

    serve = found.serve
    return Plan(
        Path(serve.data),
        serve.host,
        serve.port,
        serve.auth == "on",
        serve.nats or None,
        serve.scope,
        serve.node,
        serve.workers,
        serve.log_level,
        serve.loop,
        found.settings,
    )


def _supervised(plan: "Plan", found: Resolved) -> str:
    """Serve until the end; returns the reason, where nothing asked it to stop."""
    from holdfast.errors import LogError
    from holdfast.logs import configure_logs
    from holdfast.supervisor.run import StartError, supervise

    configure_logs(plan.log_level, process="supervisor")
    log.info("settings", file=str(found.file) if found.file else None, changed=found.changed())
    for name in found.ignored:
        log.warning("variable-ignored", variable=name, why="it is not a setting")
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


def _not_loopback(host: str) -> CouldNotRunError:
    return CouldNotRunError(
        f"--auth off is for loopback only, and {host} is not",
        "Leave --host out; or leave --auth off out and make a key: holdfast keys add NAME --operations all --data ...",
    )


def _check_loopback(host: str, port: int) -> None:
    """Check the addresses that the name resolves to. Raises OSError."""
    for _, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not ip_address(address[0]).is_loopback:
            raise _not_loopback(host if host == address[0] else f"{host} ({address[0]})")


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _announce(plan: "Plan", found: "Announcement") -> None:
    where = plan.nats.rpartition("@")[2] if plan.nats is not None else "its own server"
    workers = ", ".join(f"{one.node} (process {one.pid})" for one in found.workers)
    lines = [
        f"holdfast listens on {found.url}",
        f"  data    {plan.directory}, scope {plan.scope}, log: {where}, process {os.getpid()}",
        f"  workers {workers}",
        f"  ready   curl {found.url}/readyz      docs   {found.url}/docs",
    ]
    if not plan.auth:
        lines.append("  Authentication is off: every program on this machine may do everything. Try:")
        lines.append(f"  curl '{found.url}/v1/state'")
    elif not found.keys:
        lines.append("  There are no keys yet, and almost every call needs one. Make one; it works at once:")
        lines.append(f"  holdfast keys add admin --operations all --data {plan.directory}")
    with contextlib.suppress(OSError):  # without a reader, or on a full disk, it is still right to serve
        remarks.print("\n".join(lines), markup=False)
