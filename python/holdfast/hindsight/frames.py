"""What a gateway and its process for the past send each other: four bytes of length, then JSON.

In: one value. Out: its bytes, and back. Always: a message has a bound on both sides.
"""

from typing import BinaryIO

import msgspec

from holdfast.settings import Settings

LENGTH_BYTES = 4
BYTES_MAX = 64 * 1024 * 1024


class Place(msgspec.Struct, frozen=True):
    """The first message: whose past it is. `nats` may hold a secret, which is why it is in no argument list."""

    directory: str
    scope: str
    nats: str
    settings: Settings


class Question(msgspec.Struct, frozen=True):
    """What is asked: the name of one of process.py's answers, its needs, and the LOG sequence that must be in it."""

    what: str
    needs: dict[str, msgspec.Raw]
    sequence: int = 0


class Reply(msgspec.Struct, frozen=True):
    """What came of it: a body with status 200, or the name of a problem with what to say. `sequence`: of LOG."""

    status: int
    body: msgspec.Raw = msgspec.Raw(b"null")
    problem: str = ""
    detail: str = ""
    path: str = ""
    sequence: int = 0


def framed(message: msgspec.Struct) -> bytes:
    """The bytes of a message."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


def read_frame(file: BinaryIO) -> bytes | None:
    """The next message's bytes; None at the end."""
    head = file.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    return file.read(int.from_bytes(head))
