"""docs/woocommerce.md says what the connector does: its settings, statuses and figures."""

import re
from pathlib import Path

import msgspec
from prometheus_client.registry import CollectorRegistry

from holdfast.woo.metrics import StoreFigures
from holdfast.woo.report import StoreReport
from holdfast.woo.stores import STATUSES, Pacing, Role, Store, rendered

PAGE = (Path(__file__).parents[2] / "docs" / "woocommerce.md").read_text()


def test_every_setting_and_role_is_on_the_page() -> None:
    names = {one.name for one in msgspec.structs.fields(Store)} - {"pace", "statuses"}
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    for one in msgspec.structs.fields(Pacing):
        assert f"`{one.name}` {one.default}" in PAGE
    assert [role for role in Role if f"`{role}`" not in PAGE] == []
    spoken = {status for status in STATUSES if "draft" not in status}
    assert [status for status in spoken if f"`{status}`" not in PAGE] == []


def test_every_figure_is_on_the_page_and_no_other() -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StoreFigures(lambda: {"shop": StoreReport("shop")}))
    served = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert set(re.findall(r"holdfast_woo_\w+", PAGE)) == served


def test_what_is_written_is_read_again() -> None:
    tables = {"wc-packed": Role.OPEN, 'odd "one"\n': Role.HOLD}
    store = Store("https://x", "web", locations=["A", "B"], statuses=tables, pace=Pacing(items_max=7), paused=True)
    import tomllib

    assert msgspec.convert(tomllib.loads(rendered(store)), Store) == store
