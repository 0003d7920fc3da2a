"""Files that nobody else may change, as ssh wants it of its keys.

In: a path. Out: nothing, or an error that says how to put it right. Always: what belongs to another user than this
process's, or root's, is refused, and so is what others may write; of a secret, also what others may read; what this
program and its children make is private from the start, whatever the umask was.
"""

import os
from collections.abc import Mapping
from pathlib import Path

WRITABLE, SECRET = 0o022, 0o077


class OpenToOthersError(OSError):
    """Others could change the file or directory, or read its secret."""


def require_guarded(path: Path, forbidden: int = WRITABLE) -> None:
    """That no other user has any of the `forbidden` rights. Raises OpenToOthersError; FileNotFoundError."""
    status = path.stat()
    if status.st_uid not in {os.geteuid(), 0}:
        raise OpenToOthersError(f"{path} belongs to another user; chown it to the user that runs holdfast")
    if found := status.st_mode & forbidden:
        may = "change" if found & WRITABLE else "read"
        rights = "go-rwx" if forbidden == SECRET else "go-w"
        raise OpenToOthersError(f"other users may {may} {path}; chmod {rights} {path}")


def make_private() -> None:
    """Every file and directory that this process and its children make from now on is for its user alone.

    The mode in a call of mkdir or open does not suffice: parents that `mkdir` makes, and what nats-server writes,
    follow the umask.
    """
    os.umask(SECRET)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    temporary.replace(path)


def bare_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child: without holdfast's variables, which may hold secrets; the pipe has what it needs."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not name.startswith("HOLDFAST_")}
