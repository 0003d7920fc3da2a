"""`holdfast rehearse`: real orders from a CSV file, replayed as checkouts, with its own accounts beside the gateway's.

In: a file, and a gateway or nothing. Out: a report; exit status 1 if a unit is oversold, lost or unaccounted for.
Always: a gateway that is started for it is stopped afterwards; one that is given keeps running and keeps the run's
facts.
"""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import Key, checked_url, could_not_run, key_of, reach
from holdfast.cli.console import DONE, FOUND_WRONG, PATH, CouldNotRunError, Json, remarks, usable_directory, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.rehearse_options import Playing, Reading
from holdfast.cli.rehearse_view import show_report
from holdfast.cli.stopping import stop_on_sigterm
from holdfast.cli.verify import rebuilt
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.report import Rebuilt, Report, document
from holdfast.rehearsal.run import Options
from holdfast.rehearsal.run import rehearse as run_rehearsal


def rehearse(
    file: Annotated[Path, PATH, Parameter(help="Order lines as CSV, plain or gzip, in the order in which they came.")],
    /,
    *,
    gateway: Annotated[
        str | None, Parameter(help="The gateway to rehearse against; without it one is started.")
    ] = None,
    key: Key = None,
    data: Annotated[
        Path | None, PATH, Parameter(help="Directory of the started gateway's log; without it the log is deleted.")
    ] = None,
    playing: Playing | None = None,
    reading: Reading | None = None,
    report: Annotated[Path | None, PATH, Parameter(help="Write the report to this file too, as JSON.")] = None,
    json: Json = False,
) -> int:
    """Replay real orders as checkouts, and account for every unit.

    Each invoice becomes one cart: reserved as a whole, then confirmed. Negative lines come back as returns. Opening
    stock is chosen so that a stated share of the demand cannot be met. Afterwards every SKU must add up, opening less
    sold plus returned, and every acknowledged reservation must be there.

    ```
    holdfast rehearse orders.csv.gz                     # its own gateway
    holdfast rehearse orders.csv.gz --data DIR --chaos  # kill -9 on the way
    holdfast rehearse orders.csv --gateway http://127.0.0.1:8080 --rate 200
    holdfast rehearse mine.csv --invoice-column order --sku-column sku
    ```
    """
    url = checked_url(gateway) if gateway is not None else ""
    options = (playing or Playing()).of((reading or Reading()).of(file), url, key_of(key))
    if url and (options.chaos or data is not None):
        raise CouldNotRunError("--chaos and --data are for a gateway that is started here", "Leave --gateway out.")
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise CouldNotRunError(f"{report} cannot be written.", "Name a file in a directory that exists.")
    with could_not_run():
        options.orders.check()
        if url:
            uvloop.run(reach(url))
    if not url and data is not None:
        usable_directory(data)
        data.mkdir(parents=True, exist_ok=True)
    with could_not_run(), stop_on_sigterm():
        found = uvloop.run(_run(options, data))
    if report is not None:
        report.write_bytes(orjson.dumps(document(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        remarks.print(f"The report is in {report}.", markup=False)
    if json:
        write_json(document(found))
    else:
        show_report(found)
    return DONE if found.ok else FOUND_WRONG


async def _run(options: Options, data: Path | None) -> Report:
    async with AsyncExitStack() as stack:
        watcher = stack.enter_context(LiveWatcher())
        if options.url:
            return await run_rehearsal(options, watcher)
        directory = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-")))
        watcher.remark(f"Starting a gateway (log in {directory}) ...")
        options.own = await stack.enter_async_context(OwnGateway(directory))
        options.url = options.own.url
        found = await run_rehearsal(options, watcher)
        proof = await rebuilt(directory, options.url, None)
        compared = Rebuilt(proof.ok and proof.digest == found.digest, proof.digest, list(proof.differences))
        return msgspec.structs.replace(found, rebuilt=compared)
