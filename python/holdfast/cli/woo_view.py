"""How `holdfast woo` shows findings and reports to a person.

In: findings, reports. Out: lines on stdout. Always: what is left to do stands last, where it is seen.
"""

from datetime import UTC, datetime

from rich.table import Table

from holdfast.cli.console import print_whole, remarks, results
from holdfast.woo.connecting import Findings
from holdfast.woo.report import StoreReport

_MARKS = {"right": "ok  ", "done": "done", "left": "left"}
_LISTED = 10


def show_findings(found: Findings) -> None:
    """What was checked."""
    for outcome in ("right", "done", "left"):
        for one, text in found.lines:
            if one == outcome:
                results.print(f"{_MARKS[outcome]}  {text}")
    if found.is_complete:
        remarks.print("Connected. `holdfast serve --woo` runs the connector; `holdfast woo status` shows how it fares.")


def show_reports(reports: list[StoreReport], now_s: float) -> None:
    """One table, and what needs attention below it."""
    table = Table("store", "state", "orders read", "deliveries", "lag", "webhooks", "to write", "written", "last write")
    for one in reports:
        table.add_row(
            one.store,
            one.state,
            _ago(one.read_upto_s, now_s),
            f"{one.deliveries_waiting:,} waiting",
            f"{one.delivery_lag_s:g} s",
            f"{one.webhooks_active} of 4",
            f"{one.push_waiting + one.push_in_flight:,} of {one.push_known:,}",
            f"{one.push_written:,}",
            _ago(one.last_push_s, now_s),
        )
    print_whole(table)
    for one in reports:
        for line in _attention(one):
            results.print(f"{one.store}: {line}")


def _attention(one: StoreReport) -> list[str]:
    found = [f"webhooks: {what}" for what in one.webhooks_wrong]
    if one.webhooks_ended_by_shop:
        found.append(f"{one.webhooks_ended_by_shop} times a webhook was found ended, and made active again")
    if one.found_by_reading:
        found.append(f"{one.found_by_reading:,} orders were found by reading the shop alone: webhooks were lost")
    if one.deliveries_lost:
        found.append(f"{one.deliveries_lost:,} deliveries were dropped unread; their orders are read from the shop")
    found += [
        f"the status {status!r} is in no table: {count:,} orders count as owed (master data: statuses.{one.store}.csv)"
        for status, count in one.unknown_statuses.items()
    ]
    if one.orders.get("nameless_lines"):
        found.append(f"{one.orders['nameless_lines']:,} lines of orders have no SKU, and are not counted")
    if one.unknown_skus:
        found.append(f"holdfast does not know these SKUs of orders: {', '.join(one.unknown_skus[:_LISTED])}")
    found += [
        f"{sku}: orders without a reservation are owed {units:,} more than there is: deliver later, or refund"
        for sku, units in list(one.short.items())[:_LISTED]
    ]
    found += [f"order {row['order']}: {row['kind']} rejected: {row['reason']}" for row in one.rejected[-_LISTED:]]
    found += [f"{sku}: {why}" for sku, why in list(one.push_problems.items())[:_LISTED]]
    if len(one.push_problems) > _LISTED:
        found.append(f"{len(one.push_problems) - _LISTED:,} more SKUs cannot be written; --json lists them")
    return found + [f"error: {why}" for why in one.errors[-3:]]


def _ago(at_s: float, now_s: float) -> str:
    if at_s <= 0:
        return "never"
    age_s = max(0, int(now_s - at_s))
    if age_s < 120:
        return f"{age_s} s ago"
    if age_s < 7_200:
        return f"{age_s // 60} min ago"
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")
