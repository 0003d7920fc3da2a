"""`holdfast diff`: what happened to a SKU between two moments.

In: a data directory, a SKU, a range. Out: its figures before and after, and the facts between that touched it. Always:
it only reads files; the gateway is not asked.
"""

from typing import Annotated, Any

import orjson
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, CouldNotRunError, Json, number, print_whole, remarks, results, write_json
from holdfast.cli.moment import From, Upto, moment_of, shown
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.hindsight.changes import Changes, changes
from holdfast.recovery.past import Past

LIMIT_MAX = 100_000


def diff(
    sku: Annotated[str, Parameter(help="The SKU, byte by byte.")],
    /,
    *,
    begin: From = None,
    upto: Upto = None,
    limit: Annotated[int, Parameter(help="At most so many facts, the first ones.")] = 1_000,
    data: Data = None,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what happened to a SKU between two moments: the figures before and after, and the facts that touched it.

    Facts about its components, the kits that it is in, and rules for all SKUs are among them.

    ```
    holdfast diff MUG-BLUE --from 2026-11-27T09:00:00Z --upto 2026-11-27T10:00:00Z --data DIR
    holdfast diff MUG-BLUE --from 1200 --upto 1300 --data DIR --json
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    if not 1 <= limit <= LIMIT_MAX:
        raise CouldNotRunError(f"--limit is 1 to {LIMIT_MAX:,}", "--from and --upto choose a time.")
    first, last = moment_of("--from", begin), moment_of("--upto", upto)
    with could_not_run():
        past = Past(directory, loaded.serve.scope, loaded.settings)
        found = changes(past, sku, first, last, after=(0, -1), limit=limit, batches_max=None)
    if not found.before and not found.after:
        raise CouldNotRunError(f"nothing knew {sku} then", "SKUs are compared byte by byte.")
    if json:
        write_json(
            {"sku": sku, "before": found.before or None, "after": found.after or None, "facts": found.facts}
            | {"more": found.more}
        )
        return DONE
    _show(found)
    if found.more:
        remarks.print("There are more facts: --limit shows them, or a shorter time.")
    return DONE


def _show(found: Changes) -> None:
    facts = Table(box=None, padding=(0, 2))
    for title in ("message", "when", "fact", "by", ""):
        facts.add_column(title)
    for one in found.facts:
        fact = dict(one["fact"])
        kind, by = fact.pop("kind"), fact.pop("by", None) or fact.pop("from", None) or fact.pop("source", None) or "-"
        facts.add_row(number(one["sequence"]), shown(one["at_ms"]), kind, by, orjson.dumps(fact).decode())
    print_whole(facts)
    figures = Table(box=None, padding=(0, 2))
    for title in ("", "before", "after"):
        figures.add_column(title, justify="left" if not title else "right")
    for name, before, after in _figures(found.before, found.after):
        figures.add_row(name, before, after)
    results.print(figures, markup=False)


def _figures(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = [("message", _shown(before.get("sequence")), _shown(after.get("sequence")))]
    levels = [{level["location"]: level for level in one.get("levels", [])} for one in (before, after)]
    for location in dict.fromkeys([*levels[0], *levels[1]]):
        for name in ("on_hand", "held", "committed", "at_hand"):
            was, now = (_shown(each.get(location, {}).get(name)) for each in levels)
            rows.append((f"{location}: {name.replace('_', ' ')}", was, now))
    for channel in dict.fromkeys([*before.get("sellable", {}), *after.get("sellable", {})]):
        was, now = (_shown(one.get("sellable", {}).get(channel)) for one in (before, after))
        rows.append((f"sellable on {channel}", was, now))
    return rows


def _shown(figure: int | None) -> str:
    return "-" if figure is None else number(figure)
