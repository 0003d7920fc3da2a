"""LOG messages that chain, made without a core: for what is kept and read byte by byte.

In: how many, how long. Out: messages as the core would write their heads.
"""

import json

from holdfast.storage.chain import NO_CHAIN, chain_hash


def chained(count: int, scope: str = "main", size: int = 0, node: str = "n1") -> list[bytes]:
    """A lead batch and `count - 1` batches of facts, each padded by about `size` bytes."""
    messages: list[bytes] = []
    previous = NO_CHAIN
    for batch in range(1, count + 1):
        messages.append(batch_after(previous, batch, scope=scope, size=size, node=node))
        previous = chain_hash(messages[-1])
    return messages


def batch_after(previous: str, batch: int, *, scope: str = "main", size: int = 0, node: str = "n1") -> bytes:
    """One batch; the first one is a lead batch."""
    head = {
        "version": 1,
        "scope": scope,
        "kind": "facts" if batch > 1 else "lead",
        "epoch": 1,
        "node": node,
        "batch": batch,
        "previous": previous,
        "in_upto": batch // 2,
        "now_ms": 1_790_000_000_000 + batch,
        "lead_ms": batch,
    }
    tail: dict[str, object] = {"facts": ["x" * size] * (size > 0)} if batch > 1 else {"rules": {}}
    return json.dumps(head | tail, separators=(",", ":")).encode()
