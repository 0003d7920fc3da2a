"""The alerts of deploy/prometheus: each fires for its fault, not in a calm shop; docs/alerts.md says what to do.

In: the rules, and series as promtool reads them; for some faults the series are what a real gateway's /metrics showed
before and after. Always: every metric that a rule or the Grafana dashboard names is one that holdfast serves.
"""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.gateway.metric_catalogue import CATALOGUE
from tests.support.alerts import NAMES, PROMTOOL, RULES, Scrapes, fired
from tests.support.gateway import ask
from tests.support.pages import ROOT
from tests.support.served import Api, level, places, serving

PLACE = RULES.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "holdfast.json"
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
INSTANCE = 'job="holdfast",instance="a"'
NODE = INSTANCE + ',node="w1"'

# What a calm shop shows, one scrape in 15 s, for 20 minutes: name -> values in promtool's notation.
CALM = {
    f"up{{{INSTANCE}}}": "1x80",
    f"holdfast_node_leading{{{NODE}}}": "1x80",
    'holdfast_node_leading{job="holdfast",instance="b",node="w2"}': "0x80",
    f"holdfast_node_commands_answered_total{{{NODE}}}": "0+500x80",
    f"holdfast_node_commands_rejected_total{{{NODE}}}": "0x80",
    f"holdfast_node_append_waiting_seconds{{{NODE}}}": "0.002x80",
    f'holdfast_request_seconds_bucket{{{NODE},call="reserve",le="0.025"}}': "0+500x80",
    f'holdfast_request_seconds_bucket{{{NODE},call="reserve",le="1"}}': "0+500x80",
    f'holdfast_request_seconds_bucket{{{NODE},call="reserve",le="+Inf"}}': "0+500x80",
    f'holdfast_requests_total{{{NODE},call="reserve",status="2xx"}}': "0+480x80",
    f'holdfast_requests_total{{{NODE},call="reserve",status="4xx"}}': "0+20x80",
    f'holdfast_refusals_total{{{NODE},problem="insufficient-stock"}}': "0+20x80",
    f'holdfast_refusals_total{{{NODE},problem="rate-limited"}}': "0x80",
    f"holdfast_requests_shed_total{{{NODE}}}": "0x80",
    f"holdfast_connections_refused_total{{{NODE}}}": "0x80",
    f"holdfast_faults_total{{{NODE}}}": "0x80",
    f"holdfast_node_quarantined{{{NODE}}}": "0x80",
    f"holdfast_node_digest_differs{{{NODE}}}": "0x80",
    f'holdfast_unproven_messages_total{{{NODE},kind="batch"}}': "0x80",
    f"holdfast_node_lag{{{NODE}}}": "0x80",
    f"holdfast_node_age_seconds{{{NODE}}}": "0.1x80",
    f"holdfast_node_times_leading_total{{{NODE}}}": "1x80",
    f'holdfast_source_age_seconds{{{NODE},source="acme"}}': "60x80",
    f'holdfast_dead_letters_total{{{NODE},reason="unknown-sku"}}': "3x80",
    f"holdfast_dead_letters_age_seconds{{{NODE}}}": "600x80",
    f"holdfast_node_dead_letters_lost_total{{{NODE}}}": "0x80",
    f'holdfast_anomalies_total{{{NODE},kind="conflicting-body"}}': "2x80",
    f'holdfast_anomalies_total{{{NODE},kind="repeat"}}': "0+50x80",
    f'holdfast_names{{{NODE},kind="skus"}}': "1000x80",
    f'holdfast_names_max{{{NODE},kind="skus"}}': "10000000x80",
    f"holdfast_node_journal_lag{{{NODE}}}": "0x80",
    f"holdfast_node_snapshot_failures_in_a_row{{{NODE}}}": "0x80",
    f"holdfast_keys_exchanged_age_seconds{{{NODE}}}": "1x80",
    f'holdfast_system_working{{{NODE},system="erp acme"}}': "1x80",
    f'holdfast_system_parked{{{NODE},system="erp acme"}}': "0x80",
    f"holdfast_disk_free_bytes{{{NODE}}}": "50000000000x80",
    f"holdfast_disk_wanted_bytes{{{NODE}}}": "268435456x80",
    f'holdfast_kept_bytes{{{NODE},part="log"}}': "1000000x80",
    f"holdfast_node_kept_budget_bytes{{{NODE}}}": "100000000x80",
    f'holdfast_alarms_total{{{NODE},alarm="disk-nearly-full"}}': "0x80",
    f"holdfast_node_kept_left_seconds{{{NODE}}}": "3153600000x80",
}
# What its fault changes, from the tenth minute on.
FAULTS = {
    "HoldfastDown": {f"up{{{INSTANCE}}}": "1x40 0x40"},
    "HoldfastNoLeader": {f"holdfast_node_leading{{{NODE}}}": "1x40 0x40"},
    "HoldfastWritesRefused": {f"holdfast_node_commands_rejected_total{{{NODE}}}": "0x40 0+50x40"},
    "HoldfastLogStalls": {f"holdfast_node_append_waiting_seconds{{{NODE}}}": "0x40 2+5x40"},
    "HoldfastCheckoutSlow": {
        f'holdfast_request_seconds_bucket{{{NODE},call="reserve",le="0.025"}}': "0+500x40 20000x40"
    },
    "HoldfastShedding": {f"holdfast_requests_shed_total{{{NODE}}}": "0x40 0+5x40"},
    "HoldfastThrottling": {f'holdfast_refusals_total{{{NODE},problem="rate-limited"}}': "0x40 0+30x40"},
    "HoldfastHotSku": {f'holdfast_refusals_total{{{NODE},problem="insufficient-stock"}}': "0+20x40 800+400x40"},
    "HoldfastFaults": {f"holdfast_faults_total{{{NODE}}}": "0x40 1x40"},
    "HoldfastQuarantined": {f"holdfast_node_quarantined{{{NODE}}}": "0x40 1x40"},
    "HoldfastDigestDiffers": {f"holdfast_node_digest_differs{{{NODE}}}": "0x40 1x40"},
    "HoldfastUnproven": {f'holdfast_unproven_messages_total{{{NODE},kind="batch"}}': "0x40 4x40"},
    "HoldfastBehind": {f"holdfast_node_lag{{{NODE}}}": "0x40 5000x40"},
    "HoldfastTookOver": {f"holdfast_node_times_leading_total{{{NODE}}}": "1x40 2x40"},
    "HoldfastLeadMoves": {f"holdfast_node_times_leading_total{{{NODE}}}": "1x40 1+1x40"},
    "HoldfastSourceSilent": {f'holdfast_source_age_seconds{{{NODE},source="acme"}}': "60x40 3601+5x40"},
    "HoldfastDeadLetters": {f'holdfast_dead_letters_total{{{NODE},reason="unknown-sku"}}': "3x40 4x40"},
    "HoldfastDeadLettersWait": {f"holdfast_dead_letters_age_seconds{{{NODE}}}": "600x20 90000+15x60"},
    "HoldfastDeadLettersLost": {f"holdfast_node_dead_letters_lost_total{{{NODE}}}": "0x40 1x40"},
    "HoldfastFiguresContradict": {f'holdfast_anomalies_total{{{NODE},kind="conflicting-body"}}': "2x40 5x40"},
    "HoldfastNamesFilling": {f'holdfast_names{{{NODE},kind="skus"}}': "1000x40 9000000x40"},
    "HoldfastKeysNotExchanged": {f"holdfast_keys_exchanged_age_seconds{{{NODE}}}": "1x40 61+15x40"},
    "HoldfastSystemFails": {f'holdfast_system_working{{{NODE},system="erp acme"}}': "1x40 0x40"},
    "HoldfastParked": {f'holdfast_system_parked{{{NODE},system="erp acme"}}': "0x40 2x40"},
    "HoldfastJournalBehind": {f"holdfast_node_journal_lag{{{NODE}}}": "0x40 0+500x40"},
    "HoldfastSnapshotsFail": {f"holdfast_node_snapshot_failures_in_a_row{{{NODE}}}": "0x40 4x40"},
    "HoldfastDiskFilling": {f'holdfast_kept_bytes{{{NODE},part="log"}}': "1000000x40 200000000x40"},
    "HoldfastPastShrinks": {f"holdfast_node_kept_left_seconds{{{NODE}}}": "3153600000x40 100000x40"},
}


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bholdfast_[a-z_]+", expression))


def served_names() -> set[str]:
    histograms = {
        f"{one.name}_{part}" for one in CATALOGUE if one.kind == "histogram" for part in ("bucket", "count", "sum")
    }
    return {one.served for one in CATALOGUE} | histograms


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == NAMES
    for section in page.split("\n### ")[1:]:
        assert re.search(r"^\*\*Shoppers:\*\* .+\n\*\*Look at:\*\* .+\n\*\*Do:\*\* .+", section, re.MULTILINE), section[
            :60
        ]


def test_rules_and_dashboard_name_metrics_that_are_served() -> None:
    assert metrics_in(RULES.read_text()) - served_names() == set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(expressions) > 15
    assert metrics_in(" ".join(expressions)) - served_names() == set()


def test_each_alert_has_a_fault_here() -> None:
    assert sorted(FAULTS) == sorted(NAMES)


@needs_promtool
def test_the_files_are_sound() -> None:
    for arguments in (["rules", RULES.name], ["config", "--syntax-only", "prometheus.yml"]):
        told = subprocess.run(
            [str(PROMTOOL), "check", *arguments], cwd=PLACE, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr


@needs_promtool
def test_nothing_fires_in_a_calm_shop(tmp_path: Path) -> None:
    assert fired(tmp_path, CALM, 19) == set()


@needs_promtool
@pytest.mark.parametrize("name", NAMES)
def test_its_fault_makes_it_fire(tmp_path: Path, name: str) -> None:
    seen = fired(tmp_path, CALM | FAULTS[name], 13)
    assert name in seen
    assert seen - {name} <= {"HoldfastWritesRefused", "HoldfastLogStalls", "HoldfastTookOver"}, "one fault, one alert"


@needs_promtool
async def test_faults_of_a_real_gateway_make_their_alerts_fire(tmp_path: Path) -> None:
    def at(ago: timedelta) -> str:
        return (datetime.now(UTC) - ago).isoformat().replace("+00:00", "Z")

    with serving(tmp_path) as served:
        api, scrapes = Api(served.port), Scrapes()
        await api.policies({"kind": "channel", "channel": "web", "locations": "*"})
        await api.facts(*places("W1"), level("MUG", 5, as_of=at(timedelta(hours=3))))
        await api.held(("MUG", 5))
        await api.reserve(("MUG", 1))
        await scrapes.take(served.port)
        for _ in range(300):
            assert (await api.reserve(("MUG", 1))).problem == "insufficient-stock"
        await rejected(api)
        await scrapes.take(served.port)
    assert fired(tmp_path, scrapes.series(), 13) == {"HoldfastHotSku", "HoldfastDeadLetters", "HoldfastSourceSilent"}


async def rejected(api: Api) -> None:
    """A fact about a place that nobody declared; until it is among the dead letters."""
    await api("POST", "/v1/facts", {"source": "acme", "facts": [level("MUG", 5, "NOWHERE")]})
    for _ in range(100):
        if 'reason="unknown-location"' in (await ask(api.port, "GET", "/metrics")).body.decode():
            return
    raise AssertionError("the fact is not among the dead letters")
