"""`holdfast nats-context`: writes what the official nats CLI needs to reach the log of a data directory.

In: a data directory whose gateway runs, or the --nats that `serve` was given. Out: a context file, 0600, and its use.
Always: a context that this command did not write for the same directory is replaced only with --force; no secret is
shown; a gateway's only when asked for.
"""

import os
import pwd
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import orjson
from cyclopts import Parameter

from holdfast.cli.console import DONE, PATH, CouldNotRunError, results
from holdfast.cli.settings_options import Config, Data, Nats, TlsOptions, settings_of_data, text_of
from holdfast.nats_server.accounts import Role, inbox_of
from holdfast.nats_server.server import runtime_of
from holdfast.nats_server.store import StoreDirectory
from holdfast.nats_server.users import users_of
from holdfast.settings.resolve import Resolved

GATEWAY = "gateway"
PRIVATE = 0o600
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def nats_context(
    *,
    data: Data = None,
    nats: Nats = None,
    name: Annotated[str, Parameter(help="What the context is called: `nats --context NAME`.")] = "holdfast",
    output: Annotated[
        Path | None, PATH, Parameter(help="The file to write; default: NAME.json among the CLI's own contexts.")
    ] = None,
    user: Annotated[
        str, Parameter(help="Of the own nats-server: operator, reader, one that `nats-user add` made, or gateway.")
    ] = Role.OPERATOR.value,
    force: Annotated[bool, Parameter(negative="", help="Replace a context that is something else.")] = False,
    tls: TlsOptions | None = None,
    config: Config = None,
) -> int:
    """Write a context for the official nats CLI, so that it reaches this log.

    An operator views every stream, sends policies and clears dead letters; a reader views; a source sends its own
    facts; a gateway may do everything, such as editing a stream, until the next start of `serve`. The port of the
    embedded nats-server is a new one after each start, unless `log.server_port` says which: run this again then.

    ```
    holdfast nats-context --data DIR
    nats --context holdfast stream ls
    holdfast nats-user add erp.acme --data DIR
    holdfast nats-context --user erp.acme --name acme --data DIR
    ```
    """
    options = {"serve.data": text_of(data), "serve.nats": nats}
    directory, loaded = settings_of_data(config, options | (tls or TlsOptions()).options())
    if not NAME.fullmatch(name):
        raise CouldNotRunError(f"{name!r} is no name of a context", "Use letters, digits, `-`, `_` and dots.")
    context = _context(directory.resolve(), loaded, user)
    file = output or contexts_directory() / f"{name}.json"
    _refuse_another(file, context, force=force)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(file, context)
    use = f"nats --context {name}" if output is None else f"nats --context {file.resolve()}"
    attempt = f"request hf.{loaded.serve.scope}.in.{user} ..." if user.partition(".")[2] else "stream ls"
    results.print(f"Wrote {file}. Try: {use} {attempt}", markup=False)
    return DONE


def contexts_directory() -> Path:
    """Where the nats CLI keeps its contexts: it takes the home of the system's user, whatever HOME says."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(pwd.getpwuid(os.getuid()).pw_dir) / ".config") / "nats" / "context"


def _context(directory: Path, loaded: Resolved, user: str) -> dict[str, Any]:
    described = {"description": f"holdfast, {directory}"}
    if loaded.serve.nats:
        return described | _of_servers(loaded)
    runtime = runtime_of(directory)
    if runtime is None:
        raise CouldNotRunError(
            f"no nats-server runs on {directory}",
            "Start `holdfast serve` there; or, where serve has --nats, give the same --nats here.",
        )
    try:
        seed = StoreDirectory(directory / "nats").gateway_file if user == GATEWAY else users_of(directory).file(user)
    except ValueError as fault:
        raise CouldNotRunError(str(fault), "") from fault
    if not seed.is_file():
        raise CouldNotRunError(f"there is no user {user}", f"`holdfast nats-user add {user}` makes one.")
    return described | {"url": f"nats://127.0.0.1:{runtime.port}", "nkey": str(seed), "inbox_prefix": inbox_of(user)}


def _of_servers(loaded: Resolved) -> dict[str, Any]:
    """The first address with a user in it says who connects."""
    parts = [urlsplit(url) for url in loaded.serve.nats.split(",")]
    log = loaded.settings.log
    user = next((unquote(part.username) for part in parts if part.username), "")
    found = {
        "url": ",".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts),
        "user": user,
        "password": next((unquote(part.password) for part in parts if part.password), ""),
        "inbox_prefix": inbox_of(user) if user.startswith((Role.OPERATOR.value, Role.READER.value)) else "",
        "creds": _absolute(log.credentials),
        "ca": _absolute(log.tls_ca),
        "cert": _absolute(log.tls_certificate),
        "key": _absolute(log.tls_key),
    }
    return {name: value for name, value in found.items() if value}


def _absolute(path: str | Path | None) -> str:
    return str(Path(path).resolve()) if path else ""


def _refuse_another(file: Path, context: dict[str, Any], *, force: bool) -> None:
    if force or not file.exists():
        return
    try:
        found = orjson.loads(file.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("description") != context["description"]:
        raise CouldNotRunError(f"{file} is another context", "Choose another --name or --output, or give --force.")


def _write(file: Path, context: dict[str, Any]) -> None:
    temporary = file.with_name(f"{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "wb") as written:
        os.fchmod(written.fileno(), PRIVATE)
        written.write(orjson.dumps(context, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    temporary.replace(file)
