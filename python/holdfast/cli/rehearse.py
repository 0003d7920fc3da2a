"""`holdfast rehearse`: real orders from a CSV file, replayed as checkouts, with books kept beside the gateway.

In: a file, and a gateway or nothing. Out: a report; exit status 1 if a unit is oversold, lost or unaccounted for.
Always: a gateway that is started for it is stopped afterwards; one that is given keeps running and keeps the run's
facts.
"""

import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import uvloop
from cyclopts import Parameter, validators

from holdfast.cli.connection import Key, could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, remarks, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.rehearse_view import show_report
from holdfast.cli.stopping import stop_on_sigterm
from holdfast.cli.verify import rebuilt
from holdfast.rehearsal.orders import NO_GOODS, Columns, OrderFile
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.replay import Pace
from holdfast.rehearsal.report import Rebuilt, Report, document
from holdfast.rehearsal.run import Options
from holdfast.rehearsal.run import rehearse as run_rehearsal

QUANTITY = "quantity"
Percent = Annotated[
    float,
    Parameter(
        validator=validators.Number(gte=0, lte=100),
        help="How much of what is asked for, in per cent of each SKU's units, the opening stock cannot meet.",
    ),
]


def rehearse(
    file: Annotated[Path, Parameter(help="Order lines as CSV, plain or gzip, in the order in which they came.")],
    /,
    *,
    gateway: Annotated[
        str | None, Parameter(help="The gateway to rehearse against; without it one is started.")
    ] = None,
    key: Key = None,
    data: Annotated[
        Path | None, Parameter(help="Where the gateway that is started keeps its log; without it, nowhere that stays.")
    ] = None,
    short: Percent = 5.0,
    partial: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Hold what there is of a cart, instead of all of it or nothing."
        ),
    ] = False,
    connections: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=4096), help="Carts under way at once.")
    ] = 64,
    rate: Annotated[float, Parameter(validator=validators.Number(gte=0), help="Orders per second; 0: flat out.")] = 0.0,
    locations: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=100), help="Places that the stock is spread over.")
    ] = 3,
    chaos: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="kill -9 the nats-server and then the gateway in the middle (not with --gateway).",
        ),
    ] = False,
    patience: Annotated[
        float,
        Parameter(validator=validators.Number(gt=0), help="Seconds to send an unanswered request again and again."),
    ] = 60.0,
    rows: Annotated[
        int | None, Parameter(validator=validators.Number(gte=1), help="Stop after so many rows of the file.")
    ] = None,
    invoice_column: Annotated[str, Parameter(help="The column that names the cart.")] = "invoice_no",
    sku_column: Annotated[str, Parameter(help="The column with the SKU.")] = "stock_code",
    quantity_column: Annotated[
        str, Parameter(help="The column with the quantity; negative: it came back.")
    ] = "quantity",
    no_goods: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            show_default=False,
            help=f"A code that is no goods; repeatable, with * and ?. Unless said: {', '.join(NO_GOODS)}.",
        ),
    ] = None,
    report: Annotated[Path | None, Parameter(help="Write the report to this file too, as JSON.")] = None,
    json: Json = False,
) -> int:
    """Replay real orders as checkouts, and account for every unit.

    Each invoice becomes one cart: reserved as a whole, then confirmed. Negative lines come back as returns. Opening
    stock is chosen so that a stated share of the demand cannot be met. Afterwards every SKU must add up, opening less
    sold plus returned, and every acknowledged reservation must be there.

    ```
    holdfast rehearse orders.csv.gz                     # a gateway of its own
    holdfast rehearse orders.csv.gz --data DIR --chaos  # kill -9 on the way
    holdfast rehearse orders.csv --gateway http://127.0.0.1:8080 --rate 200
    holdfast rehearse mine.csv --invoice-column order --sku-column sku
    ```
    """
    if gateway is not None and (chaos or data is not None):
        raise CouldNotRunError("--chaos and --data are for a gateway that is started here.", "Leave --gateway out.")
    columns = Columns(invoice_column, sku_column, quantity_column)
    options = Options(
        orders=OrderFile(file, columns, NO_GOODS if no_goods is None else tuple(no_goods), rows),
        url=gateway or "",
        run=time.strftime("%Y%m%d-%H%M%S", time.gmtime()),
        key=key,
        short_percent=short,
        places=locations,
        pace=Pace(connections, rate, partial),
        patience_s=patience,
        chaos=chaos,
    )
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
