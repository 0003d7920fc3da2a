"""The options of `holdfast rehearse`, in two parts: how to read the file, and how to play it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from holdfast.rehearsal.orders import NO_GOODS, Columns, OrderFile
from holdfast.rehearsal.replay import Pace
from holdfast.rehearsal.run import Options

Flag = Parameter(negative="", show_default=False)
Positive = Parameter(validator=validators.Number(gt=0, lte=86_400))
AtLeastOne = Parameter(validator=validators.Number(gte=1))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """The file's columns, and what to leave out."""

    rows: Annotated[int | None, AtLeastOne, Parameter(help="Stop after this many rows of the file.")] = None
    invoice_column: Annotated[str, Parameter(help="The column that names the cart.")] = "invoice_no"
    sku_column: Annotated[str, Parameter(help="The column with the SKU.")] = "stock_code"
    quantity_column: Annotated[str, Parameter(help="The column with the quantity; negative: back.")] = "quantity"
    no_goods: Annotated[
        list[str] | None,
        Flag,
        Parameter(help=f"A code that is not goods; repeatable, with * and ?. Default: {', '.join(NO_GOODS)}."),
    ] = None

    def of(self, file: Path) -> OrderFile:
        """A reader of the file, by these options."""
        columns = Columns(self.invoice_column, self.sku_column, self.quantity_column)
        return OrderFile(file, columns, NO_GOODS if self.no_goods is None else tuple(self.no_goods), self.rows)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Playing:
    """How the orders are replayed."""

    short: Annotated[
        float,
        Parameter(
            validator=validators.Number(gte=0, lte=100),
            help="Percentage of each SKU's ordered units that the opening stock cannot meet.",
        ),
    ] = 5.0
    partial: Annotated[bool, Flag, Parameter(help="Hold what is there of a cart, not all of it or nothing.")] = False
    connections: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=4096), help="Carts under way at once.")
    ] = 64
    rate: Annotated[
        float, Parameter(validator=validators.Number(gte=0, lte=1_000_000), help="Orders per second; 0: no limit.")
    ] = 0.0
    locations: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=100), help="Locations that the stock is spread over.")
    ] = 3
    chaos: Annotated[
        bool,
        Flag,
        Parameter(help="kill -9 the nats-server and then the gateway in the middle (not with --gateway)."),
    ] = False
    patience: Annotated[float, Positive, Parameter(help="Seconds to send an unanswered request again and again.")] = (
        60.0
    )

    def of(self, orders: OrderFile, url: str, key: str | None) -> Options:
        """A rehearsal of the orders, under its own name."""
        return Options(
            orders=orders,
            url=url,
            run=time.strftime("%Y%m%d-%H%M%S", time.gmtime()),
            key=key,
            short_percent=self.short,
            places=self.locations,
            pace=Pace(self.connections, self.rate, self.partial),
            patience_s=self.patience,
            chaos=self.chaos,
        )
