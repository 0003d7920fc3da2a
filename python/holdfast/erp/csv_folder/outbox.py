"""Orders as numbered CSV files for an ERP to read.

In: orders and cancellations. Out: files in `out`. Always: what is in a file is decided, durably, before the file is
there, so that after a crash the same number has the same bytes; an order is in one file, its cancellation in one later.
"""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from holdfast.erp.csv_folder.inbox import write_whole
from holdfast.erp.interface import Order
from holdfast.erp.store import Store
from holdfast.traces import id_of

COLUMNS = (
    *("op", "key", "order_ref", "channel", "reservation", "confirmed_at"),
    *("line", "sku", "quantity", "location", "due", "kit", "trace"),
)


class _File(msgspec.Struct):
    name: str
    text: str


class Outbox:
    """The folder `out` of one source."""

    def __init__(self, directory: Path, source: str, store: Store) -> None:
        self.leaving = directory / "out"
        self._source = source
        self._store = store

    def write(self, op: str, orders: Sequence[Order]) -> list[str]:
        """Have each order in a file; the file of each."""
        self.finish()
        fresh = [one for one in orders if self._store.outbox_of(f"{op}:{one.key}") is None]
        if fresh:
            number = max(self._store.next_outbox(), self._highest() + 1)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            file = _File(f"{self._source}_orders_{stamp}_{number}.csv", _text(op, fresh))
            self._store.add_outbox(number, msgspec.json.encode(file), [f"{op}:{one.key}" for one in fresh])
            self.finish()
        return [f"file {self._store.outbox_of(f'{op}:{one.key}')}" for one in orders]

    def _highest(self) -> int:
        """The highest number that is still in the folder: a store that was lost does not know it."""
        numbers = [path.stem.rpartition("_")[2] for path in self.leaving.glob(f"{self._source}_orders_*.csv")]
        return max((int(one) for one in numbers if one.isdecimal()), default=0)

    def find(self, op: str, order: Order) -> str | None:
        """The file that has it."""
        self.finish()
        number = self._store.outbox_of(f"{op}:{order.key}")
        return None if number is None else f"file {number}"

    def finish(self) -> None:
        """Write what was decided and may not be there."""
        for number, body in self._store.unwritten():
            file = msgspec.json.decode(body, type=_File)
            write_whole(self.leaving, file.name, file.text.encode())
            self._store.set_written(number)


def _text(op: str, orders: Sequence[Order]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for order in orders:
        head = (op, order.key, order.order_ref or "", order.channel, order.reservation, order.at)
        if op == "cancel":
            rows.writerow((*head, *[""] * 6, id_of(order.trace)))
            continue
        for number, line in enumerate(order.lines, start=1):
            place = (line.location or "", line.due or "", line.kit or "")
            rows.writerow((*head, number, line.sku, line.quantity, *place, id_of(order.trace)))
    return out.getvalue()
