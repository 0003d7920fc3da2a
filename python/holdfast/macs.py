"""Proof that a gateway of the scope wrote a message: codes under the scope key (docs/log.md, "MACs").

Role: sign what is sent to other processes, and tell what may be believed. In: the scope's keys, messages. Out: messages
with a code, or without it. Always: without keys everything passes as it is, as before there were any; with keys nothing
passes that lacks a right code for its purpose and context, and that is counted.
"""

from collections import Counter
from collections.abc import Callable
from typing import Literal, TypeAlias

from holdfast._core import ScopeKeys

Purpose: TypeAlias = Literal["batch", "incoming", "peer", "lease", "question", "answer", "snapshot", "key"]

_OPENING, _CLOSING = b',"mac":"', b'"}'
_ID_DIGITS, _CODE_DIGITS = 16, 64
_JSON_BYTES = len(_OPENING) + _ID_DIGITS + _CODE_DIGITS + len(_CLOSING)


class Macs:
    """The codes of one process."""

    def __init__(self, keys: ScopeKeys | None = None) -> None:
        self.keys = keys
        self.refused: Counter[str] = Counter()
        """Messages without a right code, by purpose."""
        self.alarm: Callable[[str], None] = lambda _detail: None
        """Called at the first, second, fourth, eighth one and so on, so that a flood of them fills no log."""

    def sign_json(self, purpose: Purpose, context: bytes, message: bytes) -> bytes:
        """A JSON object (with a member at least), signed."""
        return message if self.keys is None else self.keys.sign_json(purpose, context, message)

    def proves_json(self, purpose: Purpose, context: bytes, message: bytes) -> bool:
        """Whether it may be believed. The code is a member that readers ignore."""
        if self.keys is None:
            return True
        found = self.keys.key_of_json(purpose, context, message)
        if found is not None and found[1]:
            return True
        self._refuse(purpose)
        return False

    def sign(self, purpose: Purpose, context: bytes, message: bytes) -> bytes:
        """Any message, signed."""
        return message if self.keys is None else self.keys.sign(purpose, context, message)

    def open(self, purpose: Purpose, context: bytes, signed: bytes) -> bytes | None:
        """The message; None when it may not be believed."""
        if self.keys is None:
            return signed
        message = self.keys.open(purpose, context, signed)
        if message is None:
            self._refuse(purpose)
        return message

    def repeated(self, purpose: Purpose) -> None:
        """A message was put there a second time, by somebody who had recorded it."""
        self._refuse(purpose)

    def _refuse(self, purpose: Purpose) -> None:
        self.refused[purpose] += 1
        times = self.refused[purpose]
        if times & (times - 1) == 0:
            self.alarm(
                f"{times} message(s) of the kind `{purpose}` without a right code, or put there again, were ignored: "
                "who may write there?"
            )


def without_code(message: bytes) -> bytes:
    """A JSON object as it was before it was signed."""
    at = len(message) - _JSON_BYTES
    if at > 0 and message.startswith(_OPENING, at) and message.endswith(_CLOSING):
        return message[:at] + b"}"
    return message
