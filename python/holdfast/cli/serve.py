"""`holdfast serve`: a gateway, with its own log or on a NATS that runs already.

In: a data directory and where to listen. Out: on stderr, where it listens and what to do next, then logs: for a person
on a terminal, as JSON lines elsewhere.
Always: without keys nothing but loopback is served, and `--auth off` has to be given; this process supervises,
and the workers that it starts serve; what cannot be served is refused before anything is started or written.
"""

import asyncio
import errno
import resource
import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from holdfast.cli.banner import announce
from holdfast.cli.console import COULD_NOT_RUN, DONE, CouldNotRunError, reason_of, remarks, usable_directory
from holdfast.cli.settings_options import Assignments, Config, ServeOptions, TlsOptions, invalid, settings_from
from holdfast.settings.resolve import InvalidSettingsError, Resolved

if TYPE_CHECKING:
    from holdfast.supervisor.run import Plan

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
    holdfast serve --data DIR --nats @/etc/holdfast/nats --node n2     # nats://user:password@a:4222,... in a 0600 file
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
    from holdfast.storage.budget import within_budget
    from holdfast.supervisor.run import Plan

    serve, settings = found.serve, found.settings
    if not serve.nats:  # the streams that it makes are on the disk of the data directory
        settings = within_budget(settings, Path(serve.data))
    quiet = sys.stderr.isatty() and found.origins["serve.log_level"].kind == "default"
    return Plan(
        Path(serve.data),
        serve.host,
        serve.port,
        serve.auth == "on",
        serve.nats or None,
        serve.scope,
        serve.node,
        serve.workers,
        "warning" if quiet else serve.log_level,
        serve.loop,
        settings,
        probes=_place(serve.probes),
    )


def _place(text: str) -> tuple[str, int] | None:
    """`[::1]:8081` as an address and a port."""
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if text else None


def _supervised(plan: "Plan", found: Resolved) -> str:
    """Serve until the end; returns the reason, where nothing asked it to stop."""
    from holdfast.errors import LogError
    from holdfast.gateway.keyring import KeyringError
    from holdfast.logs import configure_logs
    from holdfast.supervisor.run import StartError, supervise

    def owned() -> None:
        log.info("settings", file=str(found.file) if found.file else None, changed=found.changed())
        for name in found.ignored:
            log.warning("variable-ignored", variable=name, why="it is not a setting")

    configure_logs(plan.log_level, process="supervisor")
    try:
        _check(plan)
        plan.directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        _allow_files(plan.settings.gateway.connections_max + FILES_BESIDE_CONNECTIONS)
        return asyncio.run(supervise(plan, lambda announcement: announce(plan, announcement), owned))
    except LogError as error:
        raise CouldNotRunError(f"the log cannot be used: {error}") from error
    except (StartError, KeyringError) as error:
        raise CouldNotRunError(str(error)) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CouldNotRunError(
                f"another program listens on {plan.host} port {plan.port}", "Choose another --port."
            ) from error
        raise CouldNotRunError(reason_of(error)) from error


def _check(plan: "Plan") -> None:
    """Refuse what cannot be served. Raises CouldNotRunError, KeyringError, OSError."""
    from holdfast.gateway.keyring import Keyring
    from holdfast.supervisor.address import reserve

    for option, host, port in (
        ("--host", plan.host, plan.port),
        *((("--probes", *plan.probes),) if plan.probes else ()),
    ):
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no host name"
            raise CouldNotRunError(f"{option} {host}: {why}", "Name an address of this machine.") from error
        for _, _, _, _, address in found:
            if not plan.auth and not ip_address(address[0]).is_loopback:
                raise _not_loopback(host if host == address[0] else f"{host} ({address[0]})")
    usable_directory(plan.directory)
    if plan.auth:
        Keyring(plan.directory).reload()
    if not plan.directory.exists():  # one that exists may be served already, which says more than a port in use
        reserve(plan.host, plan.port).release()


def _not_loopback(host: str) -> CouldNotRunError:
    return CouldNotRunError(
        f"--auth off is for loopback only, and {host} is not",
        "Leave --host out; or leave --auth off out and make a key: holdfast keys add NAME --operations all --data ...",
    )


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
