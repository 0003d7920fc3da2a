"""Which alerts of deploy/prometheus fire: promtool reads the rules, and series made by hand or scraped from a gateway.

In: series in promtool's notation, or two scrapes of /metrics, before a fault and after it. Out: names of alerts.
Always: it is Prometheus' own engine that evaluates; time is that of the series, fifteen seconds between two values.
"""

import asyncio
import json
import re
import shutil
import subprocess
from math import isfinite
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import ask
from tests.support.pages import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
NAMES = re.findall(r"- alert: (\w+)", RULES.read_text())
PROMTOOL = shutil.which("promtool")
ASKED_MAX = 2_000
_GROWS = ("_total", "_bucket", "_count", "_sum")


def fired(tmp_path: Path, series: dict[str, str], minutes: int) -> set[str]:
    """Alerts that fire at that minute."""
    # No alert of this name is expected: promtool prints those that it got.
    asked = [{"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": []} for name in NAMES]
    listed = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "15s", "input_series": listed, "alert_rule_test": asked}
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    assert PROMTOOL is not None
    told = subprocess.run([PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    output = told.stdout + told.stderr
    assert told.returncode == 0 or "alertname" in output, output
    return set(re.findall(r'alertname="(\w+)"', output))


class Scrapes:
    """What /metrics of a real gateway showed, as series: what was seen last goes on."""

    def __init__(self) -> None:
        self._seen: list[dict[str, float]] = []

    async def take(self, port: int, processes: int = 1, key: str | None = None) -> None:
        """Of so many processes that share the port: any of them answers a connection."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        by_node: dict[str, dict[str, float]] = {}
        for _ in range(ASKED_MAX):
            try:
                answer = await ask(port, "GET", "/metrics", b"", **headers)
            except OSError:  # it was killed meanwhile
                await asyncio.sleep(0.05)
                continue
            if answer.status != 200:  # one that has just ended, or is about to lead
                await asyncio.sleep(0.05)
                continue
            found, node = {}, ""
            for family in text_string_to_metric_families(answer.body.decode()):
                for sample in family.samples:
                    labels = {"job": "holdfast", "instance": "a", **sample.labels}
                    node = labels.get("node", node)
                    if isfinite(sample.value):  # promtool's notation has no other
                        found[sample.name + json.dumps(labels)] = sample.value
            by_node[node] = found
            if len(by_node) == processes:
                break
        assert len(by_node) == processes, f"{sorted(by_node)} answered"
        self._seen.append({key: value for found in by_node.values() for key, value in found.items()})

    def series(self) -> dict[str, str]:
        """The first scrape for ten minutes; then counters go to the last one's in four, the rest at once.

        A counter that began again meanwhile, with its process, goes through every scrape.
        """
        made = {}
        first, last = self._seen[0], self._seen[-1]
        for key, value in last.items():
            before = f"{first[key]}x40" if key in first else "_x40"
            # A counter that was not there grows only from the scrape on that has it first, as in Prometheus.
            begin = next(scrape[key] for scrape in self._seen if key in scrape)
            name, labels = key[: key.index("{")], json.loads(key[key.index("{") :])
            named = ",".join(f"{label}={json.dumps(found)}" for label, found in labels.items())
            all_of_it = [scrape[key] for scrape in self._seen if key in scrape]
            if name.endswith(_GROWS) and all_of_it != sorted(all_of_it):
                times = max(0, 16 // len(all_of_it) - 1)
                after = " ".join(f"{one}x{times}" for one in all_of_it)
            elif name.endswith(_GROWS) and value >= begin:
                after = f"{begin:.6f}{(value - begin) / 16:+.6f}x16"
            else:
                after = f"{value}x16"
            made[f"{name}{{{named}}}"] = f"{before} {after}"
        return made
