"""What `serve` says once it listens: a banner for the person at a terminal, one log line where there is none.

In: the plan, and what listens. Out: text on stderr. Always: without a reader, or on a full disk, it is still right to
serve; no secret is in it.
"""

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import structlog

from holdfast import __version__
from holdfast.cli.console import program, remarks

if TYPE_CHECKING:
    from holdfast.supervisor.run import Announcement, Plan

log = structlog.get_logger(__name__)


def announce(plan: "Plan", found: "Announcement") -> None:
    """Say where it listens and what to do next."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            remarks.print(banner(plan, found), markup=False)
        return
    log.info(
        "listening",
        url=found.url,
        docs=f"{found.url}/docs",
        dashboard=f"{found.url}/dashboard",
        data=str(plan.directory),
        scope=plan.scope,
        log=_log_of(plan),
        workers={one.node: one.pid for one in found.workers},
        auth="on" if plan.auth else "off",
        keys_in_force=found.keys if plan.auth else None,
        advice=None if found.keys or not plan.auth else f"make a key: {_making_a_key(plan)}",
    )


def banner(plan: "Plan", found: "Announcement") -> str:
    """For a person: address, docs, data directory, and how to make a key or the first call."""
    workers = ", ".join(f"{one.node} (process {one.pid})" for one in found.workers)
    lines = [
        f"holdfast {__version__} listens on {found.url}",
        "",
        f"  docs     {found.url}/docs",
        f"  look     {found.url}/dashboard",
        f"  data     {plan.directory}, scope {plan.scope}, log: {_log_of(plan)}",
        f"  workers  {workers}, supervisor process {os.getpid()}",
        *_about_keys(plan, found),
        "",
        "Ctrl-C stops it. Warnings follow here; --log-level info shows more.",
    ]
    return "\n".join(lines)


def _about_keys(plan: "Plan", found: "Announcement") -> list[str]:
    if not plan.auth:
        return [
            "  keys     not needed (--auth off): every program on this machine may do everything",
            f"  try      curl {found.url}/v1/state",
        ]
    if found.keys:
        return [f"  keys     {found.keys} in force; `{program()} keys list --data {plan.directory}` shows them"]
    return [
        "  keys     none in force, and almost every call needs one; make one in another terminal:",
        f"           {_making_a_key(plan)}",
    ]


def _making_a_key(plan: "Plan") -> str:
    return f"{program()} keys add admin --operations all --data {plan.directory}"


def _log_of(plan: "Plan") -> str:
    if plan.nats is None:
        return "its own nats-server"
    return ",".join(part.rpartition("@")[2] for part in plan.nats.split(","))
