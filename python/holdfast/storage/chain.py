"""The position of a chain of batches, from the messages alone.

Role: decide of each LOG message whether it continues the history before it, and the position after it, by the
rule that the core applies (docs/log.md), without a core. In: a position and the next message. Out: the next position.
Always: a message that does not fit is void: it takes a sequence and changes nothing else, the same on every node.
"""

from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from blake3 import blake3

HASH_DOMAIN = b"holdfast/batch/v1"
NO_CHAIN = "0" * 64
_FACTS = b',"facts":['
_HEADER_BYTES_MAX = 2_048
_VERSION = 1
_ABSENT = {b"", b"null"}


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a history after LOG message `sequence`; `chain` is 64 hex digits."""

    sequence: int = 0
    chain: str = NO_CHAIN
    batch: int = 0
    epoch: int = 0
    node: str = ""
    in_upto: int = 0


START = Position()


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    scope: str
    kind: Literal["lead", "facts"]
    epoch: int
    node: str
    batch: int
    previous: str
    in_upto: int
    now_ms: int
    lead_ms: int
    rules: msgspec.Raw = msgspec.Raw(b"")
    facts: msgspec.Raw = msgspec.Raw(b"")

    def is_lead(self) -> bool | None:
        """Whether it is a lead batch; None where it carries something that its kind does not have."""
        lead = self.kind == "lead"
        with_rules, with_facts = bytes(self.rules) not in _ABSENT, bytes(self.facts) not in _ABSENT
        return lead if with_rules is lead and with_facts is not lead else None


_head_decoder = msgspec.json.Decoder(_Head)


def chain_hash(message: bytes) -> str:
    """The hash that the next batch names as `previous`."""
    return blake3(HASH_DOMAIN + message).hexdigest()


def advance(position: Position, scope: str, message: bytes) -> Position:
    """The position after `message` as the next one of LOG."""
    head = _head(message)
    if head is None or not _fits(position, scope, head):
        return replace(position, sequence=position.sequence + 1)
    return Position(
        sequence=position.sequence + 1,
        chain=chain_hash(message),
        batch=head.batch,
        epoch=head.epoch,
        node=head.node,
        in_upto=head.in_upto,
    )


def _head(message: bytes) -> _Head | None:
    """Everything except the facts, which are not parsed where they are last, as the core writes them."""
    cut = message.find(_FACTS, 0, _HEADER_BYTES_MAX)
    try:
        if cut > 0 and message.endswith(b"]}"):
            return _head_decoder.decode(message[:cut] + _FACTS + b"]}")
        return _head_decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _fits(position: Position, scope: str, head: _Head) -> bool:
    lead = head.is_lead()
    in_office = head.epoch == position.epoch + 1 if lead else (head.epoch, head.node) == (position.epoch, position.node)
    return (
        lead is not None
        and head.version == _VERSION
        and head.scope == scope
        and head.previous == position.chain
        and head.batch == position.batch + 1
        and head.in_upto >= position.in_upto
        and in_office
    )
