"""`holdfast export`: the facts of LOG as Parquet files, for a warehouse (docs/warehouse.md).

In: a data directory, its gateway running or stopped, and a folder. Out: files, and what was written. Always: it only
reads LOG's copies on the disk; what the folder has is never changed, and the next export goes on after it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, PATH, CouldNotRunError, Json, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.moment import From, Upto, moment_of
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.recovery.past import Past

if TYPE_CHECKING:
    from holdfast.hindsight.parquet import Exported

Into = Annotated[Path, PATH, Parameter(name="--into", help="The folder of the files; made where it is not there.")]


def export(
    *,
    into: Into,
    data: Data = None,
    begin: From = None,
    upto: Upto = None,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Write the facts of LOG as Parquet files, one row a fact, for a warehouse.

    The first time it writes all that is kept, or what is kept from --from on; then it goes on where the folder ends.
    Run it more often than LOG forgets (`retention.keep_days`).

    ```
    holdfast export --data DIR --into /srv/warehouse/holdfast
    duckdb -c "SELECT kind, count(*) FROM '/srv/warehouse/holdfast/**/*.parquet' GROUP BY kind"
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    first, last = moment_of("--from", begin), moment_of("--upto", upto)
    try:
        from holdfast.hindsight import parquet
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("pyarrow"):
            raise
        raise CouldNotRunError(
            "the package pyarrow is not installed", "pip install 'holdfast-inventory[parquet]' brings it."
        ) from error
    _must_be_usable(into)
    with could_not_run(), LiveWatcher("messages") as watcher:
        past = Past(directory, loaded.serve.scope, loaded.settings)
        found = parquet.export(past, into, first, last, watcher.phase("exporting", None))
    if json:
        write_json(
            {
                "from": found.began,
                "upto": found.upto,
                "rows": found.rows,
                "missing": found.missing,
                "files": [str(path) for path in found.files],
            }
        )
    else:
        _show(found)
    return FOUND_WRONG if found.missing else DONE


def _must_be_usable(into: Path) -> None:
    if (into.exists() and not into.is_dir()) or not into.absolute().parent.is_dir():
        raise CouldNotRunError(f"{into} cannot be written", "Give --into a folder, or a new one in a folder there is.")


def _show(found: "Exported") -> None:
    if found.files:
        files = f"{number(len(found.files))} file{'s'[: len(found.files) != 1]}"
        results.print(f"{number(found.rows)} facts in {files}, up to message {number(found.upto)} of LOG:")
        for path in found.files:
            results.print(f"  {path}", markup=False, highlight=False, soft_wrap=True)
    else:
        results.print(f"Nothing is new since message {number(found.upto)} of LOG.")
    if found.missing:
        remarks.print(
            f"{number(found.missing)} messages are missing: LOG no longer kept them. "
            "Export more often, or keep more (`retention.keep_days`).",
            style="yellow",
        )
