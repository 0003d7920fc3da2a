"""`holdfast nats-context`: writes what the official nats CLI needs to reach the log of a data directory.

In: a data directory whose gateway runs, or the --nats that `serve` was given. Out: a context file, 0600, and its use.
Always: a context that this command did not write for the same directory is replaced only with --force; the secret goes
into the file and nowhere else.
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
from holdfast.nats_server.server import runtime_of
from holdfast.settings.resolve import Resolved

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
    force: Annotated[bool, Parameter(negative="", help="Replace a context that is something else.")] = False,
    tls: TlsOptions | None = None,
    config: Config = None,
) -> int:
    """Write a context for the official nats CLI, so that it reaches this log.

    The embedded nats-server has a new secret after each start of `serve`: run this again then. Its port is a new one
    too, unless `log.server_port` says which.

    ```
    holdfast nats-context --data DIR
    nats --context holdfast stream ls
    ```
    """
    options = {"serve.data": text_of(data), "serve.nats": nats}
    directory, loaded = settings_of_data(config, options | (tls or TlsOptions()).options())
    if not NAME.fullmatch(name):
        raise CouldNotRunError(f"{name!r} is no name of a context", "Use letters, digits, `-`, `_` and dots.")
    context = _context(directory.resolve(), loaded)
    file = output or contexts_directory() / f"{name}.json"
    _refuse_another(file, context, force=force)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(file, context)
    use = f"nats --context {name}" if output is None else f"nats --context {file.resolve()}"
    results.print(f"Wrote {file}. Try: {use} stream ls", markup=False)
    return DONE


def contexts_directory() -> Path:
    """Where the nats CLI keeps its contexts: it takes the home of the system's user, whatever HOME says."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(pwd.getpwuid(os.getuid()).pw_dir) / ".config") / "nats" / "context"


def _context(directory: Path, loaded: Resolved) -> dict[str, Any]:
    described = {"description": f"holdfast, {directory}"}
    if loaded.serve.nats:
        return described | _of_servers(loaded)
    runtime = runtime_of(directory)
    if runtime is None:
        raise CouldNotRunError(
            f"no nats-server runs on {directory}",
            "Start `holdfast serve` there; or, where serve has --nats, give the same --nats here.",
        )
    url = f"nats://127.0.0.1:{runtime.port}"
    return described | {"url": url, "user": runtime.user, "password": runtime.password}


def _of_servers(loaded: Resolved) -> dict[str, Any]:
    """The first address with a user in it says who connects."""
    parts = [urlsplit(url) for url in loaded.serve.nats.split(",")]
    log = loaded.settings.log
    found = {
        "url": ",".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts),
        "user": next((unquote(part.username) for part in parts if part.username), ""),
        "password": next((unquote(part.password) for part in parts if part.password), ""),
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
