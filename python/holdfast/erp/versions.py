"""Documents that are read from an ERP again and again, stated once for each thing that they say.

In: facts as they were read, what each document was stated as last. Out: those that are new, with the next version.
Always: what changed has a higher version, whatever the ERP counts itself; the time of the reading is no change; a
document that names nothing, and never named anything, is not stated.
"""

import hashlib
from collections.abc import Container, Sequence

import msgspec

from holdfast.erp.interface import Fact
from holdfast.erp.store import Store

_NAMES = ("kind", "ref", "line", "reservation", "order_ref", "channel", "sku", "location")
_MOVEMENTS = frozenset({"stock.delta", "return", "receipt"})
_DATED = frozenset({"order.ack"})  # has no document, and so no version


class Versions:
    """Of facts that were read together: `facts` are to be sent; `note` them once they were taken."""

    def __init__(self, store: Store, read: Sequence[Fact]) -> None:
        self.facts: list[Fact] = []
        self._store = store
        self._stated: list[tuple[int, str, str, int]] = []
        for fact in read:
            if "version" in fact or ("ref" not in fact and fact["kind"] not in _DATED):
                self.facts.append(fact)
                continue
            names = _NAMES if fact["kind"] in _MOVEMENTS else _NAMES[:6]
            key = "|".join(str(fact.get(name, "")) for name in names)
            body = {name: value for name, value in fact.items() if name != "as_of"}
            digest = hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()
            before = store.document(key)
            if (before is not None and before[0] == digest) or (before is None and fact.get("lines") == []):
                continue
            version = before[1] + 1 if before is not None else 1
            self.facts.append(fact if fact["kind"] in _DATED else fact | {"version": version})
            self._stated.append((len(self.facts) - 1, key, digest, version))

    def note(self, refused: Container[int] = ()) -> None:
        """They were taken, but for those at these places: these are stated again when they are read again."""
        for at, key, digest, version in self._stated:
            if at not in refused:
                self._store.set_document(key, digest, version)
