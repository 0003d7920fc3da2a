"""`holdfast backup` and `holdfast restore`: a copy of everything that a fresh machine needs, and a directory of it.

In: a data directory and the place of the backup. Out: the sequence and digest that were proven. Always: a running
gateway is not disturbed; neither writes into a directory that holds something.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, CouldNotRunError, Json, number, results, write_json
from holdfast.cli.settings_options import Config, Data, Scope, settings_from, settings_of_data, text_of
from holdfast.recovery.backup import back_up, record_of
from holdfast.recovery.backup import restore as restored


def backup(
    target: Annotated[Path, Parameter(help="A directory for the backup: new, or empty.")],
    /,
    *,
    data: Data = None,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Copy journal, archive, states, keys and secrets of a data directory, while the gateway runs, and prove the copy.

    The backup holds `owner.key`, `scope.key` and `keys.json`: encrypt it.

    ```
    holdfast backup /var/backups/holdfast-monday --data DIR
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    with could_not_run():
        record = back_up(directory, target, loaded.serve.scope, loaded.settings)
    if json:
        write_json(msgspec.to_builtins(record))
    else:
        results.print(f"Backed up to sequence {number(record.sequence)}, digest {record.digest}: replayed, and equal.")
    return DONE


def restore(
    source: Annotated[Path, Parameter(help="A backup, as `holdfast backup` made it.")],
    /,
    *,
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Make a data directory of a backup, write its log again, and prove that it gives the recorded digest.

    The old gateway must not run any more: two of them would sell the same stock.

    ```
    holdfast restore /var/backups/holdfast-monday --data DIR
    ```
    """
    loaded = settings_from(config, {"serve.data": text_of(data)})
    if not loaded.serve.data:
        raise CouldNotRunError("no data directory", "Give --data DIR, a directory that is new, or empty.")
    with could_not_run():
        record = record_of(source)
        report = uvloop.run(restored(source, Path(loaded.serve.data), loaded.settings))
    if json:
        write_json(msgspec.to_builtins(record))
    else:
        results.print(f"Restored to sequence {number(report.sequence)}, digest {report.digest}: replayed, and equal.")
    return DONE
