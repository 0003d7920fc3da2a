"""The schemas of the OpenAPI document, written so that people read them and generators of clients take them.

In: schemas as msgspec makes them of the Structs. Out: the same meaning, with the unions of facts under a name, one type
where several say one thing, and no default that says nothing.
Always: what a schema accepts does not change, but for patterns: generated clients of all languages take those that the
document has, and the gateway alone refuses what only other patterns can name.
"""

from typing import Any

Schema = dict[str, Any]
_UNIONS = {"FactsRequest": "Fact", "PoliciesRequest": "PolicyFact"}
_REFERENCE = "#/components/schemas/"
# `\u....` is no escape of PCRE, and ranges beyond ASCII mean bytes where a client does not switch to UTF-8.
_PORTABLE = "^[^\\x00-\\x1f\\x7f]*$"
_UNION_TEXTS = {
    "Fact": "Something that happened, by its `kind`.",
    "PolicyFact": "A fact of the policy kinds: what is declared, and the rules.",
}


def refined(schemas: dict[str, Schema]) -> dict[str, Schema]:
    """All of them, and the named unions."""
    found = {name: _refined(schema) for name, schema in schemas.items()}
    for struct, union in _UNIONS.items():
        if struct in found:
            facts = found[struct]["properties"]["facts"]
            found[union] = {"title": union, "description": _UNION_TEXTS[union], **facts["items"]}
            facts["items"] = {"$ref": _REFERENCE + union}
    return found


def portable(schema: Schema) -> Schema:
    """One schema, likewise."""
    found: Schema = _refined(schema)
    return found


def _refined(value: Any) -> Any:
    if isinstance(value, list):
        return [_refined(part) for part in value]
    if not isinstance(value, dict):
        return value
    schema = {name: _refined(part) for name, part in value.items()}
    if schema.get("default", ...) is None:
        del schema["default"]
    if "\\u" in str(schema.get("pattern", "")):
        schema["pattern"] = _PORTABLE
    if "discriminator" in schema:
        schema["oneOf"] = schema.pop("anyOf")
    elif "anyOf" in schema:
        schema = _one_type(schema)
    choices = schema.get("enum")
    if isinstance(choices, list) and "type" not in schema and all(isinstance(choice, str) for choice in choices):
        schema["type"] = "string"
    return schema


def _one_type(schema: Schema) -> Schema:
    """`anyOf` of a type and null, or of integer and number with the same bounds: one type, or a list of two."""
    parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
    nullable = len(parts) < len(schema["anyOf"])
    if [part.get("type") for part in parts] == ["integer", "number"]:
        parts = parts[1:]
    rest = {name: part for name, part in schema.items() if name != "anyOf"}
    if len(parts) > 1 or "$ref" in parts[0] or "enum" in parts[0] or not isinstance(parts[0].get("type"), str):
        return {"anyOf": [*parts, *([{"type": "null"}] if nullable else [])], **rest}
    kind = parts[0]["type"]
    return {**parts[0], "type": [kind, "null"] if nullable else kind, **rest}
