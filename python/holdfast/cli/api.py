"""`holdfast api`: what changed between two versions of the HTTP contract.

In: two OpenAPI documents, as files. Out: changes on stdout; exit status 1 when one of them breaks clients.
Always: nothing is called and nothing is written.
"""

from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import App, Parameter

from holdfast.cli.console import (
    DONE,
    FOUND_WRONG,
    PATH,
    CouldNotRunError,
    Json,
    reason_of,
    remarks,
    results,
    write_json,
)
from holdfast.contracts.api_changes import Change, UnknownWordsError, Weight, compared

app = App(name="api", help="The HTTP contract: what changed between two versions of it.")
_BYTES_MAX = 64 << 20


@app.command
def diff(
    old: Annotated[Path, PATH, Parameter(help="The document that clients were written for (`/openapi.json`).")],
    new: Annotated[Path, PATH, Parameter(help="The document to compare with it.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Name what changed, and what of it breaks clients; exit status 1 where something does.

    ```
    curl -so new.json http://127.0.0.1:8080/openapi.json
    holdfast api diff docs/openapi-1.json new.json
    ```
    """
    try:
        changes = compared(_document(old), _document(new))
    except UnknownWordsError as error:
        raise CouldNotRunError(str(error), "Compare documents of holdfast.") from error
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CouldNotRunError(f"one of these is no OpenAPI document ({error!r})") from error
    breaking = sum(change.weight is Weight.BREAKING for change in changes)
    if json:
        write_json({"breaking": breaking, "changes": [_described(change) for change in changes]})
    else:
        for change in changes:
            results.print(f"{change.weight:9} {change.where}: {change.what}", markup=False, highlight=False)
        remarks.print(f"{len(changes)} changes, {breaking} of them breaking.", markup=False)
    return FOUND_WRONG if breaking else DONE


def _described(change: Change) -> dict[str, str]:
    return {"weight": change.weight, "where": change.where, "what": change.what}


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise CouldNotRunError(f"{path} is larger than {_BYTES_MAX:,} bytes")
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise CouldNotRunError(reason_of(error)) from error
    except orjson.JSONDecodeError as error:
        raise CouldNotRunError(f"{path} is no JSON ({error})") from error
    if not isinstance(found, dict) or not str(found.get("openapi", "")).startswith("3.1"):
        raise CouldNotRunError(f"{path} is no OpenAPI 3.1 document")
    return found
