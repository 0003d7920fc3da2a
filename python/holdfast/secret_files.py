"""Secrets of a data directory: the owner key and the scope key.

Role: make such a file once, and read it. In: the directory. Out: secrets. Always: a file appears whole, readable by its
owner alone, and the first process that makes it makes it for all; a file that others may read or write is refused; no
secret is ever logged.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.guarded import SECRET, require_guarded

if TYPE_CHECKING:
    from holdfast.macs import Macs


OWNER_KEY_FILE = "owner.key"
SCOPE_KEY_FILE = "scope.key"
_SECRET_BYTES = 32


def owner_key(directory: Path) -> bytes:
    """The secret under which owners are hashed, made on first use; another makes every owner new. Raises OSError."""
    path = directory / OWNER_KEY_FILE
    _make_once(path)
    require_guarded(path, SECRET)
    return _secret(path, path.read_text(errors="replace").strip(), "a new one makes every owner a new one")


def make_scope_key(directory: Path) -> None:
    """Make the scope key where it is missing: where this machine alone keeps the log. Raises OSError."""
    _make_once(directory / SCOPE_KEY_FILE)


def scope_macs(directory: Path | None) -> "Macs":
    """The codes under the scope key of a data directory, if it has one. Raises OSError for a file that is not one."""
    path = None if directory is None else directory / SCOPE_KEY_FILE
    # The supervisor makes the file, and needs no core.
    from holdfast._core import ScopeKeys
    from holdfast.macs import Macs

    if path is None or not path.exists():
        return Macs()
    require_guarded(path, SECRET)
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise OSError(f"{path} holds no scope key; restore it from a copy")
    return Macs(ScopeKeys([_secret(path, line, "a new one cannot prove what the old one signed") for line in found]))


def _secret(path: Path, text: str, why: str) -> bytes:
    with contextlib.suppress(ValueError):
        secret = bytes.fromhex(text)
        if len(secret) == _SECRET_BYTES:
            return secret
    raise OSError(f"{path} does not hold 64 hex digits a line; restore it from a copy ({why})")


def _make_once(path: Path) -> None:
    if path.exists():
        return
    # Several processes start at once: the file appears whole, and the first one's is everybody's.
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(written, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(written, path)
    finally:
        written.unlink(missing_ok=True)
