"""`holdfast audit`: who changed which rule, from what to what, when, and with which key.

In: a data directory, its gateway running or stopped. Out: a table or JSON, in the order of LOG. Always: it only reads;
it goes through everything that is kept.
"""

from typing import Annotated, Any

import orjson
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, CouldNotRunError, Json, number, print_whole, remarks, write_json
from holdfast.cli.moment import From, Upto, moment_of, shown
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.hindsight.audit import Audit, Change, Wanted
from holdfast.hindsight.key_changes import KIND, key_changes
from holdfast.recovery.past import Past

LIMIT_MAX = 100_000


def audit(
    *,
    data: Data = None,
    kind: Annotated[
        str | None,
        Parameter(name="--rule", help="Only rules of this kind: oversell, channel ...; also `settings` and `key`."),
    ] = None,
    sku: Annotated[str | None, Parameter(help="Only what is about this SKU, or about all.")] = None,
    channel: Annotated[str | None, Parameter(help="Only what is about this channel, or about all.")] = None,
    key: Annotated[str | None, Parameter(name="--who", help="Only what this key brought, by its id.")] = None,
    begin: From = None,
    upto: Upto = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 1_000,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show who changed which rule: from what to what, when, with which key.

    ```
    holdfast audit --data DIR --sku MUG-BLUE
    holdfast audit --data DIR --rule oversell --channel web --from 2026-11-01T00:00:00Z
    holdfast audit --data DIR --rule key
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    if not 1 <= limit <= LIMIT_MAX:
        raise CouldNotRunError(f"--limit is 1 to {LIMIT_MAX:,}", "--from and --upto choose a time.")
    first, last = moment_of("--from", begin), moment_of("--upto", upto)
    wanted = Wanted(kind, sku, channel, key, first.before_ms, last.before_ms)
    found = Audit()
    with could_not_run():
        if kind == KIND:
            rows = [one.document | {"sequence": 0, "at_ms": one.at_ms} for one in key_changes(directory)]
            rows = [row for row in rows if wanted.at(row["at_ms"])]
        else:
            found.read(Past(directory, loaded.serve.scope, loaded.settings), None)
            low, high = first.sequence or 0, last.sequence
            rows = [one.document() for one in _meant(found, wanted, low, high)]
    listed = rows[-limit:]
    if json:
        items = [row | {"at": shown(row["at_ms"])} for row in listed]
        write_json({"items": items, "left_out": len(rows) - len(listed)})
        return DONE
    _show(listed)
    if len(rows) > len(listed):
        remarks.print(f"{number(len(rows) - len(listed))} older ones are left out: --limit shows them.")
    return DONE


def _meant(found: Audit, wanted: Wanted, low: int, high: int | None) -> list[Change]:
    return [
        one
        for one in found.changes
        if low <= one.sequence and (high is None or one.sequence <= high) and wanted.has(one)
    ]


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, padding=(0, 2))
    for title in ("message", "when", "rule", "by", "before", "after"):
        table.add_column(title)
    for row in rows:
        before = "(not kept)" if not row["before_known"] else _text(row["before"])
        who = row["by"] or row["source"] or "-"
        table.add_row(number(row["sequence"]), shown(row["at_ms"]), row["kind"], who, before, _text(row["after"]))
    print_whole(table)


def _text(rule: dict[str, Any] | None) -> str:
    return "-" if rule is None else orjson.dumps(rule).decode()
