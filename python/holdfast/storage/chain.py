"""The position of a chain of batches, from the messages alone.

Role: decide of each LOG message whether it continues the history before it, and the position after it, by the
rule that the core applies (docs/log.md), without a core. In: a position, the next message, the scope's keys. Out: the
next position.
Always: a message that does not fit is void: it takes a sequence and changes nothing else, the same on every node.
"""

from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from blake3 import blake3

from holdfast._core import ScopeKeys
from holdfast.errors import KeyMissingError
from holdfast.macs import without_code

HASH_DOMAIN = b"holdfast/batch/v1"
NO_CHAIN = "0" * 64
_FACTS = b',"facts":['
_HEADER_BYTES_MAX = 2_048
_VERSION = 1
_ABSENT = {b"", b"null"}


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a history after LOG message `sequence`; `chain` is 64 hex digits.

    `mac_keys`: the declared keys; a message that none of them signed is void.
    """

    sequence: int = 0
    chain: str = NO_CHAIN
    batch: int = 0
    epoch: int = 0
    node: str = ""
    in_upto: int = 0
    mac_keys: tuple[str, ...] = ()


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


class _Rules(msgspec.Struct):
    mac_keys: tuple[str, ...] = ()


_head_decoder = msgspec.json.Decoder(_Head)
_rules_decoder = msgspec.json.Decoder(_Rules)


def chain_hash(message: bytes) -> str:
    """The hash that the next batch names as `previous`."""
    return blake3(HASH_DOMAIN + message).hexdigest()


def advance(position: Position, scope: str, message: bytes, keys: ScopeKeys | None = None) -> Position:
    """The position after `message` as the next one of LOG. Raises KeyMissingError."""
    void = replace(position, sequence=position.sequence + 1)
    if position.mac_keys and not _is_signed(position.mac_keys, message, keys):
        return void
    head = _head(without_code(message))
    if head is None or not _fits(position, scope, head):
        return void
    declared = position.mac_keys
    if head.kind == "lead":
        declared = _rules_decoder.decode(head.rules).mac_keys
        if declared and not position.mac_keys and not _is_signed(declared, message, keys):
            return void
    return Position(
        sequence=position.sequence + 1,
        chain=chain_hash(message),
        batch=head.batch,
        epoch=head.epoch,
        node=head.node,
        in_upto=head.in_upto,
        mac_keys=declared,
    )


def _is_signed(declared: tuple[str, ...], message: bytes, keys: ScopeKeys | None) -> bool:
    if keys is None:
        raise KeyMissingError(declared[0])
    found = keys.key_of_json("batch", b"", message)
    if found is None or found[0] not in declared:
        return False
    if not found[1]:
        raise KeyMissingError(found[0])
    return True


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
