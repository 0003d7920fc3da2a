"""What names a document, and whether a fact is news: docs/facts.md, "Identity".

In: the world and one fact. Out: its key, and True where it is to be applied. Always holds: one key, one document; what
was accepted last under it is remembered with its version.
"""

from __future__ import annotations

from typing import Any

from tests.support.oracle.world import Identity, Key, World, later

Fact = dict[str, Any]
WITHOUT_IDENTITY = ("order.ack", "stock.level")
ONE_PER_CELL = ("stock.delta", "return", "receipt")
REPLACEABLE = ("supply", "demand", "transfer")  # without versions, another body replaces them
IN_ORDER = ("supply", "transfer")  # by version, else by `as_of`


class Seen(dict[Key, tuple[int | None, Fact]]):
    """What one request said so far: version and body of each document."""

    wide = 0
    """Facts that look at every reservation."""


def key_of(fact: Fact) -> Key | None:
    """(source, kind, ref, line) and, for what moves stock of one cell, its SKU and location."""
    if fact.get("ref") is None or fact["kind"] in WITHOUT_IDENTITY:
        return None
    key = (fact["source"], fact["kind"], fact["ref"], str(fact.get("line") or ""))
    return (*key, fact["sku"], fact["location"]) if fact["kind"] in ONE_PER_CELL else key


def body_of(fact: Fact) -> Fact:
    return {name: value for name, value in fact.items() if name not in ("version", "by", "trace")}


def says_otherwise(seen: Seen, fact: Fact, name: str | None) -> bool:
    """Two facts of one request: the same document and version, another body. Of levels: one cell under two names, at
    one time, with different figures.
    """
    version, body = fact.get("version"), body_of(fact)
    key = key_of(fact)
    if fact["kind"] == "stock.level":
        key = ("stock.level", fact["source"], fact["sku"], fact["location"], str(fact["as_of"]))
        version, body = None, body | {"name": name}
    if key is None:
        return False
    before, said = seen.get(key, (None, None))
    if said is None:
        seen[key] = version, body
        return False
    if fact["kind"] == "stock.level":
        return body["name"] != said["name"] and body | {"name": None} != said | {"name": None}
    if version is not None and version != before:
        seen[key] = version, body
        return False
    return body != said


def same_body(known: Identity, body: Fact) -> bool:
    """A transfer without a due day says nothing of it. A moment that was forgotten is none any more."""
    unsaid = {"due"} if body["kind"] == "transfer" and "due" not in body else set()
    unsaid |= {"as_of"} if known.forgotten else set()
    return body == {name: value for name, value in known.body.items() if name not in unsaid}


def is_news(world: World, key: Key, fact: Fact) -> bool:
    """True if the fact is to be applied: the first of its name, or a newer version of it."""
    version, body = fact.get("version"), body_of(fact)
    known = world.identities.get(key)
    if known is None:
        world.identities[key] = Identity(version, body)
        return True
    if version is not None and known.version is not None and version < known.version:
        world.ignore("lower-version", "stale_versions")
        return False
    newer = version is not None and (known.version is None or version > known.version)
    if same_body(known, body) and version == known.version:  # without its version it is another statement
        world.ignore("repeat", "repeats")
        return False
    versions = version is not None or known.version is not None
    if fact["kind"] in IN_ORDER and not (newer and known.version is not None):
        then, now = known.body.get("as_of") if not known.forgotten else None, fact.get("as_of")
        if then is not None and now is not None and later(then, now):
            world.ignore("stale", "stale_supplies")
            return False
        newer = newer or (then is not None and now is not None and later(now, then))
        opens = fact["status"] in ("open", "shipped") and known.body["status"] in ("received", "cancelled")
        if not newer and opens:
            world.ignore("closed-supply", "closed_supplies")
            return False
    if not newer and (versions or fact["kind"] not in REPLACEABLE):
        world.ignore("conflicting-body", "anomalies")
        return False
    known.version, known.body, known.forgotten = version, body, False
    return True
