"""/metrics says what it serves in Prometheus' own terms, and docs/metrics.md says the same."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast import __version__
from holdfast.gateway.metric_catalogue import CATALOGUE
from holdfast.publisher.metrics import NAMES
from tests.support.gateway import ask
from tests.support.pages import ROOT
from tests.support.served import Api, level, places, serving
from tools.metrics_docs import PAGE, page

UNITS = ("_ms", "_millis", "_minutes", "_kb", "_mb", "_mib", "_percent")


def test_the_page_has_every_figure() -> None:
    assert PAGE.read_text() == page(PAGE.read_text()), "run `make metrics-docs`"


def test_names_have_base_units_and_meanings_are_sentences() -> None:
    names = [figure.served for figure in CATALOGUE]
    assert len(names) == len(set(names))
    assert [name for name in names if name.endswith(UNITS) or not re.fullmatch(r"holdfast_[a-z_]+", name)] == []
    assert [figure.name for figure in CATALOGUE if not re.fullmatch(r"[A-Z0-9].{20,}\.", figure.text)] == []
    assert [figure.name for figure in CATALOGUE if figure.name.endswith("_total")] == []


async def scraped(tmp_path: Path) -> str:
    """After a sale, a refusal, a rejected fact and a repeat."""
    with serving(tmp_path) as served:
        api = Api(served.port)
        await api.facts(*places("W1"), level("MUG", 5))
        await api.facts(level("MUG", 5))
        rejected = await api("POST", "/v1/facts", {"source": "acme", "facts": [level("MUG", 5, "NOWHERE")]})
        assert rejected.status in {202, 422}
        await api.held(("MUG", 2))
        for _ in range(2):
            assert (await api.reserve(("MUG", 9))).status == 409
        await api("GET", "/v1/availability/NOTHING?channel=web")
        answer = await ask(served.port, "GET", "/metrics")
        for _ in range(100):
            if 'reason="unknown-location"' in answer.body.decode():
                break
            answer = await ask(served.port, "GET", "/metrics")
        return answer.body.decode()


async def test_what_the_business_asks_is_counted(tmp_path: Path) -> None:
    text = await scraped(tmp_path)
    for line in (
        f'holdfast_build_info{{node="n1",version="{__version__}"}} 1.0',
        'holdfast_refusals_total{node="n1",problem="insufficient-stock"} 2.0',
        'holdfast_refusals_total{node="n1",problem="unknown-sku"} 1.0',
        'holdfast_reservations{node="n1",state="held"} 1.0',
        'holdfast_reservations{node="n1",state="expired"} 0.0',
        'holdfast_units{node="n1",where="stock"} 2.0',
        'holdfast_anomalies_total{kind="repeat",node="n1"} 1.0',
        'holdfast_dead_letters_total{node="n1",reason="unknown-location"} 1.0',
    ):
        assert line in text, line
    kinds = dict(re.findall(r"^# TYPE (holdfast_\w+) (\w+)$", text, re.MULTILINE))
    helped = dict(re.findall(r"^# HELP (holdfast_\w+) (.+)$", text, re.MULTILINE))
    documented = {figure.served: figure for figure in CATALOGUE}
    assert kinds.keys() == helped.keys() <= documented.keys()
    assert {name: documented[name].kind for name in kinds} == kinds
    assert {name: documented[name].text for name in helped} == helped
    assert documented.keys() - kinds.keys() == set()
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on this machine; all else was checked")
    done = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert [line for line in done.stderr.splitlines() if "holdfast_" in line] == []


def test_the_operations_page_names_only_figures_that_are_served() -> None:
    served = {figure.served for figure in CATALOGUE} | set(NAMES)
    for document in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(r"`(holdfast_[a-z_]+)`", document.read_text()):
            # The connector of shops serves its own, and tests/woo/test_page.py compares them with its page.
            assert name in served or name.startswith("holdfast_woo_"), f"{document.name}: {name}"
