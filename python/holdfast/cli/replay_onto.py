"""A past written as the log of another scope, for `holdfast replay --onto`.

In: a data directory, a scope, where its log goes, a speed. Out: the log, proven by the digest. Always: a new directory
is made with its own keys, and holds the owner key of the old one, so that owners are the same.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter

from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.hindsight import onto
from holdfast.hindsight.onto import Written
from holdfast.hindsight.replaying import Moment, replay
from holdfast.nats.connection import Connection, Endpoint, endpoint_of
from holdfast.nats_server.server import EmbeddedServer
from holdfast.recovery.past import Past
from holdfast.secret_files import OWNER_KEY_FILE, make_scope_key, scope_macs
from holdfast.settings.resolve import Resolved

_SCOPE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SPEED_MAX = 1_000_000

Speed = Annotated[
    str, Parameter(help="With --onto: `recorded`, as it came; a number, so many times as fast; or `flat-out`.")
]


def speed_of(text: str) -> float | None:
    """How many times as fast; None: as fast as it goes. Raises CouldNotRunError."""
    if text in {"flat-out", "recorded"}:
        return None if text == "flat-out" else 1.0
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= _SPEED_MAX:
        raise CouldNotRunError(f"--speed cannot be {text[:40]!r}", "Give `recorded`, `flat-out`, or a number like 10.")
    return found


def onto_scope(
    directory: Path,
    loaded: Resolved,
    scope: str,
    into: Path | None,
    nats: str | None,
    upto: Moment,
    speed: float | None,
    *,
    json: bool,
) -> int:
    """Write it, and compare its digest. Raises CouldNotRunError, LogError."""
    if _SCOPE.fullmatch(scope) is None:
        raise CouldNotRunError(f"--onto cannot be {scope[:80]!r}", "A scope has letters, digits, - and _.")
    if (into is None) == (nats is None):
        raise CouldNotRunError("--onto needs a place for the log", "Give --into NEW, or --nats URL.")
    past = Past(directory, loaded.serve.scope, loaded.settings)
    if into is not None:
        _made(into, directory)
    keys = scope_macs(into or directory).keys
    log = loaded.settings.log

    async def write() -> Written:
        async with _server(into, nats, scope, loaded) as endpoint:
            connection = Connection(endpoint, log, f"holdfast {scope} replay")
            await connection.open()
            try:
                with LiveWatcher("messages") as watcher:
                    report = watcher.phase(f"writing {scope}", None)
                    return await onto.write(past, connection, scope, keys, upto, speed, log, report)
            finally:
                await connection.close()

    found = uvloop.run(write())
    there = replay(past, Moment(), upto, lambda _: None)
    is_same = there.digest == found.digest
    written: dict[str, Any] = {
        "scope": scope,
        "batches": found.sequence,
        "digest": found.digest,
        "equal": is_same,
        "seconds": round(found.seconds, 3),
    }
    if json:
        write_json(written)
    elif is_same:
        results.print(
            f"{number(found.sequence)} batches of {past.scope} are in {scope}, in {found.seconds:.1f} s. Its state has "
            f"the same digest, {found.digest}.",
            markup=False,
        )
    if not is_same:
        remarks.print(
            f"{scope} has digest {found.digest}, {past.scope} {there.digest}: please report it.", markup=False
        )
    return DONE if is_same else FOUND_WRONG


def _made(into: Path, source: Path) -> None:
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise CouldNotRunError(f"{into} is not an empty directory", "Name one that does not exist, with --into.")
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_scope_key(into)
        if (source / OWNER_KEY_FILE).exists():
            shutil.copy2(source / OWNER_KEY_FILE, into / OWNER_KEY_FILE)
    except OSError as error:
        raise CouldNotRunError(f"{into}: {error.strerror}", "Name another directory with --into.") from error


@asynccontextmanager
async def _server(into: Path | None, nats: str | None, scope: str, loaded: Resolved) -> AsyncIterator[Endpoint]:
    if into is None:
        yield endpoint_of(nats or "", loaded.settings.log)
        return
    server = EmbeddedServer(into, loaded.settings.log, scope=scope)
    await server.start()
    try:
        yield server.endpoint
    finally:
        await server.stop()
