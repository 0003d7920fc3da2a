"""The users of an embedded nats-server: one file for each, and what it holds is the secret itself.

Role: make, list and end users. In: DIR/nats. Out: seeds of nkeys, and their public halves for the server's
configuration. Always: 0700 and 0600; a server learns no secret, neither from its configuration nor from a client that
connects; operators, readers and sources keep theirs over restarts, a gateway's is new at each start and in no file of
this directory.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import nkeys
import structlog

from holdfast.guarded import write_private
from holdfast.nats_server.accounts import Role, User, role_of

log = structlog.get_logger(__name__)

_SUFFIX = ".nk"
_SEED_BYTES = 32
LASTING = (Role.OPERATOR.value, Role.READER.value)
"""Users that every server has."""


def new_seed() -> str:
    """The secret half of a new nkey of a user."""
    seed: bytes = nkeys.encode_seed(os.urandom(_SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def public_key(seed: str) -> str:
    """The half that a server knows. Raises ValueError when it is no seed of a user."""
    try:
        pair = nkeys.from_seed(bytearray(seed.encode()))
        public: str = pair.public_key.decode()
    except (nkeys.NkeysError, ValueError) as fault:  # of the encoding, or of its length
        raise ValueError("no seed of a user's nkey") from fault
    if not public.startswith("U"):
        raise ValueError("no seed of a user's nkey")
    return public


def users_of(data: Path) -> "Users":
    """Those of a data directory."""
    return Users(data.resolve() / "nats")


class Users:
    """DIR/nats/users: `NAME.nk` for each user."""

    def __init__(self, nats_directory: Path) -> None:
        self.directory = nats_directory / "users"

    def file(self, name: str) -> Path:
        """Where a user's seed is: what `nkey` of a context, and the NATS clients of every language, take."""
        role_of(name)
        return self.directory / f"{name}{_SUFFIX}"

    def add(self, name: str) -> bool:
        """Make a user; False when there is one of that name. Raises ValueError, OSError."""
        file = self.file(name)
        if file.exists():
            return False
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        write_private(file, new_seed() + "\n")
        return True

    def remove(self, name: str) -> bool:
        """End a user; False when there is none of that name. Raises ValueError, OSError."""
        try:
            self.file(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def add_lasting(self) -> None:
        """Make those that every server has."""
        for name in LASTING:
            self.add(name)

    def all(self) -> list[User]:
        """By name. A file that is no user's is left out, with a line in the log."""
        found = []
        for file in sorted(self.directory.glob(f"*{_SUFFIX}")):
            name = file.name.removesuffix(_SUFFIX)
            try:
                role_of(name)
                found.append(User(name, public_key(file.read_text(encoding="utf-8").strip())))
            except FileNotFoundError:
                continue  # removed meanwhile
            except (ValueError, OSError) as fault:
                log.warning("nats-user-unreadable", file=str(file), why=str(fault))
        return found

    def mark(self) -> tuple[tuple[str, int], ...]:
        """Changes whenever a user was added, removed or renewed."""
        with contextlib.suppress(OSError):
            return tuple(sorted((file.name, file.stat().st_mtime_ns) for file in self.directory.iterdir()))
        return ()

    async def changed(self, since: tuple[tuple[str, int], ...]) -> bool:
        """Whether users differ from those of a `mark`."""
        return await asyncio.to_thread(self.mark) != since
