"""Settings of a connection to an ERP: a table `[erp.NAME]` for each.

In: nothing. Out: ErpSettings. Always: the defaults suit an ERP that is asked every half minute and takes a few orders a
second; what a folder or an API alone needs is not looked at by the others.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

NAME_FORM = "1 to 48 letters, digits, `-` and `_`"
ERP_KINDS = ("csv", "tryton", "odoo", "erpnext", "python")


@section(
    "erp",
    "A connection to an ERP. NAME is its name, and that of its process; a file may have many of these tables.",
)
@dataclass(frozen=True, slots=True)
class ErpSettings:
    """One connection to an ERP."""

    kind: str = public("csv", "What the ERP is.", choices=ERP_KINDS)
    enabled: bool = public(
        True,  # noqa: FBT003 - the default of a setting
        "Whether `serve` runs the connection, in a separate process. `holdfast erp run NAME` runs it by hand.",
    )
    source: str = public(
        "",
        "The source in whose name facts are sent.",
        unset="the table's name",
        pattern=r"[A-Za-z0-9_-]{1,64}",
        form="1 to 64 letters, digits, `-` and `_`",
    )
    gateway: str = public("", "Address of the gateway that takes the facts.", unset="the gateway of the data directory")
    key: str = public(
        "",
        "API key of the connection, which may name the source; `@FILE` reads it from a file.",
        unset="none",
        secret=True,
    )
    orders: bool = public(
        True,  # noqa: FBT003 - the default of a setting
        "Whether confirmed orders go to the ERP. That needs events ([publisher](#publisher), `enabled`).",
    )
    channels: str = public("", "Channels whose orders go to the ERP, with commas.", unset="all")
    every_ms: int = public(30 * SECOND_MS, "How often the ERP is asked for what is new.", lowest=100, highest=DAY_MS)
    overlap_ms: int = public(
        5 * MINUTE_MS,
        "How far each question reaches back before the last one: longer than the ERP's longest transaction.",
        lowest=0,
        highest=7 * DAY_MS,
    )
    orders_at_once: int = public(
        2,
        "Orders under way to the ERP at once; one order's own messages never are.",
        lowest=1,
        highest=64,
        unit="orders",
    )
    timeout_ms: int = public(
        30 * SECOND_MS, "How long an answer of the ERP is waited for.", lowest=100, highest=HOUR_MS
    )
    tries_max: int = public(
        8, "Tries of one order that the ERP refuses, before it is parked.", lowest=1, highest=1_000, unit="tries"
    )
    retry_first_ms: int = public(
        SECOND_MS, "Wait before the second try; it doubles from try to try.", lowest=10, highest=HOUR_MS
    )
    retry_wait_ms_max: int = public(5 * MINUTE_MS, "The longest such wait.", lowest=10, highest=DAY_MS)
    breaker_failures: int = public(
        5,
        "Failures in a row after which the ERP counts as down: it is then asked once in `breaker_rest_ms`.",
        lowest=1,
        highest=1_000,
        unit="failures",
    )
    breaker_rest_ms: int = public(
        30 * SECOND_MS, "How long an ERP that counts as down is left alone.", lowest=10, highest=HOUR_MS
    )
    adapter: str = public(
        "",
        "kind `python`: the class of an adapter that you wrote, as `package.module:Class`.",
        unset="none",
        pattern=r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*",
        form="like `package.module:Class`",
    )
    directory: str = public("", "kind `csv`: the folder that files arrive in.", unset="none", path=True)
    manifest: str = public(
        "optional",
        "kind `csv`: whether a file counts only once its manifest is there.",
        choices=("optional", "required"),
    )
    first_sequence: int = public(1, "kind `csv`: the number of the first file.", lowest=0, highest=2**53, unit="number")
    shrink_percent_max: int = public(
        10,
        "kind `csv`: the part of a location's SKUs that a full snapshot may set to zero by leaving them out.",
        lowest=0,
        highest=100,
        unit="percent",
    )
    url: str = public("", "Not for kind `csv`: address of the ERP.", unset="none")
    database: str = public("", "Not for kind `csv`: name of the database.", unset="none")
    token: str = public(
        "",
        "Not for kind `csv`: the ERP's secret, such as an application key; `@FILE` reads it.",
        unset="none",
        secret=True,
    )
    user: str = public("", "kind `odoo` before version 19: login of the user of the key.", unset="none")
    company: str = public("", "kind `erpnext`: the company that sells.", unset="the only one")
    customer: str = public(
        "",
        "In whose name the shop sells: code of the party (kind `tryton`), reference of the contact (`odoo`), name of "
        "the customer (`erpnext`).",
        unset="none",
    )
    warehouses: str = public(
        "",
        "kinds `tryton`, `odoo`, `erpnext`: codes of warehouses and their locations here, as `WH=paris,WH2=lyon`.",
        unset="each warehouse is the location of its code",
    )
