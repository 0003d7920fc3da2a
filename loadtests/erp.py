"""The ERP beside the shoppers: `--erp` facts a second, levels of a large catalogue, now and then goods that came back.

    .venv/bin/locust -f loadtests/locustfile.py,loadtests/shapes.py,loadtests/erp.py --headless --run NAME --erp 2000

Always: levels are of SKUs that no shopper buys, so that the units of the others stay countable; a return is of one
unit, and is counted once it is acknowledged.
"""

import itertools
import uuid
from datetime import UTC, datetime
from typing import Any

from locust import constant_throughput, task

from loadtests.locustfile import Patient
from loadtests.options import accounts, chosen

BATCH = 200
CATALOGUE = 20_000
RETURN_EACH = 10


class Erp(Patient):
    """One, whatever the number of shoppers."""

    fixed_count = 1

    def on_start(self) -> None:
        """Where in the catalogue it is."""
        self._next = itertools.count()

    def wait_time(self) -> float:
        """Locust's constant throughput, from the rate that was chosen."""
        return float(constant_throughput(max(chosen.erp_per_s, 1) / BATCH)(self))

    @task
    def report(self) -> None:
        """A batch of levels; each tenth one has a return."""
        number = next(self._next)
        facts = [_level((number * BATCH + index) % CATALOGUE, number) for index in range(BATCH)]
        sku = chosen.skus[number % len(chosen.skus)]
        back = number % RETURN_EACH == 0
        if back:
            facts += chosen.stage.returned(f"{chosen.run}-{uuid.uuid4().hex}", ((sku, 1),))
        body = {"source": chosen.stage.source, "facts": facts}
        status, content = self.ask("facts", "POST", "/v1/facts", body)
        if status >= 400 or not status:
            return
        rejected = {one["index"] for one in content["rejected"]}
        accounts.facts += len(facts) - len(rejected)
        accounts.facts_rejected += len(rejected)
        if back and len(facts) - 1 not in rejected:
            accounts.count("returned", sku)


def _level(number: int, version: int) -> dict[str, Any]:
    return {
        "kind": "stock.level",
        "sku": f"{chosen.run}-STORM-{number:05}",
        "location": chosen.stage.locations[0],
        "on_hand": 1 + version % 97,
        "basis": "net",
        "as_of": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
