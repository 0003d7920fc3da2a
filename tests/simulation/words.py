"""Steps as text short enough to read.

Role: say events and batches in a few words. In: what the trace holds. Out: text. Always: only asked for when somebody
reads; never fails on bytes that are no batch.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import orjson

TEXT_MAX = 60


def batch(message: bytes) -> str:
    """<lead n1 epoch 3> or <facts n1 epoch 3 in 7 lead 512: held r1-2, confirmed r3-1>."""
    try:
        told = orjson.loads(message)
        facts = [fact(one) for one in told.get("facts", [])]
        head = f"{told['kind']} {told['node']} epoch {told['epoch']} in {told['in_upto']} lead {told['lead_ms']}"
    except (ValueError, KeyError, AttributeError, TypeError):
        return repr(message[:TEXT_MAX])
    return f"<{head}{': ' if facts else ''}{', '.join(facts)}>"


def fact(told: dict[str, Any]) -> str:
    """held r1-2, or stock.delta 7."""
    kind = str(told.get("kind", "?"))
    return f"{kind.removeprefix('reservation.')} {told.get('id', told.get('as_of', ''))}".strip()


def brief(value: Any) -> str:
    """One value of a trace line."""
    if isinstance(value, bytes):
        return batch(value)
    if isinstance(value, Enum):
        return str(value.value)
    if is_dataclass(value):
        parts = (f"{field.name}={brief(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(brief(one) for one in value)}]"
    if hasattr(value, "digest"):
        return "core"
    return str(value)
