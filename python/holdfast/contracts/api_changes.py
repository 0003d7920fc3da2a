"""What changed between two OpenAPI documents of holdfast, and which changes break clients.

In: two documents as plain values, as `/openapi.json` has them. Out: changes: their place, what they are, their weight.
Always: a change breaks when a request that was right before may be refused now, or an answer may have what a client of
the old document cannot read; the words that holdfast's documents use are compared, and a document with other ones is
refused, so that nothing is passed over in silence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LOWEST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FORMS: Final = ("pattern", "format", "multipleOf", "uniqueItems", "const", "propertyNames")
_SAID: Final = {"title", "description", "default", "example", "examples", "deprecated", "contentEncoding"}
_KNOWN: Final = {
    *(*_LOWEST, *_HIGHEST, *_FORMS, *_SAID),
    *("type", "enum", "$ref", "anyOf", "oneOf", "discriminator", "items", "properties", "required"),
    "additionalProperties",
}
_DEPTH_MAX: Final = 64


class Weight(StrEnum):
    """What a change means to a client of the old document."""

    BREAKING = "breaking"
    NOTICE = "notice"  # allowed, and worth to be read: a value that was not there before
    ADDITION = "addition"


class UnknownWordsError(ValueError):
    """A document has what is not compared; the message names it."""


@dataclass(frozen=True, slots=True)
class Change:
    """`where`: the call, and the place in it."""

    weight: Weight
    where: str
    what: str


def compared(old: Schema, new: Schema) -> list[Change]:
    """All changes, the breaking ones first. Raises UnknownWordsError."""
    found = list(dict.fromkeys(_Comparison(old, new).calls()))
    return sorted(found, key=lambda change: list(Weight).index(change.weight))


@dataclass(frozen=True, slots=True)
class _Side:
    """Which way a value goes: in a request the old schema must still be taken, in an answer nothing new may come."""

    where: str
    asked: bool

    def at(self, part: str) -> "_Side":
        return _Side(f"{self.where}.{part}" if self.where else part, self.asked)


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str, bool]] = set()

    def calls(self) -> Iterator[Change]:
        old, new = _calls(self._old), _calls(self._new)
        for name in old.keys() - new.keys():
            yield Change(Weight.BREAKING, name, "the call was removed")
        for name in new.keys() - old.keys():
            yield Change(Weight.ADDITION, name, "a new call")
        for name in sorted(old.keys() & new.keys()):
            yield from self._call(name, old[name], new[name])

    def _call(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        if new.get("security") and not old.get("security"):
            yield Change(Weight.BREAKING, name, "needs a key, which it did not")
        if new.get("deprecated") and not old.get("deprecated"):
            yield Change(Weight.NOTICE, name, "is deprecated")
        if old.get("operationId") != new.get("operationId"):
            yield Change(Weight.BREAKING, name, f"its id {old.get('operationId')!r} is {new.get('operationId')!r} now")
        yield from self._parameters(name, old, new)
        yield from self._body(name, old.get("requestBody"), new.get("requestBody"))
        yield from self._answers(name, old["responses"], new["responses"])

    def _parameters(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
        after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
        for place, found in before.items():
            where = f"{name}: {place[0]} {place[1]}"
            if place not in after:
                yield Change(Weight.BREAKING, where, "the parameter was removed")
                continue
            if after[place].get("required") and not found.get("required"):
                yield Change(Weight.BREAKING, where, "the parameter is required now")
            yield from self._schema(_Side(where, asked=True), found["schema"], after[place]["schema"])
        for place in after.keys() - before.keys():
            required = after[place].get("required")
            what = "a new parameter that is required" if required else "a new parameter"
            weight = Weight.BREAKING if required else Weight.ADDITION
            yield Change(weight, f"{name}: {place[0]} {place[1]}", what)

    def _body(self, name: str, old: Schema | None, new: Schema | None) -> Iterator[Change]:
        where = f"{name}: body"
        if old is None or new is None:
            if old is not None:
                yield Change(Weight.BREAKING, where, "the call takes no body any more")
            elif new is not None:
                weight = Weight.BREAKING if new.get("required") else Weight.ADDITION
                yield Change(weight, where, "the call takes a body now")
            return
        if new.get("required") and not old.get("required"):
            yield Change(Weight.BREAKING, where, "the body is required now")
        yield from self._content(_Side(where, asked=True), old["content"], new["content"])

    def _answers(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        for status in old.keys() - new.keys():
            # A refusal that does not come any more breaks nobody.
            weight = Weight.BREAKING if status < "4" else Weight.ADDITION
            yield Change(weight, f"{name}: {status}", "the answer was removed")
        for status in new.keys() - old.keys():
            weight = Weight.BREAKING if status < "4" else Weight.NOTICE
            yield Change(weight, f"{name}: {status}", "a new answer")
        for status in sorted(old.keys() & new.keys()):
            side = _Side(f"{name}: {status}", asked=False)
            yield from self._content(side, old[status].get("content", {}), new[status].get("content", {}))
            for header in old[status].get("headers", {}).keys() - new[status].get("headers", {}).keys():
                yield Change(Weight.BREAKING, side.where, f"the header {header} was removed")

    def _content(self, side: _Side, old: Schema, new: Schema) -> Iterator[Change]:
        for kind in old.keys() - new.keys():
            yield Change(Weight.BREAKING, side.where, f"the media type {kind} was removed")
        for kind in sorted(old.keys() & new.keys()):
            if "schema" in old[kind] and "schema" in new[kind]:
                yield from self._schema(side, old[kind]["schema"], new[kind]["schema"])

    def _schema(self, side: _Side, old: Schema, new: Schema, depth: int = 0) -> Iterator[Change]:
        """Schemas that are referred to are compared once for each direction, at the place where they came first."""
        names = old.get("$ref", ""), new.get("$ref", "")
        if any(names):
            if (*names, side.asked) in self._seen:
                return
            self._seen.add((*names, side.asked))
            side = _Side(names[0].rpartition("/")[2], side.asked) if all(names) else side
        old, new = _found(self._old, old), _found(self._new, new)
        if depth > _DEPTH_MAX:
            raise UnknownWordsError(f"{side.where}: schemas in schemas, more than {_DEPTH_MAX} deep")
        for schema in (old, new):
            if strange := sorted(schema.keys() - _KNOWN):
                raise UnknownWordsError(f"{side.where}: `{strange[0]}` is not compared")
        yield from _types(side, old, new)
        yield from _choices(side, old, new)
        yield from _bounds(side, old, new)
        yield from self._properties(side, old, new, depth)
        if "items" in old and "items" in new:
            yield from self._schema(side.at("[]"), old["items"], new["items"], depth + 1)
        inner = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(inner[0], Mapping) and isinstance(inner[1], Mapping):
            yield from self._schema(side.at("*"), inner[0], inner[1], depth + 1)
        elif side.asked and inner[1] is False and inner[0] is not False:
            yield Change(Weight.BREAKING, side.where, "fields that are not listed are refused now")
        yield from self._variants(side, old, new, depth)

    def _properties(self, side: _Side, old: Schema, new: Schema, depth: int) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed = set(old.get("required", ())), set(new.get("required", ()))
        for name in before.keys() - after.keys():
            yield Change(Weight.BREAKING, side.at(name).where, "the field was removed")
        for name in after.keys() - before.keys():
            breaks = side.asked and name in needed[1]
            what = "a new field that is required" if breaks else "a new field"
            yield Change(Weight.BREAKING if breaks else Weight.ADDITION, side.at(name).where, what)
        for name in sorted(before.keys() & after.keys()):
            if side.asked and name in needed[1] - needed[0]:
                yield Change(Weight.BREAKING, side.at(name).where, "the field is required now")
            if not side.asked and name in needed[0] - needed[1]:
                yield Change(Weight.BREAKING, side.at(name).where, "the field may be missing now")
            yield from self._schema(side.at(name), before[name], after[name], depth + 1)

    def _variants(self, side: _Side, old: Schema, new: Schema, depth: int) -> Iterator[Change]:
        before, after = _variants(old), _variants(new)
        for name in before.keys() - after.keys():
            if side.asked:
                yield Change(Weight.BREAKING, side.at(name).where, "is not taken any more")
        for name in after.keys() - before.keys():
            weight = Weight.ADDITION if side.asked else Weight.BREAKING
            yield Change(weight, side.at(name).where, "is taken now" if side.asked else "may come now")
        for name in sorted(before.keys() & after.keys()):
            yield from self._schema(side.at(name), before[name], after[name], depth + 1)


def _calls(document: Schema) -> dict[str, Schema]:
    return {
        f"{method.upper()} {path}": methods[method]
        for path, methods in document["paths"].items()
        for method in _METHODS
        if method in methods
    }


def _found(document: Schema, schema: Schema) -> Schema:
    """The schema that is referred to; what stands beside the reference says more about it."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = document
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{name: value for name, value in schema.items() if name != "$ref"}}


def _types(side: _Side, old: Schema, new: Schema) -> Iterator[Change]:
    before, after = _type_set(old), _type_set(new)
    if side.asked and (lost := sorted(before - after)):
        yield Change(Weight.BREAKING, side.where, f"{', '.join(lost)} is not taken any more")
    if not side.asked and (more := sorted(after - before)):
        yield Change(Weight.BREAKING, side.where, f"may be {', '.join(more)} now")


def _type_set(schema: Schema) -> set[str]:
    given = schema.get("type")
    if given is None:
        if "enum" in schema or _variants(schema):
            return set()
        given = ["array", "boolean", "integer", "null", "number", "object", "string"]
    found = {given} if isinstance(given, str) else set(given)
    return found | {"integer"} if "number" in found else found


def _choices(side: _Side, old: Schema, new: Schema) -> Iterator[Change]:
    before, after = old.get("enum"), new.get("enum")
    if before is None and after is None:
        return
    if side.asked:
        if after is not None and (before is None or any(one not in after for one in before)):
            lost = "others" if before is None else ", ".join(repr(one) for one in before if one not in after)
            yield Change(Weight.BREAKING, side.where, f"{lost} is not taken any more")
    elif before is not None:
        more = [] if after is None else [repr(one) for one in after if one not in before]
        if after is None:
            yield Change(Weight.BREAKING, side.where, "may have any value now")
        elif more:
            yield Change(Weight.NOTICE, side.where, f"may be {', '.join(more)} now")


def _bounds(side: _Side, old: Schema, new: Schema) -> Iterator[Change]:
    """Those of a request; what an answer is within may change, as numbers do."""
    if not side.asked:
        if old.get("format") != new.get("format"):
            yield Change(Weight.BREAKING, side.where, f"`format` was {old.get('format')!r}, is {new.get('format')!r}")
        return
    for name in (*_LOWEST, *_HIGHEST):
        before, after = old.get(name), new.get(name)
        if after == before:
            continue
        narrower = after is not None and (before is None or (after > before if name in _LOWEST else after < before))
        weight = Weight.BREAKING if narrower else Weight.ADDITION
        yield Change(weight, side.where, f"`{name}` was {before}, is {after}")
    for name in _FORMS:
        if name in new and new[name] != old.get(name):
            yield Change(Weight.BREAKING, side.where, f"`{name}` was {old.get(name)!r}, is {new[name]!r}")


def _variants(schema: Schema) -> dict[str, Schema]:
    """The alternatives of a union, by the name of what they refer to, or by their type."""
    found = {}
    for number, one in enumerate(schema.get("oneOf") or schema.get("anyOf") or ()):
        name = one.get("$ref", "").rpartition("/")[2] or str(one.get("type", number))
        found[name if name not in found else f"{name} {number}"] = one
    return found
