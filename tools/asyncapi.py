"""Writes docs/asyncapi.json, the AsyncAPI document of events, figures, facts and webhooks.

In: the Structs of python/holdfast/contracts. Out: the document, with a line for each part.
Always: tests/documents/test_asyncapi.py says when it has to be run.
"""

from pathlib import Path

import orjson

from holdfast.gateway.asyncapi import document

KEPT = Path(__file__).parent.parent / "docs" / "asyncapi.json"


def text() -> str:
    """As it has to be."""
    return orjson.dumps(document("1"), option=orjson.OPT_INDENT_2).decode() + "\n"


if __name__ == "__main__":
    KEPT.write_text(text())
    print(f"wrote {KEPT.name}")
